"""The pages of results, and what is committed of them."""

import csv
import json
import re
import subprocess
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest

from experiments.definitions import EXPERIMENTS
from experiments.outcomes.suite import OVERVIEW, SUITE, summarize_suite
from experiments.pages import write_report
from experiments.pages.readme import blocks
from experiments.pages.step_cost import MEASUREMENTS, sentences
from experiments.pages.text import with_blocks
from learned_optimizer.evaluation import Comparison
from learned_optimizer.evaluation.files import load_comparison, save_comparison
from learned_optimizer.evaluation.summary import summarize_measures
from learned_optimizer.problems.suites import SUITES as TASK_SUITES

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
MOST_BYTES, MOST_OF_A_FILE, MOST_LINES = 5 * 2**20, 200_000, 150
RECORD = {"command": "evaluate.py", "seconds": 60, "commit": "abc"}


def write_results(folder, steps, **losses):
    noise = np.random.default_rng(0).normal(size=(4, 1)) * 0.01
    curves = {label: np.full((4, steps), loss) + noise for label, loss in losses.items()}
    save_comparison(folder, Comparison(curves, {}), RECORD)
    (folder / "table.md").write_text("| a table |\n")


def committed():
    """The files under results/ that Git has, or will have."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "results"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of Git")
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).exists()]


def pages():
    return [RESULTS / "README.md", *RESULTS.glob("*/README.md")]


def test_the_page_has_a_row_for_what_is_there_with_the_verdict(tmp_path):
    write_results(tmp_path / "quadratic", 100, **{"quadratic": 1.0, "Adam (0.1)": 2.0})
    write_results(tmp_path / "mnist", 100, **{"mnist": 3.0, "Adam (0.1)": 2.0})
    write_results(tmp_path / "mnist-grid" / "1x5", 100, **{"mnist": 1.0, "Adam (0.1)": 2.0})
    write_results(tmp_path / "mnist-grid" / "1x20", 100, **{"mnist": 4.0, "Adam (0.1)": 2.0})
    page = write_report(tmp_path).read_text()
    rows = {line.split("]")[0][3:]: line for line in page.splitlines() if line.startswith("| [")}
    assert list(rows) == ["quadratic", "mnist", "mnist-grid"]
    assert "| confirmed | 0.50" in rows["quadratic"] and "(quadratic/README.md)" in rows["quadratic"]
    assert "| not confirmed | 1.50" in rows["mnist"] and rows["mnist"].endswith("| Adam (0.1) |")
    # The geometric mean of a half and of two.
    assert re.search(r"confirmed in part \| 1\.00\d \[.*\| the best baseline, 2 networks \|$", rows["mnist-grid"])
    assert (tmp_path / "adam-alone.png").stat().st_size > 5_000


def test_the_page_of_an_experiment_has_the_papers_losses_beside_those_of_its_lstm_alone(tmp_path):
    losses = {"cifar10": 1.0, "general": 3.0, "Adam (0.1)": 2.0}
    write_results(tmp_path / "cifar2", 1000, **losses)
    write_report(tmp_path)
    page = (tmp_path / "cifar2" / "README.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "| step " in line]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("cifar10", "step 400", "lower"),
        ("cifar10", "step 1000", "lower"),
        ("general", "step 400", "higher"),
        ("general", "step 1000", "higher"),
    ]
    assert [row[2] for row in rows] == ["0.11 / 0.13", "0.047 / 0.066", "", ""]
    assert rows[0][3].replace("1.01", "1").replace("2.01", "2") == "1 / 2 (Adam)"
    assert page.startswith("# cifar2\n\n**Confirmed.** ") and "python -m experiments cifar2" in page


def test_the_committed_pages_are_what_the_committed_results_give(tmp_path):
    copy = copytree(RESULTS, tmp_path / "results", ignore=lambda folder, names: {n for n in names if n == "curves"})
    for page in pages():
        (copy / page.relative_to(RESULTS)).unlink()
    write_report(copy, pictures=False)
    assert sorted(path.relative_to(copy) for path in copy.rglob("README.md")) == sorted(
        page.relative_to(RESULTS) for page in pages()
    )
    for page in pages():
        assert (copy / page.relative_to(RESULTS)).read_text() == page.read_text(), page


@pytest.mark.parametrize("name", sorted(path.parent.name for path in RESULTS.glob(f"*/{SUITE}")))
def test_the_committed_tables_of_a_suite_are_what_its_episodes_give(name, tmp_path):
    copy = copytree(RESULTS / name, tmp_path / name)
    summarize_suite(copy)
    assert (copy / "table.md").read_text() == (RESULTS / name / "table.md").read_text()
    for table in (SUITE, OVERVIEW):
        written, kept = (pd.read_csv(folder / table, index_col=[0, 1]) for folder in (copy, RESULTS / name))
        pd.testing.assert_frame_equal(written, kept, rtol=1e-4)


def test_the_committed_results_are_small():
    files = committed()
    assert len(files) > 100
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {path for path in files if path.stat().st_size > MOST_OF_A_FILE} == set()
    assert len((RESULTS / "README.md").read_text().splitlines()) <= MOST_LINES


def test_every_committed_picture_is_on_a_page_and_every_link_leads_somewhere():
    shown = set()
    for page in [ROOT / "README.md", *pages()]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)
            shown.add((page.parent / target).resolve())
    pictures = {path.resolve() for path in committed() if path.suffix == ".png"}
    assert len(pictures) > 10 and pictures <= shown


def test_the_figures_of_the_readmes_are_those_of_the_committed_results():
    figures = blocks(RESULTS, EXPERIMENTS) | sentences(ROOT)
    texts = [(ROOT / page).read_text() for page in ("README.md", "benchmarks/README.md")]
    assert [with_blocks(text, figures) for text in texts] == texts
    for name, block in figures.items():
        assert sum(f"<!-- {name} -->\n{block}\n<!-- /{name} -->" in text for text in texts) == 1, name


def test_the_cost_of_a_step_is_that_beside_adams():
    """Against the same by hand, from the lines of the file."""
    rows = list(csv.DictReader((ROOT / MEASUREMENTS).read_text().splitlines()))
    times = {row["name"]: float(row["milliseconds"]) for row in rows if row["milliseconds"]}
    fits = [times[name] / times[name.replace("general", "adam")] for name in times if re.match("fit.*general", name)]
    vector = times["step, 10^6, general"] / times["step, 10^6, Adam"]
    said = {name: text.replace("\n  ", " ") for name, text in sentences(ROOT).items()}
    for text in said.values():
        assert f"takes {min(fits):.1f} to {max(fits):.1f} times as long" in text
    assert f"takes {vector:.1f} times as long as Adam's in one vector" in said["beside-adam"]


def test_of_a_part_of_the_measurements_no_sentence_is_made(tmp_path):
    lines = (ROOT / MEASUREMENTS).read_text().splitlines(keepends=True)
    (tmp_path / MEASUREMENTS).parent.mkdir(parents=True)
    (tmp_path / MEASUREMENTS).write_text("".join(line for line in lines if ", JAX" not in line))
    assert sentences(tmp_path) == {} == sentences(tmp_path / "elsewhere")


def test_the_readme_says_where_the_default_stands():
    """Against the same by hand, from the losses of the held-out episodes."""
    overview = pd.read_csv(RESULTS / "held-out" / "overview.csv", index_col="optimizer")
    ratios = {}
    for path in sorted((RESULTS / "held-out").glob("*/episodes.csv")):
        means = pd.read_csv(path).groupby("optimizer", sort=False)["final"].mean()
        adam = means[means.index.str.startswith("Adam (")].iloc[0]
        for label, mean in means.items():
            ratios.setdefault(label.split(" (")[0], []).append(np.log(min(mean / adam, 100) if mean == mean else 100))
    means = {title: np.exp(np.mean(of_title)) for title, of_title in ratios.items()}
    assert {len(of_title) for of_title in ratios.values()} == {len(TASK_SUITES["held-out"])}
    for title, mean in means.items():
        assert overview.loc[title, "final_geometric"] == pytest.approx(mean, rel=1e-3)
    place = 1 + sum(mean < means["general"] for mean in means.values())
    ordinal = ("lowest", "second lowest", "third lowest", "fourth lowest", "fifth lowest")[place - 1]
    text = blocks(RESULTS, EXPERIMENTS)["place"].replace("\n", " ")
    assert f"of all {len(means)} the {ordinal}" in text


def test_every_committed_comparison_tells_of_its_making_and_is_summarized():
    records = [path for path in RESULTS.rglob("run.json") if path.with_name("episodes.csv").exists()]
    assert len(records) > 60
    for path in records:
        record = json.loads(path.read_text())
        assert record["command"].startswith("evaluate.py")
        assert {"seed", "commit", "seconds", "versions", "tuning"} <= set(record)
        comparison = load_comparison(path.parent)
        summary = pd.read_csv(path.parent / "summary.csv", index_col="optimizer")
        assert list(summary.index) == list(comparison.records)
        again = summarize_measures(comparison.measures, comparison.tuned, comparison.metrics)
        pd.testing.assert_frame_equal(again, summary, rtol=1e-2, atol=1e-9)
        for label, one in comparison.records.items():
            if one.curve is None:  # Of a part.
                assert path.parent.parent != RESULTS
                continue
            # The last point of a thinned curve is of fewer steps than the others.
            counts = np.diff([*np.arange(0, one.num_steps, one.curve.width), one.num_steps])
            mean = np.average(one.curve.mean, weights=counts)
            assert mean == pytest.approx(one.measures["mean"].mean(), rel=1e-3, nan_ok=True), (path, label)


def test_claims_and_notes_are_short_and_quote_no_measurement():
    for name, experiment in EXPERIMENTS.items():
        sentences = re.split(r"(?<=[.:])\s", f"{experiment.claim} {experiment.note}".strip())
        assert max(len(sentence.split()) for sentence in sentences) <= 25, name
        # Ratios and percentages come from the results; the paper's figures are in `paper`, or quoted as the paper's.
        assert "%" not in experiment.note, name
        if re.search(r"\d\.\d\d+", experiment.note):
            assert "paper" in experiment.note or "deviation" in experiment.note, name
