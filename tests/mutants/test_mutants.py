"""Whatever happens to a file, it is read as what it was, or refused by the right error.

`python tests/mutants/test_mutants.py 10000` damages as often, and says what came of it.
"""

import collections
import contextlib
import io
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from targets import every

from learned_optimizer import CoordinatewiseLSTM
from learned_optimizer.commands import train
from learned_optimizer.commands.entry import CommandError
from learned_optimizer.meta_training import MetaTrainer
from learned_optimizer.meta_training.run import CheckpointError
from learned_optimizer.presets import PresetError
from learned_optimizer.problems import Quadratic

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# How many of a hundred mutants are of it. Models cost most.
PARTS = {"a preset": 20, "a preset with groups": 20, "a preset in closed form": 10, "a configuration": 25}
PARTS |= {"a checkpoint": 13, "a run": 10, "a model": 2}
# No one waits longer for an answer.
MOST_SECONDS = 10


def resume(folder):
    """The trainer of `train.py --resume`, which trains nothing."""
    kept = []
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(MetaTrainer, "_fit", lambda self, *_: kept.append(self))
        train.define_flags()
        try:
            flags.FLAGS(["train.py", "--resume", f"--run_dir={folder}"])
            train.main()
        finally:
            for module, module_flags in flags.FLAGS.flags_by_module_dict().items():
                for flag in list(module_flags) if module.startswith("learned_optimizer") else ():
                    delattr(flags.FLAGS, flag.name)
    return kept[0]


def outcome(target, mutant, forged):
    """How a mutant was read, in a word; what is wrong is the name of the error or `another`."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meaning = target.read(mutant)
        found = "the same" if meaning == target.meaning else "forged" if forged else "ANOTHER"
    except (PresetError, CheckpointError, CommandError) as error:
        found = "refused" if "\n" not in str(error) and len(str(error)) < 3000 else f"LONG {error}"
    except ValueError as error:
        # Of an argument beside rule, φ and groups, which Keras or the optimizer itself refuses.
        found = "refused" if type(error) is ValueError else f"{type(error).__name__}: {error}"
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    return found if time.perf_counter() - began < MOST_SECONDS else f"SLOW {found}"


def run(number, work, seed=0, report=None):
    """What came of so many mutants, by the target's name; and each that was neither the same nor refused."""
    trainer = MetaTrainer(Quadratic(2, 1), CoordinatewiseLSTM((2,)), episode_length=20, episodes=1)
    found, wrong = collections.Counter(), []
    targets = every(work, trainer, resume)
    for name, target in targets.items():
        for each in range(max(1, number * PARTS[name] // 100)):
            forged = each % 3 == 0
            mutant = target.mutant(np.random.default_rng([seed, each, PARTS[name]]), forged)
            result = outcome(target, mutant, forged)
            found[name, result if result in ("the same", "refused", "forged") else "WRONG"] += 1
            if found[name, "WRONG"] and result not in ("the same", "refused", "forged"):
                wrong.append((name, each, forged, result))
                if report:
                    report(wrong[-1])
    return found, wrong


def test_mutants_are_the_same_or_refused(tmp_path):
    found, wrong = run(300, tmp_path)
    assert not wrong, wrong
    # Most damage is damage.
    refused = sum(count for (_, result), count in found.items() if result == "refused")
    assert refused > 200


@pytest.mark.slow
def test_ten_thousand_mutants_are_the_same_or_refused(tmp_path):
    found, wrong = run(10_000, tmp_path, seed=1)
    assert not wrong, wrong


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        counts, _ = run(int(sys.argv[1]), Path(folder), int(sys.argv[2]) if sys.argv[2:] else 0, print)
        for (name, result), count in sorted(counts.items()):
            print(f"{name:26}{result:12}{count:7}")
        print(f"{time.perf_counter() - began:.0f} seconds")
