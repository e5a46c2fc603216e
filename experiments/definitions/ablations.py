"""What each technique of meta-training gives: the same meta-training with one thing changed at a time."""

from __future__ import annotations

PREFIX = "ablation-"
# The number of seeds of each meta-training, since the outcome depends on the seed.
META_SEEDS = 3
_DIGITS = ("--problem=digits", "--initialization=normal", "--initialization=glorot")
_SHARED = ("--epochs=12", "--rounds_per_epoch=25", "--monitor=val_normalized_loss")
_PART = "--coordinate_fraction=0.25"
_RNNPROP = "--rule=RNNprop"

# The flags of train.py by technique.
_VARIANTS: dict[str, tuple[str, ...]] = {
    "base": (*_DIGITS, _RNNPROP, _PART, *_SHARED),
    "lstm": (*_DIGITS, _PART, *_SHARED),
    "random-scaling": (*_DIGITS, _RNNPROP, _PART, "--random_scaling=3", *_SHARED),
    "mixture": ("--problem=small-tasks", _RNNPROP, _PART, "--episodes=2", "--validation_episodes=2", *_SHARED),
    "curriculum": (*_DIGITS, _RNNPROP, _PART, "--episode_length=100,200,500", "--patience=3", *_SHARED),
    "log": (*_DIGITS, _RNNPROP, _PART, "--meta_loss=log", *_SHARED),
    "normalized": (*_DIGITS, _RNNPROP, _PART, "--meta_loss=normalized", *_SHARED),
    "validation": (*_DIGITS, "--examples=1000", _RNNPROP, _PART, "--validation_meta_loss", *_SHARED),
    "second-derivatives": (*_DIGITS, _RNNPROP, "--second_derivatives", "--clip_adjoint=4", *_SHARED),
    "ema": (*_DIGITS, _RNNPROP, _PART, "--ema_momentum=0.98", *_SHARED),
    "nres": (*_DIGITS, _RNNPROP, "--estimator=nres", "--episodes=8", *_SHARED),
    "teacher": (*_DIGITS, _RNNPROP, "--estimator=imitation", "--teacher_learning_rate=0.01", *_SHARED),
    "imitation": (*_DIGITS, f"--initial_preset={PREFIX}teacher", _PART, *_SHARED),
}
_TITLES = {
    "base": "RNNprop on digits, back-propagation of the sum of losses",
    "lstm": "the LSTM in place of RNNprop",
    "random-scaling": "coordinates scaled at random, by e^-3 to e^3",
    "mixture": "the mixture of small tasks in place of digits",
    "curriculum": "episodes of 100, then 200, then 500 steps",
    "log": "the sum of logarithms",
    "normalized": "the normalized meta-loss",
    "validation": "a meta-loss of examples not trained on",
    "second-derivatives": "second derivatives, adjoints clipped to 4",
    "ema": "a running mean of φ, of momentum 0.98",
    "nres": "evolution strategies in place of back-propagation",
    "imitation": "imitation of Adam as a warm start",
}
# By the name of the meta-training: its flags, and the title of what it shows.
ABLATIONS = {f"{PREFIX}{name}": flags for name, flags in _VARIANTS.items()}
TECHNIQUES = {f"{PREFIX}{name}": title for name, title in _TITLES.items()}
BASE = f"{PREFIX}base"
