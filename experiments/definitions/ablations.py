"""What each technique of meta-training gives: the same meta-training with one thing changed at a time."""

from __future__ import annotations

PREFIX = "ablation-"
# The number of seeds of each meta-training, since the outcome depends on the seed.
META_SEEDS = 3
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
# The title of what each meta-training shows, by the name of its configuration file.
TECHNIQUES = {f"{PREFIX}{name}": title for name, title in _TITLES.items()}
BASE = f"{PREFIX}base"
