"""The pages on results, written from the results alone."""

from experiments.pages.report import write_report

__all__ = ["write_report"]
