"""Meta-training by evolution strategies on small tasks, which need no data set; on either backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from benchmarks import optimizees as o
from learned_optimizer import backend, presets
from learned_optimizer.meta_training import EvolutionStrategies, MetaTrainer, Normalized
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems import KerasProblem, Problem, Quadratic, small_tasks
from learned_optimizer.rules import CoordinatewiseLSTM

RULES: Mapping[str, Callable[[], Any]] = {
    "general": lambda: presets.load("general"),
    "LSTM": lambda: Preset(CoordinatewiseLSTM(o.LSTM_SIZES), o.initial_phi(), {}),
}


def evolution(problem: str, rule: str, episodes: int, seconds: float) -> dict[str, float]:
    """Meta-steps of evolution strategies on a small task, with so many episodes at once."""
    row = timed(_trainer(SMALL[problem](), rule, episodes).meta_step, seconds)
    return {"episode_steps_per_second": o.UNROLL * episodes / row["meta_step_seconds"], **row}


def mixture(rule: str, episodes: int) -> dict[str, float]:
    """The first meta-step on all of `small_tasks()`, which compiles a program for each."""
    trainer = _trainer(small_tasks(), rule, episodes)
    began, processor = time.perf_counter(), time.process_time()
    trainer.meta_step()
    return {
        "first_seconds": time.perf_counter() - began,
        "first_processor_seconds": time.process_time() - processor,
    }


def _trainer(problem: Any, rule: str, episodes: int) -> MetaTrainer:
    return MetaTrainer(
        problem,
        RULES[rule](),
        estimator=EvolutionStrategies(0.01, o.UNROLL),
        objective=Normalized(),
        # Episodes begin anew in every fifth meta-step.
        episode_length=o.UNROLL * 5,
        episodes=episodes,
    )


def timed(meta_step: Callable[[], float], seconds: float) -> dict[str, float]:
    """The first meta-step, which compiles, and the mean of those after it.

    From a tenth of a second on, whole rounds of five meta-steps are timed, the beginning of the next episodes included.
    """
    began = time.perf_counter()
    meta_step()
    first = time.perf_counter() - began
    whole = 5 if seconds >= 0.1 else 1
    for _ in range(whole - 1):
        meta_step()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or count % whole or not count:
        meta_step()
        count += 1
    each = (time.perf_counter() - began) / count
    return {"meta_step_seconds": each, "compile_seconds": max(first - each, 0.0)}


class SmallMLP(Problem):
    """A network of 64-20-10 on random digits."""

    def __init__(self, batch_size: int = 64) -> None:
        self.batch_size = batch_size
        x, y = random_digits()
        self.x, self.y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)

    @property
    def parameter_shapes(self) -> list[tuple[int, ...]]:
        """Kernel and bias of two layers."""
        return [(64, 20), (20,), (20, 10), (10,)]

    def sample(self, seed: Any) -> Any:
        """Draws θ_0; there is no state."""
        seeds = backend.split_seed(seed, 4)
        return [0.1 * backend.normal(s, k) for s, k in zip(self.parameter_shapes, seeds, strict=True)], ()

    def batch(self, seed: Any) -> Any:
        """Draws a minibatch."""
        index = backend.randint((self.batch_size,), seed, self.x.shape[0])
        return keras.ops.take(self.x, index, axis=0), keras.ops.take(self.y, index, axis=0)

    def loss(self, parameters: Any, state: Any, batch: Any) -> Any:
        """The mean cross-entropy."""
        (w1, b1, w2, b2), (x, y) = parameters, batch
        logits = keras.ops.sigmoid(x @ w1 + b1) @ w2 + b2
        losses = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return keras.ops.mean(losses), state


def random_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images, `[2000, 64]`, and labels of ten classes, at random."""
    generator = np.random.default_rng(0)
    return generator.random((2_000, 64)).astype("float32"), generator.integers(10, size=2_000).astype("int32")


def _keras_model() -> KerasProblem:
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    return KerasProblem(model, random_digits(), "sparse_categorical_crossentropy", 64)


SMALL: Mapping[str, Callable[[], Problem]] = {
    "quadratic": lambda: Quadratic(dimension=20, functions=4),
    "mlp": SmallMLP,
    "Keras model": _keras_model,
}
