"""Outcomes of experiments, from the results in their folders: ratios, verdicts, tables and pictures."""
