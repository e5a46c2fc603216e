import keras
import numpy as np
import pytest

from learned_optimizer.problems import DatasetUnavailableError, load_images


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = load_digits()
    (images, labels), (test_images, test_labels) = load_images("digits"), load_images("digits", "test")
    assert images.shape == (1437, 8, 8, 1) and test_images.shape == (360, 8, 8, 1)
    assert images.dtype == np.uint8 and labels.dtype == np.int32
    together = np.concatenate([images, test_images])[..., 0]
    np.testing.assert_allclose(together / 255, digits.images / 16, atol=0.5 / 255)
    np.testing.assert_array_equal(np.concatenate([labels, test_labels]), digits.target)


@pytest.fixture
def without_tensorflow(monkeypatch):
    """A machine where TensorFlow is not installed, as `load_images` finds it."""
    monkeypatch.setattr("learned_optimizer.problems.data.importlib.util.find_spec", lambda name: None)
    load_images.cache_clear()
    yield monkeypatch
    load_images.cache_clear()


def test_without_tensorflow_data_sets_are_those_of_keras(without_tensorflow):
    grey = np.arange(2 * 4 * 4, dtype="uint8").reshape(2, 4, 4)
    colours, labels = np.zeros((3, 4, 4, 3), "uint8"), np.array([[1], [0], [2]])
    pairs = {"mnist": ((grey, [0, 1]), (grey[:1], [1])), "cifar10": ((colours, labels), (colours[:1], labels[:1]))}
    for name, (train, test) in pairs.items():
        parts = tuple((x, np.asarray(y)) for x, y in (train, test))
        without_tensorflow.setattr(getattr(keras.datasets, name), "load_data", lambda parts=parts: parts)
    images, read = load_images("mnist")
    np.testing.assert_array_equal(images[..., 0], grey)
    assert images.dtype == np.uint8 and read.dtype == np.int32 and read.tolist() == [0, 1]
    images, read = load_images("cifar10", "test")
    assert images.shape == (1, 4, 4, 3) and read.tolist() == [1]


def test_without_tensorflow_other_names_are_refused(without_tensorflow):
    with pytest.raises(ValueError, match="the data sets are 'digits' and mnist.*Received: 'kmnist'"):
        load_images("kmnist")


def test_without_tensorflow_and_network_the_error_says_what_to_do(without_tensorflow):
    def refuse():
        raise OSError("no network")

    without_tensorflow.setattr(keras.datasets.mnist, "load_data", refuse)
    with pytest.raises(DatasetUnavailableError, match="'mnist' was not found in ~/.keras/datasets .*OSError"):
        load_images("mnist")


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="`split` must be one of .* Received: 'validation'"):
        load_images("digits", "validation")


@pytest.mark.parametrize("name", ["no_such_data_set", "no such name!"])
def test_an_unknown_data_set_is_refused_by_name(name, tmp_path):
    with pytest.raises(ValueError, match=f"No data set is called '{name}'") as refusal:
        load_images(name, data_dir=str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_without_network_the_error_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    import requests

    tries = []

    def refuse(self, request, **arguments):
        tries.append((request.url, self.max_retries.total))
        raise requests.exceptions.ConnectionError("no network")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)
    with pytest.raises(DatasetUnavailableError) as refusal:
        load_images("mnist", data_dir=str(tmp_path))
    for part in ("'mnist'", str(tmp_path), "TFDS_DATA_DIR", "--data_dir", "ConnectionError"):
        assert part in str(refusal.value)
    # By itself TensorFlow Datasets goes on trying for minutes.
    assert tries and all(retries <= 3 for _, retries in tries)


@pytest.fixture(scope="module")
def builders():
    """Three data sets that TensorFlow Datasets knows by name, made of a few examples."""
    import tensorflow_datasets as tfds

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        IMAGE = tfds.features.Image(shape=(6, 5, 3))

        def _info(self):
            features = {"image": self.IMAGE, "label": tfds.features.ClassLabel(num_classes=4)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(8):
                yield i, {"image": np.full((6, 5, 3), i, "uint8"), "label": i % 4}

    class TinyImages(Tiny):
        pass

    class TinyImagesOfManySizes(Tiny):
        IMAGE = tfds.features.Image(shape=(None, None, 3))

    class TinyVectors(Tiny):
        IMAGE = tfds.features.Tensor(shape=(6, 5, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(builders, tmp_path_factory):
    return str(tmp_path_factory.mktemp("tensorflow_datasets"))


def test_labelled_images_are_loaded(folder):
    images, labels = load_images("tiny_images", data_dir=folder)
    assert images.shape == (8, 6, 5, 3) and images.dtype == np.uint8 and labels.dtype == np.int32
    np.testing.assert_array_equal(images[:, 0, 0, 0] % 4, labels)
    assert sorted(images[:, 0, 0, 0]) == list(range(8))


def test_the_folder_may_come_from_the_environment(folder, monkeypatch):
    load_images("tiny_images", data_dir=folder)
    load_images.cache_clear()
    monkeypatch.setenv("TFDS_DATA_DIR", folder)
    assert len(load_images("tiny_images")[0]) == 8


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("tiny_images", "test", r"'tiny_images' has no split 'test'. It has \['train'\]"),
        ("tiny_images_of_many_sizes", "train", r"not of one size: \(None, None, 3\). Use KerasProblem"),
        ("tiny_vectors", "train", r"'tiny_vectors' has no 'image' with a 'label'.*Use KerasProblem"),
    ],
)
def test_what_is_no_such_data_set_is_refused(name, split, message, folder):
    with pytest.raises(ValueError, match=message):
        load_images(name, split, folder)


@pytest.mark.slow
def test_mnist_is_whole(mnist_available):
    for split, count in (("train", 60_000), ("test", 10_000)):
        images, labels = load_images("mnist", split)
        assert images.shape == (count, 28, 28, 1) and images.max() == 255
        assert set(labels) == set(range(10))
