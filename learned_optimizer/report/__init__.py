"""A page on a run directory or a comparison, made of its files: python -m learned_optimizer.report FOLDER.

Nothing here imports Keras.
"""

from learned_optimizer.report.read import ReportError
from learned_optimizer.report.write import write_report

__all__ = ["ReportError", "write_report"]
