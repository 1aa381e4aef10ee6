"""A Keras model seen as a pure function of its weights."""

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def _moments(x, axes, shift=None, keepdims=False, name=None):
    """`tf.nn.moments` with exact derivatives of every order.

    TensorFlow's own stops the gradient at the mean inside the variance. That leaves
    the first derivative right and makes the second one wrong, and with it the
    meta-gradient through batch and group normalisation.
    """
    del shift
    with tf.name_scope(name or "moments"):
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(
            tf.math.squared_difference(x, mean), axes, keepdims=keepdims
        )
        return (mean if keepdims else tf.squeeze(mean, axes)), variance


_tensorflow_max_pool = tf.nn.max_pool


def _max_pool(input, ksize, strides, padding, data_format=None, name=None):
    """`tf.nn.max_pool`, whose second derivative stays exact when XLA compiles it.

    XLA computes that derivative in bfloat16, and not at all in double precision.
    """
    plain = padding in ("SAME", "VALID") and data_format in (None, "NHWC")
    known = input.shape.rank == 4 and input.shape[1:3].is_fully_defined()
    if not (plain and known and _is_compiled()):
        return _tensorflow_max_pool(input, ksize, strides, padding, data_format, name)
    lengths, windows, strides = input.shape[1:3], _two(ksize), _two(strides)
    if padding == "SAME":
        pads = [
            max(0, -(-length // stride) * stride - stride + window - length)
            for length, window, stride in zip(lengths, windows, strides)
        ]
        lengths = [length + pad for length, pad in zip(lengths, pads)]
        pads = [[0, 0], *([pad // 2, pad - pad // 2] for pad in pads), [0, 0]]
        input = tf.pad(input, pads, constant_values=input.dtype.min)
    rows, columns = (
        range(0, length - window + 1, stride)
        for length, window, stride in zip(lengths, windows, strides)
    )
    shifted = [
        input[
            :, i : i + rows[-1] + 1 : strides[0], j : j + columns[-1] + 1 : strides[1]
        ]
        for i in range(windows[0])
        for j in range(windows[1])
    ]
    return functools.reduce(tf.maximum, shifted)


def _two(sizes):
    """Height and width of TensorFlow's many ways to write them."""
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return {1: sizes * 2, 2: sizes, 4: sizes[1:3]}[len(sizes)]


def _is_compiled():
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


# Keras looks them up at each call. Values and first derivatives stay as they are.
tf.nn.moments = _moments
tf.nn.max_pool = _max_pool


class StatelessModel:
    """A built `keras.Model` as a pure function `(weights, state, images) -> outputs`.

    `weights` are the values of the model's trainable variables, `state` those of
    all others (batch-norm statistics, the states of seed generators). The model's
    own variables are never changed, so one model can be unrolled, in one graph, for
    any number of students.

    Args:
        model: A built `keras.Model` with one input and one output.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    @property
    def weights(self) -> list[tf.Tensor]:
        """The present values of the model's trainable variables."""
        return [tf.convert_to_tensor(v.value) for v in self.model.trainable_variables]

    @property
    def state(self) -> list[tf.Tensor]:
        """The present values of the model's other variables."""
        return [
            tf.convert_to_tensor(v.value) for v in self.model.non_trainable_variables
        ]

    def __call__(
        self,
        weights: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        images: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """Applies the model.

        Args:
            weights: One tensor for each trainable variable.
            state: One tensor for each other variable.
            images: float tensor `[batch, *image_shape]`.
            training: Whether dropout, batch norm etc. are in training mode.

        Returns:
            The outputs, the new state, and the sum of the model's own penalties
            (regularisers, activity losses): a scalar, 0 if there are none.
        """
        outputs, state, penalties = self.model.stateless_call(
            list(weights), list(state), images, training=training, return_losses=True
        )
        penalty = tf.add_n(penalties) if penalties else tf.zeros([], outputs.dtype)
        return outputs, list(state), penalty

    def assign(self, weights: Sequence[tf.Tensor], state: Sequence[tf.Tensor]) -> None:
        """Writes weights and state into the model's own variables."""
        for variable, value in zip(self.model.trainable_variables, weights):
            variable.assign(value)
        for variable, value in zip(self.model.non_trainable_variables, state):
            variable.assign(value)
