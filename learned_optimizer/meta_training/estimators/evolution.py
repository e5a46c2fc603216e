"""Evolution strategies: the meta-gradient from perturbations of φ."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators.base import (
    CompiledByLength,
    Estimate,
    Estimator,
    Measured,
    Task,
    check_scales,
    global_norm,
)
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems import streams
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.unroll import Carry, ParameterGroup, advance

DIFFERENCES = ("raw", "normalized", "ranked")
# Normalized differences are clipped to so many times their root mean square: an episode that diverges decides nothing.
LARGEST_DIFFERENCE = 3.0


class EvolutionStrategies(Estimator):
    """The mean of ε (L₊ − L₋) / 2σ over pairs of episodes with φ + σDε and φ − σDε.

    Both episodes of a pair have the same optimizee and minibatches. Each meta-step takes all problems of a mixture,
    each with pairs of its own, and the mean of their estimates.

    Whole episodes (`unroll_length=None`) have no bias. An unroll's part of the loss alone is biased unless ε stays the
    same from the first step of an episode to its last (noise-reuse evolution strategies: Li et al., 2023,
    arXiv:2304.12180), or is drawn anew for each unroll and summed (`persistent=True`; persistent evolution strategies:
    Vicol et al., 2021, arXiv:2112.13835), which gives more directions and more variance.

    Args:
        sigma: The standard deviation σ of a perturbation.
        unroll_length: Truncation length: the steps of an unroll; None for whole episodes.
        persistent: Whether ε is drawn anew for each unroll, and those of an episode so far are summed.
        differences: The form in which L₊ − L₋ count. `"raw"`: as they are, over 2σ; `"normalized"`: over their root
            mean square on each problem, clipped at three; `"ranked"`: the difference of the ranks of all episodes of a
            problem, from −½ to ½ (Salimans et al., 2017, arXiv:1703.03864). With the latter two problems count the
            same, whatever their losses are.
        scales: The scale D of φ's coordinates, φ = φ_0 + D s, by name: a number, or an array of the shape of φ's; 1
            where there is none. Perturbations are drawn for s, and the meta-optimizer's steps are of s.
        pairs_at_once: The pairs that are run at the same time, which bounds the memory; None for all.
        jit_compile: Whether the loop over an unroll's steps is one XLA program on TensorFlow, which is up to twice as
            fast; `None`: where the problem is vectorized. A convolution is slower in such a program on a CPU.

    Raises:
        ValueError: If an argument is out of its range.
    """

    copies = 2
    every_problem = True

    def __init__(
        self,
        sigma: float = 0.01,
        unroll_length: int | None = 20,
        persistent: bool = False,
        differences: str = "raw",
        scales: Mapping[str, Any] | None = None,
        pairs_at_once: int | None = None,
        jit_compile: bool | None = None,
    ) -> None:
        super().__init__(unroll_length)
        if not sigma > 0:
            raise ValueError(f"`sigma` must be positive. Received: {sigma}")
        if differences not in DIFFERENCES:
            raise ValueError(f"`differences` must be one of {DIFFERENCES}. Received: {differences!r}")
        if pairs_at_once is not None and pairs_at_once < 1:
            raise ValueError(f"`pairs_at_once` must be at least 1, or None. Received: {pairs_at_once}")
        for name, scale in (scales or {}).items():
            if not np.all(np.asarray(scale) > 0):
                raise ValueError(f"`scales` must be positive. Received for {name!r}: {scale}")
        self.sigma = sigma
        self.persistent = persistent
        self.differences = differences
        self.scales = None if scales is None else dict(scales)
        self.pairs_at_once = pairs_at_once
        self.jit_compile = jit_compile

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(vars(self))

    def begin(self, phi: Mapping[str, Any]) -> None:
        """Refuses scales that are not those of φ.

        Raises:
            ValueError: If φ has no array of one of the names, or one of another shape.
        """
        check_scales(self.scales or {}, phi)

    def task(self, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective) -> Task:
        """The problem with all that the estimator needs for it."""
        return _Task(self, problem, groups, objective)

    def scale(self, name: str) -> Any:
        """The scale D of an array of φ."""
        return np.asarray((self.scales or {}).get(name, 1.0), "float32")

    @property
    def is_scaled(self) -> bool:
        """Whether any scale is given."""
        return bool(self.scales)


class Block(NamedTuple):
    """The state of the pairs that are run at the same time.

    Attributes:
        carry: Where their episodes stand.
        noise: The sum of an episode's perturbations before this unroll, for each array of φ, `[pairs, …]`; 0 if the
            noise is reused.
    """

    carry: Carry
    noise: dict[str, Tensor]


class _Task(Task):
    def __init__(
        self,
        estimator: EvolutionStrategies,
        problem: Problem,
        groups: Sequence[ParameterGroup],
        objective: Objective,
    ) -> None:
        super().__init__(problem, groups, objective)
        self._estimator = estimator
        self._advance = perturbed_advance(problem, groups, objective, estimator.jit_compile)
        self._run = CompiledByLength(self._run_block)
        self._join = backend.jit(lambda losses, each: {"loss": _mean_losses(losses), "each": ops.concatenate(each)})
        self._combine = backend.jit(
            functools.partial(combine, differences=estimator.differences, sigma=estimator.sigma)
        )

    def start(self, seeds: Tensor) -> list[Block]:
        """Begins episodes, of which two and two have the same seed."""
        size = 2 * (self._estimator.pairs_at_once or seeds.shape[0])
        return [Block(self._start(seeds[k : k + size]), {}) for k in range(0, seeds.shape[0], size)]

    def measure(self, phi: Mapping[str, Tensor], state: list[Block], num_steps: int) -> Measured:
        """Runs the next steps of the episodes."""
        found = [self._run(num_steps, dict(phi), block) for block in state]
        losses, each, blocks = zip(*found, strict=True)
        return Measured(self._join(list(losses), list(each)), list(blocks))

    def finish(self, measured: Measured, shared: Mapping[str, Tensor], part: int) -> Estimate:
        """Makes the estimate of a part of the pairs, whose differences count as they stand among all."""
        blocks: list[Block] = measured.own
        noise = {name: [block.noise[name] for block in blocks] for name in blocks[0].noise}
        initial = [block.carry.initial_loss for block in blocks]
        loss, gradient, norm, initial_loss = self._combine(dict(shared), ops.convert_to_tensor(part), noise, initial)
        kept = blocks if self._estimator.persistent else [block._replace(noise={}) for block in blocks]
        return Estimate(loss, gradient, norm, kept, initial_loss)

    def episodes(self, phi: Mapping[str, Tensor], state: list[Block]) -> list[tuple[dict[str, Tensor], Carry, bool]]:
        """The episodes in blocks, each with its φ; see `Task.episodes`."""
        return [(self._perturbed(phi, block.carry)[0], block.carry, True) for block in state]

    def _perturbed(self, phi: Mapping[str, Tensor], carry: Carry) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The φ of each episode, and the noise in it."""
        noise = draw_noise(phi, carry.seeds, carry.step[0] if self._estimator.persistent else None)
        scaled = {n: self._estimator.sigma * self._estimator.scale(n) * value for n, value in noise.items()}
        return perturbed(phi, scaled), noise

    def _run_block(self, num_steps: int, phi: dict[str, Tensor], block: Block) -> tuple[Tensor, Tensor, Block]:
        """The losses, the meta-loss of each episode, and the block with the noise that its differences go with."""
        # Outside of the fused program, which would draw the noise again in each step.
        weights, noise = self._perturbed(phi, block.carry)
        measured, carry = self._advance(weights, block.carry, num_steps)
        if block.noise:
            noise = {name: block.noise[name] + value for name, value in noise.items()}
        return measured, self.objective.of_measured(measured, carry.initial_loss), Block(carry, noise)


