"""Spaces of architectures that tests search, also by name on the command line."""

import keras


def widths(hp, image_shape, num_classes):
    """Networks that differ in nothing but a bottleneck: the wider the better."""
    width = hp.Choice("width", [1, 4, 16, 64])
    activation = hp.Choice("activation", ["relu", "tanh"])
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(width, activation=activation),
            keras.layers.Dense(num_classes),
        ]
    )


def never(hp, image_shape, num_classes):
    """Nothing fits."""
    hp.Int("depth", 1, 3)
    raise ValueError("nothing fits here")
