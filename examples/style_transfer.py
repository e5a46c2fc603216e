"""Style transfer: one picture with the content of another in its own style.

    python examples/style_transfer.py --content=photograph.jpg --style=painting.jpg --out=result.png

The pixels are optimized, from those of the content (Gatys et al., 2016). Without pictures of your own it takes a
photograph that is inside scikit-learn, and a style that is computed.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from learned_optimizer import LearnedOptimizer
from learned_optimizer.problems import StyleTransfer
from learned_optimizer.problems.pictures import load_picture, mosaic, photograph, scaled

STEPS_PER_EPOCH = 10
# Smoother, and with more of the strokes and colours of a style, than the weights that optimizers are compared under.
WEIGHTS = {
    "regularization": 6.0,
    "style_layers": {"pixels": 0.3, "conv_0": 0.2, "conv_2": 0.2, "conv_4": 0.2, "conv_6": 0.1},
    "content_layers": {"conv_4": 1.0},
}


def main(
    optimizer: keras.optimizers.Optimizer | None = None,
    epochs: int = 30,
    content: str | None = None,
    style: str | None = None,
    out: str | None = None,
    size: int = 256,
    style_weight: float = 6.0,
    features: str = "vgg8",
) -> list[float]:
    """Makes the picture, and returns the loss after every ten steps.

    Args:
        optimizer: A new optimizer; by default the learned one, which has no rate to tune.
        epochs: Tens of steps.
        content: Path of the picture whose content it has.
        style: Path of the picture whose style it has.
        out: Path to write it to; by default it is not written.
        size: Pixels of the longer side.
        style_weight: β, the weight of the style.
        features: The network that compares pictures, such as the path of VGG-19's weights; see `load_features`.
    """
    target = scaled(load_picture(content) if content else photograph("train"), size)
    pattern = scaled(load_picture(style), size) if style else mosaic(size)
    transfer = StyleTransfer(pattern, features, style_weight=style_weight, **(WEIGHTS if features == "vgg8" else {}))
    goal = transfer.content_features(target)

    image = keras.Variable(target, name="pixels")
    optimizer = optimizer or LearnedOptimizer()
    optimizer.build([image])

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = transfer(image.value, goal)
        optimizer.apply(tape.gradient(loss, [image.value]), [image])
        return loss

    losses = []
    for epoch in range(epochs):
        losses.append(float(np.mean([step() for _ in range(STEPS_PER_EPOCH)])))
        print(f"step {STEPS_PER_EPOCH * (epoch + 1)}: loss {losses[-1]:.4f}")
    if isinstance(optimizer, LearnedOptimizer):
        optimizer.summary()
    if out:
        keras.utils.save_img(out, 255 * np.clip(image.numpy(), 0, 1), scale=False, data_format="channels_last")
        print(f"Written: {out}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", help="picture whose content the result has")
    parser.add_argument("--style", help="picture whose style the result has")
    parser.add_argument("--out", default="style_transfer.png", help="file of the result")
    parser.add_argument("--size", type=int, default=256, help="pixels of the longer side")
    parser.add_argument("--style_weight", type=float, default=6.0, help="how much the style counts")
    parser.add_argument("--features", default="vgg8", help="network that compares pictures: vgg8, or VGG-19's weights")
    parser.add_argument("--epochs", type=int, default=30, help="tens of steps")
    main(**vars(parser.parse_args()))
