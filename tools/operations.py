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
