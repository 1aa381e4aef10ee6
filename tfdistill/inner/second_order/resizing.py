"""`tf.image.resize` as what it is: two matrix products."""

import functools

import tensorflow as tf

_resize = tf.image.resize
_METHODS = tf.image.ResizeMethod


def resize(
    images,
    size,
    method=_METHODS.BILINEAR,
    preserve_aspect_ratio=False,
    antialias=False,
    name=None,
):
    """`tf.image.resize`: linear, and along one axis after the other.

    The derivatives of TensorFlow's kernels have no derivatives of their own. Here,
    TensorFlow resizes identity matrices, which depend on nothing; the images are
    multiplied by them.

    Values are TensorFlow's, and float64, too, stays what it is (TensorFlow rounds it to
    float32, so that nothing could be checked with central differences).
    """
    given = tf.convert_to_tensor(images)
    is_real = given.dtype.is_floating
    if preserve_aspect_ratio or not is_real or given.shape.rank not in (3, 4):
        return _resize(images, size, method, preserve_aspect_ratio, antialias, name)
    nearest = method == _METHODS.NEAREST_NEIGHBOR
    with tf.name_scope(name or "resize"):
        exact = given if given.dtype == tf.float64 else tf.cast(given, tf.float32)
        rank = given.shape.rank
        dynamic = tf.shape(given)
        for axis, length in zip((rank - 3, rank - 2), _lengths(size)):
            before = given.shape[axis]
            if before is None or not isinstance(length, int):
                before = dynamic[axis] if before is None else before
                matrix = _matrix(before, length, method, antialias)
            else:
                matrix = _constant(before, length, method, antialias)
            if nearest:
                exact = tf.gather(exact, tf.argmax(matrix, 1), axis=axis)
            else:
                exact = _multiplied(exact, tf.cast(matrix, exact.dtype), axis)
        return tf.cast(exact, given.dtype) if nearest else exact


def _lengths(size):
    """Height and width: integers where they are known, else scalars."""
    if tf.is_tensor(size):
        known = tf.get_static_value(size)
        size = tf.unstack(size, 2) if known is None else known
    height, width = size
    known = [tf.get_static_value(x) if tf.is_tensor(x) else x for x in (height, width)]
    return [
        x if value is None else int(value) for x, value in zip((height, width), known)
    ]


def _multiplied(images, matrix, axis):
    """Images whose axis, of height or width, is multiplied by a matrix."""
    is_height = axis == images.shape.rank - 3
    equation = "ih,...hwc->...iwc" if is_height else "jw,...hwc->...hjc"
    return tf.einsum(equation, matrix, images)


def _matrix(before, after, method, antialias):
    """[after, before]: the resized columns of an identity matrix, as channels."""
    identity = tf.eye(before)[None, :, None, :]
    return _resize(identity, [after, 1], method, antialias=antialias)[0, :, 0, :]


@functools.lru_cache(maxsize=256)
def _constant(before, after, method, antialias):
    """The same once and for all, an array: kernels that XLA lacks run outside of it."""
    with tf.init_scope(), tf.device("CPU"):
        return _matrix(before, after, method, antialias).numpy()
