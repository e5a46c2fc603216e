"""What cannot be done is refused in one sentence, with exit status 2."""

import functools
import json
import re
import shlex
import sys

import pytest
from absl import flags as absl_flags
from process import CONFIGS, ROOT

from learned_optimizer.commands import evaluate, minimize, report, train
from learned_optimizer.commands.entry import run_on_names


def check(err, script, message):
    assert err.count("\n") == 1 and err.endswith("\n"), err
    assert re.match(rf"{script}: .*{message}", err), err


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """One with 16 GiB of memory."""
    monkeypatch.setattr("learned_optimizer.problems.memory._memory", lambda: 2**34)


SCRIPTS = {"train.py": train, "evaluate.py": evaluate}


@pytest.fixture(params=SCRIPTS)
def script(request):
    return request.param


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run directory with nothing but its configuration, and one whose checkpoint is damaged."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("begun", "damaged"):
        (folder / name).mkdir()
        record = {"flags": {"problem": "digits", "seed": 5}, "fit": {"epochs": 5}, "config": None}
        (folder / name / "config.json").write_text(json.dumps(record))
    (folder / "file").mkdir()
    record = {"flags": {"config": "mine.py"}, "fit": {"epochs": 5}, "config": {"path": "mine.py", "sha256": "abc"}}
    (folder / "file" / "config.json").write_text(json.dumps(record))
    (folder / "python").mkdir()
    (folder / "python" / "config.json").write_text(json.dumps({"problem": [{"class": "Quadratic"}]}))
    (folder / "damaged" / "checkpoint.safetensors").write_text("nonsense")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--nonsense", "Unknown command line flag 'nonsense'.* --help lists all flags"),
        ("--epohcs=3", "Did you mean: epochs"),
        ("--epochs=abc", "--epochs=abc"),
        ("--epochs=0", r"--epochs=0.*range \[1, 1000000\]"),
        ("--seed=-1", "--seed=-1"),
        ("--learning_rate=nan", "--learning_rate must be a finite number. Received: nan"),
        ("--max_minutes=inf", "--max_minutes must be a finite number. Received: inf"),
        ("--rule=LSTM", "--rule must be a rule, of .*RNNprop, or a preset. There is no preset 'LSTM'"),
        ("digits", "every argument must be a flag.* Received: digits"),
        ("--problem=mine.py:Valley", "in a file is meta-trained on by a configuration file.*--problem=mine.py:Valley"),
        ("--problem=no_such_data", "No data set is called 'no_such_data'"),
        ("--episode_length=100,x", "--episode_length must be positive integers.*Received: 100,x"),
        ("--episode_length=", "--episode_length must be positive integers.* Received: none"),
        ("--episode_length=1000000000", "--episode_length must be positive integers.* Received: 1000000000"),
        ("--episodes=1000000", "A meta-batch of so many episodes would need at least .* GiB"),
        ("--max_minutes=-1", "--max_minutes=-1: .*non-negative"),
        ("--problem=huggingface:mnist", "No data set is called 'huggingface:mnist'"),
        ("--problem=../mnist", "No data set is called '../mnist'"),
        ("--config=/dev/zero", "Found: /dev/zero: .*must be a plain file"),
        ("--episode_length=30", "`unroll_length` must divide `episode_length`.*unroll_length=20, episode_length=30"),
        ("--episode_length=10", "`unroll_length` must divide `episode_length`"),
        ("--config=nowhere.py", "Expected a Python file with a function `config.*Found: no file nowhere.py"),
        ("--config={quadratic} --problem=digits", "--problem is decided by --config=.*quadratic.py. Received: digits"),
        ("--config={quadratic} --rule=RNNprop", "--rule is decided by --config=.*quadratic.py. Received: RNNprop"),
        ("--config={quadratic} --learning_rate=1", "--learning_rate is decided by --config=.*. Received: 1.0"),
        ("--config={quadratic} --episode_length=10", "`unroll_length` must divide `episode_length`"),
        ("--config={quadratic} --rule=nowhere", "There is no preset 'nowhere'"),
        ("--resume", "--resume needs --run_dir"),
        ("--resume --run_dir=nowhere", "There is no run to resume in nowhere"),
        ("--resume --run_dir={recorded}/begun", "There is no run to resume in .*begun"),
        ("--resume --run_dir={recorded}/begun --epochs=6", "There is no run to resume in .*begun"),
        ("--resume --run_dir={recorded}/begun --seed=6", "--seed=6 contradicts the run, which has 5"),
        ("--resume --run_dir={recorded}/begun --config={quadratic}", "--config=.*quadratic.py contradicts the run"),
        ("--resume --run_dir={recorded}/file --config={quadratic}", "--config=.*quadratic.py contradicts the run"),
        ("--resume --run_dir={recorded}/file", "Found: no file .*file/config.py"),
        ("--resume --run_dir={recorded}/python", "config.json .*holds no flags.* begun from Python"),
        ("--resume --run_dir={recorded}/damaged", "checkpoint.safetensors is damaged"),
        ("--run_dir={recorded}/damaged", "holds a run already"),
        ("--run_dir={recorded}/begun/config.json", "config.json"),
    ],
)
def test_train_refuses(arguments, message, recorded, tmp_path, monkeypatch, run_here):
    monkeypatch.chdir(tmp_path)
    arguments = arguments.format(recorded=recorded, quadratic=CONFIGS / "quadratic.py")
    status, output = run_here(train.command, "train.py", *arguments.split())
    assert status == 2
    check(output.err, "train.py", message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["--problem=quadratic", "--optimizers=sdg"], "There is no preset 'sdg'.* Baselines are adam-default, "),
        (["--problem=small-tasks"], "--problem=small-tasks is a mixture to meta-train on"),
        (["--problem=no_such_data"], "No data set is called 'no_such_data'"),
    ],
    ids=["flag", "optimizer", "mixture", "data"],
)
def test_evaluate_refuses(arguments, message, tmp_path, run_here):
    status, output = run_here(evaluate.command, "evaluate.py", *arguments, f"--out={tmp_path / 'out'}")
    assert status == 2
    check(output.err, "evaluate.py", message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--dimension=3", "--dimension does not apply to --problem=digits"),
        ("--problem=quadratic --activation=relu", "--activation does not apply to --problem=quadratic"),
        ("--channels=8", "--channels applies to --network=conv. Received: mlp"),
        ("--stddev=nan", "--stddev must be a finite number. Received: nan"),
        ("--classes=1", "`classes` must be two or more different labels"),
        ("--classes=a,b", "--classes must be labels, counted from 0.* Received: a,b"),
        ("--downscale=3", "`downscale` must divide the images' sides.*Received: 3"),
        ("--problem=neural-art --image_size=30", "`image_size` must be a multiple of 4"),
        ("--problem=neural-art --hidden_sizes=3", "--hidden_sizes does not apply to --problem=neural-art"),
        ("--problem=neural-art --style=cubism", "cubism cannot be read as a picture"),
        ("--initialization=glorot --stddev=0.1", "--stddev applies to --initialization=normal"),
        ("--hidden_sizes=20,x", "--hidden_sizes must be positive integers.* Received: 20,x"),
        ("--hidden_sizes=²", "--hidden_sizes must be positive integers.* Received: ²"),
        ("--classes=²,1", "--classes must be labels.* Received: ²,1"),
        ("--hidden_sizes=1000000,1000000", "A network and minibatch of those sizes would need at least 3,7.. GiB"),
        ("--network=conv --channels=1000000,1000000", "A network and minibatch of those sizes would need at least"),
        ("--batch_size=1000000 --hidden_sizes=100000", "A network and minibatch of those sizes would need at least"),
        ("--problem=quadratic --dimension=1000000", "Quadratics of that dimension would need at least 476,838 GiB"),
        ("--problem=neural-art --image_size=1000000", "An image of that size with its features would need at least"),
        ("--num_steps=1000000 --test_episodes=1000000", "The losses would need at least 3,725 GiB"),
    ],
)
def test_evaluate_refuses_problems(arguments, message, tmp_path, monkeypatch, run_here):
    monkeypatch.chdir(tmp_path)
    status, output = run_here(evaluate.command, "evaluate.py", *arguments.split())
    assert status == 2
    check(output.err, "evaluate.py", message)


