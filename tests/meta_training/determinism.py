"""A short meta-training: `determinism.py KIND UNITS FILE [THREADS]`, in a process of its own, writes its φ."""

import os
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy


def phi(kind: str, units: int) -> dict[str, np.ndarray]:
    """φ after some meta-steps of back-propagation or of evolution strategies, and the last validation loss."""
    from learned_optimizer.meta_training import Backpropagation, EvolutionStrategies, MetaTrainer
    from learned_optimizer.problems import MLPClassifier
    from learned_optimizer.rules import AdaptiveMLP, CoordinatewiseLSTM

    rule, estimator = {
        "back-propagation": (CoordinatewiseLSTM((8,)), Backpropagation(2)),
        "evolution strategies": (AdaptiveMLP(), EvolutionStrategies(unroll_length=2)),
    }[kind]
    problem = MLPClassifier("digits", (units,), batch_size=32, initialization="glorot")
    trainer = MetaTrainer(
        problem, rule, estimator=estimator, episode_length=4, episodes=2, validation_episodes=2, seed=3
    )
    history = trainer.fit(1, 3 if units < 20 else 15, verbose=0)
    found = {name: np.array(value) for name, value in trainer.weights.items()}
    return found | {"val_loss": np.array(history["val_loss"], "float32")}


def main() -> None:
    """Writes φ."""
    kind, units, file, *threads = sys.argv[1:]
    if threads:
        # Before a backend counts them.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads[0])])
    safetensors.numpy.save_file(phi(kind, int(units)), Path(file))


if __name__ == "__main__":
    main()
