"""Distilled data and students for other programs: NumPy, Parquet, LiteRT."""

import json
import os
from pathlib import Path

import numpy as np

from tfdistill._internal import fields
from tfdistill.distilled.pictures import as_pictures, png
from tfdistill.runs import files


def save_npz(distilled, path: str | os.PathLike, overwrite: bool = False) -> None:
    """Same as `DistilledDataset.to_npz`."""
    normalization = distilled.normalization
    arrays = {
        "images": distilled.images,
        "labels": distilled.labels,
        **distilled.recipe.columns(),
        "recipe": np.array(_recipe(distilled)),
        "mean": np.float32(normalization.mean),
        "std": np.float32(normalization.std),
        "scale": np.float32(normalization.scale),
        "class_names": np.array(distilled.class_names),
        "inner_optimizer": np.array(distilled.inner_optimizer.name),
        **{name: np.array(text) for name, text in _objective(distilled).items()},
    }
    for k, value in enumerate(distilled.initial_weights or ()):
        arrays[f"initial_weights_{k}"] = np.asarray(value)
    with files.replacing(path, overwrite=overwrite) as temporary:
        with open(temporary, "wb") as file:  # NumPy adds its suffix to other names
            np.savez_compressed(file, **arrays)


def save_parquet(distilled, path: str | os.PathLike, overwrite: bool = False) -> None:
    """Same as `DistilledDataset.to_parquet`."""
    if distilled.initial_weights is not None:
        raise ValueError(
            "The images are for one network's fixed initial weights, for which Parquet "
            "has no place: write a .npz file."
        )
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "Parquet needs Hugging Face's datasets: pip install tfdistill[huggingface] "
            f"({error})."
        ) from error
    shape = distilled.image_shape
    flat = distilled.images.reshape(-1, *shape)
    # Pictures to look at: whole where that is possible.
    shown = as_pictures(distilled.normalization.displayable(flat), max(shape))
    normalization = distilled.normalization
    per_step = distilled.recipe.columns()
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(distilled.class_names)),
            "soft_label": datasets.List(datasets.Value("float32")),
            "pixels": _array(datasets, shape),
            "step": datasets.Value("int64"),
            "inner_optimizer": datasets.Value("string"),
            **{name: datasets.Value("string") for name in _objective(distilled)},
            "recipe": datasets.Value("string"),
            **{name: datasets.List(datasets.Value("float32")) for name in per_step},
            "mean": datasets.List(datasets.Value("float32")),
            "std": datasets.List(datasets.Value("float32")),
            "scale": datasets.Value("float32"),
        }
    )
    rows = [
        {
            "image": {"bytes": png(image), "path": None},
            "label": int(label.argmax()),
            "soft_label": label.tolist(),
            "pixels": pixels,
            "step": int(step),
            "inner_optimizer": distilled.inner_optimizer.name,
            **_objective(distilled),
            "recipe": _recipe(distilled),
            **{name: of[:, step].tolist() for name, of in per_step.items()},
            "mean": list(normalization.mean),
            "std": list(normalization.std),
            "scale": normalization.scale,
        }
        for step, image, pixels, label in zip(
            np.arange(distilled.steps).repeat(distilled.images.shape[1]),
            shown,
            flat,
            distilled.labels.reshape(len(flat), -1),
        )
    ]
    table = datasets.Dataset.from_list(rows, features=features)
    shown = datasets.utils.is_progress_bar_enabled()
    datasets.utils.disable_progress_bars()  # of a second
    try:
        with files.replacing(path, overwrite=overwrite) as temporary:
            table.to_parquet(temporary)
    finally:
        if shown:
            datasets.utils.enable_progress_bars()


def _recipe(distilled):
    """How to train on it, as JSON: what is not an array of numbers."""
    return json.dumps(distilled.recipe.to_config())


def _objective(distilled):
    """Words that tell what the labels are for: options, as JSON, where it has some."""
    objective = distilled.objective
    options = fields.plain_copy("options of an objective", objective.options)
    words = {"objective_options": json.dumps(options)} if options else {}
    return {"objective": objective.name, **words}


def _array(datasets, shape):
    """How Hugging Face's datasets hold arrays of a shape."""
    kinds = {
        2: datasets.Array2D,
        3: datasets.Array3D,
        4: datasets.Array4D,
        5: datasets.Array5D,
    }
    if len(shape) in kinds:
        return kinds[len(shape)](shape, "float32")
    if len(shape) == 1:
        return datasets.List(datasets.Value("float32"), length=shape[0])
    raise ValueError(f"Parquet files hold arrays of up to 5 axes, not {list(shape)}.")


def save_tflite(
    student: str | os.PathLike, path: str | os.PathLike, overwrite: bool = False
) -> None:
    """Writes an exported student for LiteRT, formerly TensorFlow Lite.

    Args:
        student: A SavedModel, such as the folder `student` of a run.
        path: Path of the new file, ending in .tflite.
        overwrite: Whether to replace an existing file.

    Raises:
        FileExistsError: If it exists and overwrite is False.
        FileNotFoundError: If there is no SavedModel in the folder.
        ValueError: If a layer of the student is unknown to LiteRT.
    """
    import tensorflow as tf

    student = files.saved_model(student)
    if not os.path.isfile(os.path.join(student, "saved_model.pb")):
        raise FileNotFoundError(f"{student} holds no trained network (SavedModel).")
    try:
        with files.literal(student) as folder:
            content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    # The converter's own class of errors is not public.
    except Exception as error:
        raise ValueError(f"LiteRT cannot hold {student}: {error}") from error
    with files.replacing(path, overwrite=overwrite) as temporary:
        Path(temporary).write_bytes(content)
