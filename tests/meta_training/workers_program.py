"""Meta-trains as one of several workers: workers_program.py STRATEGY RUN_DIRECTORY EPOCHS [ESTIMATOR].

All of the workers write the φ and the history that they have at the end into ESTIMATOR-INDEX.npz beside the directory.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from learned_optimizer.meta_training import (
    CMAES,
    Backpropagation,
    EvolutionStrategies,
    Imitation,
    MetaTrainer,
    Normalized,
    Sum,
)
from learned_optimizer.meta_training.workers import join
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import RNNprop

ESTIMATORS = {
    "backpropagation": lambda: Backpropagation(5),
    "ranked": lambda: EvolutionStrategies(0.1, 5, differences="ranked", pairs_at_once=1),
    "persistent": lambda: EvolutionStrategies(0.1, 5, persistent=True),
    "cma": lambda: CMAES(["output/bias"], population=5),
    "imitation": lambda: Imitation(unroll_length=5),
}


def make_trainer(name):
    return MetaTrainer(
        # Several, which all count in each meta-step, where that is so.
        [Quadratic(2, 2), Quadratic(3, 1)] if name == "ranked" else Quadratic(2, 2),
        RNNprop((2,), embedding=2),
        estimator=ESTIMATORS[name](),
        objective=Sum() if name == "imitation" else Normalized(),
        episode_length=10,
        episodes=24,
        validation_episodes=3,
    )


def main(strategy, directory, epochs, name="ranked"):
    if keras.backend.backend() == "tensorflow" and strategy == "mirrored":
        import tensorflow as tf

        # Two devices, which JAX makes by one of its flags.
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    directory = Path(directory)
    workers = join(strategy)
    trainer = make_trainer(name)
    resume = (directory / "checkpoint.safetensors").exists()
    history = trainer.fit(int(epochs), 2, run_directory=directory, resume=resume, verbose=0)
    arrays = trainer.weights | {"history": history.drop(columns="seconds").to_numpy("float64")}
    np.savez(directory.parent / f"{name}-{workers.index}.npz", **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
