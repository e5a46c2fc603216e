"""Uses what the plain installation is for, on JAX; the file that a model is saved in is its argument.

`make wheel` runs it in an environment that has the wheel and JAX, and test_install.py with all else made unavailable.
"""

import sys

# Keras itself imports absl.logging.
BLOCKED = (
    "absl.app", "huggingface_hub", "importlib_resources", "matplotlib", "pandas", "sklearn", "tensorboard",
    "tensorflow", "tensorflow_datasets", "tqdm",
)  # fmt: skip
sys.modules.update(dict.fromkeys(BLOCKED))  # To import one of them fails, as where it is not installed.
import keras
import numpy as np

from learned_optimizer import LearnedOptimizer, SwapAverageWeights, presets
from learned_optimizer.black_box import Float, minimize

assert keras.backend.backend() == "jax"
assert "mnist" in presets.list()
x, y = np.random.default_rng(0).normal(size=(32, 4)).astype("float32"), np.arange(32) % 3
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile(LearnedOptimizer(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
losses = model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[SwapAverageWeights()]).history["loss"]
assert losses[-1] < losses[0]
assert minimize(lambda p: p["x"] ** 2, {"x": Float(-1, 2)}, 8, verbose=0).value < 1
model.optimizer.summary(print_fn=lambda line: None)
model.save(sys.argv[1])
again = keras.models.load_model(sys.argv[1])
assert np.isfinite(again.fit(x, y, verbose=0).history["loss"]).all()
