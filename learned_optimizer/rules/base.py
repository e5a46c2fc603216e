"""The protocol of an update rule: [g_t, h_{t+1}] = m(∇_t, h_t, φ)."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.layout import Layout

Tensor = Any
Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Observation(NamedTuple):
    """What a rule sees of an optimizee at θ_t.

    Attributes:
        gradient: The gradient ∇_t, `[num_coordinates]`; zeros for a rule that does not use it.
        theta: The point θ_t itself, `[num_coordinates]`; None for a rule that does not need it.
        loss: The loss f(θ_t) of each copy of the tensors, `[copies]`; None for a rule that does not need it. Keras
            does not tell an optimizer.
    """

    gradient: Tensor
    theta: Tensor | None = None
    loss: Tensor | None = None


# What a rule may need beside the gradient.
OPTIONAL = frozenset(("theta", "loss"))


class Rule(abc.ABC):
    """An update rule: one pure function whose weights φ are shared by all that it updates.

    Meta-training calls a rule through time and differentiates in φ; `LearnedOptimizer` calls the same function and
    keeps the state in slot variables. A rule holds no weights: φ is passed in, as a mapping from name to array.

    All tensors of θ come one after the other as one vector; a `Layout` says which coordinates form a tensor. Arrays
    have the coordinates last, `[features, num_coordinates]`, so that a feature is a contiguous row.

    A rule of one's own is a subclass with the members that are abstract here. Those of this library are listed in
    `learned_optimizer.rules.RULES` and `HANDMADE`, whose members all pass the same tests.

    Attributes:
        coordinatewise: Whether the rule treats each coordinate by itself, whatever tensor it belongs to. Such a rule
            may be called on a part of the coordinates: the optimizer takes them in blocks, and a meta-gradient may be
            estimated from some of them.
        tensorwise: Whether the rule treats each tensor by itself, but for their number and that of all coordinates;
            see `Layout`. The optimizer then takes tensors of one form together.
        uses_gradient: Whether the rule looks at the gradient. The values of f are all that a rule without it is told:
            an unroll then asks f for nothing else, and differentiates through the values themselves.
        needs: The fields of `Observation`, beside the gradient, without which the rule cannot work.
        keeps_average: Whether the rule keeps an averaged iterate x; see `average_offset`.
        num_refreshed: The number of parts at the end of the state that cost so much that they are calculated only now
            and then, by `refresh`, where `is_due` says so.
        resting: The numbers of the parts of the state that change in the rows of a table that a minibatch does not look
            up; see `rest`. Empty for a rule that steps through all rows or none.
    """

    coordinatewise: bool = False
    tensorwise: bool = False
    uses_gradient: bool = True
    needs: frozenset[str] = frozenset()
    keeps_average: bool = False
    num_refreshed: int = 0
    resting: tuple[int, ...] = ()

    @property
    @abc.abstractmethod
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ."""

    @abc.abstractmethod
    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """An untrained φ: float32 arrays of `weight_shapes`, the same for the same seed."""

    @property
    @abc.abstractmethod
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """The parts of the state: the features of each, and the unit of `layout.UNITS` that has so many."""

    @abc.abstractmethod
    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ).

        Args:
            observation: The gradient ∇_t, and what else the rule needs.
            state: h_t, one `[features, entries]` for each of `state_parts`.
            weights: φ, as `weight_shapes` describes it.
            layout: The layout of the tensors that the coordinates make up.

        Returns:
            The update g_t, `[num_coordinates]`, to be added to θ_t, and the next state h_{t+1}.
        """

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    def initial_state(self, layout: Layout, dtype: str = "float32") -> State:
        """h_0: zeros, `[features, entries]` for each of `state_parts`."""
        return zeros(self.state_parts, layout, dtype)

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ, `[num_coordinates]`, where x is the averaged iterate of a rule that keeps one.

        The offset belongs to the θ that the rule's last update led to.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no average.")

    def is_due(self, state: State, layout: Layout) -> Tensor:
        """Whether the last parts of the state are to be calculated before the next step, a boolean, `[]`."""
        raise NotImplementedError(f"{type(self).__name__} refreshes nothing.")

    def refresh(self, state: State, weights: Weights, layout: Layout) -> State:
        """Calculates the last `num_refreshed` parts of the state from the others; it does no harm before it is due.

        They count as constants where an unroll is differentiated.
        """
        raise NotImplementedError(f"{type(self).__name__} refreshes nothing.")

    def rest(self, state: State, following: State, weights: Weights, layout: Layout) -> tuple[Tensor, State]:
        """What a step does to the rows of a table that have no gradient in it, where the others are called alone.

        The rule is called on the rows that are looked up, with a `layout.LookedUp`. The parts that are not `resting`
        stay in all other rows.

        Args:
            state: h_t of the whole table: the parts that are `resting`, and that of the tensor; None for the others.
            following: h_{t+1} as that call left it: the part of the tensor, and None for the others.
            weights: φ.
            layout: The layout of the table.

        Returns:
            The update, `[num_coordinates]`, and the next parts that are `resting`.
        """
        raise NotImplementedError(f"{type(self).__name__} steps through whole tensors.")

    def for_fine_tuning(self) -> Rule:
        """The same rule with first steps that do not undo what a model has learned; φ fits both.

        Raises:
            ValueError: If the rule has no first step size to make smaller.
        """
        raise ValueError(
            f"{type(self).__name__} has no variant for fine-tuning. Pass a smaller `learning_rate`, such as 0.2."
        )

    def upgrade_weights(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Converts φ that an earlier version of the rule saved into the form of `weight_shapes`.

        Presets and models call it when they are loaded. It leaves alone what it does not know, which `check_weights`
        then refuses.
        """
        return dict(weights)

    @property
    def former_state_parts(self) -> tuple[tuple[int, str], ...]:
        """The parts of the state in models that were saved before the form of slots changed; see `upgrade_state`."""
        return self.state_parts

    def upgrade_state(self, state: State) -> State:
        """Converts a state of `former_state_parts`, of NumPy arrays, into one of `state_parts`."""
        return state

    def check_weights(self, weights: Mapping[str, Any]) -> None:
        """Raises `ValueError` unless `weights` has the names and shapes of `weight_shapes`."""
        shapes = self.weight_shapes
        found = {name: tuple(value.shape) for name, value in weights.items()}
        # Of dozens of arrays, the message has those that differ; None stands for one that is not there.
        differing = [name for name in {**shapes, **found} if shapes.get(name) != found.get(name)]
        if differing:
            expected, received = ({name: one.get(name) for name in differing} for one in (shapes, found))
            raise ValueError(
                f"{type(self).__name__} expects weights of shapes {expected}: pass φ of a rule with the same "
                f"arguments. Received: {received}"
            )


