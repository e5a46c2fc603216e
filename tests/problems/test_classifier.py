import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import MLPClassifier, load_images
from learned_optimizer.problems.classifier import ACTIVATIONS

NUMPY_ACTIVATIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "gelu": lambda x: x * stats.norm.cdf(x),
}


def numpy_loss(parameters, images, labels, activation):
    x = images.reshape(len(images), -1).astype("float64")
    for layer in range(0, len(parameters), 2):
        x = x if layer == 0 else activation(x)
        x = x @ parameters[layer] + parameters[layer + 1]
    log_probabilities = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_is_the_cross_entropy_of_numpy(activation, seed):
    problem = MLPClassifier("digits", (7, 5), activation, batch_size=16, stddev=0.5)
    parameters, state = problem.sample(seed)
    batch = problem.batch(seed)
    loss, next_state = problem.loss(parameters, state, batch)
    expected = numpy_loss(
        [p.numpy().astype("float64") for p in parameters], *(b.numpy() for b in batch), NUMPY_ACTIVATIONS[activation]
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert state == next_state == ()


def test_without_hidden_layers_it_is_a_linear_classifier():
    assert list(MLPClassifier("digits", ()).parameter_shapes) == [(64, 10), (10,)]


def test_flattening_and_unflattening_are_inverse(seed):
    problem = MLPClassifier("digits", (3,))
    parameters, _ = problem.sample(seed)
    theta = problem.flatten(parameters)
    assert theta.shape == (problem.num_coordinates,) == (64 * 3 + 3 + 3 * 10 + 10,)
    assert [p.shape for p in parameters] == [tf.TensorShape(shape) for shape in problem.parameter_shapes]
    for parameter, again in zip(parameters, problem.unflatten(theta), strict=True):
        np.testing.assert_array_equal(parameter, again)


def test_normal_initialization_has_its_deviation_in_kernels_and_biases(seed):
    parameters, _ = MLPClassifier("digits", (200,), stddev=0.1).sample(seed)
    for parameter in parameters:
        values = parameter.numpy()
        assert abs(values.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * values.size)
        assert abs(values.mean()) < 5 * 0.1 / np.sqrt(values.size)


def test_glorot_initialization_is_that_of_dense_layers(seed):
    kernel, bias, *_ = MLPClassifier("digits", (200,), initialization="glorot").sample(seed)[0]
    limit = np.sqrt(6 / (64 + 200))
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert abs(kernel.numpy().std() - limit / np.sqrt(3)) < 0.01 * limit
    assert not bias.numpy().any()


def test_of_several_initializations_each_episode_draws_one():
    problem = MLPClassifier("digits", (3,), initialization=["normal", "glorot"])
    sample = tf.function(problem.sample)
    # Glorot's biases are zeros.
    normal = [sample(make_seed(number))[0][1].numpy().any() for number in range(60)]
    assert 15 < sum(normal) < 45


def test_minibatches_are_examples_drawn_with_replacement(seed):
    problem = MLPClassifier("digits", batch_size=4000)
    images, labels = problem.batch(seed)
    known_images, known_labels = load_images("digits")
    known = {(image.tobytes(), label) for image, label in zip(known_images, known_labels, strict=True)}
    drawn = {
        (np.round(image * 255).astype("uint8").tobytes(), label)
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    }
    assert drawn <= known
    # 4,000 draws of 1,437 miss e^(−2.8) of them.
    assert 0.9 * len(known) < len(drawn) < 0.97 * len(known)
    assert images.numpy().min() == 0 and images.numpy().max() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_sizes": (0,)},
        {"hidden_sizes": 20},
        {"activation": "step"},
        {"batch_size": 0},
        {"initialization": "zeros"},
        {"initialization": ["glorot", "zeros"]},
        {"initialization": []},
        {"stddev": -1.0},
        {"split": "validation"},
    ],
    ids=str,
)
def test_refuses_arguments_out_of_range(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}`.*Received: "):
        MLPClassifier("digits", **arguments)


def test_mnist_has_the_coordinates_of_the_paper(mnist_available, seed):
    problem = MLPClassifier("mnist")
    assert problem.num_coordinates == 784 * 20 + 20 + 20 * 10 + 10
    parameters, state = problem.sample(seed)
    loss, _ = problem.loss(parameters, state, problem.batch(seed))
    # Small weights: every class has the same probability.
    np.testing.assert_allclose(loss, np.log(10), atol=0.05)
