"""The page, as a parser of HTML sees it."""

import base64
import gzip
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from specimens import CONFIG, write_comparison, write_run

from learned_optimizer.folders import PRESET
from learned_optimizer.presets import preset
from learned_optimizer.report import write_report
from learned_optimizer.report.settings import settings_table

EVIL = "</script><script>alert(1)</script><!-- \"'><img src=x onerror=alert(1)>&lt;\u2028\ud800\x00"
# As it is shown.
SHOWN = EVIL.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
RESULTS = Path(__file__).parents[2] / "results"


class Page(HTMLParser):
    """The elements of a page, and its texts by the tag that they stand in."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    @property
    def plots(self):
        """The data of each plot; as a browser reads JSON, NaN is none."""
        found = [text for tag, text in self.texts if tag == "script" and text.startswith("{")]
        return [json.loads(text, parse_constant=lambda name: pytest.fail(name)) for text in found]

    def all(self, tag):
        return [text for of, text in self.texts if of == tag]


def test_a_run_is_shown_with_curves_settings_and_card(run):
    page = Page(write_report(run))
    assert page.all("title") == ["run"] == page.all("h1")
    assert page.all("figcaption") == ["loss", "val_loss", "gradient_norm", "episode_length", "skipped"]
    by_name = {plot["series"][0]["name"]: plot for plot in page.plots}
    assert by_name["loss"]["x"] == [1, 2, 3] and by_name["loss"]["series"][0]["y"] == [8, 4, 2]
    assert by_name["val_loss"]["series"][0]["y"] == [4, None, 1]
    assert by_name["gradient_norm"]["series"][0]["y"] == [1.5, 0.5, None]
    assert page.all("p") == [
        "The best φ is chosen by it: 1 after epoch 3. 1 of 3 values are not finite.",
        "1 of 3 values are not finite.",
        "Meta-trained on nothing",
    ]
    cells = page.all("td")
    settings = dict(zip(cells[::2], cells[1::2], strict=True))
    assert settings["problem"] == "Quadratic(dimension=2, stddev=0.5)" and settings["problem.shapes"] == "[[2]]"
    assert settings["rule"] == 'RNNprop(hidden_size=20, output="linear")' and settings["groups"] == "[]"
    assert settings["arguments.estimator"] == "Backpropagation(unroll_length=None)"
    assert settings["flags.epochs"] == "3" and settings["versions.keras"] == "3.15.1"
    assert settings["commit"] == "0123456789ab+"
    assert settings["seed"] == "7" and settings["SHA-256 of φ"] == "abc123" and settings["mine"] == "0.5"
    assert "evaluate.py --problem=quadratic" in page.all("code")


def test_a_comparison_is_shown_with_table_bands_and_record(comparison):
    page = Page(write_report(comparison))
    (plot,) = page.plots
    assert plot["log"] and plot["xlabel"] == "step" and plot["x"] == [0, 1, 2]
    assert plot["series"] == [
        {"name": "mine", "y": [8, 2, 1], "low": [7, 1, -0.5], "high": [9, 3, 2]},
        {"name": "Adam (0.1)", "y": [8, 4, None], "low": [7, 3, None], "high": [9, 5, None]},
    ]
    assert page.all("li") == ["mine", "Adam (0.1)"]
    assert page.all("th") == ["optimizer", "final loss", "optimizer", "final"]
    assert page.all("td") == [
        "mine", "1.5 ± 0.1", "Adam (0.1)", "1.5 ± 0.1", "mine", "1.5", "Adam (0.1)", "1.5",
        "command", "evaluate.py", "seed", "3",
    ]  # fmt: skip


def test_a_comparison_within_a_run_is_shown_beside_it(run):
    write_comparison(run)
    headings = Page(write_report(run)).all("h2")
    assert headings == ["History", "Best φ", "Settings", "Table", "Curves", "Summary", "Settings"]


def test_curves_are_there_without_the_script(run, comparison):
    for folder in (run, comparison):
        page = Page(write_report(folder))
        lines = [attributes for tag, attributes in page.elements if attributes.get("class") == "line"]
        keys = sum(len(plot["series"]) for plot in page.plots if len(plot["series"]) > 1)
        assert len(lines) == keys + sum(len(plot["series"]) for plot in page.plots)


def test_a_page_stands_alone_and_runs_its_own_script_only(run):
    page = Page(write_report(run))
    assert not [name for _, attributes in page.elements for name in attributes if name in ("src", "href", "srcset")]
    assert not re.search(r"@import|url\(|https?:", page.source.replace("http://www.w3.org/2000/svg", ""))
    (policy,) = [attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes]
    (script,) = [text for text in page.all("script") if not text.startswith("{")]
    (style,) = page.all("style")
    for name, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    # The policy forbids styles in attributes, too.
    assert not [attributes for _, attributes in page.elements if "style" in attributes]


def check_harmless(page):
    """Nothing of a text became an element."""
    tags = {tag for tag, _ in page.elements}
    assert tags <= {
        "body", "button", "code", "details", "div", "figcaption", "figure", "g", "h1", "h2", "head", "html", "li",
        "meta", "p", "path", "pre", "script", "section", "style", "summary", "svg", "table", "td", "text", "th",
        "title", "tr", "ul",
    }  # fmt: skip
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts.count({}) == 1 and all(each in ({}, {"type": "application/json"}) for each in scripts)
    assert len(page.plots) == len(scripts) - 1


def test_texts_of_a_strange_run_are_nothing_but_text(tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)>\"'&"
    numbers = {"nan": math.nan, "inf": math.inf, "least": -math.inf}
    config = CONFIG | {
        EVIL: EVIL,
        "strange": {EVIL: [EVIL], "class": EVIL, "config": {EVIL: EVIL}, "more": [{"deep": EVIL}]},
        "numbers": numbers | {"text": EVIL},
        "flags": EVIL,
    }
    card = {"description": EVIL, "notes": EVIL, EVIL: EVIL, "nan": math.nan, "results": {EVIL: EVIL}}
    card["results"]["table"] = f"| a |\n| --- |\n| {EVIL} |"
    column = '"' + EVIL.replace('"', '""').replace("\ud800", "\n") + '"'
    history = f"epoch,loss,{column},val_loss\n1,nan,inf,1e308\n2,-inf,-1e308,1e-320\n3,1_0,,NaN\n"
    write_run(folder, config, history, card)
    page = Page(write_report(folder))
    check_harmless(page)
    assert page.all("title") == [folder.name]
    cells = page.all("td")
    assert cells.count(SHOWN) >= 5 and "nan" in cells and "inf" in cells and "-inf" in cells
    assert SHOWN in page.all("p") and SHOWN in page.all("code") and SHOWN in page.all("pre")
    (strange,) = [plot for plot in page.plots if "alert" in plot["series"][0]["name"]]
    assert strange["series"][0]["y"] == [None, None, None]


def test_texts_of_a_strange_comparison_are_nothing_but_text(tmp_path):
    labels = ("<img src=x onerror=alert(1)>\"'", "</script><script>alert(1)</script>")
    record = {"command": EVIL, EVIL: {EVIL: EVIL}, "tried": {EVIL: math.nan, "b": math.inf}}
    folder = write_comparison(tmp_path / "c", labels, record)
    for label in ("img-src-x-onerror-alert-1", "script-script-alert-1-script"):
        (folder / "curves" / f"{label}.csv.gz").write_bytes((folder / "curves" / "mine.csv.gz").read_bytes())
    page = Page(write_report(folder))
    check_harmless(page)
    assert page.all("li") == list(labels)
    assert [each["name"] for each in page.plots[0]["series"]] == list(labels)
    cells = page.all("td")
    assert all(cells.count(label) == 2 for label in labels) and SHOWN in cells


def test_a_table_that_is_none_is_shown_as_it_is(comparison):
    (comparison / "table.md").write_text("| a | b |\n| --- | --- |\n| <b>1 |")
    assert "| a | b |\n| --- | --- |\n| <b>1 |" in Page(write_report(comparison)).all("pre")


def test_a_long_history_makes_a_light_page_of_means(run):
    header = [*"abcdefghijklm", "loss", "val_loss"]
    rows = [f"{epoch},{','.join(str(epoch * (1 + 1e-5 * n)) for n in range(15))}" for epoch in range(1, 10_001)]
    (run / "history.csv").write_text(f"epoch,{','.join(header)}\n" + "\n".join(rows))
    page = Page(write_report(run))
    assert len(page.source.encode()) < 300_000
    plot = next(plot for plot in page.plots if plot["series"][0]["name"] == "a")
    assert len(plot["x"]) == 400 and plot["x"][:2] == [13, 38] and plot["series"][0]["y"][:2] == [13, 38]
    assert any("Each point is the mean of 25 epochs." in text for text in page.all("p"))


def test_curves_of_many_optimizers_make_a_light_page(tmp_path):
    folder = write_comparison(tmp_path / "c")
    rows = "".join(
        f"{step},{1 / (step + 1):.4g},{0.9 / (step + 1):.4g},{1.1 / (step + 1):.4g}\n" for step in range(250)
    )
    labels = [f"optimizer {number}" for number in range(40)]
    (folder / "episodes.csv").write_text("optimizer,episode\n" + "".join(f"{label},0\n" for label in labels))
    for label in labels:
        packed = gzip.compress(f"steps,mean,low,high\n{rows}".encode())
        (folder / "curves" / f"{label.replace(' ', '-')}.csv.gz").write_bytes(packed)
    page = Page(write_report(folder))
    assert len(page.source.encode()) < 300_000 and len(page.plots[0]["series"]) == 40


@pytest.mark.parametrize("name", ["mnist", "cifar10", "held-out/triplets", "ablations/relu"])
def test_committed_results_have_a_page(name, tmp_path):
    page = Page(write_report(RESULTS / name, tmp_path / "page.html"))
    check_harmless(page)
    has_curves = (RESULTS / name / "curves").exists()
    assert len(page.plots) == has_curves
    assert ("No curves are kept in this folder." in page.all("p")) == (not has_curves)
    assert len(page.source.encode()) < 300_000


def test_a_run_in_which_nothing_was_finite_has_a_page_that_says_so(run):
    (run / "history.csv").write_text("epoch,loss,val_loss\n1,nan,nan\n")
    (run / "best" / "preset.json").unlink()
    (run / "best").rmdir()
    assert "There is none: no validation loss was finite." in Page(write_report(run)).all("p")


def test_settings_are_cut_where_they_would_fill_the_page():
    deep = {"a": 1}
    for _ in range(500):
        deep = {"class": "A", "arguments": {"b": deep}, "c": [deep, {"d": deep}] if deep == {"a": 1} else 0}
    content = settings_table({"deep": deep, "long": "x" * 10_000, "wide": {str(n): "y" for n in range(10_000)}})
    assert len(content) < 100_000 and "more than is shown here" in content


def test_a_preset_is_looked_for_where_it_is_saved():
    assert preset.CONFIG == PRESET
