"""The file format of distilled data: TFRecords in TFDS form, and JSON beside them."""

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfdistill._internal import fields
from tfdistill._internal.version import __version__
from tfdistill.data.labels import check_names
from tfdistill.data.normalization import Normalization
from tfdistill.distilled import card, untrusted
from tfdistill.distilled.citations import citation
from tfdistill.distilled.learned_schedule import LearnedSchedule
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.distilled.recipe import Recipe
from tfdistill.inner import objectives
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.optimizers.adam import Adam
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.runs import files

_FORMAT = 1
_METADATA = "tfdistill.json"
_RECORDS = "distilled-train.tfrecord-00000-of-00001"
_WEIGHTS = "initial_weights.npz"
# What says how a set was made and whom for, and nothing that networks learn from.
_ABOUT = ("provenance", "created", "versions", "student")


def signature(content: dict) -> str:
    """The SHA-256 of metadata, without this signature itself."""
    checksums = {k: v for k, v in content["sha256"].items() if k != _METADATA}
    text = json.dumps({**content, "sha256": checksums}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(folder: str | os.PathLike) -> str | None:
    """What a saved set holds, as a hash: of what networks learn from.

    The same set that was saved anew, or made in another way, has the same; one that an
    earlier version of the library saved may have another.

    Args:
        folder: Of the set.

    Returns:
        The hash; None if there is no set.
    """
    path = os.path.join(files.local(folder), _METADATA)
    if not os.path.isfile(path):
        return None
    content = files.read_json(path)
    return signature({k: v for k, v in content.items() if k not in _ABOUT})[:16]


def save(distilled, folder: str | os.PathLike, overwrite: bool) -> None:
    """Same as `DistilledDataset.save`."""
    check_names(distilled.class_names)
    if fields.has_controls(distilled.student):
        raise ValueError(
            "student must hold no line breaks or other control characters, as "
            f"{distilled.student!r} does: rename it."
        )
    with files.replacing(folder, overwrite=overwrite) as temporary:
        os.mkdir(temporary)
        _write(distilled, temporary)


def _write(distilled, folder):
    import tensorflow_datasets as tfds

    per_step = distilled.recipe.columns()
    per_epoch = tfds.features.Tensor(shape=(distilled.epochs,), dtype=np.float32)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Tensor(
                shape=distilled.stored_images.shape[2:],
                dtype=distilled.stored_images.dtype,
                # A list of floats in a record is of 32 bits each.
                encoding="bytes" if _is_half(distilled.stored_images.dtype) else "none",
            ),
            "label": tfds.features.ClassLabel(names=list(distilled.class_names)),
            "soft_label": tfds.features.Tensor(
                shape=(distilled.num_classes,), dtype=np.float32
            ),
            "step": tfds.features.Scalar(np.int64),
            **{name: per_epoch for name in per_step},
        }
    )
    path = os.path.join(folder, _RECORDS)
    with tf.io.TFRecordWriter(path) as writer:
        for step in range(distilled.steps):
            for image, label in zip(
                distilled.stored_images[step], distilled.labels[step]
            ):
                example = {
                    "image": image,
                    "label": int(label.argmax()),
                    "soft_label": label,
                    "step": step,
                    **{name: of[:, step] for name, of in per_step.items()},
                }
                writer.write(_in_order(features.serialize_example(example)))
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        version="1.0.0",
        check_data=False,
        description=card.description(distilled),
        citation=citation(distilled.provenance),
        license="That of the source, as far as it holds for what is derived from it.",
        supervised_keys=("image", "label"),
        disable_shuffling=True,
        split_infos=[
            tfds.core.SplitInfo(
                name="train",
                shard_lengths=[distilled.num_images],
                num_bytes=os.path.getsize(path),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=folder,
                    dataset_name="distilled",
                    split="train",
                    filetype_suffix="tfrecord",
                ),
            )
        ],
    )
    card.rename(os.path.join(folder, "dataset_info.json"), distilled)
    Path(folder, "images.png").write_bytes(card.picture(distilled))
    text = card.markdown(distilled, __version__)
    Path(folder, "README.md").write_text(text, encoding="utf-8")
    checksums = {_RECORDS: files.sha256(path)}
    if distilled.initial_weights is not None:
        path = os.path.join(folder, _WEIGHTS)
        np.savez(path, *distilled.initial_weights)
        checksums[_WEIGHTS] = files.sha256(path)
    content = {
        "format": _FORMAT,
        "steps": distilled.steps,
        "batch": distilled.images.shape[1],
        "image_shape": list(distilled.stored_images.shape[2:]),
        "image_dtype": distilled.stored_images.dtype.name,
        "enlarged": distilled.enlarged,
        "recipe": distilled.recipe.to_config(),
        "inner_optimizer": distilled.inner_optimizer.name,
        "hyperparameters": list(per_step),
        "objective": distilled.objective.name,
        "objective_options": fields.plain_copy(
            "options of an objective", distilled.objective.options
        ),
        **{name: of.tolist() for name, of in per_step.items()},
        "normalization": distilled.normalization.to_config(),
        "class_names": list(distilled.class_names),
        "student": distilled.student,
        "initial_weights": "random" if distilled.initial_weights is None else "fixed",
        "provenance": fields.plain_copy("provenance", distilled.provenance),
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "versions": {
            "tfdistill": __version__,
            "python": platform.python_version(),
            **{
                name: metadata.version(name)
                for name in ("tensorflow", "keras", "tensorflow-datasets", "numpy")
            },
        },
        "sha256": checksums,
    }
    checksums[_METADATA] = signature(content)
    with open(os.path.join(folder, _METADATA), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def _is_half(dtype):
    return np.dtype(dtype) == np.float16


def _in_order(record):
    """The same example, whose fields are sorted: protobuf's order is the process's."""
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def load(
    folder: str | os.PathLike,
    make: Callable,
    inner_optimizer: InnerOptimizer | None = None,
    objective: Objective | None = None,
):
    """Reads what `save` wrote.

    Args:
        make: Called with the arguments of `DistilledDataset`; its result is returned.
        folder, inner_optimizer, objective: Same as for `DistilledDataset.load`.

    Raises:
        FileNotFoundError, ValueError: Same as for `DistilledDataset.load`.
    """
    folder = files.local(folder)
    path = os.path.join(folder, _METADATA)
    if not os.path.isfile(path):
        inside = os.path.join(folder, "distilled")
        found = os.path.isfile(os.path.join(inside, _METADATA))
        way_out = f": it is in {inside}" if found else f" ({path})"
        raise FileNotFoundError(f"{folder} holds no distilled data set{way_out}.")
    try:
        content = files.read_json(path)
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {_FORMAT}")
        fields.check(content, {"sha256": fields.values(fields.CHECKSUM)})
        # Files of earlier versions have no signature.
        if content["sha256"].get(_METADATA, signature(content)) != signature(content):
            raise ValueError(f"{_METADATA} is altered")
        untrusted.check_fields(content)
        fixed = content["initial_weights"] == "fixed"
        for name in [_RECORDS, _WEIGHTS][: 1 + fixed]:
            if files.sha256(os.path.join(folder, name)) != content["sha256"][name]:
                raise ValueError(f"{name} is truncated or altered")
        shape = (content["steps"], content["batch"], *content["image_shape"])
        normalization = Normalization.from_config(content["normalization"])
        normalization.check_channels(shape)
        untrusted.check_records(os.path.join(folder, _RECORDS), content)
        images, labels = _read(os.path.join(folder, _RECORDS), shape, content)
        weights = None
        if fixed:
            weights = untrusted.read_arrays(os.path.join(folder, _WEIGHTS))
        return make(
            images,
            labels,
            recipe=_recipe(content, inner_optimizer),
            enlarged=content.get("enlarged", 1),
            objective=_objective(content, objective),
            normalization=normalization,
            class_names=content["class_names"],
            student=content["student"],
            initial_weights=weights,
            provenance=content["provenance"],
        )
    except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"The distilled data set in {folder} cannot be read: {reason.rstrip('.')}."
        ) from error


