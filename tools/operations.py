"""Floating point operations of networks, which measured times are compared with."""

import math

import keras


def forward(model: keras.Model) -> int:
    """Those of one image on its way forward, in convolutions and products."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
            # Each weight (of a convolution, at each place) multiplies and adds once.
            places = math.prod(layer.output.shape[1:-1])
            total += 2 * math.prod(layer.kernel.shape) * places
    return total


def ridge(model: keras.Model, images: int, real: int) -> int:
    """Those of an outer step of ridge regression, for one student.

    It takes the features of both batches, those of the synthetic one with their
    gradient by the images; then the student takes a step, which costs three times what
    its way forward does.

    Args:
        model: The student's network.
        images, real: Number of synthetic and of real images.
    """
    return forward(model) * (5 * images + real)