def test_without_flags_a_command_says_what_it_needs(script, tmp_path, monkeypatch, run_here):
    monkeypatch.chdir(tmp_path)
    status, (out, err) = run_here(SCRIPTS[script].command, script)
    assert status == 2 and not out
    lines = err.strip().splitlines()
    assert len([line for line in lines if line.startswith(f"  {script} --")]) == 3 and len(lines) == 8
    assert lines[-1] == f"{script} --help lists all flags."
    assert not list(tmp_path.iterdir())


COMMANDS = {"train": (train, 15), "evaluate": (evaluate, 34), "minimize": (minimize, 11), "report": (report, 1)}


def flags_of(command):
    command.define_flags()
    by_module = absl_flags.FLAGS.flags_by_module_dict()
    return [flag for module, each in by_module.items() if module.startswith("learned_optimizer") for flag in each]


@pytest.mark.parametrize(("command", "number"), COMMANDS.values(), ids=COMMANDS)
def test_the_examples_of_the_help_have_flags_that_there_are(command, number, defined_once):
    assert len(command.PAGE.examples) >= 2
    with defined_once():
        command.define_flags()
        for example in command.PAGE.examples:
            rest = absl_flags.FLAGS(["command", *shlex.split(example)])
            assert len(rest) <= 1 + bool(command.PAGE.arguments), example


