"""The experiments that are not the paper's: suites of tasks, techniques of meta-training, the quick start."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from experiments.definitions.ablations import BASE, META_SEEDS, TECHNIQUES
from experiments.definitions.paper import GLOROT, MNIST
from experiments.experiment import BASELINES, Experiment
from experiments.outcomes.ablations import tabulate_techniques
from experiments.outcomes.suite import summarize_suite
from learned_optimizer.problems.suites import SUITES as TASK_SUITES

# Of results that were not measured anew since.
FORMER_NOTE = " The row of the hand-designed φ is of a former one, with a perceptron, which went nearly the same way."
# Of results from before `fit` left the average.
AT_THETA_NOTE = " Test losses of the hand-designed φ are those of its last iterate here, not of its average."

LARGE_TASKS = ("text-transformer-256", "mnist-mlp-1024", "cifar10-cnn-256")
# Of the suite, those whose steps take least time.
LONG_TASKS = (
    "waves",
    "diabetes",
    "topics",
    "mnist-linear-512",
    "mnist-mlp-relu",
    "mnist-mlp-tanh-16",
    "mnist-dropout",
    "digits-residual-mlp",
    "digits-gru",
    "digits-autoencoder",
)
# What a user would pick: nothing tuned, one rate for all tasks, tuned for each task, tuned and told the end.
PEERS = (
    "adam-default",
    "schedule-free",
    "prodigy",
    "muon",
    "hand-designed",
    "adam-calibrated",
    "adam-calibrated-ema",
    "adam",
    "nag",
    "schedule-free-tuned",
    "adamw-cosine",
)


def _parts(tasks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {task: (f"--problem={task}",) for task in tasks}


HELD_OUT = Experiment(
    "Tasks of other kinds, which were never used to choose anything.",
    "general",
    ("--num_steps=1000", "--test_episodes=3", "--tuning_episodes=2", "--rungs=5"),
    parts=_parts(TASK_SUITES["held-out"]),
    baselines=PEERS,
    minutes=120,
    finish=summarize_suite,
)
SUITES: dict[str, Experiment] = {
    "held-out": HELD_OUT,
    "generalization": Experiment(
        "22 tasks of the development suite, which `general` was not trained on.",
        "general",
        ("--num_steps=1000", "--test_episodes=5", "--tuning_episodes=2", "--rungs=5"),
        parts=_parts([task for task in TASK_SUITES["development"] if task not in LARGE_TASKS]),
        baselines=("adam-default", "hand-designed", *BASELINES, "adamw"),
        minutes=120,
        note="Nothing of `general` was chosen by these tasks; it was run on them once. Some constants of the "
        "hand-designed φ were chosen after a look at them, though by losses on others. `teacher-8` and "
        "`picture-sine` are here because large steps fail on them. On `waves` and `text-attention` an episode "
        "can stay at a plateau." + AT_THETA_NOTE,
        finish=summarize_suite,
    ),
    "generalization-10000": Experiment(
        "Ten of these tasks for 10,000 steps.",
        "general",
        ("--num_steps=10000", "--test_episodes=5", "--tuning_episodes=2", "--rungs=5"),
        parts=_parts(LONG_TASKS),
        baselines=("adam-default", "hand-designed", "adam"),
        minutes=40,
        note="The tasks are those whose steps take least time. `topics` and `digits-residual-mlp` are learned by heart "
        "in the first thousands of steps. Losses as good as 0 count as level." + FORMER_NOTE + AT_THETA_NOTE,
        finish=summarize_suite,
    ),
    "generalization-large": Experiment(
        "Three networks of 1.4 to 1.9 million parameters.",
        "general",
        ("--num_steps=500", "--test_episodes=3", "--tuning_episodes=2", "--rungs=5"),
        parts=_parts(LARGE_TASKS),
        baselines=("adam-default", "hand-designed", "adam"),
        minutes=90,
        note="They are a hundred times as large as the paper's networks. That larger networks begin with smaller steps "
        "was chosen on others, with generated data." + AT_THETA_NOTE,
        finish=summarize_suite,
    ),
    "general-mnist": Experiment(
        "The default on the paper's networks on MNIST, which it was not trained on.",
        "general",
        MNIST,
        parts={
            "mnist": (),
            "mnist-40": ("--hidden_sizes=40",),
            "mnist-2layer": ("--hidden_sizes=20,20", "--stddev=0.1"),
            "mnist-relu": ("--activation=relu",),
        },
        baselines=("hand-designed", *BASELINES),
        minutes=4,
        note="The length of the hand-designed φ's warm-up was chosen after a look at this table, by losses on training "
        "images. `general` was meta-trained for the end of 1,000 steps.",
    ),
    "small-minibatches": Experiment(
        "The default where minibatches have four or eight examples, so that gradients are mostly noise.",
        "general",
        ("--activation=relu", "--hidden_sizes=64", *GLOROT, "--num_steps=1000", "--test_episodes=20"),
        parts={
            f"{data}-{size}": (f"--problem={data}", f"--batch_size={size}")
            for data in ("digits", "mnist", "cifar10")
            for size in (4, 8)
        },
        baselines=("hand-designed", "schedule-free", "adam-default", *BASELINES),
        minutes=25,
    ),
}

OTHERS: dict[str, Experiment] = {
    "ablations": Experiment(
        "What each technique of meta-training gives, with one thing changed at a time.",
        BASE,
        ("--problem=digits", "--test_episodes=21"),
        parts={
            "sigmoid": (),
            "relu": (*GLOROT, "--activation=relu"),
            "tanh-40-40": (*GLOROT, "--activation=tanh", "--hidden_sizes=40,40"),
            "500-steps": (*GLOROT, "--num_steps=500"),
        },
        rivals=tuple(name for name in TECHNIQUES if name != BASE),
        minutes=100,
        meta_seeds=META_SEEDS,
        note="Each row is three meta-trainings of 300 rounds on digits, which differ in the seed. They take the test "
        "episodes in turn. In parentheses are the least and the greatest ratio of the three. `sigmoid` is the network "
        "of the meta-training, the others show what transfers. A meta-loss of other examples aims at the test loss, "
        "and is judged here by the training loss.",
        finish=functools.partial(tabulate_techniques, techniques=TECHNIQUES, meta_seeds=META_SEEDS),
    ),
    "digits": Experiment(
        "On digits, the smaller problem of the quick start, it ends lower than every tuned baseline.",
        "digits",
        ("--problem=digits",),
    ),
    "digits-glorot": Experiment(
        "On digits from Glorot weights it ends lower, too.",
        "digits",
        ("--problem=digits", *GLOROT),
        note="Glorot weights are those that networks start from today.",
    ),
}
