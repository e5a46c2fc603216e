"""What a GPU makes of the library under JAX, in one process that runs unattended for some minutes.

It imports JAX, Keras, NumPy, safetensors and the library, and optax where it is installed; neither TensorFlow nor
pandas. `python -m benchmarks.gpu --help` has the flags.
"""
