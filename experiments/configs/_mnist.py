"""What the runs that made the preset `mnist` have in common."""

from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import MLPClassifier


def mnist(data_dir: str | None) -> MLPClassifier:
    """The paper's network, of whose initial weights each episode draws one kind."""
    return MLPClassifier("mnist", initialization=("normal", "glorot"), data_dir=data_dir)


def clipped(unroll_length: int, data_dir: str | None) -> dict:
    """The arguments with second derivatives, clipped adjoints and a running mean of φ."""
    return {
        "problem": mnist(data_dir),
        "estimator": Backpropagation(unroll_length, second_derivatives=True, clip_adjoint=4.0),
        "meta_optimizer": cosine_adam(0.001, use_ema=True, ema_momentum=0.98),
        "validation_episodes": 32,
    }