@pytest.mark.parametrize(("command", "number"), COMMANDS.values(), ids=COMMANDS)
def test_every_flag_is_in_one_group_of_the_help(command, number, defined_once):
    with defined_once():
        names = [flag.name for flag in flags_of(command)]
    grouped = [name for group in command.PAGE.groups.values() for name in group]
    assert sorted(grouped) == sorted(names) and len(names) == number


@pytest.mark.parametrize(("command", "number"), COMMANDS.values(), ids=COMMANDS)
def test_descriptions_of_flags_begin_with_what_they_are(command, number, defined_once):
    with defined_once():
        own = flags_of(command)
        assert not [flag.name for flag in own if flag.help.split()[0] in ("Of", "What", "That", "Whom", "How", "Where")]


def test_help_documents_every_flag(script, run_here):
    status, (out, err) = run_here(SCRIPTS[script].command, script, "--help")
    assert status == 0 and err == ""
    commands = ROOT / "learned_optimizer" / "commands"
    source = (commands / script).read_text()
    if script == "evaluate.py":
        source += (commands / "problem_flags.py").read_text()
    names = re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)
    assert len(names) >= 15
    for name in names:
        assert re.search(rf"^  --(\[no\])?{name}: .*\w", out, re.MULTILINE), name
    # Examples at the top, flags under what they are for, and the exit statuses.
    page = SCRIPTS[script].PAGE
    order = ["usage: ", "examples:", *(f"{title}:" for title in page.groups), "exit status:"]
    places = [out.index(f"\n{title}" if title != "usage: " else title) for title in order]
    assert places == sorted(places) and max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("number", [10**9, 10**23])
def test_sizes_and_counts_have_a_bound(script, number, defined_once, run_here):
    with defined_once():
        own = flags_of(SCRIPTS[script])
        names = [flag.name for flag in own if flag.flag_type() == "int" and flag.name != "seed"]
    assert len(names) >= 3
    for name in names:
        status, output = run_here(SCRIPTS[script].command, script, f"--{name}={number}")
        assert status == 2
        check(output.err, script, f"flag --{name}={number}: {number} is not an integer in the range")


class ResourceExhaustedError(Exception):
    """Like that of TensorFlow."""


@pytest.mark.parametrize(
    "error", [MemoryError(), ResourceExhaustedError("OOM"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory")], ids=repr
)
def test_memory_that_is_not_enough_is_said_in_a_sentence(error, run_here):
    def fail(names):
        raise error

    status, output = run_here(lambda: run_on_names(fail, train.define_flags), "train.py", "--epochs=1")
    assert status == 2
    check(output.err, "train.py", "there is not enough memory")


def test_a_command_that_is_stopped_says_how_to_go_on(run_here):
    def stop(names):
        raise KeyboardInterrupt

    command = functools.partial(run_on_names, stop, evaluate.define_flags, evaluate.PAGE)
    status, output = run_here(command, "evaluate.py", "--problem=quadratic")
    assert status == 130
    check(output.err, "evaluate.py", "stopped. The same command goes on from what is in --out")


def test_other_errors_are_shown_as_they_are(monkeypatch, defined_once):
    def fail(names):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs=1"])
    with pytest.raises(RuntimeError, match="a mistake of ours"), defined_once():
        run_on_names(fail, train.define_flags)
