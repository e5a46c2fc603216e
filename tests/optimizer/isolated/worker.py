"""One of the workers of a MultiWorkerMirroredStrategy: trains, and writes the weights that it ends with.

Usage: worker.py OPTIMIZER FILE, with TF_CONFIG set; without it, the whole batch is one worker's.
"""

import os
import sys

import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy() if "TF_CONFIG" in os.environ else tf.distribute.get_strategy()

# The strategy must be first.
from contract import OPTIMIZERS, X, Y, network, weights  # noqa: E402

# Keras 3.15 fails in `fit` under this strategy, with every optimizer; a loop of one's own works.
with strategy.scope():
    model, optimizer = network(), OPTIMIZERS[sys.argv[1]]()
    optimizer.build(model.trainable_variables)


@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x))
        loss = tf.reduce_sum(losses) / 8
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).with_options(options)
for _ in range(2):
    for x, y in strategy.experimental_distribute_dataset(data):
        strategy.run(step, (x, y))
np.save(sys.argv[2], weights(model))
