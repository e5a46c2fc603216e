"""The lab book: the paper's experiments and others, and what they gave: python -m experiments NAME.

- `definitions/`: what each experiment is, as flags of train.py and evaluate.py that a user can type.
- `experiment.py`, `calibration.py`: how an experiment is run.
- `outcomes/`: the tables, ratios, verdicts and pictures of what was measured.
- `pages/`: the pages on results, and the figures in the README.
"""
