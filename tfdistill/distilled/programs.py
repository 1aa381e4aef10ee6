"""How anybody trains on distilled data without this library: programs for its card."""

from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.inner.optimizers.adam import Adam
from tfdistill.inner.optimizers.gradient_descent import GradientDescent
from tfdistill.inner.optimizers.momentum import Momentum

_READ = """import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory("FOLDER")
examples = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
images = np.stack([e["image"] for e in examples]).astype("float32")
labels = np.stack([e["soft_label"] for e in examples])
"""
# `tf.image.resize` is bilinear unless it is told otherwise.
_ENLARGE = (
    "images = tf.image.resize(images, [{}, {}]).numpy()  # they are stored small\n"
)
_MODEL = "model = ...  # {whose}: {shape} to {classes} outputs, without a softmax"
_WHOSE = {
    "fixed": "the network of the distillation",
    "pretrained": "a network of the pool of the distillation",
    "random": "your network",
}
_START = """
start = np.load("FOLDER/initial_weights.npz")
variables = model.trainable_variables + model.non_trainable_variables
for k, variable in enumerate(variables):
    variable.assign(start[f"arr_{k}"])
"""
# By one transform, as the library does: a layer of Keras for each change would resample
# small images two or three times, which blurs them, and networks learn less.
_CHANGE = """

def change(images, labels):  # {what}: all at once
    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    draw = lambda most: {draw}
    zoom, angle = 1 + draw({zoom:g}), 2 * np.pi * draw({rotation:g})
    cos, sin = zoom * tf.cos(angle), zoom * tf.sin(angle)
    {side}
    right = width * (0.5 + draw({shift:g})) - 0.5
    down = height * (0.5 + draw({shift:g})) - 0.5
    x = (width - 1) / 2 - a * right - b * down
    y = (height - 1) / 2 - sin * right - cos * down
    transforms = tf.stack([a, b, x, sin, cos, y, 0 * x, 0 * x], 1)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return images, labels

"""
_ORDINARY = """{change}
data = tf.data.Dataset.from_tensor_slices((images, labels))
data = data.cache().shuffle(len(images)).repeat().batch({batch})
{changed}{model}
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay({rate:g}, {updates})),
    {loss},
)
model.fit(data, steps_per_epoch={updates}, shuffle=False)
"""
_CHANGED = "data = data.map(change)\n"
_FOR_EACH = "tf.random.uniform([count], -most, most)"
_FOR_ALL = "tf.repeat(tf.random.uniform([1], -most, most), count)  # one for all"
_STEPS = """
batch = {batch}  # the images of a step
images = images.reshape(-1, batch, *images.shape[1:])
labels = labels.reshape(-1, batch, *labels.shape[1:])
rates = np.stack([e["learning_rates"] for e in examples])[::batch].T  # [epochs, steps]
"""
_IN_ORDER = """{steps}{model}
rates_by_update = keras.optimizers.schedules.PiecewiseConstantDecay(
    list(range(rates.size)), [*rates.ravel().tolist(), 0.0]
)
model.compile(
    {optimizer},
    {loss},
)
data = tf.data.Dataset.from_tensor_slices((images, labels))
model.fit(data, epochs=len(rates), shuffle=False)
"""
# Of each inner optimizer that Keras has with a rate for each update.
_IN_KERAS = {
    GradientDescent.name: "keras.optimizers.SGD(rates_by_update)",
    Adam.name: "keras.optimizers.Adam(rates_by_update, epsilon=1e-4)",
}
# Keras's own SGD has one momentum for all updates.
_BY_MOMENTUM = """{steps}\
momenta = np.stack([e["momenta"] for e in examples])[::batch].T
{model}
judge = {loss}
averages = [tf.zeros_like(weight) for weight in model.trainable_variables]
for of_epoch in zip(rates, momenta):
    for x, y, rate, momentum in zip(images, labels, *of_epoch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(judge(y, model(x, training=True))) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        averages = [momentum * m + g for m, g in zip(averages, gradients)]
        for weight, average in zip(model.trainable_variables, averages):
            weight.assign_sub(rate * average)
"""
_REST = "\n# {} are for you to write; then train as is said above.\n"
# What moves an image, in words.
_MOVES = {
    "shift": "shifted",
    "rotation": "turned",
    "zoom": "zoomed",
    "flip": "mirrored",
}
# What the program of a card leaves to its reader.
_MISSING = {"colour": "Changes of colour", "cutout": "Cutouts"}
_NOT_MIRRORED = "a, b = cos, -sin"
_MIRRORED = (
    "side = tf.where(draw(1.0) < 0, -1.0, 1.0)\n    a, b = side * cos, -side * sin"
)
_CLASSES = (
    "keras.losses.CategoricalCrossentropy(from_logits=True)",
    "distributions over the classes",
    "The loss is the cross-entropy.",
)
_SQUARED = "lambda y, outputs: tf.reduce_sum((outputs - y) ** 2, -1) / 2"
_HALF = (
    "The loss is half the squared distance between outputs and labels, summed over "
    "outputs"
)
# Of each objective that ships: the loss in Keras, what labels are, the loss in words.
_OBJECTIVES = {
    "classification": _CLASSES,
    "attack": _CLASSES,
    "least_squares": (
        _SQUARED,
        "learned numbers to regress onto",
        f"{_HALF}: by cross-entropy networks learn little from such labels.",
    ),
    "regression": (_SQUARED, "numbers to regress onto", f"{_HALF}."),
}


