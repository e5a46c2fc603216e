"""The commands as processes of their own, on tiny settings."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGS = Path(__file__).parent / "configs"
# The flags of evaluate.py for the problem of the configuration file of that name.
TINY = {
    "quadratic": ["--problem=quadratic", "--dimension=2", "--functions=2"],
    "digits": ["--problem=digits", "--hidden_sizes=4", "--batch_size=16", "--initialization=glorot"],
}


def config(name):
    """The flag of train.py for a tiny meta-training."""
    return f"--config={CONFIGS / name}.py"


def start(script, *flags, stderr=subprocess.PIPE):
    """Starts train.py or evaluate.py as a user does, in the present directory."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / script), *flags],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )


def finish(process):
    """Its standard output and standard error, once it ends as it should."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err
