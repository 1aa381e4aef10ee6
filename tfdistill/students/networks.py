"""The papers' networks, sized from the data's images and classes."""

from collections.abc import Sequence

import keras
import numpy as np

from tfdistill._internal.checks import check_int, is_int
from tfdistill.inner.second_order.functions import normalized_locally


@keras.saving.register_keras_serializable("tfdistill")
class XavierNormal(keras.initializers.VarianceScaling):
    """Normal with mean 0 and variance 2 / (fan_in + fan_out), of any kernel.

    Args:
        seed: An int or a `keras.random.SeedGenerator`; by default, a new one.
    """

    # Not Keras's GlorotNormal: it truncates the normal at two deviations, and the
    # initialiser of the paper's students does not.

    def __init__(self, seed=None):
        super().__init__(1.0, "fan_avg", "untruncated_normal", seed=seed)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


@keras.saving.register_keras_serializable("tfdistill")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by the energy of its neighbours in the channels.

    `y_c = x_c / (k + alpha / size * sum_j x_j ** 2) ** beta`, where j runs from
    c - size // 2 to c + (size - 1) // 2: torch's convention, which divides alpha by the
    size as `tf.nn.local_response_normalization` does not.

    Args:
        size: Number of channels in a window, at least 1.
        alpha: Weight of the mean energy, at least 0.
        beta: Exponent.
        k: Constant that is added to the energy, > 0.
    """

    def __init__(self, size=4, alpha=0.001 / 9, beta=0.75, k=1.0, **kwargs):
        super().__init__(**kwargs)
        size = check_int("size", size, 1)
        if not alpha >= 0:
            raise ValueError(f"alpha must be at least 0, not {alpha!r}.")
        if not k > 0:
            raise ValueError(f"k must be above 0, not {k!r}.")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, inputs):
        # TensorFlow's own op has no second derivative.
        channel = np.arange(inputs.shape[-1])
        ahead = channel[:, None] - channel  # of the output channel
        window = (ahead >= -(self.size // 2)) & (ahead <= (self.size - 1) // 2)
        window = window * (self.alpha / self.size)
        return normalized_locally(inputs, window, self.k, self.beta)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "alpha", "beta", "k")}
        return {**super().get_config(), **own}


def lenet(
    image_shape: Sequence[int] = (28, 28, 1), num_classes: int = 10
) -> keras.Model:
    """LeNet-5, the student for MNIST (Wang et al. 2018, section 4).

    Images of less than 32 pixels are padded, as in the paper; those of less than 12,
    before both convolutions.

    Args:
        image_shape: (height, width, channels), sides of at least 4.
        num_classes: Number of classes, at least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.lenet((28, 28, 1), num_classes=10).count_params()
        61706
    """
    side = _smallest_side("lenet", image_shape, at_least=4)
    layers = [
        _conv(6, 5, padding="same" if side < 32 else "valid"),
        keras.layers.MaxPooling2D(2),
        _conv(16, 5, padding="same" if side < 12 else "valid"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        _dense(120),
        _dense(84),
    ]
    return _classifier("lenet", image_shape, layers, num_classes)


def alex_cifar_net(
    image_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10
) -> keras.Model:
    """The student for CIFAR-10 (Wang et al. 2018, section 4).

    Two 5 x 5 convolutions of 64 channels, each with overlapping max pooling and local
    response normalisation, then dense layers of 384 and 192 (Krizhevsky et al. 2012).

    Args:
        image_shape: (height, width, channels).
        num_classes: Number of classes, at least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is not an integer, or too small.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.alex_cifar_net((32, 32, 3)).count_params()
        1756426
    """

    def pool():
        # "same" would pad one side only. Zeros serve for torch's -inf, as nothing
        # that is pooled here is negative.
        return [keras.layers.ZeroPadding2D(1), keras.layers.MaxPooling2D(3, 2)]

    layers = [
        _conv(64, 5),
        *pool(),
        LocalResponseNormalization(),
        _conv(64, 5),
        LocalResponseNormalization(),
        *pool(),
        keras.layers.Flatten(),
        _dense(384),
        _dense(192),
    ]
    return _classifier("alex_cifar_net", image_shape, layers, num_classes)


def alexnet(
    image_shape: Sequence[int] = (224, 224, 3), num_classes: int = 10
) -> keras.Model:
    """AlexNet in one tower, without dropout (Wang et al. 2018, section 4).

    Five convolutions, of 64, 192, 384, 256 and 256 channels, and two dense layers of
    4096, as in torchvision's, which follows Krizhevsky 2014 (arXiv:1404.5997).

    Args:
        image_shape: (height, width, channels), sides of at least 63.
        num_classes: Number of classes, at least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.alexnet((64, 64, 3), num_classes=200).output_shape
        (None, 200)
    """
    layers = [
        keras.layers.ZeroPadding2D(2),
        _conv(64, 11, strides=4, padding="valid"),
        keras.layers.MaxPooling2D(3, 2),
        _conv(192, 5),
        keras.layers.MaxPooling2D(3, 2),
        _conv(384, 3),
        _conv(256, 3),
        _conv(256, 3),
        keras.layers.MaxPooling2D(3, 2),
        keras.layers.Flatten(),
        _dense(4096),
        _dense(4096),
    ]
    return _classifier("alexnet", image_shape, layers, num_classes, smallest=63)


def convnet(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    width: int = 128,
    depth: int = 3,
) -> keras.Model:
    """Convolutions with instance norm: the usual student of later distillation work.

    Zhao, Mopuri and Bilen 2021 (arXiv:2006.05929) took it from Gidaris and Komodakis
    2018 (arXiv:1804.09458), and introduced it to distillation.

    Args:
        image_shape: (height, width, channels), sides of at least 2 ** depth.
        num_classes: Number of classes, at least 2.
        width: Channels of each convolution, at least 1.
        depth: Number of blocks, at least 1; each halves the image.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.convnet((8, 8, 1), width=16, depth=2).output_shape
        (None, 10)
    """
    width, depth = check_int("width", width, 1), check_int("depth", depth, 1)
    layers = []
    for _ in range(depth):
        layers += [
            _conv(width, 3, activation=None),
            keras.layers.GroupNormalization(groups=-1, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.AveragePooling2D(2),
        ]
    layers.append(keras.layers.Flatten())
    return _classifier("convnet", image_shape, layers, num_classes, smallest=2**depth)


def wide_convnet(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    widths: Sequence[int] = (128, 256, 512),
    batch_norm: bool = False,
) -> keras.Model:
    """Convolutions that grow wider, without a norm: the network of Zhou et al. 2022.

    Args:
        image_shape: (height, width, channels), sides of at least 2 ** depth.
        num_classes: Number of classes, at least 2.
        widths: Channels of each convolution, at least 1; each block halves the image.
        batch_norm: Whether there is batch norm before each ReLU.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.wide_convnet((8, 8, 1), widths=(16, 32)).output_shape
        (None, 10)
    """
    widths = _counts("widths", widths)
    layers: list = []
    for width in widths:
        layers.append(_conv(width, 3, activation=None))
        if batch_norm:
            layers.append(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        layers += [keras.layers.ReLU(), keras.layers.AveragePooling2D(2)]
    layers.append(keras.layers.Flatten())
    name = "wide_convnet_bn" if batch_norm else "wide_convnet"
    return _classifier(name, image_shape, layers, num_classes, 2 ** len(widths))


def wide_convnet_bn(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    widths: Sequence[int] = (128, 256, 512),
) -> keras.Model:
    """`wide_convnet` with batch norm, as Zhou et al. 2022 distil through it.

    Args:
        image_shape, num_classes, widths: Same as for `wide_convnet`.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.wide_convnet_bn((8, 8, 1), widths=(16, 32)).output_shape
        (None, 10)
    """
    return wide_convnet(image_shape, num_classes, widths=widths, batch_norm=True)


def mlp(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    hidden: Sequence[int] = (128, 128),
) -> keras.Model:
    """A multilayer perceptron: dense layers only.

    Args:
        image_shape: (height, width, channels).
        num_classes: Number of classes, at least 2.
        hidden: Units of each hidden layer.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is not an integer, or too small.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.mlp((8, 8, 1), hidden=(32,)).count_params()
        2410
    """
    hidden = _counts("hidden", hidden)
    layers = [keras.layers.Flatten(), *(_dense(units) for units in hidden)]
    return _classifier("mlp", image_shape, layers, num_classes)


def linear(
    image_shape: Sequence[int] = (28, 28, 1), num_classes: int = 10
) -> keras.Model:
    """Softmax regression.

    Args:
        image_shape: (height, width, channels).
        num_classes: Number of classes, at least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is not an integer, or too small.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.linear((8, 8, 1)).count_params()
        650
    """
    return _classifier("linear", image_shape, [keras.layers.Flatten()], num_classes)


def _conv(filters, size, padding="same", activation="relu", **kwargs):
    return keras.layers.Conv2D(
        filters,
        size,
        padding=padding,
        activation=activation,
        kernel_initializer=XavierNormal(),
        **kwargs,
    )


def _dense(units, activation="relu"):
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=XavierNormal()
    )


def _classifier(name, image_shape, layers, num_classes, smallest=1):
    _smallest_side(name, image_shape, smallest)
    num_classes = check_int("num_classes", num_classes, 2)
    images = outputs = keras.Input(tuple(image_shape), name="images")
    for layer in (*layers, _dense(num_classes, activation=None)):
        outputs = layer(outputs)
    return keras.Model(images, outputs, name=name)


def _counts(name, values):
    if not isinstance(values, Sequence) or not all(is_int(v, 1) for v in values):
        raise ValueError(f"{name} must be integers of at least 1, not {values!r}.")
    return [int(v) for v in values]


def _smallest_side(name, image_shape, at_least):
    # Channels are a count like the sides, with no smallest size.
    floors = (at_least, at_least, 1)
    if (
        not isinstance(image_shape, Sequence)
        or len(image_shape) != len(floors)
        or not all(map(is_int, image_shape, floors))
    ):
        raise ValueError(
            "image_shape must be (height, width, channels) with sides of at least "
            f"{at_least} for {name}, not {image_shape!r}."
        )
    return min(image_shape[:2])
