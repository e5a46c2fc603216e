"""The command learned-optimizer, which hands its arguments on."""

import importlib.metadata
import re
import sys

import pytest

import learned_optimizer
import learned_optimizer_commands
from learned_optimizer.commands import evaluate, train


@pytest.fixture
def call(monkeypatch, capsys, defined_once):
    """The exit status and the output of the command."""

    def with_arguments(*arguments):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/learned-optimizer", *arguments])
        status = 0
        with defined_once():
            try:
                learned_optimizer_commands.main()
            except SystemExit as end:
                status = end.code or 0
        return status, capsys.readouterr()

    return with_arguments


def test_it_lists_its_commands(call):
    status, output = call("--help")
    assert status == 0 and not output.err
    listed = re.findall(r"^  (\w+)  +\w", output.out, re.MULTILINE)
    assert listed == list(learned_optimizer_commands.COMMANDS)
    assert call() == (2, type(output)("", output.out))


def test_an_unknown_command_is_refused(call):
    status, output = call("trian")
    assert status == 2 and output.err.startswith("learned-optimizer: no command is called 'trian'.") and not output.out


def test_the_version_is_that_of_the_package(call, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"learned-optimizer": "1.2.3"}[name])
    assert call("--version")[1].out == "learned-optimizer 1.2.3\n"


def test_the_citation_has_the_version(pytestconfig):
    root = pytestconfig.rootpath
    assert f"\nversion: {learned_optimizer.__version__}\n" in (root / "CITATION.cff").read_text()


@pytest.mark.parametrize("name", ["train", "evaluate", "minimize", "report"])
def test_messages_name_the_command_as_it_was_typed(name, call):
    status, output = call(name, "--help")
    assert status == 0 and output.out.startswith(f"usage: learned-optimizer {name} ") and not output.err
    status, output = call(name, "--nonsense")
    assert status == 2 and output.err.startswith(f"learned-optimizer {name}: Unknown command line flag 'nonsense'")
    status, output = call(name)
    assert status == 2 and f"\n  learned-optimizer {name} " in output.err


def test_what_is_recorded_can_be_typed_again_and_is_known_again(monkeypatch, defined_once):
    from absl import flags

    recorded = []
    for program in ("learned-optimizer evaluate", "/somewhere/evaluate.py"):
        monkeypatch.setattr(sys, "argv", [program, "--problem=quadratic", "--json"])
        with defined_once():
            evaluate.define_flags()
            for flag in flags.FLAGS.flags_by_module_dict()[evaluate.__name__]:
                flags.FLAGS.register_key_flag_for_module(program, flag)
            for flag in flags.FLAGS.flags_by_module_dict()[evaluate.problem_flags.__name__]:
                flags.FLAGS.register_key_flag_for_module(program, flag)
            flags.FLAGS(sys.argv)
            recorded.append(evaluate._record(flags.FLAGS))
    first, second = recorded
    assert first["command"] == "learned-optimizer evaluate --problem=quadratic"
    assert second["command"] == "evaluate.py --problem=quadratic" == first["conditions"] == second["conditions"]


def test_a_run_names_the_other_command_as_this_one_was_typed(monkeypatch):
    for program, other in {"train.py": "evaluate.py", "learned-optimizer train": "learned-optimizer evaluate"}.items():
        monkeypatch.setattr(sys, "argv", [program])
        assert train.other_program("evaluate") == other
