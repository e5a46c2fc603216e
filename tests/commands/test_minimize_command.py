"""learned-optimizer minimize, from its arguments to its exit status."""

import functools
import json
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from process import finish, start

from learned_optimizer.black_box import Choice, Evaluation, Float, Integer, minimize
from learned_optimizer.black_box.log import Log, LogError
from learned_optimizer.commands import minimize as module
from learned_optimizer.commands.space_flags import parse_space

PROGRAM = "learned-optimizer minimize"
BOWL = """
import helper

calls = 0


def bowl(parameters):
    global calls
    calls += 1
    print("noise on the standard output stream")
    if parameters["kind"] == "broken":
        raise ValueError("broken")
    return helper.square(parameters["x"] - 1) + helper.square(parameters["n"] - 4)


nothing = 5
"""
SPACE = ["--float=x:-2:3", "--int=n:1:16:log", "--choice=kind:plain,broken"]
# What a log says that a search was begun with.
BEGUN = {
    **dict.fromkeys(module.KEPT),
    "function": "other.py:f",
    "float": ["x:0:1"],
    "preset": "black-box",
    "seed": 0,
    "num_evaluations": 4,
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(BOWL)
    (tmp_path / "helper.py").write_text("def square(x):\n    return x * x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("mine") or name == "helper"]:
        del sys.modules[name]


@pytest.fixture
def call(run_here):
    """The exit status and the output of the command."""
    return functools.partial(run_here, module.command, PROGRAM)


def test_it_does_what_minimize_does_and_keeps_a_log(here, call):
    status, output = call("mine.py:bowl", *SPACE, "--num_evaluations=8", "--seed=3", "--json")
    assert status == 0, output.err
    found = json.loads(output.out)

    def bowl(p):
        if p["kind"] == "broken":
            raise ValueError
        return (p["x"] - 1) ** 2 + (p["n"] - 4) ** 2

    space = {"x": Float(-2, 3), "n": Integer(1, 16, log=True), "kind": Choice(["plain", "broken"])}
    expected = minimize(bowl, space, 8, seed=3, verbose=0)
    assert found["parameters"] == expected.parameters and found["value"] == expected.value
    values = [np.nan if each["value"] is None else each["value"] for each in found["evaluations"]]
    np.testing.assert_array_equal(values, [each.value for each in expected.evaluations])
    assert np.isnan(values).any()
    lines = [line for line in output.err.splitlines() if line.startswith(tuple("12345678"))]
    assert len(lines) == 8 and lines[-1].startswith("8/8: ") and "at x=" in lines[0]
    logged = [json.loads(line) for line in (here / "minimize.jsonl").read_text().splitlines()]
    assert logged[1:] == found["evaluations"] and logged[0]["begun_with"]["function"] == "mine.py:bowl"


def test_it_goes_on_from_its_log_as_if_it_had_not_been_stopped(here, call):
    flags = ["mine:bowl", *SPACE, "--log=logs/whole.jsonl"]
    assert call(*flags, "--num_evaluations=7")[0] == 0
    assert call(*flags[:-1], "--log=part.jsonl", "--num_evaluations=4")[0] == 0
    with (here / "part.jsonl").open("a") as file:
        file.write('{"parameters": {"x": 1.')  # As of a process that was killed.
    status, output = call("--resume", "--log=part.jsonl", "--num_evaluations=7")
    assert status == 0 and output.out.startswith("Best of 7 evaluations"), output.err
    assert f"{PROGRAM} --resume --log=part.jsonl --num_evaluations=…" in output.out
    whole, part = ((here / name).read_text().splitlines() for name in ("logs/whole.jsonl", "part.jsonl"))
    assert part[1:] == whole[1:]


def test_a_command_is_a_function_several_of_which_run_at_a_time(here, call):
    command = f"{sys.executable} -c 'import sys; print(\"\"); print(float(sys.argv[1]) ** 2)' {{x}} # ${{HOME}}"
    status, output = call(f"--command={command}", "--float=x:-1:2", "--num_evaluations=6", "--parallel=3")
    assert status == 0, output.err
    for line in (here / "minimize.jsonl").read_text().splitlines()[1:]:
        evaluation = json.loads(line)
        assert evaluation["value"] == evaluation["parameters"]["x"] ** 2


def test_a_space_from_flags():
    space = parse_space(["a:-1:2", "b:1e-5:1e-1:log"], ["c:2:8", "d:1:64:log"], ["e:relu,gelu", "f:32,0.5,x"])
    assert space.dimensions == {
        "a": Float(-1, 2),
        "b": Float(1e-5, 1e-1, log=True),
        "c": Integer(2, 8),
        "d": Integer(1, 64, log=True),
        "e": Choice(["relu", "gelu"]),
        "f": Choice([32, 0.5, "x"]),
    }
    # No number that JSON, and so a log, cannot hold.
    assert parse_space([], [], ["norm:1,inf,nan"]).dimensions == {"norm": Choice([1, "inf", "nan"])}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--float=x:0:1"], "expected a function, FILE.py:NAME or MODULE:NAME, or --command.*Received: neither"),
        (["mine.py:bowl", "--command=a", "--float=x:0:1"], "Received: both"),
        (["mine.py:bowl", "b", "--float=x:0:1"], "expected one function.* Received: mine.py:bowl b"),
        (["mine.py:bowl"], "Parameters must be given by --float, --int or --choice. Received: none"),
        (["mine.py:bowl", "--float=x:0"], "--float=x:0 must be NAME:LOW:HIGH.*two bounds"),
        (["mine.py:bowl", "--float=x:0:1:2"], "--float=x:0:1:2 must be NAME:LOW:HIGH"),
        (["mine.py:bowl", "--float=x:a:1"], "--float=x:a:1 must be NAME:LOW:HIGH.*'a'"),
        (["mine.py:bowl", "--float=x:0:1:log"], "With log=True the bounds must be positive"),
        (["mine.py:bowl", "--float=x:nan:1"], "The bounds must be finite"),
        (["mine.py:bowl", "--int=x:0:1.5"], "--int=x:0:1.5 must be NAME:LOW:HIGH"),
        (["mine.py:bowl", "--choice=x:a"], "--choice=x:a must be NAME:A,B,…: A Choice must have two options"),
        (["mine.py:bowl", "--float=x:0:1", "--int=x:0:1"], "of no other parameter. Received: 'x'"),
        (["mine.py:bowl", "--float=:0:1"], "must begin with a name"),
        (["bowl", "--float=x:0:1"], "Expected an object as FILE.py:NAME or MODULE:NAME. Received: bowl"),
        (["none.py:bowl", "--float=x:0:1"], "none.py:bowl cannot be loaded. Received: no file none.py"),
        (["mine.py:bawl", "--float=x:0:1"], "mine.py must have 'bawl'. Received: helper, calls, bowl, nothing"),
        (["mine.py:nothing", "--float=x:0:1"], "must be a function of a dict of parameters. Received: 5"),
        (["nowhere:bowl", "--float=x:0:1"], "nowhere:bowl cannot be loaded.*No module named 'nowhere'"),
        (["wrong.py:bowl", "--float=x:0:1"], "wrong.py:bowl cannot be loaded. Received: wrong.py, line 2: Zero"),
        (["--command=run", "--float=x:0:1"], r"The command must have \{x\} in it"),
        (["--command=run {x}", "--float=x:0:1", "--preset=general"], "needs gradients"),
        (["--command=exit 3 {x}", "--float=x:0:1"], "The first 5 evaluations failed.*exit status 3"),
        (["--command=echo a{x}", "--float=x:0:1"], "the last line must be a number"),
        (["--resume"], "There is nothing to resume: no file minimize.jsonl"),
        (["--resume", "--log=mine.py"], "mine.py cannot be read"),
        (["--resume", "--log=log.jsonl", "--seed=4"], "--seed=4 contradicts log.jsonl, which has 0"),
        (["--resume", "--log=log.jsonl", "mine.py:bowl"], "function=mine.py:bowl contradicts log.jsonl"),
        (["mine.py:bowl", "--float=x:0:1", "--log=log.jsonl"], "log.jsonl holds evaluations already. Add --resume"),
        (["--resume", "--log=damaged.jsonl"], "damaged.jsonl is damaged: line 2 is no evaluation"),
        (["--parallel=0"], "--parallel=0"),
    ],
)  # fmt: skip
def test_it_refuses(arguments, message, here, call):
    (here / "wrong.py").write_text("\n1 / 0\n")
    Log.begun(here / "log.jsonl", BEGUN)
    (here / "damaged.jsonl").write_text((here / "log.jsonl").read_text() + '{"parameters": 3}\n')
    status, output = call(*arguments)
    assert status == 2 and not output.out
    last = output.err.strip().splitlines()[-1]
    assert last.startswith(f"{PROGRAM}: ")
    assert re.search(message, last), last
    # A search that could not begin is in nobody's way.
    assert (here / "minimize.jsonl").exists() == ("evaluations failed" in last)


