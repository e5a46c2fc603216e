"""Any Keras model, with its loss and data, as a problem."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops, tree

from learned_optimizer import backend, keras_private
from learned_optimizer.problems.base import Nest, Problem, Tensor, draw_examples
from learned_optimizer.problems.keras_data import read_data
from learned_optimizer.problems.keras_losses import OutputLosses, check_targets, make_loss

MEMORY_LIMIT = 2**31


class KerasProblem(Problem):
    """The training loss of a Keras model on minibatches of its data.

    ```python
    problem = KerasProblem(model, (x_train, y_train), "sparse_categorical_crossentropy", batch_size=64)
    ```

    The model's non-trainable variables, such as the moving averages of batch normalisation and the seeds of dropout,
    are threaded through an episode and start from the same values in each; the model itself is never changed.

    Args:
        model: A Keras model. Frozen layers stay as they are.
        data: `(x, y)` or `(x, y, sample_weight)` as arrays (or nests of them), or a finite, batched
            `tf.data.Dataset` of such tuples, as `model.fit` takes it. Either is kept in memory, as the pipeline gives
            it in one pass.
        loss: A Keras loss or its name, which counts for each output; a dict of these by the names of the outputs, or a
            list in their order, with None for an output that counts for nothing; or a function of (y_true, y_pred),
            which is given all outputs at once. That of `model.compile`, with its weights, if none is given. The
            model's regularisation losses are added.
        batch_size: Examples in a minibatch, drawn with replacement.
        reinitialize: Whether each episode draws θ_0 anew from the initializers of the layers; variables whose layer
            names no initializer, and all variables if this is false, start from the model's present values.
        training: Whether layers such as dropout behave as in training.
        memory_limit: The bytes that the data may take, and validation and test data each; 2 GiB by default.
        validation_data: Data in the form of `data`, for the validation meta-loss.
        test_data: Data in the form of `data`, on all of which an episode's end is measured, without dropout and the
            like.
        loss_weights: The factors of the losses in the sum, a dict or list like `loss`; 1 where there is none. Sample
            weights count for all outputs alike.

    Raises:
        ValueError: If the model is no Keras model or has nothing to train; if there is no loss, or one of no output;
            if the data do not fit the limit or the form, or hold values that are NaN or infinite, or labels of sparse
            categorical cross-entropy that are no class of the model.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        loss: Any = None,
        batch_size: int = 128,
        reinitialize: bool = True,
        training: bool = True,
        memory_limit: int = MEMORY_LIMIT,
        test_data: Any = None,
        validation_data: Any = None,
        loss_weights: Any = None,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise ValueError(
                "`model` must be a Keras model, such as keras.Sequential([…]) or keras.Model(inputs, outputs); put a "
                f"layer into keras.Sequential([keras.Input(…), layer]). Received: {model!r} of type "
                f"{type(model).__name__}"
            )
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")
        self.model = model
        self.batch_size = batch_size
        self.training = training
        self.data = read_data(data, memory_limit, "data")
        self.test_data = None if test_data is None else read_data(test_data, memory_limit, "test_data")
        self.validation_data = (
            None if validation_data is None else read_data(validation_data, memory_limit, "validation_data")
        )
        if not model.built:
            model(tree.map_structure(lambda array: array[:1], self.data[0]))
        if not model.trainable_variables:
            raise ValueError(f"The model {model.name!r} has no trainable variables.")
        outputs = functools.cache(self._symbolic_outputs)
        self.loss_function = make_loss(model, loss, loss_weights, outputs)
        named = {"data": self.data, "test_data": self.test_data, "validation_data": self.validation_data}
        for name, examples in named.items():
            if examples is not None:
                check_targets(self.loss_function, examples, outputs, name)
        self._initializers = _initializers(model) if reinitialize else {}

    def _symbolic_outputs(self) -> Nest:
        """The model's outputs for the first minibatch, as symbolic tensors."""
        parameters = [variable.value for variable in self.model.trainable_variables]
        state = [variable.value for variable in self.model.non_trainable_variables]
        x = tree.map_structure(lambda array: array[: self.batch_size], self.data[0])
        outputs, *_ = self._apply(parameters, state, x, training=False)
        return tree.map_structure(lambda output: keras.KerasTensor(output.shape, output.dtype), outputs)

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the model's trainable variables."""
        return [tuple(variable.shape) for variable in self.model.trainable_variables]

    @property
    def parameter_paths(self) -> Sequence[str]:
        """The paths of the model's trainable variables."""
        return [variable.path for variable in self.model.trainable_variables]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """Draws θ_0; the state is that of the model's non-trainable variables."""
        variables = self.model.trainable_variables
        seeds = backend.split_seed(seed, len(variables) + 1)
        parameters = []
        for i, variable in enumerate(variables):
            initializer = self._initializers.get(id(variable))
            value = _draw(initializer, variable.shape, seeds[i]) if initializer else variable.value
            parameters.append(ops.cast(value, "float32"))
        state = []
        for i, variable in enumerate(self.model.non_trainable_variables):
            value = backend.read(variable)
            if keras_private.is_seed_state(variable):
                value = backend.as_generator_state(backend.fold_in(seeds[-1], i), value.dtype)
            state.append(value)
        return parameters, tuple(state)

    def batch(self, seed: Tensor) -> Nest:
        """A minibatch, of the data's structure."""
        return self._draw(seed, self.data)

    def validation_batch(self, seed: Tensor) -> Nest | None:
        """The same of the validation data."""
        return None if self.validation_data is None else self._draw(seed, self.validation_data)

    def _draw(self, seed: Tensor, data: Any) -> Nest:
        index = draw_examples(seed, self.batch_size, tree.flatten(data)[0].shape[0])
        return tree.map_structure(lambda array: ops.take(array, index, axis=0), data)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The mean loss on the minibatch, regularisation included, and the next non-trainable variables."""
        value, _, next_state = self._call(parameters, state, batch, self.training)
        return value, next_state

    def test_metrics(self, parameters: Sequence[Tensor], state: Nest) -> dict[str, Tensor]:
        """`test_loss`, and `test_accuracy` of classifiers with integer labels; nothing without `test_data`."""
        if self.test_data is None:
            return {}
        loss, prediction, _ = self._call(parameters, state, self.test_data, training=False)
        metrics = {"test_loss": loss}
        y = self.test_data[1]
        labels = ops.is_tensor(y) and "int" in keras.backend.standardize_dtype(y.dtype)
        if labels and ops.is_tensor(prediction) and len(prediction.shape) == len(y.shape) + 1:
            predicted = ops.cast(ops.argmax(prediction, axis=-1), y.dtype)
            metrics["test_accuracy"] = ops.mean(ops.cast(ops.equal(predicted, y), "float32"))
        return metrics

    def _apply(self, parameters: Sequence[Tensor], state: Nest, x: Nest, training: bool) -> tuple[Any, Any, Any]:
        """What the model predicts, its next non-trainable variables, and its regularisation losses."""
        arguments = inspect.signature(self.model.call).parameters.values()
        # As in `fit`, a model whose `call` does not ask for `training` is not told.
        if any(argument.name == "training" or argument.kind is argument.VAR_KEYWORD for argument in arguments):
            return self.model.stateless_call(list(parameters), list(state), x, training=training, return_losses=True)
        return self.model.stateless_call(list(parameters), list(state), x, return_losses=True)

    def _call(self, parameters: Sequence[Tensor], state: Nest, batch: Nest, training: bool) -> tuple[Tensor, Any, Nest]:
        """The loss, what the model predicts, and the next non-trainable variables."""
        x, y, *sample_weight = batch
        prediction, next_state, penalties = self._apply(parameters, state, x, training)
        if isinstance(self.loss_function, keras.losses.Loss | OutputLosses):
            value = self.loss_function(y, prediction, *sample_weight)
        else:
            value = self.loss_function(y, prediction)
            value = ops.mean(value * sample_weight[0] if sample_weight else value)
        next_state = tuple(backend.read(value) for value in next_state)
        value = sum(ops.cast(part, "float32") for part in [value, *penalties])
        return value, prediction, next_state


def _initializers(model: keras.Model) -> dict[int, keras.initializers.Initializer]:
    """The initializers of trainable variables, by identity.

    Keras layers name that of `kernel` `kernel_initializer`, or `depthwise_initializer` where there is one for each
    channel, and that of `recurrent_kernel` `recurrent_initializer`.
    """
    found = {}
    for layer in keras_private.flatten_layers(model):
        for variable in keras_private.own_trainable_variables(layer):
            names = [variable.name, variable.name.removesuffix("_kernel")]
            for name in [*names, "depthwise"] if variable.name == "kernel" else names:
                initializer = getattr(layer, f"{name}_initializer", None)
                if isinstance(initializer, keras.initializers.Initializer):
                    found[id(variable)] = initializer
                    break
    return found


class _TensorSeed(keras.random.SeedGenerator):
    """A seed generator that always gives one tensor, so that initializers can be called inside a graph."""

    def __init__(self, seed: Tensor) -> None:
        self.seed = seed

    def next(self, ordered: bool = True) -> Tensor:
        del ordered
        return self.seed


def _draw(initializer: keras.initializers.Initializer, shape: Sequence[int], seed: Tensor) -> Tensor:
    if hasattr(initializer, "seed"):
        initializer = initializer.clone()
        initializer.seed = _TensorSeed(seed)
    return backend.initial_value(initializer, shape)
