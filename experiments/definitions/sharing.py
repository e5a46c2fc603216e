"""Rules whose coordinates share information beside the plain LSTM, all meta-trained alike."""

from __future__ import annotations

import functools

from experiments.experiment import Experiment
from experiments.outcomes.sharing import tabulate_rules

# The number of seeds of each meta-training, since the outcome depends on the seed.
META_SEEDS = 2
# The rule of a meta-training by what comes last in the name of its configuration file; the first is compared with.
RULES = {"lstm": "LSTM", "gac": "LSTM+GAC", "ntm-bfgs": "NTM-BFGS"}
_NOTE = (
    "Each rule was meta-trained {rounds}. Settings and the two seeds are the same, and meta-gradients are of all "
    "coordinates. That is a small budget: it says which rule learns sooner, not where each would end. The two "
    "meta-trainings of a rule take the test episodes in turn. In parentheses are their own ratios to the LSTM of the "
    "same seed. Intervals are over the episodes, for these two meta-trainings alone: where the two differ much, so "
    "will others. "
)


def _sharing(
    problem: str, claim: str, flags: tuple[str, ...], parts: dict[str, tuple[str, ...]], note: str
) -> Experiment:
    titles = {f"sharing-{problem}-{end}": title for end, title in RULES.items()}
    first, *rivals = titles
    return Experiment(
        claim,
        first,
        flags,
        parts=parts,
        rivals=tuple(rivals),
        baselines=("adam",),
        minutes=20,
        meta_seeds=META_SEEDS,
        note=note,
        finish=functools.partial(tabulate_rules, rules=titles, meta_seeds=META_SEEDS),
    )


SHARING: dict[str, Experiment] = {
    "sharing-quadratic": _sharing(
        "quadratic",
        "What it gives on quadratics that coordinates share information (LSTM+GAC and NTM-BFGS).",
        ("--problem=quadratic", "--functions=1", "--test_episodes=256"),
        {"10-dimensional": (), "30-dimensional": ("--dimension=30",)},
        _NOTE.format(rounds="for 120 rounds of 64 quadratics of 10 dimensions, and 100 steps")
        + "An episode is one quadratic, in place of the 128 of the experiment `quadratic`, so that functions share "
        "nothing. The memory of NTM-BFGS holds 100 steps.",
    ),
    "sharing-mnist": _sharing(
        "mnist",
        "What it gives on MNIST that coordinates share information (LSTM+GAC and NTM-BFGS).",
        ("--problem=mnist", "--test_episodes=20", "--rungs=3"),
        {"14x14": ("--downscale=2",), "28x28": ()},
        _NOTE.format(rounds="for 60 rounds of two 196-20-10 networks on images of half the width, and 100 steps")
        + "`14x14` is that network. `28x28` is the paper's, which no rule was meta-trained on. The memory of NTM-BFGS "
        "holds the latest 10 steps.",
    ),
}
