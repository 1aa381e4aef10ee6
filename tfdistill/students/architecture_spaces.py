"""Spaces of architectures to search: what a network may look like.

A space is a callable `(hp, image_shape, num_classes) -> keras.Model` with logits, where
`hp` is a `keras_tuner.HyperParameters` that makes every choice. It raises a
`ValueError` if a network doesn't fit the images.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np

#: The operations of a cell (Such et al. 2019, section 4.3).
OPERATIONS = (
    "identity",
    "conv_1x1",
    "conv_3x3",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "max_pool_2",
    "max_pool_3",
    "max_pool_5",
    "average_pool_2",
    "average_pool_3",
    "average_pool_5",
)
_NODES = 5
# Keras's 0.99 forgets its start only after hundreds of steps.
_BATCH_NORM_MOMENTUM = 0.9


def small_convnets(hp, image_shape: Sequence[int], num_classes: int) -> keras.Model:
    """Small convolutional networks: 3,240 of them.

    One to three blocks of convolution, norm, activation and pooling, then perhaps a
    hidden dense layer, then the last layer. There are 3,888 choices, since `growth` is
    chosen for a single block, too, where it changes nothing: a search may rank such a
    network twice.

    Args:
        hp: Makes the choices.
        image_shape: (height, width, channels), sides of at least 2 ** depth.
        num_classes: Number of classes, at least 2.

    Raises:
        ValueError: If the images are too small for the depth that is chosen.

    Example:
        >>> import tfdistill
        >>> from keras_tuner import HyperParameters
        >>> hp = HyperParameters()  # of defaults, until it is told to choose
        >>> model = tfdistill.architecture_spaces.small_convnets(hp, (8, 8, 1), 10)
        >>> hp.values["depth"], model.output_shape
        (2, (None, 10))
    """
    depth = hp.Int("depth", 1, 3, default=2)
    width = hp.Choice("width", [8, 16, 32], default=16)
    growth = hp.Choice("growth", [1, 2], default=1)
    kernel = hp.Choice("kernel", [3, 5], default=3)
    norm = hp.Choice("norm", ["none", "batch", "instance", "layer"], default="none")
    activation = hp.Choice("activation", ["relu", "leaky_relu", "tanh"], default="relu")
    pooling = hp.Choice("pooling", ["max", "average", "stride"], default="max")
    dense = hp.Choice("dense", [0, 32, 128], default=0)
    if min(image_shape[:2]) < 2**depth:
        raise ValueError(
            f"depth {depth} needs images with sides of at least {2**depth}, not "
            f"{tuple(image_shape)}."
        )
    images = x = keras.Input(tuple(image_shape), name="images")
    for block in range(depth):
        x = keras.layers.Conv2D(
            width * growth**block,
            kernel,
            strides=2 if pooling == "stride" else 1,
            padding="same",
        )(x)
        x = _normalized(x, norm)
        x = keras.layers.Activation(activation)(x)
        if pooling != "stride":
            x = _pool(pooling, 2, strides=2, padding="valid")(x)
    x = keras.layers.Flatten()(x)
    if dense:
        x = keras.layers.Dense(dense, activation=activation)(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


def cells(
    hp,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: int = 16,
    repeats: int = 1,
) -> keras.Model:
    """A stack of cells: normal ones keep the size of images, reductions halve it.

    A cell has two inputs, the outputs of the two cells before it. Each of its five
    nodes adds the results of two of `OPERATIONS`, each applied to an earlier state of
    the cell. Its output is made of the nodes that no other node uses. The stack is
    normal, reduction, normal, reduction, normal, with twice the channels after each
    reduction.

    Args:
        hp: Chooses operations and inputs, the same for all cells of a kind.
        image_shape: (height, width, channels), sides of at least 4.
        num_classes: Number of classes, at least 2.
        channels: Channels of the first cells; the paper searches with 32 or more.
        repeats: Normal cells in a row.

    Raises:
        ValueError: If the images are too small.

    Example:
        >>> import tfdistill
        >>> from keras_tuner import HyperParameters
        >>> from tfdistill import architecture_spaces
        >>> hp = HyperParameters()
        >>> architecture_spaces.cells(hp, (8, 8, 1), 10, channels=2).output_shape
        (None, 10)
    """
    normal, reduction = (_plan(hp, kind) for kind in ("normal", "reduction"))
    if min(image_shape[:2]) < 4:
        raise ValueError(
            "the two reductions need images with sides of at least 4, not "
            f"{tuple(image_shape)}."
        )
    images = keras.Input(tuple(image_shape), name="images")
    x = _normalized(_conv(channels, 3)(images))
    states = [x, x]
    for stage in range(3):
        if stage:
            channels *= 2
            states = [states[1], _cell(states, reduction, channels, strides=2)]
        for _ in range(repeats):
            states = [states[1], _cell(states, normal, channels, strides=1)]
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(states[1]))
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


#: The spaces that ship, by name.
SPACES: dict[str, Callable[..., keras.Model]] = {
    space.__name__: space for space in (small_convnets, cells)
}


def drawn(space: str, number: int) -> Callable[..., keras.Model]:
    """A random network of a shipped space, as a student.

    Data that is distilled for several networks of a space ranks the others better than
    data that is distilled for one.

    Args:
        space: Name of the space.
        number: Seed of the draw, at least 0: the same number gives the same network.

    Example:
        >>> import tfdistill
        >>> student = tfdistill.architecture_spaces.drawn("small_convnets", 3)
        >>> student.__name__, student((8, 8, 1), 10).output_shape
        ('small_convnets@3', (None, 10))
    """

    def student(image_shape=(28, 28, 1), num_classes=10):
        return SPACES[space](_Random(number), image_shape, num_classes)

    student.__name__ = f"{space}@{number}"
    return student


class _Random:
    """Chooses at random, by the methods of `keras_tuner.HyperParameters`."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def Choice(self, name, values, **_):
        return values[self._rng.integers(len(values))]

    def Int(self, name, min_value, max_value, **_):
        return int(self._rng.integers(min_value, max_value, endpoint=True))


