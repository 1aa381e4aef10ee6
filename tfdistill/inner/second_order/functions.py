"""Functions written as compositions whose parts have all derivatives."""

import numpy as np
import tensorflow as tf


def moments(x, axes, shift=None, keepdims=False, name=None):
    """`tf.nn.moments`.

    TensorFlow's own stops the gradient at the mean inside the variance. The first
    derivative is still correct, but the second is wrong, and so is the meta-gradient
    through batch and group normalisation.
    """
    del shift
    with tf.name_scope(name or "moments"):
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(
            tf.math.squared_difference(x, mean), axes, keepdims=keepdims
        )
        return (mean if keepdims else tf.squeeze(mean, axes)), variance


def softsign(features, name=None):
    """`tf.nn.softsign`, whose second derivative TensorFlow does not have."""
    with tf.name_scope(name or "softsign"):
        features = tf.convert_to_tensor(features)
        return features / (1 + tf.abs(features))


def local_response_normalization(
    input, depth_radius=5, bias=1, alpha=1, beta=0.5, name=None
):
    """`tf.nn.local_response_normalization`: TensorFlow's has no second derivative."""
    with tf.name_scope(name or "lrn"):
        input = tf.convert_to_tensor(input)
        channel = np.arange(input.shape[-1])
        window = np.abs(channel[:, None] - channel) <= depth_radius
        return normalized_locally(input, window * float(alpha), bias, beta)


def normalized_locally(x, window, bias, beta):
    """Values over a power of the energy of their neighbours in the channels.

    Args:
        x: float tensor `[..., channels]`.
        window: Array `[channels, channels]`: the weight of each channel's square in the
            energy of each other one.
        bias: What is added to the energy.
        beta: The exponent.
    """
    # A banded matrix sums the windows faster than shifted slices or pooling do; exp
    # and log differentiate faster than a power.
    energy = tf.tensordot(tf.square(x), tf.constant(window, x.dtype), 1)
    return x * tf.exp(-beta * tf.math.log(bias + energy))


def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """`tf.nn.softmax_cross_entropy_with_logits`.

    The gradient of TensorFlow's gradient does not depend on the labels.
    """
    with tf.name_scope(name or "softmax_cross_entropy_with_logits"):
        logits = tf.convert_to_tensor(logits)
        labels = tf.cast(labels, logits.dtype)
        return -tf.reduce_sum(labels * tf.nn.log_softmax(logits, axis), axis)


def hsv_to_rgb(images, name=None):
    """`tf.image.hsv_to_rgb`: TensorFlow's has no derivative at all."""
    with tf.name_scope(name or "hsv_to_rgb"):
        images = tf.convert_to_tensor(images)
        hue, saturation, value = tf.split(images, 3, -1)
        hue = hue * 6
        pure = tf.concat(
            [tf.abs(hue - 3) - 1, 2 - tf.abs(hue - 2), 2 - tf.abs(hue - 4)], -1
        )
        return (1 - saturation + saturation * tf.clip_by_value(pure, 0, 1)) * value
