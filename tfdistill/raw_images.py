"""Raw images and labels in one form, whatever they came as."""

import numpy as np
import tensorflow as tf


def raw_pairs(dataset, image_size=None, shape=None) -> tf.data.Dataset:
    """Brings (image, label) pairs to static shape, uint8 or float32, and int32."""
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "the data must be a tf.data.Dataset of pairs (image, label), not "
            f"{dataset if spec is None else spec!r}."
        )
    image, label = spec
    if label.shape.rank != 0 or not label.dtype.is_integer:
        raise ValueError(f"labels must be integer scalars, not {label}.")
    kept = image.dtype in (tf.uint8, tf.uint16) or image.dtype.is_floating
    if not kept or image.shape.rank not in (2, 3, None):
        raise ValueError(
            "images must be unbatched [H, W, C] of uint8, uint16 or floats, not "
            f"{image.dtype.name} of shape {image.shape}."
        )

    def standard(image, label):
        if image.shape.rank == 2:
            image = image[..., None]
        if image.dtype != tf.uint8:
            image = tf.image.convert_image_dtype(image, tf.float32)
        image = resize(image, image_size) if image_size else image
        image = tf.ensure_shape(image, shape) if shape is not None else image
        return image, tf.cast(label, tf.int32)

    pairs = dataset.map(standard, num_parallel_calls=tf.data.AUTOTUNE)
    if not pairs.element_spec[0].shape.is_fully_defined():
        raise ValueError(
            "images must have one known size: give image_size, or ensure_shape of the "
            f"dataset, whose images are {image.shape}."
        )
    return pairs


def as_images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size or images.dtype.kind not in "iuf":
        raise ValueError(
            "images must be numbers of shape [N, H, W, C] or [N, H, W], at least one, "
            f"not {images.dtype} of shape {images.shape}."
        )
    low, high = images.min(), images.max()  # NaN, if there is one
    if images.dtype.kind == "f":
        if not max(-low, high) <= np.finfo(np.float32).max:
            raise ValueError("images must be finite, but some are NaN or infinite.")
    elif low < 0 or high > 255:
        raise ValueError(f"images must be integers in 0..255, not {low}..{high}.")
    kept = np.float32 if images.dtype.kind == "f" else np.uint8
    return images.astype(kept, copy=False)


def resize(images: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(images, (size, size), antialias=True)
    if images.dtype == tf.uint8:
        resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return resized


def resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[1:3] == (size, size):
        return images
    chunks = (tf.constant(images[i : i + 512]) for i in range(0, len(images), 512))
    return np.concatenate([resize(chunk, size).numpy() for chunk in chunks])
