"""A run directory and a comparison, as small as they can be."""

import gzip
import json

HISTORY = """epoch,loss,val_loss,gradient_norm,episode_length,skipped
1,8.0,4.0,1.5,20,0
2,4.0,,0.5,20,1
3,2.0,1.0,inf,40,0
"""
CONFIG = {
    "problem": [{"class": "Quadratic", "arguments": {"dimension": 2, "stddev": 0.5}, "shapes": [[2]]}],
    "rule": {"name": "RNNprop", "arguments": {"hidden_size": 20, "output": "linear"}},
    "groups": [],
    "arguments": {"estimator": {"class": "Backpropagation", "config": {"unroll_length": None}}, "monitor": "val_loss"},
    "flags": {"epochs": 3, "config": None},
    "versions": {"keras": "3.15.1"},
    "commit": "0123456789ab+",
}
CARD = {
    "description": "Meta-trained on nothing",
    "seed": 7,
    "results": {"evaluate.py --problem=quadratic": "| optimizer | loss |\n| --- | --- |\n| mine | 0.5 |"},
}
EPISODES = "optimizer,episode,final\nmine,0,1.0\nmine,1,1.0\nAdam (0.1),0,2.0\nAdam (0.1),1,2.0\n"
CURVES = {
    "mine": "steps,mean,low,high\n0,8,7,9\n1,2,1,3\n2,1,-0.5,2\n",
    "Adam-0.1": "steps,mean,low,high\n0,8,7,9\n1,4,3,5\n2,inf,nan,inf\n",
}


def write_run(folder, config=CONFIG, history=HISTORY, card=CARD):
    (folder / "best").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "history.csv").write_text(history)
    preset = {"rule": CONFIG["rule"], "sha256": "abc123", "card": card}
    (folder / "best" / "preset.json").write_text(json.dumps(preset))
    return folder


def write_comparison(folder, labels=("mine", "Adam (0.1)"), record=None):
    (folder / "curves").mkdir(parents=True)
    text = EPISODES
    table, summary = "| optimizer | final loss |\n| --- | --- |\n", "optimizer,final\n"
    for before, label in zip(("mine", "Adam (0.1)"), labels, strict=True):
        quoted = '"' + label.replace('"', '""') + '"'
        text = text.replace(f"{before},", f"{quoted},")
        table += f"| {label} | 1.5 ± 0.1 |\n"
        summary += f"{quoted},1.5\n"
    (folder / "episodes.csv").write_text(text)
    (folder / "table.md").write_text(table)
    (folder / "summary.csv").write_text(summary)
    (folder / "run.json").write_text(json.dumps(record or {"command": "evaluate.py", "seed": 3}))
    for name, curve in CURVES.items():
        (folder / "curves" / f"{name}.csv.gz").write_bytes(gzip.compress(curve.encode()))
    return folder