def perturbed_advance(
    problem: Problem, groups: Sequence[ParameterGroup], objective: Objective, jit_compile: bool | None
) -> Callable[..., Any]:
    """`advance` with another φ in each episode, fused on TensorFlow where it is asked for or the problem vectorized."""
    fused = problem.vectorized if jit_compile is None else jit_compile
    loop = functools.partial(advance, problem, groups, perturbed=True, measure=objective.measure)
    return backend.subroutine(loop, fused=fused)


def draw_noise(phi: Mapping[str, Tensor], seeds: Tensor, step: Tensor | None = None) -> dict[str, Tensor]:
    """The perturbation ε of φ for each pair of episodes, `[pairs, …]`.

    Args:
        phi: φ.
        seeds: Seeds of the episodes, `[episodes, 2]`. ε depends on that of the pair's first episode.
        step: The step of the episodes, for an ε that is another in each unroll; None for one that stays the same.
    """

    def draw(seed: Tensor) -> dict[str, Tensor]:
        seed = backend.fold_in(seed, streams.PERTURBATION)
        if step is not None:
            seed = backend.fold_in(backend.fold_in(seed, len(phi)), step)
        # In the order of names, which a compiled program may have sorted.
        return {
            name: backend.normal(phi[name].shape, backend.fold_in(seed, number))
            for number, name in enumerate(sorted(phi))
        }

    return backend.draw_each(draw, seeds[::2])


