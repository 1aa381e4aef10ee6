"""A Keras model seen as a pure function of its weights."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.seeds import fold_in
from tfdistill.inner import second_order

#: Keras's name for the variable that holds a stochastic layer's seed.
SEED_STATE = "seed_generator_state"


def layer_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    """The seed of one layer, in the type of Keras's seed states on TensorFlow."""
    return tf.cast(fold_in(seed, number), tf.int64)


def first_state(seed: tf.Tensor) -> tf.Tensor:
    """What a seed generator's variable, int64 `[2]`, starts from.

    Keras counts its second number up with every draw. That of `layer_seed` is the
    layer's own, so that a mask would be that of the layer before one step later.
    """
    return tf.cast(fold_in(tf.cast(seed, tf.int32), 0), tf.int64)


def reseeded(model: keras.Model, state, seed: tf.Tensor) -> list[tf.Tensor]:
    """A state in which stochastic layers (dropout) have seeds derived from `seed`.

    Args:
        model: A built model.
        state: One tensor for each variable of it that is not trained.
        seed: int32 `[2]`.
    """
    return [
        first_state(layer_seed(seed, index)) if variable.name == SEED_STATE else value
        for index, (variable, value) in enumerate(
            zip(model.non_trainable_variables, state)
        )
    ]


def in_precision(outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """A student's outputs in the precision of the losses.

    That is float64 where images and outputs both are, and else float32: half precision
    is a matter of the layers, and sums over a batch are not for it.
    """
    double = images.dtype == outputs.dtype == tf.float64
    return tf.cast(outputs, tf.float64 if double else tf.float32)


def storable(values) -> np.ndarray:
    """Values as an array that files can hold: bfloat16 becomes float32."""
    array = np.asarray(values)
    # 2 is a type of another package than NumPy, which files have no name for.
    return array.astype("float32") if array.dtype.isbuiltin == 2 else array


def call(model: keras.Model, weights, state, inputs, training: bool):
    """Calls a model as Keras's `fit` does, with the variables' values from elsewhere.

    Its `stateless_call` goes past `Layer.__call__`: without that nothing tells the
    layers of a subclassed model, whose `call` may have no `training`, that they are
    being trained, nor casts what mixed precision has to.

    Args:
        model: A built model.
        weights, state: One tensor for each trainable variable, and each other one.
        inputs: What it takes.
        training: Whether dropout, batch norm etc. are in training mode.

    Returns:
        The outputs, the new state, and the penalties, a list.
    """
    others = model.non_trainable_variables
    values = [*zip(model.trainable_variables, weights), *zip(others, state)]
    with keras.StatelessScope(values, collect_losses=True) as scope:
        outputs = model(inputs, training=training)
        penalties = list(model.losses)
    return outputs, [scope.get_current_value(v) for v in others], penalties


class Passage(NamedTuple):
    """What went through a layer in one call.

    Attributes:
        layer: The Keras layer.
        inputs, outputs: Tensors.
    """

    layer: keras.layers.Layer
    inputs: tf.Tensor
    outputs: tf.Tensor


@contextlib.contextmanager
def observed(layers: Sequence[keras.layers.Layer]) -> Iterator[list[Passage]]:
    """Notes, until the block ends, what goes through some layers.

    Args:
        layers: Of any model, functional or subclassed.

    Yields:
        A list that grows with each call.
    """
    seen: list[Passage] = []

    def watched(layer, original):
        def call(inputs, *args, **kwargs):
            outputs = original(inputs, *args, **kwargs)
            seen.append(Passage(layer, inputs, outputs))
            return outputs

        return call

    for layer in layers:
        # Keras tracks the attributes of its layers; this one is to leave no trace.
        object.__setattr__(layer, "call", watched(layer, layer.call))
    try:
        yield seen
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


class StatelessModel:
    """A built `keras.Model` as a pure function `(weights, state, images) -> outputs`.

    `weights` are the values of the model's trainable variables, `state` the values of
    all others (batch-norm statistics, the states of seed generators). The model's own
    variables are never changed, so one model can be unrolled, in one graph, for any
    number of students.

    Args:
        model: A built `keras.Model` with one input and one output.
        name: What sentences call the student; by default as the model.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> model = tfdistill.students.linear((8, 8, 1))
        >>> student = tfdistill.inner.StatelessModel(model)
        >>> weights = [2 * w for w in student.weights]
        >>> images = tf.zeros([5, 8, 8, 1])
        >>> outputs, _, _ = student(weights, student.state, images, training=False)
        >>> outputs.shape.as_list()
        [5, 10]
    """

    def __init__(self, model: keras.Model, name: str | None = None):
        self.model, self.name = model, name or model.name

    @property
    def weights(self) -> list[tf.Tensor]:
        """The current values of the model's trainable variables."""
        return [tf.convert_to_tensor(v.value) for v in self.model.trainable_variables]

    @property
    def state(self) -> list[tf.Tensor]:
        """The current values of the model's other variables."""
        return [
            tf.convert_to_tensor(v.value) for v in self.model.non_trainable_variables
        ]

    def arrays(self) -> list[np.ndarray]:
        """The present values of weights and state, in types that files can hold."""
        return [storable(x) for x in self.weights + self.state]

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
            The outputs, in the precision of the losses (`in_precision`), the new
            state, and the sum of the model's own penalties (regularisers, activity
            losses): a scalar of the same type, 0 if there are none.
        """
        with second_order.exact():
            outputs, after, penalties = call(
                self.model, weights, state, images, training
            )
        outputs = in_precision(outputs, tf.convert_to_tensor(images))
        penalty = tf.zeros([], outputs.dtype)
        if penalties:
            penalty = tf.add_n([tf.cast(p, outputs.dtype) for p in penalties])
        return outputs, after, penalty

    def traits(
        self, weights: Sequence[tf.Tensor], state: Sequence[tf.Tensor], images
    ) -> list[np.ndarray]:
        """What tells the network from another one that has the same weights.

        Args:
            weights, state: Same as for a call.
            images: float `[batch, *image_shape]`; the first four are looked at.

        Returns:
            For these images, in training and not: the outputs, the penalties, and what
            becomes of the state, to three digits. Others depend on the machine.
        """
        images = tf.convert_to_tensor(images)[:4]
        found = []
        for training in (False, True):
            outputs, after, penalty = self(weights, state, images, training)
            means = [tf.reduce_mean(tf.cast(x, tf.float64)) for x in after]
            found += [outputs, penalty, *means]
        # Plus 0, for zeros have signs.
        return [
            np.array([float(f"{x:.2e}") + 0 for x in np.ravel(value)])
            for value in found
        ]

    def features(
        self,
        weights: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        images: tf.Tensor,
        layer: str | None = None,
    ) -> tf.Tensor:
        """What the network makes of images before its last layer, not in training mode.

        Args:
            weights, state, images: Same as for a call.
            layer: Name of the layer whose outputs they are; by default they are the
                inputs of the last layer, which is dense.

        Returns:
            float `[batch, features]`, in the precision of the losses.

        Raises:
            ValueError: If there is no such layer.
        """
        last, _ = self._passage(weights, state, images, layer)
        found = last.inputs if layer is None else last.outputs
        found = in_precision(tf.convert_to_tensor(found), tf.convert_to_tensor(images))
        # Keras's policy would round them to the layers' precision again.
        return keras.layers.Flatten(dtype=found.dtype.name)(found)

    def check_features(
        self, image_shape: Sequence[int], layer: str | None = None
    ) -> None:
        """Refuses a network whose features `features` would not find.

        Images and weights must reach the outputs by way of the last dense layer alone.
        What follows it may scale and cast, or make probabilities.

        Args:
            image_shape: (height, width, channels).
            layer: Same as for `features`.

        Raises:
            ValueError: If the network is refused.
        """
        weights, state = self.weights, self.state

        @tf.function(autograph=False)
        def trace(images, weights):
            last, outputs = self._passage(weights, state, images, layer)
            if layer is None:
                # What is there but by way of the dense layer.
                past = tf.gradients(
                    outputs, [images, *weights], stop_gradients=[last.outputs]
                )
                if any(gradient is not None for gradient in past):
                    raise self._without_features()

        images = tf.TensorSpec([1, *image_shape], keras.config.floatx())
        trace.get_concrete_function(
            images, [tf.TensorSpec(w.shape, w.dtype) for w in weights]
        )

    def _passage(self, weights, state, images, layer):
        """What went through the layer of the features, and the network's outputs."""
        every = list(self.model._flatten_layers(include_self=False))
        watched = [x for x in every if isinstance(x, keras.layers.Dense)]
        if layer is not None:
            watched = [x for x in every if x.name == layer]
            if not watched:
                raise ValueError(
                    f"The student {self.model.name!r} has no layer {layer!r}, but "
                    f"{', '.join(x.name for x in every)}."
                )
        with observed(watched) as seen:
            outputs, _, _ = self(weights, state, images, training=False)
        last = seen[-1] if seen else None
        if last is None or (layer is None and last.outputs.shape != outputs.shape):
            raise self._without_features()
        return last, outputs

    def _without_features(self):
        return ValueError(
            f"The student {self.model.name!r} does not end in a dense layer: name "
            "the layer whose outputs are its features (features=)."
        )

    def assign(self, weights: Sequence[tf.Tensor], state: Sequence[tf.Tensor]) -> None:
        """Writes weights and state into the model's own variables."""
        for variable, value in zip(self.model.trainable_variables, weights):
            variable.assign(value)
        for variable, value in zip(self.model.non_trainable_variables, state):
            variable.assign(value)
