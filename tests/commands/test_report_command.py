"""python -m learned_optimizer.report, from its arguments to its exit status."""

import functools
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from process import ROOT

from learned_optimizer.commands import report
from learned_optimizer.report import read

MNIST = ROOT / "results" / "mnist"
PROGRAM = "python -m learned_optimizer.report"


@pytest.fixture
def folder(tmp_path):
    """A run directory, which holds a comparison, too."""
    shutil.copytree(MNIST, tmp_path / "mine")
    (tmp_path / "mine" / "best").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps({"arguments": {"monitor": "val_loss"}}))
    (tmp_path / "mine" / "history.csv").write_text("epoch,loss,val_loss\n1,2.5,2\n2,1.5,1\n")
    (tmp_path / "mine" / "best" / "preset.json").write_text(json.dumps({"rule": {"name": "RNNprop"}, "card": {}}))
    return tmp_path / "mine"


@pytest.fixture
def call(run_here):
    """The exit status and the output of the command."""
    return functools.partial(run_here, report.command, PROGRAM)


def test_the_page_is_written_into_the_folder_or_where_it_is_asked_for(folder, tmp_path, call):
    before = {path for path in folder.rglob("*")}
    for flags, written in (
        ([], folder / "report.html"),
        ([f"--out={tmp_path / 'p' / 'q.html'}"], tmp_path / "p/q.html"),
    ):
        status, output = call(folder, *flags)
        assert status == 0 and output.out == f"Written: {written}\n" and not output.err
        assert written.read_text().startswith("<!DOCTYPE html>")
    assert {path for path in folder.rglob("*")} == before | {folder / "report.html"}
    assert (folder / "report.html").read_text() == (tmp_path / "p" / "q.html").read_text()


def replaced(name, content):
    def damage(folder):
        path = folder / name
        path.unlink()
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return damage


def in_place_of_a_file(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


CURVE = "curves/mnist.csv.gz"
DAMAGES = {
    "no settings": (replaced("config.json", None), "mine has no config.json: it is not finished, or damaged"),
    "no history": (replaced("history.csv", None), "mine has no history.csv"),
    "no best": (replaced("best/preset.json", None), "best has no preset.json"),
    "no table": (replaced("table.md", None), "mine has no table.md"),
    "no record": (replaced("run.json", None), "mine has no run.json"),
    "a folder": (in_place_of_a_file, "config.json cannot be read: .*directory"),
    "no JSON": (replaced("config.json", '{"a": '), "config.json is damaged: "),
    "a list": (replaced("config.json", "[]"), "config.json is damaged: it must hold a mapping. Received: list"),
    "depth": (replaced("config.json", "[" * 100_000), "config.json is damaged: "),
    "a long number": (replaced("config.json", '{"a": ' + "1" * 5000 + "}"), "config.json is damaged: "),
    "no text": (replaced("run.json", b"\xff\xfe"), "run.json cannot be read: "),
    "no card": (replaced("best/preset.json", '{"card": 3}'), "its card must be a mapping. Received: int"),
    "empty": (replaced("history.csv", ""), "history.csv is damaged: "),
    "no rows": (replaced("history.csv", "epoch,loss\n"), "history.csv is damaged: it must have .* a row or more"),
    "ragged": (replaced("history.csv", "epoch,loss\n1\n"), "line 2 must have 2 cells. Received: 1"),
    "two of a name": (replaced("history.csv", "epoch,loss,loss\n1,2,3\n"), "history.csv is damaged: .*titles"),
    "words": (replaced("history.csv", "epoch,loss\n1,low\n"), "column 'loss' must hold numbers. Received: 'low'"),
    "no epochs": (replaced("history.csv", "loss\n1\n"), "history.csv is damaged: it has no column epoch"),
    "a long cell": (replaced("history.csv", "epoch,loss\n1," + "2" * 200_000 + "\n"), "history.csv is damaged: field"),
    "no optimizer": (replaced("episodes.csv", "episode\n1\n"), "episodes.csv is damaged: it has no column optimizer"),
    "no archive": (replaced(CURVE, b"nonsense"), "mnist.csv.gz cannot be read: "),
    "half an archive": (replaced(CURVE, (MNIST / CURVE).read_bytes()[:200]), "mnist.csv.gz cannot be read: "),
    "no curve": (replaced(CURVE, gzip.compress(b"steps,mean\n1,2\n")), "mnist.csv.gz is damaged: it has no column low"),
    "other steps": (
        replaced("curves/NAG-1.csv.gz", gzip.compress(b"steps,mean,low,high\n1,2,3,4\n")),
        "NAG-1.csv.gz is damaged: it must have the same steps",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused_in_a_sentence(damage, message, folder, call):
    damage(folder)
    check_refused(*call(folder), message)
    assert not (folder / "report.html").exists()


def check_refused(status, output, message):
    assert status == 2 and not output.out
    assert output.err.count("\n") == 1 and len(output.err) < 500
    assert output.err.startswith(f"{PROGRAM}: ")
    assert re.search(message, output.err), output.err


def test_what_unpacks_to_too_much_is_not_unpacked(folder, call, monkeypatch):
    monkeypatch.setattr(read, "LARGEST", 10_000)
    (folder / CURVE).write_bytes(gzip.compress(bytes(10_001)))
    check_refused(*call(folder), "mnist.csv.gz is too large to be read: it has more than 10000 bytes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b"], "expected one folder, .*Received: a b"),
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["nowhere"], "Expected a run directory, .*Received: nowhere, no folder"),
        ([ROOT / "setup.cfg"], "Expected a run directory, .*setup.cfg, no folder"),
        ([ROOT / "results"], r"results holds \d+ comparisons \(cifar10, .*, and \d+ more\): name one of them"),
        ([ROOT / "results" / "black-box"], r"which holds README.md, .*and \d+ more"),
        ([MNIST, f"--out={ROOT}"], "The page is written into a file. Received: .*, a folder"),
        ([MNIST, "--out=/dev/null/page.html"], "/dev/null"),
    ],
)
def test_what_cannot_be_reported_on_is_refused(arguments, message, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    check_refused(*call(*arguments), message)


def test_several_runs_are_named(folder, call):
    shutil.copytree(folder, folder.parent / "other")
    message = r"holds 2 run directories \(mine, other\) and 2 comparisons \(mine, other\): name one of them"
    check_refused(*call(folder.parent), message)
    empty = folder.parent / "empty"
    empty.mkdir()
    check_refused(*call(empty), "empty, which holds nothing")


def test_without_arguments_it_says_what_it_needs(call):
    status, output = call()
    assert status == 2 and not output.out and "\n  python -m learned_optimizer.report runs/mnist\n" in output.err


def test_help_tells_of_the_flag(call):
    status, output = call("--help")
    assert status == 0 and "--out: File of the page" in output.out


def test_it_starts_without_keras(folder):
    """By the console command: all that it imports is listed."""
    done = subprocess.run(
        [sys.executable, "-c", "import learned_optimizer_commands as c; c.main()", "report", folder],
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(ROOT)},
        cwd=folder.parent, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "learned_optimizer.report.page" in imported
    assert not {"keras", "tensorflow", "jax", "numpy", "pandas"} & imported
    assert Path(done.stdout.removeprefix("Written: ").strip()) == folder / "report.html"
