"""Results of experiments read back and compared."""

import numpy as np
import pytest

from experiments.outcomes.ablations import tabulate_techniques
from experiments.outcomes.results import num_steps, one_by_one, ratio_at, ratio_of, read_measures
from experiments.outcomes.sharing import tabulate_rules
from learned_optimizer.evaluation import Comparison
from learned_optimizer.evaluation.baselines import baseline_of
from learned_optimizer.evaluation.files import save_comparison
from learned_optimizer.evaluation.measures import measure

TECHNIQUES = {"ablation-base": "nothing", "ablation-log": "the sum of logarithms", "ablation-ema": "not measured"}


def constant_curves(steps=20, **losses):
    noise = np.random.default_rng(0).normal(size=(4, 1)) * 0.01
    return {label: np.full((4, steps), loss) + noise for label, loss in losses.items()}


def measures_of(curves):
    return {label: measure(losses) for label, losses in curves.items()}


def test_measures_are_read_as_they_were(tmp_path):
    curves = {name: np.random.default_rng(1).random((3, 12)) for name in ("mnist", "Adam (0.1)")}
    save_comparison(tmp_path, Comparison(curves, {}), {})
    read = read_measures(tmp_path)
    assert list(read) == list(curves) and num_steps(read) == 12
    for label, curve in curves.items():
        np.testing.assert_allclose(read[label]["mean"], curve.mean(axis=1), rtol=1e-5)


def test_the_best_baseline_is_compared_with():
    curves = constant_curves(**{"mine": 1.0, "Adam (0.1)": 3.0, "NAG (1)": 2.0})
    ratio = ratio_of(measures_of(curves), "final")
    assert (ratio.baseline, ratio.ratio.outcome) == ("NAG (1)", "lower")
    assert ratio.ratio.value == pytest.approx(curves["mine"].mean() / curves["NAG (1)"].mean())
    assert ratio.ratio.low <= ratio.ratio.value <= ratio.ratio.high
    assert ratio_of(measures_of(curves), "mean").ratio == pytest.approx(ratio.ratio)


def test_a_step_is_compared_by_the_ten_that_end_there():
    ramp = np.tile(np.arange(30.0), (2, 1))
    measures = measures_of({"mine": ramp, "SGD (1)": ramp + 1})
    assert ratio_at(measures, 20)[:2] == (14.5, 15.5)
    assert ratio_at(measures, 30)[:2] == (24.5, 25.5)
    assert ratio_at(measures_of({"mine": ramp + 2, "SGD (1)": ramp}), 20).ratio.outcome == "higher"
    with pytest.raises(ValueError, match="one of 20, 30. Received: 25"):
        ratio_at(measures, 25)


def test_episodes_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match=r"of one length. Received lengths: \[20, 30\]"):
        num_steps(measures_of({"mine": np.ones((2, 20)), "SGD (1)": np.ones((2, 30))}))


def test_each_learned_optimizer_is_compared_alone():
    measures = measures_of(constant_curves(**{"mine": 1.0, "other": 4.0, "Adam (0.1)": 2.0}))
    apart = one_by_one(measures)
    assert {label: list(alone) for label, alone in apart.items()} == {
        "mine": ["mine", "Adam (0.1)"],
        "other": ["other", "Adam (0.1)"],
    }
    assert ratio_of(apart["other"], "final").ratio.outcome == "higher"


def test_a_baseline_that_diverged_is_not_the_best():
    measures = measures_of(constant_curves(**{"mine": 1.0, "Adam (0.1)": np.nan, "NAG (1)": 2.0}))
    assert ratio_of(measures, "final").baseline == "NAG (1)"


def test_each_technique_is_compared_with_the_best_baseline(tmp_path):
    curves = {"runs/ablation-base": 2.0, "Adam (0.1)": 2.0, "runs/ablation-log": 1.0, "NAG (1)": 4.0}
    save_comparison(tmp_path / "relu", Comparison(constant_curves(**curves), {}), {})
    tabulate_techniques(tmp_path, TECHNIQUES, meta_seeds=3)
    *_, base, log = (tmp_path / "table.md").read_text().splitlines()
    assert base.startswith("| nothing |") and "| 1.000 (" in base
    assert log.startswith("| the sum of logarithms |") and "| 0.50" in log


def test_the_spread_of_meta_trainings_is_that_of_the_episodes_they_took_in_turn(tmp_path):
    of_seeds = np.array([1.0, 3.0, 2.0])
    learned = np.tile(of_seeds, 3)[:, None] * np.ones((9, 20))
    curves = {"runs/ablation-base": learned, "Adam (0.1)": np.full((9, 20), 2.0)}
    save_comparison(tmp_path / "relu", Comparison(curves, {}), {})
    tabulate_techniques(tmp_path, TECHNIQUES, meta_seeds=3)
    assert "| 1.000 (0.500 – 1.500) |" in (tmp_path / "table.md").read_text()


def test_each_rule_is_compared_with_the_first_and_each_seed_with_its_own(tmp_path):
    first, second = (np.array(of_seeds)[[0, 1] * 5][:, None] for of_seeds in ([1.0, 2.0], [0.5, 4.0]))
    curves = {f"runs/{name}": losses * np.ones((10, 20)) for name, losses in (("a", first), ("b", second))}
    save_comparison(tmp_path / "task", Comparison({**curves, "Adam (0.1)": np.ones((10, 20))}, {}), {})
    tabulate_rules(tmp_path, {"a": "the first", "b": "the second", "c": "not measured"}, meta_seeds=2)
    *_, a, b = (tmp_path / "table.md").read_text().splitlines()
    assert a == "| task | the first | 1.5 ± 0.38 |  |  |"
    assert b.startswith("| task | the second | 2.25 ± 1.3 | 1.500 [") and "(0.500, 2.000) |" in b


@pytest.mark.parametrize(("label", "expected"), [("Adam (0.1)", "adam"), ("NAG (1)", "nag"), ("mnist", None)])
def test_a_baseline_is_known_by_its_label(label, expected):
    assert baseline_of(label) == expected
