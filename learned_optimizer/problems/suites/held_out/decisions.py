"""Fine-tuning of a trained network, and a policy that is learned from logged decisions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import noisy_digits, problem_of


def fine_tuning(data_dir: str | None) -> KerasProblem:
    """A network that reads sharp digits learns to read them out of focus and in noise; all episodes start from it."""
    del data_dir
    from sklearn.neural_network import MLPClassifier

    pictures, labels = noisy_digits(6_000, size=10, noise=0.1, seed=0, test_examples=0)
    reader = MLPClassifier((64, 64), batch_size=64, random_state=0)
    for _ in range(6):  # A pass over the pictures each, by Adam: some five hundred steps in all.
        reader.partial_fit(pictures.reshape(len(pictures), -1), labels, classes=np.arange(10))
    hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((100,)), *hidden, layers.Dense(10, activation="softmax")])
    model.set_weights([w for pair in zip(reader.coefs_, reader.intercepts_, strict=True) for w in pair])
    pictures, labels = noisy_digits(9_000, size=10, noise=0.0, seed=1)
    blurred = sum(np.roll(pictures, shift, axis=2) for shift in (-1, 0, 1)) / 3
    x = (blurred + 0.2 * np.random.default_rng(2).standard_normal(blurred.shape)).reshape(len(blurred), -1)
    return problem_of(model, x, labels, "sparse_categorical_crossentropy", 32, reinitialize=False)


def bandit(data_dir: str | None) -> KerasProblem:
    """A policy for six actions, learned from the log of another policy: contexts, actions, probabilities, rewards."""
    del data_dir
    generator = np.random.default_rng(0)
    number, actions = 21_000, 6
    x = generator.standard_normal((number, 10))
    features = np.tanh(x @ generator.standard_normal((10, 12)))
    rewards = 1 / (1 + np.exp(-2 * features @ generator.standard_normal((12, actions))))
    scores = x @ generator.standard_normal((10, actions)) / 4
    probabilities = 0.5 / actions + 0.5 * np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    taken = (np.log(probabilities) + generator.gumbel(size=scores.shape)).argmax(axis=1)
    rows = np.arange(number)
    reward = generator.random(number) < rewards[rows, taken]
    y = np.eye(actions)[taken] * ((1 - reward) / probabilities[rows, taken])[:, None]
    hidden = [layers.Dense(32, activation="tanh") for _ in range(2)]
    model = keras.Sequential([keras.Input((10,)), *hidden, layers.Dense(actions, activation="softmax")])
    return problem_of(model, x, y, importance_weighted, 128)


def importance_weighted(y_true: Any, y_pred: Any) -> Any:
    """One minus the policy's reward, which is 0 or 1, by importance weights: π(a) (1 − r) / p(a), never negative.

    Args:
        y_true: (1 − r) / p(a) at the action a that was taken with the probability p(a), else 0, `[examples, actions]`.
        y_pred: Probabilities of the actions, `[examples, actions]`.
    """
    return ops.sum(y_true * y_pred, axis=-1)
