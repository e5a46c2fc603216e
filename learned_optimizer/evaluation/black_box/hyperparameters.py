"""Hyperparameters of models of scikit-learn, and of a small Keras network, on data that come with scikit-learn."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from learned_optimizer.black_box.space import Choice, Float, Integer, Parameters, Space

FOLDS = 3
SPACES: dict[str, Space] = {
    "svm": Space({"C": Float(1e-3, 1e3, log=True), "gamma": Float(1e-5, 10.0, log=True)}),
    "logistic-regression": Space(
        {"C": Float(1e-5, 1e3, log=True), "l1_ratio": Float(0.0, 1.0), "tol": Float(1e-5, 1e-1, log=True)}
    ),
    "random-forest": Space(
        {
            "max_depth": Integer(1, 20),
            "max_features": Float(0.05, 1.0),
            "min_samples_leaf": Integer(1, 20, log=True),
            "criterion": Choice(["gini", "entropy"]),
        }
    ),
}
NETWORK = Space(
    {
        "learning_rate": Float(1e-5, 1.0, log=True),
        "units": Integer(4, 128, log=True),
        "dropout": Float(0.0, 0.8),
        "weight_decay": Float(1e-6, 1.0, log=True),
    }
)
EPOCHS, BATCH = 5, 64


def function(name: str, seed: int) -> tuple[Callable[[Parameters], float], float]:
    """The cross-entropy of a model in cross-validation, on folds that depend on the seed.

    Support vector machines have the breast cancer data, logistic regression and forests the wine data.

    Args:
        name: One of `SPACES`.
        seed: Integer seed.

    Returns:
        The function of the parameters of that space, in nats; and NaN, since nobody knows its minimum.
    """
    from sklearn.model_selection import StratifiedKFold

    inputs, labels = _data(name)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(inputs, labels))

    def loss(parameters: Parameters) -> float:
        from sklearn.metrics import log_loss

        losses = []
        for train, test in folds:
            model = _model(name, parameters, seed)
            with warnings.catch_warnings():
                # An optimizer may ask for models that do not converge.
                warnings.simplefilter("ignore")
                model.fit(inputs[train], labels[train])
            probabilities = np.clip(_probabilities(name, model, inputs[test]), 1e-6, None)
            losses.append(log_loss(labels[test], probabilities / probabilities.sum(axis=1, keepdims=True)))
        return float(np.mean(losses))

    return loss, float("nan")


def network(seed: int) -> tuple[Callable[[Parameters], float], float]:
    """The validation loss of a network with one hidden layer on digits, after five epochs of AdamW.

    Args:
        seed: Integer seed for the split, the initial weights and the order of examples.

    Returns:
        The function of the parameters of `NETWORK`, in nats; and NaN, since nobody knows its minimum.
    """
    inputs, labels = _data("network")
    order = np.random.default_rng(seed).permutation(len(inputs))
    train, test = order[: len(order) * 2 // 3], order[len(order) * 2 // 3 :]

    def loss(parameters: Parameters) -> float:
        import keras

        keras.utils.set_random_seed(seed)
        layers = keras.layers
        model = keras.Sequential(
            [
                layers.Dense(parameters["units"], activation="relu"),
                layers.Dropout(parameters["dropout"]),
                layers.Dense(10),
            ]
        )
        optimizer = keras.optimizers.AdamW(parameters["learning_rate"], weight_decay=parameters["weight_decay"])
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(inputs[train], labels[train], batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return float(model.evaluate(inputs[test], labels[test], batch_size=len(test), verbose=0))

    return loss, float("nan")


@functools.cache
def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    loaders = {"svm": datasets.load_breast_cancer, "network": datasets.load_digits}
    inputs, labels = loaders.get(name, datasets.load_wine)(return_X_y=True)
    return StandardScaler().fit_transform(inputs).astype("float32"), labels


def _model(name: str, parameters: Parameters, seed: int) -> Any:
    if name == "svm":
        from sklearn.svm import SVC

        return SVC(**parameters)
    if name == "logistic-regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(solver="saga", max_iter=50, random_state=seed, **parameters)
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=10, random_state=seed, **parameters)


def _probabilities(name: str, model: Any, inputs: np.ndarray) -> np.ndarray:
    """The probability of each class; of a support vector machine by the logistic function of its margin."""
    if name != "svm":
        return model.predict_proba(inputs)
    second = 1 / (1 + np.exp(-2 * model.decision_function(inputs)))
    return np.stack([1 - second, second], axis=1)
