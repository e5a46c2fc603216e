"""The held-out tasks by their names."""

from __future__ import annotations

from collections.abc import Callable

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out import (
    decisions,
    densities,
    networks,
    regression,
    representations,
    signals,
)

TASKS: dict[str, Callable[[str | None], KerasProblem]] = {
    "quantile-regression": regression.quantile_regression,
    "survival": regression.survival,
    "mixture-density": regression.mixture_density,
    "batches-of-four": regression.batches_of_four,
    "coupling-flow": densities.coupling_flow,
    "diffusion": densities.diffusion,
    "tagger": signals.tagger,
    "sound": signals.sound,
    "vision-transformer": signals.vision_transformer,
    "segmentation": signals.segmentation,
    "triplets": representations.triplets,
    "word-vectors": representations.word_vectors,
    "deep-sets": representations.deep_sets,
    "mixture-of-experts": networks.mixture_of_experts,
    "hypernetwork": networks.hypernetwork,
    "distillation": networks.distillation,
    "operator-million": networks.operator,
    "fine-tuning": decisions.fine_tuning,
    "bandit": decisions.bandit,
}
