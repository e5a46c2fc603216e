"""The flags of train.py that made each preset, and each start of a meta-training."""

from __future__ import annotations

from experiments.definitions.ablations import ABLATIONS

_LOG = ("--meta_loss=log", "--monitor=val_log_loss")
_ART_TRAINING = (
    "--problem=neural-art",
    "--coordinate_fraction=0.5",
    "--episode_length=128",
    "--unroll_length=32",
    *_LOG,
    "--epochs=10",
    "--rounds_per_epoch=20",
)
_CIFAR = ("--problem=cifar10", "--network=conv")
_CIFAR_SMALL = (
    *_CIFAR,
    "--downscale=2",
    "--groups=4",
    "--initial_preset=mnist-start",
    "--coordinate_fraction=0.5",
    "--episode_length=200",
    "--episodes=2",
    "--learning_rate=0.005",
    "--monitor=val_log_loss",
    "--epochs=10",
    "--rounds_per_epoch=15",
    "--validation_episodes=4",
)
_CIFAR_LONG = (
    *_CIFAR,
    "--coordinate_fraction=0.5",
    "--episode_length=1000",
    "--episodes=1",
    "--learning_rate=0.001",
    *_LOG,
    "--epochs=3",
    "--rounds_per_epoch=4",
    "--validation_episodes=2",
)
_LAST_CLASSES = "--classes=5,6,7,8,9"
_MNIST = ("--problem=mnist",)
_ALL_INITIALIZATIONS = ("--initialization=normal", "--initialization=glorot")
# With what the paper leaves out of the gradient, and with all coordinates, which this takes.
_MNIST_WHOLE = (
    *_MNIST,
    *_ALL_INITIALIZATIONS,
    "--episode_length=200",
    "--second_derivatives",
    "--rounds_per_epoch=10",
    "--validation_episodes=32",
)
_MNIST_CLIPPED = (
    *_MNIST_WHOLE,
    "--clip_adjoint=4",
    "--learning_rate=0.001",
    "--ema_momentum=0.98",
    "--episodes=4",
)
# The flags of train.py that made each preset.
TRAINING: dict[str, tuple[str, ...]] = {
    "quadratic": (
        "--problem=quadratic",
        "--preprocessing=log_and_sign",
        *_LOG,
        "--coordinate_fraction=0.25",
        "--epochs=15",
        "--rounds_per_epoch=40",
        "--description=Meta-trained on 10-dimensional Gaussian quadratics, 100 steps",
    ),
    "digits": (
        "--problem=digits",
        *_ALL_INITIALIZATIONS,
        *_LOG,
        "--coordinate_fraction=0.25",
        "--epochs=20",
        "--rounds_per_epoch=25",
        "--validation_episodes=16",
        "--description=Meta-trained on a 64-20-10 sigmoid network on scikit-learn's digits, 100 steps",
    ),
    # Smaller images first, which cost less.
    "cifar10-small": _CIFAR_SMALL,
    "cifar10": (
        *_CIFAR_LONG,
        "--initial_preset=cifar10-small",
        "--description=Meta-trained on the paper's convolutional network on CIFAR-10, 1,000 steps; a rule for kernels "
        "and one for the rest",
    ),
    # The paper's LSTM-sub: without the classes of `cifar5` and `cifar2`.
    "cifar10-sub-small": (*_CIFAR_SMALL, _LAST_CLASSES),
    "cifar10-sub": (
        *_CIFAR_LONG,
        _LAST_CLASSES,
        "--initial_preset=cifar10-sub-small",
        "--description=Meta-trained on the paper's convolutional network on the last five classes of CIFAR-10 alone, "
        "1,000 steps; a rule for kernels and one for the rest",
    ),
    "neural-art-start": (
        *_ART_TRAINING,
        "--initial_preset=mnist-start",
        "--episodes=2",
        "--learning_rate=0.005",
        "--validation_episodes=4",
    ),
    "neural-art": (
        *_ART_TRAINING,
        "--initial_preset=neural-art-start",
        "--episodes=4",
        "--learning_rate=0.003",
        "--validation_episodes=8",
        "--description=Meta-trained on neural art, 64×64 pixels in the style of waves, 128 steps",
    ),
    "mnist-start": (
        *_MNIST,
        *_ALL_INITIALIZATIONS,
        "--monitor=val_log_loss",
        "--coordinate_fraction=0.1",
        "--epochs=50",
        "--rounds_per_epoch=25",
        "--validation_episodes=16",
    ),
    "mnist-longer": (
        *_MNIST,
        *_ALL_INITIALIZATIONS,
        "--episode_length=200",  # That of `mnist-200`.
        *_LOG,
        "--initial_preset=mnist-start",
        "--coordinate_fraction=0.1",
        "--learning_rate=0.003",
        "--episodes=8",
        "--epochs=12",
        "--rounds_per_epoch=25",
        "--validation_episodes=16",
    ),
    "mnist-whole": (
        *_MNIST_WHOLE,
        *_LOG,
        "--initial_preset=mnist-longer",
        "--learning_rate=0.001",
        "--episodes=2",
        "--epochs=20",
    ),
    "mnist-further": (
        *_MNIST_WHOLE,
        *_LOG,
        "--initial_preset=mnist-whole",
        "--unroll_length=40",
        "--learning_rate=0.0005",
        "--episodes=4",
        "--epochs=10",
    ),
    # With adjoints clipped, the first steps of an episode are no longer drowned by their own gradient.
    "mnist-clipped": (
        *_MNIST_CLIPPED,
        "--initial_preset=mnist-further",
        "--unroll_length=40",
        "--epochs=13",
    ),
    "mnist-clipped-further": (
        *_MNIST_CLIPPED,
        "--initial_preset=mnist-clipped",
        "--unroll_length=40",
        "--epochs=16",
    ),
    "mnist-long-unrolls": (
        *_MNIST_CLIPPED,
        "--initial_preset=mnist-clipped-further",
        "--unroll_length=100",
        "--epochs=10",
        "--seed=3",
    ),
    "mnist": (
        *_MNIST_CLIPPED,
        "--initial_preset=mnist-long-unrolls",
        "--unroll_length=100",
        "--epochs=14",
        "--seed=5",
        "--description=Meta-trained on a 784-20-10 sigmoid network on MNIST, 200 steps",
    ),
    **ABLATIONS,
}
