"""Trained networks for other programs, which give them raw images."""

import math
import os
import tempfile

import keras
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.data.normalization import Normalization
from tfdistill.distilled import checks
from tfdistill.runs import files


@keras.saving.register_keras_serializable("tfdistill", "_Normalize")
class Normalize(keras.layers.Layer):
    """Normalises raw images, in float32 whatever Keras's policy.

    Args:
        normalization: A `Normalization`, or its config.
    """

    def __init__(self, normalization, **kwargs):
        # Files of earlier versions hold the policy of their time.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        if isinstance(normalization, dict):
            normalization = Normalization.from_config(normalization)
        self.normalization = normalization

    def call(self, images):
        return self.normalization.normalize(images)

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, "float32")

    def get_config(self):
        config = {"normalization": self.normalization.to_config()}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("tfdistill", "_Served")
class Served(keras.Model):
    """A model whose `export` prints nothing, unless it is asked to."""

    def export(self, filepath, *args, verbose=None, **kwargs):
        if verbose:
            return super().export(filepath, *args, verbose=verbose, **kwargs)
        # Not every Keras has the argument, and all print the same way.
        shown = keras.config.is_interactive_logging_enabled()
        keras.config.disable_interactive_logging()
        try:
            return super().export(filepath, *args, **kwargs)
        finally:
            if shown:
                keras.config.enable_interactive_logging()


def model_of(distilled, model: keras.Model, probabilities: bool) -> keras.Model:
    """Same as `DistilledDataset.serving_model`."""
    checks.check_model(distilled, model)
    normalization = distilled.normalization
    dtype = "uint8" if normalization.scale == 255 else "float32"
    inputs = keras.Input(distilled.image_shape, dtype=dtype, name="images")
    outputs = model(Normalize(normalization)(inputs))
    factor = 1
    if probabilities:
        factor = _factor(distilled.objective, distilled.num_classes)
    if factor != 1 or outputs.dtype != "float32":
        outputs = keras.layers.Rescaling(factor, dtype="float32")(outputs)
    if probabilities:
        outputs = keras.layers.Softmax(dtype="float32")(outputs)
    return Served(inputs, outputs)


def _factor(objective, num_classes):
    """What outputs are multiplied by before the softmax.

    Those of least squares differ by 1 at most, whatever a network is sure of. With this
    factor, what it regresses onto means 99 %; none is found on distilled images, which
    it has learned by heart.
    """
    if not objective.takes_logits:
        raise ValueError(
            f"The objective {objective.name!r} says of no outputs that they are logits "
            "(takes_logits), so there are no probabilities: leave out "
            "probabilities=True."
        )
    if getattr(objective, "judged_by", None) != "squared_distance":
        return 1
    return math.log(99 * max(1, num_classes - 1))


def export_student(
    distilled,
    model: keras.Model,
    folder: str | os.PathLike,
    *,
    probabilities: bool = False,
    version: int = 1,
    overwrite: bool = False,
) -> None:
    """Writes a network for TensorFlow Serving, with names for what goes in and out.

    `folder/1` is a SavedModel; TensorFlow Serving takes `folder` as it is. Other
    versions, if it holds nothing else, stay beside it, and the last is served. The
    signature takes `images`, raw ones, and gives `logits` or `probabilities`, float32
    `[batch, classes]`; `model.serve(images)` gives the same after
    `tf.saved_model.load`. The names of the classes are a JSON list in the file
    `assets/class_names.json`.

    Args:
        distilled: The `DistilledDataset` that the network has learned from.
        model: The trained network, which takes normalised images.
        folder: Path of a new folder, or of one that holds other versions.
        probabilities: Whether it gives probabilities instead of logits: same as for
            `DistilledDataset.serving_model`.
        version: Name of the folder within, at least 1.
        overwrite: Whether to replace this version, if it exists; or, where the folder
            holds anything but versions, the whole folder.

    Raises:
        FileExistsError: If what would be replaced exists and overwrite is False.
        ValueError: If the version is below 1, or the objective has no probabilities.

    Example:
        >>> import os, tempfile, tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> distilled = tfdistill.baselines.random_real(digits, steps=2)
        >>> model = distilled.train(tfdistill.students.linear(digits.image_shape))
        >>> folder = os.path.join(tempfile.mkdtemp(), "student")
        >>> tfdistill.export_student(distilled, model, folder)
        >>> os.listdir(folder)
        ['1']
    """
    check_int("version", version, 1)
    if files.holds_versions(folder):
        path = os.path.join(files.local(folder), str(version))
        with files.replacing(path, overwrite=overwrite) as temporary:
            save(distilled, model, temporary, probabilities)
    else:
        with files.replacing(folder, overwrite=overwrite) as temporary:
            path = os.path.join(temporary, str(version))
            save(distilled, model, path, probabilities)


def save(distilled, model: keras.Model, path: str, probabilities: bool = False) -> None:
    """Writes one version of `export_student`: a SavedModel.

    Args:
        distilled, model, probabilities: Same as for `export_student`.
        path: Path of the new SavedModel.
    """
    served = distilled.serving_model(model, probabilities=probabilities)
    name = "probabilities" if probabilities else "logits"
    images = tf.TensorSpec((None, *served.input_shape[1:]), served.inputs[0].dtype)
    root = tf.train.Checkpoint()
    # Where Keras's own export has them, too.
    root.trainable_variables = [v.value for v in served.trainable_variables]
    root.non_trainable_variables = [v.value for v in served.non_trainable_variables]
    root.serve = tf.function(
        lambda images: served(images, training=False),
        input_signature=[images],
        autograph=False,
    )
    others = _others(root.serve.get_concrete_function(), served, model)
    if others:
        root.others = others
    named = tf.function(
        lambda images: {name: root.serve(images)},
        input_signature=[tf.TensorSpec(images.shape, images.dtype, name="images")],
        autograph=False,
    )
    with tempfile.TemporaryDirectory() as assets:
        names = os.path.join(assets, "class_names.json")
        files.write_json(names, list(distilled.class_names))
        root.class_names = tf.saved_model.Asset(names)
        tf.saved_model.save(root, path, named)


def _others(function, served, model):
    """What a network reads besides Keras's variables: TensorFlow's own, and tables.

    A SavedModel holds what is an attribute of its root, and refuses all else.
    """
    # A variable of a strategy is read as that of one replica.
    own = model.distribute_strategy.experimental_local_results
    known = {id(part) for v in served.variables for part in own(v.value)}
    others = [v for v in function.variables if id(v) not in known]
    handles = {id(x) for x in function.captured_inputs if x.dtype == tf.resource}
    if len(handles) > len(function.variables):
        others += [
            x
            for x in _Tracked(served).descendants()
            if isinstance(x, tf.saved_model.experimental.TrackableResource)
            and id(x.resource_handle) in handles
        ]
    return others


class _Tracked(tf.train.TrackableView):
    """All that belongs to an object, in lists of layers, too, as for `Model.export`."""

    @classmethod
    def children(cls, obj, save_type="savedmodel", **kwargs):
        del save_type  # the view itself asks for what checkpoints hold
        return super().children(obj, "savedmodel", **kwargs)
