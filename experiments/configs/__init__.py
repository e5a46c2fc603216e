"""The configuration files that made each preset, each start of one, and each ablation: train.py --config=FILE."""