def perturbed(phi: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The φ of each episode, `[episodes, …]`: φ plus the noise for the first of a pair, less it for the other."""
    signed = {name: ops.stack([value, -value], axis=1) for name, value in noise.items()}
    return {name: value + ops.reshape(signed[name], (-1, *value.shape)) for name, value in phi.items()}


def slopes(each: Tensor, differences: str, sigma: float) -> Tensor:
    """What each pair's perturbation counts for, `[pairs]`, from the meta-loss of each episode, `[episodes]`."""
    if differences == "ranked":
        ranks = ops.cast(ops.argsort(ops.argsort(each)), "float32") / (each.shape[0] - 1) - 0.5
        return ranks[::2] - ranks[1::2]
    if differences == "raw":
        return (each[::2] - each[1::2]) / (2 * sigma)
    finite = with_finite(each)
    difference = finite[::2] - finite[1::2]
    scale = ops.sqrt(ops.mean(ops.square(difference)))
    return ops.clip(difference / ops.maximum(scale, 1e-30), -LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)


def with_finite(values: Tensor) -> Tensor:
    """The same values, with the largest of those that are finite in place of the others."""
    finite = ops.isfinite(values)
    return ops.where(finite, values, ops.max(ops.where(finite, values, -1e30)))


def _mean_losses(losses: list[Tensor]) -> Tensor:
    """The mean loss of each episode, `[episodes]`, of the losses `[steps, episodes]` of blocks."""
    return ops.mean(ops.concatenate(losses, axis=1), axis=0)


def combine(
    shared: Mapping[str, Tensor],
    part: Tensor,
    noise: Mapping[str, list[Tensor]],
    initial_loss: list[Tensor],
    differences: str,
    sigma: float,
) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
    """The mean loss, the estimate of a part of the pairs and its norm, and their initial losses.

    Args:
        shared: The mean loss and the meta-loss of each episode, `loss` and `each`, `[parts, episodes of a part]`.
        part: The number of the part.
        noise: The perturbations of each block of the part's pairs, `[pairs of the block, …]`, for each array of φ.
        initial_loss: The initial losses of each block's episodes.
        differences: The form in which differences count; see `EvolutionStrategies`.
        sigma: The standard deviation σ of a perturbation.
    """
    each, losses = shared["each"], ops.reshape(shared["loss"], (-1,))
    counts = ops.reshape(slopes(ops.reshape(each, (-1,)), differences, sigma), (each.shape[0], -1))[part]
    if differences != "raw":  # An episode that diverges counts as the worst, and not for the others' mean.
        losses = with_finite(losses)
    gradient = {
        name: ops.tensordot(counts, ops.concatenate(parts), 1) / counts.shape[0] for name, parts in noise.items()
    }
    return ops.mean(losses), gradient, global_norm(gradient), ops.concatenate(initial_loss)