def _recipe(content, given) -> Recipe:
    config = content.get("recipe", {"kind": LearnedSchedule.kind})
    ordinary = config["kind"] == OrdinaryTraining.kind
    # Absent from files of earlier versions.
    name = Adam.name if ordinary else content.get("inner_optimizer", "sgd")
    if given is not None and given.name != name:
        raise ValueError(f"its inner optimizer is {name!r}, not {given.name!r}")
    if ordinary:
        return OrdinaryTraining.from_config(config)
    if config["kind"] != LearnedSchedule.kind:
        raise ValueError(f"its recipe is {config['kind']!r}, which is unknown")
    plurals = content.get("hyperparameters", ["learning_rates", "momenta"])
    columns = {n: content[n] for n in plurals if content.get(n) is not None}
    if "learning_rates" not in columns:
        raise KeyError("learning_rates")
    return LearnedSchedule.of_columns(given or name, columns)


def _objective(content, given):
    name = content.get("objective", Classification.name)
    if given is not None:
        if given.name != name:
            raise ValueError(f"its objective is {name!r}, not {given.name!r}")
        return given
    return objectives.of_file(name, content.get("objective_options", {}))


def _read(path, shape, content):
    steps, batch = shape[:2]
    classes = len(content["class_names"])
    half = _is_half(content.get("image_dtype", "float32"))
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string)
        if half
        else tf.io.FixedLenFeature(shape[2:], tf.float32),
        "soft_label": tf.io.FixedLenFeature([classes], tf.float32),
    }
    try:
        examples = [
            tf.io.parse_single_example(record, spec)
            for record in tf.data.TFRecordDataset(path)
        ]
        images = [x["image"] for x in examples]
        if half:
            images = [tf.io.decode_raw(image, tf.float16) for image in images]
        images = np.stack(images).reshape(shape)
    except tf.errors.OpError as error:
        raise ValueError(f"{_RECORDS} is damaged ({error.message})") from error
    labels = np.stack([x["soft_label"] for x in examples])
    return images, labels.reshape((steps, batch, classes))