def program(distilled) -> str:
    """A program in Python that trains a network as the recipe says.

    It takes Keras and TFDS. Where these have not all that the recipe asks for, the
    program ends when the images are read.

    Args:
        distilled: A `DistilledDataset`.
    """
    shape, recipe = distilled.image_shape, distilled.recipe
    text = _READ
    if distilled.enlarged > 1:
        text += _ENLARGE.format(*shape)
    loss, _, _ = _taught_by(distilled.objective)
    if loss is None:
        return text + _REST.format("The loss and the training")
    values = {"loss": loss, "model": _model(distilled)}
    if isinstance(recipe, OrdinaryTraining):
        changes = recipe.changes.to_config()
        if missing := [words for name, words in _MISSING.items() if name in changes]:
            return text + _REST.format(" and ".join(missing).capitalize())
        moves = not recipe.changes.changes_nothing
        return text + _ORDINARY.format(
            change=_change(changes) if moves else "",
            changed=_CHANGED if moves else "",
            batch=min(recipe.batch_size, distilled.num_images),
            rate=recipe.learning_rate,
            updates=recipe.updates,
            **values,
        )
    values["steps"] = _STEPS.format(batch=distilled.images.shape[1])
    optimizer = distilled.inner_optimizer.name
    if optimizer == Momentum.name:
        return text + _BY_MOMENTUM.format(**values)
    if optimizer in _IN_KERAS:
        return text + _IN_ORDER.format(optimizer=_IN_KERAS[optimizer], **values)
    return text + _REST.format("The steps of this optimizer")


def start(distilled) -> str:
    """What networks start from: "fixed" weights, "pretrained" or "random" ones."""
    if distilled.initial_weights is not None:
        return "fixed"
    flags = str(distilled.provenance.get("flags", "")).split("\n")
    # Earlier versions noted no more than the flag.
    drawn = "--initial_weights=pretrained" in flags
    return "pretrained" if drawn or distilled.provenance.get("pretrained") else "random"


def _model(distilled):
    """Where the reader puts a network, and what it starts from."""
    kind = start(distilled)
    text = _MODEL.format(
        whose=_WHOSE[kind],
        shape=" x ".join(map(str, distilled.image_shape)),
        classes=distilled.labels.shape[-1],
    )
    return text + _START if kind == "fixed" else text


def _change(changes):
    """The function that changes a batch as `RandomChanges` of this config does."""
    words = [word for name, word in _MOVES.items() if name in changes]
    return _CHANGE.format(
        what=", ".join(words),
        draw=_FOR_ALL if "whole_batch" in changes else _FOR_EACH,
        side=_MIRRORED if "flip" in changes else _NOT_MIRRORED,
        **{name: float(changes.get(name, 0)) for name in ("shift", "rotation", "zoom")},
    )


def instructions(distilled) -> str:
    """What the recipe's words leave open, in sentences."""
    recipe = distilled.recipe
    if isinstance(recipe, OrdinaryTraining):
        text = (
            "The order does not matter. The rate falls to 0 along half a cosine. "
            "Shifts and zooms are shares of the sides, rotations of a full circle."
        )
    else:
        text = (
            "The order matters: step by step, the same in every epoch, one batch a "
            f"step, by {distilled.inner_optimizer.name}. The images of a step all hold "
            f"the same {' and '.join(f'`{name}`' for name in recipe.columns())}: one "
            "number for each epoch."
        )
    _, _, loss = _taught_by(distilled.objective)
    return f"{text} {loss}"


def labels(distilled) -> str:
    """What the labels are, in words."""
    _, found, _ = _taught_by(distilled.objective)
    return found


def _taught_by(objective):
    own = f"The loss is that of a custom objective, `{objective.name}`."
    return _OBJECTIVES.get(objective.name, (None, "numbers of a custom objective", own))
