"""An embedding of many rows, of which a minibatch touches few: the cost of a step, and how well it learns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from learned_optimizer import LearnedOptimizer
from measurements.common import Measurement, Row, Split, Table, Trial, evaluate

NUM_WORDS, LENGTH = 10_000, 8
NUM_TRAIN, NUM_TEST = 12_800, 2000
EPOCHS, BATCH_SIZE = 3, 64
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "LearnedOptimizer()": LearnedOptimizer,
    'groups=[("embedding", Adam(1e-3))]': lambda: LearnedOptimizer(groups=[("embedding", keras.optimizers.Adam(1e-3))]),
    "Adam(1e-3)": lambda: keras.optimizers.Adam(1e-3),
    "Adam(1e-2)": lambda: keras.optimizers.Adam(1e-2),
}


def sentences(seed: int) -> Split:
    """Sentences of words that are the rarer the higher their number; a sentence's class is that of its words' sum."""
    generator = np.random.default_rng(seed)
    frequency = 1 / (np.arange(NUM_WORDS) + 20)
    words = generator.choice(NUM_WORDS, (NUM_TRAIN + NUM_TEST, LENGTH), p=frequency / frequency.sum())
    scores = generator.normal(size=NUM_WORDS)
    classes = (scores[words].sum(axis=1) > 0).astype("int32")
    return Split(words[:NUM_TRAIN], classes[:NUM_TRAIN], words[NUM_TRAIN:], classes[NUM_TRAIN:])


def network() -> keras.Model:
    """The mean of the words' vectors, and a hidden layer."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(NUM_WORDS, 32),
            layers.GlobalAveragePooling1D(),
            layers.Dense(32, activation="relu"),
            layers.Dense(2),
        ]
    )


def _run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    for name, make in list(OPTIMIZERS.items())[1 if smoke else 0 : 2 if smoke else None]:
        trial = Trial(network, make())
        for seed in seeds:
            data = sentences(seed)
            x, y = (data.x[:640], data.y[:640]) if smoke else (data.x, data.y)
            model = trial.restart(seed)
            model.fit(x, y, BATCH_SIZE, 1, verbose=0)  # Traces the step, too.
            start = time.perf_counter()
            history = model.fit(x, y, BATCH_SIZE, EPOCHS - 1, verbose=0)
            seconds = time.perf_counter() - start
            yield {
                "optimizer": name,
                "seed": seed,
                "ms a step": 1000 * seconds / ((EPOCHS - 1) * len(x) // BATCH_SIZE),
                "training loss": history.history["loss"][-1],
                "test accuracy": evaluate(model, data)[1],
            }


MEASUREMENT = Measurement(_run, (Table(("optimizer",), ("ms a step", "training loss", "test accuracy"), digits=3),))
