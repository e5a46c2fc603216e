"""Families of small problems for meta-training a rule that is to serve everywhere, and others for its validation.

Each episode draws a teacher, data and initial weights of its own, and no minibatch comes twice, so that nothing is
learned by heart. Networks are pure functions of about a thousand to three thousand coordinates, which many episodes
run at once. None is a task of a suite.
"""

from learned_optimizer.problems.families.mixtures import training_families, validation_families

__all__ = ["training_families", "validation_families"]
