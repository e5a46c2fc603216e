import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import NeuralArt
from learned_optimizer.problems.features import CHANNELS, load_features
from learned_optimizer.problems.pictures import STYLES, load_picture, photograph, resized, scaled


@pytest.fixture(scope="module")
def problem():
    return NeuralArt(16)


def numpy_gram(activation):
    flat = activation[0].reshape(-1, activation.shape[-1]).astype("float64")
    return flat.T @ flat / len(flat)


@pytest.mark.parametrize("network", CHANNELS)
def test_the_loss_is_that_of_numpy(network, seed):
    problem = NeuralArt(16, "mosaic", network, content_weight=2.0, style_weight=3.0, regularization=5.0)
    (image,), (content, _) = problem.sample(seed)
    image, features = image.numpy(), load_features(network)
    of_image, of_style, of_content = (
        dict(zip(features.layers, [a.numpy() for a in features.model(x[None])], strict=True))
        for x in (image, problem.style, content)
    )
    content_loss = sum(
        weight * ((of_image[name] - of_content[name]) ** 2).sum() / (of_style[name] ** 2).sum()
        for name, weight in features.content.items()
    )
    style_loss = 0
    for name, weight in features.style.items():
        goal = numpy_gram(of_style[name])
        style_loss += weight * ((numpy_gram(of_image[name]) - goal) ** 2).sum() / (goal**2).sum()
    roughness = (np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean()
    loss, _ = problem.loss([tf.constant(image)], problem.sample(seed)[1], ())
    np.testing.assert_allclose(loss, 2 * content_loss + 3 * style_loss + 5 * roughness, rtol=1e-4)


def test_weights_that_are_not_given_are_those_of_the_network(seed):
    default = NeuralArt(16)
    features = load_features("cifar10")
    alpha, beta, gamma = features.weights
    stated = NeuralArt(
        16,
        content_weight=alpha,
        style_weight=beta,
        regularization=gamma,
        style_layers=features.style,
        content_layers=features.content,
    )
    parameters, state = default.sample(seed)
    assert default.loss(parameters, state, ())[0] == stated.loss(parameters, state, ())[0]
    assert sum(features.style.values()) == pytest.approx(1) and sum(features.content.values()) == pytest.approx(1)


def test_it_starts_from_noise_or_from_the_content(seed):
    (noise,), (content, _) = NeuralArt(16, stddev=0.0).sample(seed)
    np.testing.assert_array_equal(noise, np.full((16, 16, 3), 0.5, "float32"))
    (image,), _ = NeuralArt(16, start="content", stddev=0.0).sample(seed)
    np.testing.assert_array_equal(image, content)


def test_the_content_itself_has_no_content_loss_and_the_style_no_style_loss(seed):
    problem = NeuralArt(16, style_weight=0.0, regularization=0.0)
    _, state = problem.sample(seed)
    np.testing.assert_allclose(problem.loss([state[0]], state, ())[0], 0, atol=1e-6)
    problem = NeuralArt(16, content_weight=0.0, regularization=0.0)
    np.testing.assert_allclose(problem.loss([tf.constant(problem.style)], state, ())[0], 0, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences(problem, seed):
    (image,), state = problem.sample(seed)
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss, _ = problem.loss([image], state, ())
    gradient = tape.gradient(loss, image)
    slope = tf.norm(gradient)
    ahead, behind = (problem.loss([image + h * gradient / slope], state, ())[0] for h in (0.01, -0.01))
    np.testing.assert_allclose(slope, (ahead - behind) / 0.02, rtol=0.02)


def test_contents_are_parts_of_the_photograph_of_the_split():
    for split in ("train", "test"):
        problem = NeuralArt(32, split=split)
        contents = [problem.draw_content(make_seed(number)).numpy() for number in range(3)]
        assert all(content.min() >= 0 and content.max() <= 1 for content in contents)
        assert not np.allclose(contents[0], contents[1], atol=0.05)
        # The mean colour of some part is far from that of no part.
        assert np.abs(np.mean(contents, axis=(0, 1, 2)) - photograph(split).mean(axis=(0, 1))).max() < 0.25


def test_a_constant_photograph_gives_constant_contents(tmp_path):
    tf.io.write_file(str(tmp_path / "red.png"), tf.io.encode_png(np.full((40, 60, 3), (200, 0, 0), "uint8")))
    problem = NeuralArt(16, style=str(tmp_path / "red.png"), content=str(tmp_path / "red.png"))
    expected = np.broadcast_to(np.float32([200 / 255, 0, 0]), (16, 16, 3))
    np.testing.assert_allclose(problem.draw_content(make_seed(1)), expected, atol=1e-5)
    np.testing.assert_allclose(problem.style, expected, atol=1e-5)


@pytest.mark.parametrize("style", STYLES)
def test_styles_are_pictures_of_any_size(style):
    small, large = STYLES[style](64), STYLES[style](128)
    assert small.shape == (64, 64, 3) and small.dtype == large.dtype == np.float32
    assert large.min() >= 0 and large.max() <= 1 and large.std() > 0.1
    # The same picture.
    assert np.abs(resized(large, 64) - small).mean() < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 30}, "`image_size` must be a multiple of 4, at least 8. Received: 30"),
        ({"start": "style"}, "`start` must be one of .*Received: 'style'"),
        ({"style_layers": {"conv_9": 1.0}}, "Layers to compare must be among pixels, .*Received: conv_9"),
        ({"split": "validation"}, "`split` must be one of"),
        ({"style": "no_such.png"}, "no_such.png cannot be read as a picture"),
        ({"style_weight": -1.0}, "`style_weight` must not be negative. Received: -1.0"),
        ({"features": "no_such.h5"}, "VGG-19's weights could not be had from 'no_such.h5'"),
    ],
    ids=str,
)
def test_refuses_what_it_cannot_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        NeuralArt(**arguments)


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ValueError, match="JPEG, PNG, GIF or BMP was expected"):
        load_picture(tmp_path / "x.png")


def test_a_picture_is_scaled_as_a_whole():
    picture = photograph("train")
    assert scaled(picture, 64).shape == (43, 64, 3)
    np.testing.assert_allclose(scaled(picture, 64).mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=0.01)
