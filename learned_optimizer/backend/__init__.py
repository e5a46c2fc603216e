"""What meta-training needs of a backend beside `keras.ops`: derivatives, compiled programs, loops, random numbers.

`tensorflow.py` and `jax.py` have the same functions; the one that Keras runs on is taken. Differences that a caller
must know are in the docstrings here:

| function | TensorFlow | JAX |
| --- | --- | --- |
| `value_and_grad` | `GradientTape` | `jax.value_and_grad` |
| `jit` | `tf.function` | `jax.jit`, data that the function closes over as arguments |
| `subroutine` | a `tf.function` within another, traced once | the function itself |
| `scan` | a Python loop where it is differentiated, else `tf.while_loop` | `lax.scan` |
| `for_each` | one after the other | in threads on a CPU |
| `Cluster` | `MultiWorkerMirroredStrategy` | `jax.distributed` |
| `map_episodes` | `vectorized_map`, or one after the other | `vmap`, or one after the other |
| random numbers | Philox | Threefry |
"""

import keras

if keras.backend.backend() == "tensorflow":
    from learned_optimizer.backend.tensorflow import (
        Cluster,
        OptimizerLoop,
        as_generator_state,
        draw_each,
        first_nonfinite_operation,
        fold_in,
        for_each,
        has_accelerator,
        initial_value,
        jit,
        limit_memory,
        local_devices,
        make_apply,
        make_seed,
        map_episodes,
        normal,
        on_device,
        randint,
        read,
        remat_is_faster,
        scan,
        split,
        split_seed,
        subroutine,
        to_numpy,
        uniform,
        value_and_grad,
        versions,
    )
elif keras.backend.backend() == "jax":
    from learned_optimizer.backend.jax import (  # type: ignore[assignment]
        Cluster,
        OptimizerLoop,
        as_generator_state,
        draw_each,
        first_nonfinite_operation,
        fold_in,
        for_each,
        has_accelerator,
        initial_value,
        jit,
        limit_memory,
        local_devices,
        make_apply,
        make_seed,
        map_episodes,
        normal,
        on_device,
        randint,
        read,
        remat_is_faster,
        scan,
        split,
        split_seed,
        subroutine,
        to_numpy,
        uniform,
        value_and_grad,
        versions,
    )
else:
    raise ImportError(
        "Meta-training, problems and evaluation run on Keras's TensorFlow and JAX backends, and this process has "
        f"{keras.backend.backend()}: set the environment variable KERAS_BACKEND to tensorflow or jax before Keras is "
        "imported. All that they need comes with pip install 'learned-optimizer[meta-training]'. LearnedOptimizer and "
        "the presets work on every backend."
    )

__all__ = [
    "Cluster",
    "OptimizerLoop",
    "as_generator_state",
    "draw_each",
    "first_nonfinite_operation",
    "fold_in",
    "for_each",
    "has_accelerator",
    "initial_value",
    "jit",
    "limit_memory",
    "local_devices",
    "make_apply",
    "make_seed",
    "map_episodes",
    "normal",
    "on_device",
    "randint",
    "read",
    "remat_is_faster",
    "scan",
    "split",
    "split_seed",
    "subroutine",
    "to_numpy",
    "uniform",
    "value_and_grad",
    "versions",
]
