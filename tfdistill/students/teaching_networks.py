"""The networks of Generative Teaching Networks (Such et al. 2019)."""

from collections.abc import Sequence

import keras

from tfdistill._internal.checks import check_int

_SLOPE = 0.1


class _WeightNormalized:
    """A mix-in: the kernel is gain * v / ||v||, with a norm for each output.

    Gains start at sqrt(2), the norm that a Kaiming-normal kernel has on average.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.add_weight(
            shape=(self._kernel.shape[-1],),
            initializer=keras.initializers.Constant(2**0.5),
            name="gain",
        )

    # Keras's own methods name only kernel and bias.
    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

    @property
    def kernel(self):
        direction = super().kernel
        axes = list(range(len(direction.shape) - 1))
        squares = keras.ops.sum(keras.ops.square(direction), axes)
        return direction * (self.gain * keras.ops.rsqrt(squares + 1e-12))


@keras.saving.register_keras_serializable("tfdistill")
class WeightNormalizedDense(_WeightNormalized, keras.layers.Dense):
    """`keras.layers.Dense` with weight normalisation (Salimans and Kingma 2016)."""


@keras.saving.register_keras_serializable("tfdistill")
class WeightNormalizedConv2D(_WeightNormalized, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with weight normalisation (Salimans and Kingma 2016)."""


@keras.saving.register_keras_serializable("tfdistill")
class MeanOnlyBatchNormalization(keras.layers.Layer):
    """Subtracts each channel's mean, and adds a learned one.

    It keeps no running average: after training, the mean is that of the last batch, and
    the meta-gradient flows through it. Frozen, it keeps its mean.
    """

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="mean"
        )
        super().build(input_shape)

    def call(self, inputs, training=None):
        mean = self.mean
        if training and self.trainable:
            mean = keras.ops.mean(inputs, list(range(len(inputs.shape) - 1)))
            self.mean.assign(mean)
        return inputs - mean + self.beta


def gtn_learner(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    widths: Sequence[int] = (64, 128, 256),
) -> keras.Model:
    """The learner of Such et al. 2019 (arXiv:1912.07768) for MNIST.

    Two convolutions, each with max pooling, a batch norm of means only and a leaky
    ReLU, and two dense layers; the weights of all are normalised.

    Args:
        image_shape: (height, width, channels), sides of at least 7.
        num_classes: Number of classes, at least 2.
        widths: Channels of the two convolutions, units of the hidden layer.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a width is not an integer.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.gtn_learner((8, 8, 1), widths=(8, 16, 32)).output_shape
        (None, 10)
    """
    if len(widths) != 3:
        raise ValueError(f"widths must be three whole numbers, not {widths!r}.")
    widths = [check_int("widths", width, 1) for width in widths]
    num_classes = check_int("num_classes", num_classes, 2)
    if len(image_shape) != 3 or min(image_shape[:2]) < 7:
        raise ValueError(
            "image_shape must be (height, width, channels) with sides of at least 7 "
            f"for gtn_learner, not {tuple(image_shape)}."
        )
    x = inputs = keras.Input(tuple(image_shape), name="images")
    for width in widths[:2]:
        x = _conv(width)(x)
        x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
        x = MeanOnlyBatchNormalization()(x)
        x = keras.layers.LeakyReLU(_SLOPE)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.LeakyReLU(_SLOPE)(_dense(widths[2])(x))
    return keras.Model(inputs, _dense(num_classes)(x), name="gtn_learner")


def gtn_generator(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    latent_size: int = 128,
    units: int = 1024,
    channels: int = 128,
) -> keras.Model:
    """The paper's generator: from latents and labels to images, upsampled twice.

    Args:
        image_shape: (height, width, channels), sides that 4 divides.
        num_classes: Number of classes, at least 2.
        latent_size: Length of z.
        units: Units of the first layer.
        channels: Channels of the smallest images; half as many after the first
            upsampling.

    Returns:
        A model from `[z, labels]`, float `[batch, latent_size]` and
        `[batch, num_classes]`, to images `[batch, *image_shape]` in -2..2.

    Raises:
        ValueError: If 4 doesn't divide the sides, or a number is not an integer.
    """
    height, width, depth = image_shape
    if height % 4 or width % 4:
        raise ValueError(
            "image_shape must have sides that 4 divides for gtn_generator, not "
            f"{tuple(image_shape)}."
        )
    latent_size = check_int("latent_size", latent_size, 1)
    units = check_int("units", units, 1)
    channels = check_int("channels", channels, 2)
    z = keras.Input((latent_size,), name="z")
    labels = keras.Input((num_classes,), name="labels")
    x = keras.layers.Concatenate()([z, labels])
    x = _normalized(_dense(units, use_bias=False)(x))
    x = _normalized(_dense(channels * height * width // 16, use_bias=False)(x))
    x = keras.layers.Reshape((height // 4, width // 4, channels))(x)
    x = _normalized(_conv(channels // 2, use_bias=False)(_doubled(x)))
    x = _conv(depth)(_doubled(x))
    images = keras.layers.Rescaling(2.0)(keras.layers.Activation("tanh")(x))
    return keras.Model([z, labels], images, name="gtn_generator")


def _doubled(x):
    x = keras.layers.UpSampling2D(interpolation="nearest")(x)
    return keras.ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")


def _normalized(x):
    return keras.layers.LeakyReLU(_SLOPE)(keras.layers.BatchNormalization()(x))


def _conv(filters, **kwargs):
    return WeightNormalizedConv2D(filters, 3, kernel_initializer=_kaiming(), **kwargs)


def _dense(units, **kwargs):
    return WeightNormalizedDense(units, kernel_initializer=_kaiming(), **kwargs)


def _kaiming():
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
