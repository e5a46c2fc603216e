"""What the tests of the Keras contract share: the optimizers that it is held against, and a small problem."""

import keras
import numpy as np

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset
from learned_optimizer.rules import AdaptiveMLP
from learned_optimizer.rules.handmade import ScheduleFree

X = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
Y = np.arange(24) % 3


def preset(hidden_sizes=(4,), seed=3):
    """φ that was not trained, the same in every run: the contract is about what surrounds the rule."""
    rule = CoordinatewiseLSTM(hidden_sizes)
    return Preset(rule, rule.initial_weights(seed), {"description": "untrained, for tests"})


def learned(*, learning_rate=1.0, **arguments):
    return LearnedOptimizer(preset(), learning_rate, **arguments)


def adam(*, learning_rate=0.01, **arguments):
    return keras.optimizers.Adam(learning_rate, **arguments)


def descending():
    """A learned optimizer whose φ steps against the sign of the gradient."""
    rule = CoordinatewiseLSTM((1,), preprocessing="none")
    phi = {name: np.zeros(shape, "float32") for name, shape in rule.weight_shapes.items()}
    phi["lstm_0/kernel"][1, 0] = 10.0  # The candidate of the cell sees the gradient,
    phi["lstm_0/bias"][2, 0] = -9.0  # the cell forgets,
    phi["output/kernel"][0, 0] = -1.0  # and the output is turned.
    return LearnedOptimizer(Preset(rule, phi))


def adaptive(*, learning_rate=1.0, **arguments):
    rule = AdaptiveMLP(hidden_size=3, controller_size=2, initial_step=0.01)
    return LearnedOptimizer(Preset(rule, rule.initial_weights(3)), learning_rate, **arguments)


def tensorwise(*, learning_rate=0.1, **arguments):
    """A rule with a state for each tensor, and an average, whose program is small."""
    return LearnedOptimizer(ScheduleFree(), learning_rate, **arguments)


OPTIMIZERS = {"learned": learned, "tensorwise": tensorwise, "adam": adam}


def network(*layers, seed=0, inputs=(6,)):
    keras.utils.set_random_seed(seed)
    layers = layers or (
        keras.layers.Dense(5, activation="relu", name="body"),
        keras.layers.Dense(3, name="head"),
    )
    return keras.Sequential([keras.Input(inputs), *layers])


def compiled(optimizer, model=None, **arguments):
    model = model or network()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **arguments)
    return model


def losses(model, epochs=2, x=X, y=Y, **arguments):
    history = model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **arguments)
    return history.history["loss"]


def weights(model):
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def value(variable):
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(keras.ops.cast(variable, "float32")))


def values(variables):
    return [value(variable) for variable in variables]


def path(optimizer, gradients, start, **variable_arguments):
    """The values of one variable over the steps of the given gradients, `[steps, *shape]`."""
    variable = keras.Variable(start, **variable_arguments)
    steps = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        steps.append(value(variable))
    return np.stack(steps)
