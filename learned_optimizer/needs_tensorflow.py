"""Importing this raises, in one sentence, unless Keras runs on TensorFlow.

Whatever differentiates through training needs TensorFlow; `LearnedOptimizer` and the presets do not.
"""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Meta-training, problems and evaluation need Keras's TensorFlow backend, and this process runs on "
        f"{keras.backend.backend()}: set the environment variable KERAS_BACKEND to tensorflow before Keras is "
        "imported. All that they need comes with pip install 'learned-optimizer[meta-training]'. LearnedOptimizer and "
        "the presets work on every backend."
    )
