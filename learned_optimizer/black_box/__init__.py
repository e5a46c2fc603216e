"""Minimization of functions whose values alone are known."""

from learned_optimizer.black_box.minimize import Result, minimize
from learned_optimizer.black_box.optimizer import BlackBoxOptimizer, Evaluation
from learned_optimizer.black_box.space import Choice, Dimension, Float, Integer, Space

__all__ = ["BlackBoxOptimizer", "Choice", "Dimension", "Evaluation", "Float", "Integer", "Result", "Space", "minimize"]
