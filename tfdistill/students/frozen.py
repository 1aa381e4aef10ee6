"""Variables that training leaves alone because somebody froze their layer."""

import keras


def frozen(model: keras.Model) -> list[keras.Variable]:
    """Variables of frozen layers: a backbone with `trainable = False`, say.

    These are all variables of a layer that is not trainable, the statistics of batch
    norm included, and weights that were switched off one by one. The statistics of
    layers that are trained are not among them, nor the seeds of stochastic layers.

    Args:
        model: A built model.

    Returns:
        Some of its `non_trainable_variables`, in their order.

    Example:
        >>> import tfdistill
        >>> model = tfdistill.students.mlp((8, 8, 1), hidden=(32, 32))
        >>> model.layers[2].trainable = False
        >>> len(tfdistill.students.frozen(model))  # its kernel and its bias
        2
    """
    found = set()
    for layer in model._flatten_layers():
        born_trainable = layer._trainable_variables
        if layer.trainable:
            found |= {id(v) for v in born_trainable if not v.trainable}
        else:
            found |= {id(v) for v in born_trainable + layer._non_trainable_variables}
    return [v for v in model.non_trainable_variables if id(v) in found]


def constants(model: keras.Model) -> list[keras.Variable]:
    """Variables that are not trained, and that a call in training leaves alone.

    What a `Normalization` was adapted to, for one, quantised kernels, or the table of
    an own layer. Statistics that training updates are not among them.

    Args:
        model: One of `students.build`, which tells it the shape of its images.

    Returns:
        Some of its `non_trainable_variables`, in their order; none if the shape of its
        images is not known.
    """
    calls = model._inbound_nodes
    if not calls:
        return []
    images = calls[-1].input_tensors[0]
    with keras.StatelessScope() as scope:
        model(keras.ops.zeros((2, *images.shape[1:]), images.dtype), training=True)
    return [
        v for v in model.non_trainable_variables if scope.get_current_value(v) is None
    ]
