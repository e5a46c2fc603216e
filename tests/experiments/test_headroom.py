"""The experiment on what there is to gain: which φ it compares, and what its page says of them."""

import math

import numpy as np
import pandas as pd

from experiments.again import CONSTANTS, page_of_seeds, save_constants
from experiments.headroom import FACTORS, by_family, page, variants
from experiments.parts import page as page_of_parts
from experiments.parts import without_parts
from learned_optimizer.rules import AdaptiveShampoo


def test_a_variant_differs_from_the_start_in_what_it_is_named_for():
    weights = AdaptiveShampoo().initial_weights()
    found = variants(weights)
    changed = {
        label: {name for name in weights if not np.array_equal(weights[name], variant[name])}
        for label, variant in found.items()
    }
    assert changed["start"] == set()
    assert all(changed[f"step × {factor:g}"] == {"constant/log_first_step"} for factor in FACTORS)
    assert changed["rows + 0.3"] == changed["rows − 0.3"] == {"constant/rows"}
    assert found["gradient alone"]["direction/gradient"] == 1 and found["gradient alone"]["direction/whitened"] == 0


def test_the_page_has_the_geometric_mean_over_families():
    variants_of = ["start", *[f"step × {factor:g}" for factor in FACTORS]]
    rows = [
        {"rule": "r", "family": family, "variant": variant, "final": math.log(ratio), "mean": 0.0, "spread": 0.1}
        for family, ratios in (("a", (1, 0.25, 2, 2, 2)), ("b", (1, 1, 2, 2, 2)))
        for variant, ratio in zip(variants_of, ratios, strict=True)
    ]
    text = page(by_family(pd.DataFrame(rows)))
    # The root of 0.25 × 1: the best step size of each family, and that of the first factor.
    assert "**0.500** times the start's" in text and "a (0.25, step × 0.25)" in text
    assert next(line for line in text.splitlines() if line.startswith("| step × 0.25")).count("0.500") == 1


def test_a_part_is_what_it_was_before_or_is_left_out():
    untrained = AdaptiveShampoo().initial_weights()
    learned = {name: value + np.float32(1) for name, value in untrained.items()}
    found = without_parts(learned, untrained)
    for label, names in (
        ("general", set()),
        ("its rule, untrained", set(learned)),
        ("constants of the law untrained", {name for name in learned if name.startswith("constant/")}),
        ("weights of directions untrained", {name for name in learned if name.startswith("direction/")}),
    ):
        assert {name for name in learned if found[label][name] != learned[name]} == names
        assert all(found[label][name] == untrained[name] for name in names)
    assert found["without whitened"]["direction/whitened"] == 0
    assert 1 / (1 + math.exp(-found["without the average"]["constant/logit_beta"])) < 1e-6


def test_the_page_of_parts_keeps_families_of_other_kinds_apart():
    rows = [
        {"variant": "general", "family": family, "validation": other, "final": math.log(r), "mean": 0.0, "spread": 0.1}
        for family, other, r in (("a", False, 0.5), ("b", False, 2.0), ("c", True, 0.25))
    ]
    text = page_of_parts(pd.DataFrame(rows))
    assert "| general | 1.000 | 1.000 | 0.250 | 1.000 |" in text and "| c | other | 0.25 |" in text


def test_the_page_of_seeds_says_how_far_apart_they_are():
    rows = [
        {"variant": f"seed {seed}", "family": family, "validation": other, "final": math.log(r), "mean": 0.0}
        for seed, ratios in enumerate(((0.5, 2.0), (0.5, 2.42), (0.5, 1.8)))
        for family, other, r in zip("ab", (False, True), ratios, strict=True)
    ]
    text = page_of_seeds(pd.DataFrame(rows))
    # The root of 2.42 / 1.8.
    assert "Over all 2 families the final losses of any two of them are at most 16.0% apart." in text
    assert "| seed 1 | 0.500 | 1.000 | 2.420 | 1.000 |" in text


def test_the_constants_of_each_seed_are_kept_to_the_last_digit(tmp_path):
    untrained = AdaptiveShampoo().initial_weights()
    learned = {name: value + np.float32(1 / 3) for name, value in untrained.items()}
    save_constants(tmp_path, {"seed 1": learned})
    table = pd.read_csv(tmp_path / CONSTANTS, index_col="constant").astype("float32")
    assert {name: table.loc[name, "seed 1"] for name in learned} == learned
    assert {name: table.loc[name, "untrained"] for name in untrained} == untrained