def zeros(parts: Sequence[tuple[int, str]], layout: Layout, dtype: str = "float32") -> State:
    """A state of zeros, `[features, entries]` for each part, given as in `Rule.state_parts`."""
    return tuple(ops.zeros((size, layout.count(unit)), dtype=dtype) for size, unit in parts)


def refreshed(rule: Rule, state: State, weights: Weights, layout: Layout) -> State:
    """The state for the next step, with its last parts calculated anew where that is due."""
    if not rule.num_refreshed:
        return state
    kept, old = state[: -rule.num_refreshed], state[-rule.num_refreshed :]
    due = rule.is_due(state, layout)
    found = ops.cond(due, lambda: rule.refresh(state, weights, layout), lambda: old)
    # TensorFlow has no derivative of a condition in an XLA program.
    return (*kept, *map(ops.stop_gradient, found))


def check_needs(rule: Rule, given: frozenset[str], who: str) -> None:
    """Refuses a rule that needs what it will not be given.

    Args:
        rule: The rule.
        given: The optional fields of `Observation` that it will be given.
        who: The caller, for the message.

    Raises:
        ValueError: If something is missing, or the rule needs what is no field of `Observation`.
    """
    missing = sorted(rule.needs - given)
    if missing:
        hint = "" if rule.uses_gradient else " It is for functions without gradients: see `black_box.minimize`."
        raise ValueError(
            f"{type(rule).__name__} needs {' and '.join(missing)} beside the gradient, which {who} does not give: it "
            f"gives {' and '.join(sorted(given)) or 'nothing else'}.{hint}"
        )