@pytest.mark.parametrize(
    "change",
    [{"function": None}, {"command": "run {x}"}, {"function": 3}, {"float": "x:0:1"}, {"int": [1]}, {"seed": True},
     {"preset": None}, {"num_evaluations": "40"}],
    ids=str,
)  # fmt: skip
def test_a_log_that_no_search_was_begun_with_is_refused(change, here, call):
    Log.begun(here / "log.jsonl", BEGUN | change)
    before = (here / "log.jsonl").read_bytes()
    status, output = call("--resume", "--log=log.jsonl")
    assert status == 2 and output.err.startswith(f"{PROGRAM}: log.jsonl is damaged: "), output.err
    assert output.err.count("\n") == 1 and (here / "log.jsonl").read_bytes() == before
    Log.begun(here / "less.jsonl", {name: value for name, value in BEGUN.items() if name != "seed"})
    assert "the seed in its first line is none" in call("--resume", "--log=less.jsonl")[1].err


def test_a_log_is_read_as_what_it_was_or_refused(tmp_path):
    log = Log.begun(tmp_path / "log.jsonl", {"seed": 0})
    for number in range(3):
        log.append(Evaluation({"x": number / 3}, number * 1.5 if number else np.nan))
    content = log.path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] = generator.integers(256)
        log.path.write_bytes(damaged[: generator.integers(len(content)) if generator.random() < 0.3 else None])
        try:
            found = Log.resumed(log.path)
        except LogError as error:
            refused += 1
            assert "\n" not in str(error) and str(log.path) in str(error)
        else:
            assert all(isinstance(value, float) for _, value in found.evaluations) and len(found.evaluations) <= 3
    assert 100 < refused < 300
    log.path.write_bytes(content)
    assert [value for _, value in Log.resumed(log.path).evaluations[1:]] == [1.5, 3.0]


@pytest.mark.slow
def test_ctrl_c_ends_it_and_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "learned_optimizer_commands.py"
    process = start(script, "minimize", "--command=sleep 0.2; echo {x}", "--float=x:0:1", "--num_evaluations=500")
    assert process.stderr.readline() == "1/500: 0.5, best 0.5, at x=0.5\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert err.splitlines()[-1] == f"{PROGRAM}: stopped. --resume goes on from the values in --log."
    known = len(Path("minimize.jsonl").read_text().splitlines()) - 1
    assert 1 <= known < 500
    out, _ = finish(start(script, "minimize", "--resume", f"--num_evaluations={known + 1}", "--json"))
    assert len(json.loads(out)["evaluations"]) == known + 1
