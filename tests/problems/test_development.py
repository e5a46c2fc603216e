"""The tasks of the suite for development."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems.suites import make_task
from learned_optimizer.problems.suites.development import ALPHABET, TASKS, _sentences

# Networks that know nothing have about the logarithm of the number of classes as their loss.
CLASSES = {"mnist": 10, "digits": 10, "cifar10": 10, "topics": 8, "teacher": 12, "text": len(ALPHABET)}
WITHOUT_DOWNLOAD = [name for name in TASKS if not name.startswith(("mnist", "cifar10"))]
# Of the tasks that need a download one is always built; `make test-slow` builds all.
QUICK = [*WITHOUT_DOWNLOAD, "mnist-cnn"]


@pytest.fixture(params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TASKS])
def task(request):
    if request.param not in WITHOUT_DOWNLOAD:
        request.getfixturevalue(f"{request.param.split('-')[0]}_available")
    return request.param, make_task(request.param)


def test_a_task_begins_at_chance_and_can_be_learned(task):
    name, problem = task
    parameters, state = problem.sample(make_seed(1))
    batch = problem.batch(make_seed(2))
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss, _ = problem.loss(parameters, state, batch)
        # Those of embeddings come as rows.
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, parameters)]
        norm = tf.linalg.global_norm(gradients)
        # Small enough for every task.
        parameters = [p - 0.02 * g / norm for p, g in zip(parameters, gradients, strict=True)]
        losses.append(float(loss))
    assert losses[2] < losses[1] < losses[0]
    kind = name.split("-")[0]
    if kind in CLASSES and "autoencoder" not in name:
        assert losses[0] == pytest.approx(np.log(CLASSES[kind]), abs=1.5)
    metrics = problem.test_metrics(parameters, state)
    assert np.isfinite(float(metrics["test_loss"]))
    assert ("test_accuracy" in metrics) == (kind in CLASSES and "autoencoder" not in name)


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_a_loss_is_decided_by_the_seeds_alone(name):
    losses = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        problem = make_task(name)
        loss, _ = problem.loss(*problem.sample(make_seed(1)), problem.batch(make_seed(2)))
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_each_next_character_is_what_is_to_be_said():
    x, y = _sentences(5, seed=0)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    text = "".join(ALPHABET[i] for i in np.concatenate([x[0], y[0, -1:]]))
    assert text.startswith(("the ", "a ")) and set(text) <= set(ALPHABET)
    assert not np.array_equal(x, _sentences(5, seed=1)[0])


def test_an_unknown_task_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError, match="No task is called 'nist'.*mnist-cnn"):
        make_task("nist")