def _plan(hp, kind):
    """For each node of a cell, two pairs (operation, number of the state)."""
    return [
        [
            (
                hp.Choice(f"{kind}_{node}{side}_operation", OPERATIONS),
                hp.Int(f"{kind}_{node}{side}_input", 0, node + 1),
            )
            for side in "ab"
        ]
        for node in range(_NODES)
    ]


def _cell(inputs, plan, channels, strides):
    size = inputs[1].shape[1:3]
    # After a reduction the older of the two inputs is larger.
    states = [
        _fitted(x, channels, strides=1 if x.shape[1:3] == size else 2) for x in inputs
    ]
    taken = set()
    for node in plan:
        results = []
        for operation, state in node:
            taken.add(state)
            # Only the inputs of the cell have the size from before the reduction.
            results.append(
                _apply(operation, states[state], channels, strides if state < 2 else 1)
            )
        states.append(keras.layers.Add()(results))
    free = [x for number, x in enumerate(states) if number not in taken and number > 1]
    return keras.layers.Concatenate()(free) if len(free) > 1 else free[0]


def _apply(operation, x, channels, strides):
    kind, _, size = operation.rpartition("_")
    if operation == "identity":
        return x if strides == 1 else _fitted(x, channels, strides)
    if kind == "max_pool" or kind == "average_pool":
        return _pool(kind.removesuffix("_pool"), int(size), strides, "same")(x)
    x = keras.layers.ReLU()(x)
    for kernel in operation.removeprefix("conv_").split("_"):
        x = _conv(channels, tuple(map(int, kernel.split("x"))), strides)(x)
        strides = 1
    return _normalized(x)


def _fitted(x, channels, strides):
    return _normalized(_conv(channels, 1, strides)(keras.layers.ReLU()(x)))


def _conv(filters, kernel, strides=1):
    return keras.layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)


def _pool(kind, size, strides, padding):
    layers = {
        "max": keras.layers.MaxPooling2D,
        "average": keras.layers.AveragePooling2D,
    }
    return layers[kind](size, strides, padding)


def _normalized(x, norm="batch"):
    if norm == "none":
        return x
    if norm == "batch":
        return keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    groups = {"instance": -1, "layer": 1}[norm]
    return keras.layers.GroupNormalization(groups, epsilon=1e-5)(x)
