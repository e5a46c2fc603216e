"""The lab book: the paper's experiments and others, and what they gave: python -m experiments NAME.

- `definitions/`: what each experiment is, as flags of evaluate.py that a user can type.
- `configs/`: the configuration files of train.py that made each preset and each ablation.
- `experiment.py`, `calibration.py`: how an experiment is run.
- `outcomes/`: the tables, ratios, verdicts and pictures of what was measured.
- `pages/`: the pages on results, and the figures in the READMEs of the checkout and of the benchmarks.
"""
