"""`ImageProjectiveTransformV3`: rotations, shifts, zooms and shears of images."""

import tensorflow as tf


def projective_transform(
    images,
    transforms,
    output_shape,
    fill_value,
    interpolation,
    fill_mode="CONSTANT",
    name=None,
):
    """`tf.raw_ops.ImageProjectiveTransformV3`, with its true derivatives.

    TensorFlow's derivative moves the gradient back by the inverse transform, which is
    not the transposed of what was done to the images; and XLA has no kernel.

    As in TensorFlow, there is no derivative with respect to the transforms.
    """
    with tf.name_scope(name or "ImageProjectiveTransformV3"):
        images = tf.convert_to_tensor(images)
        output_shape = _known(output_shape)
        x, y, is_finite = _origins(tf.stop_gradient(transforms), output_shape)
        shape = _known(tf.shape(images))
        batch, height, width, channels = (shape[i] for i in range(4))
        x, y = _inside(x, width, fill_mode), _inside(y, height, fill_mode)
        pixels = tf.reshape(images, [batch, height * width, channels])
        fill = tf.cast(fill_value, images.dtype)

        def read(row, column):
            """The images' pixels at places, and what fills the outside."""
            within = is_finite & (row >= 0) & (row <= tf.cast(height - 1, row.dtype))
            within &= (column >= 0) & (column <= tf.cast(width - 1, row.dtype))
            place = tf.cast(row, tf.int32) * width + tf.cast(column, tf.int32)
            place = tf.where(within, place, 0)
            place = tf.broadcast_to(place, [batch, tf.shape(place)[1]])
            found = tf.gather(pixels, place, batch_dims=1)
            return tf.where(within[..., None], found, fill)

        if interpolation == "NEAREST":
            # Halves are rounded away from zero.
            row, column = (tf.sign(a) * tf.floor(tf.abs(a) + 0.5) for a in (y, x))
            result = read(row, column)
        else:
            top, left = tf.floor(y), tf.floor(x)
            down, right = (
                tf.cast(tf.where(is_finite, share, 0), images.dtype)[..., None]
                for share in (y - top, x - left)
            )
            upper, lower = (
                (1 - right) * read(row, left) + right * read(row, left + 1)
                for row in (top, top + 1)
            )
            result = (1 - down) * upper + down * lower
        result = tf.reshape(result, [batch, output_shape[0], output_shape[1], channels])
        return tf.ensure_shape(result, [images.shape[0], None, None, images.shape[3]])


def _known(shape):
    """A shape as integers, where it is known."""
    known = tf.get_static_value(shape)
    return shape if known is None else [int(length) for length in known]


def _origins(transforms, output_shape):
    """Where each pixel comes from: x, y, and whether they are finite."""
    transforms = tf.cast(transforms, tf.float32)
    rows, columns = tf.range(output_shape[0]), tf.range(output_shape[1])
    columns, rows = tf.meshgrid(columns, rows)
    x, y = (tf.reshape(tf.cast(a, tf.float32), [1, -1]) for a in (columns, rows))
    a = tf.split(transforms, 8, 1)
    projection = a[6] * x + a[7] * y + 1
    is_finite = tf.not_equal(projection, 0)
    projection = tf.where(is_finite, projection, 1)
    return (
        (a[0] * x + a[1] * y + a[2]) / projection,
        (a[3] * x + a[4] * y + a[5]) / projection,
        is_finite,
    )


def _inside(place, length, fill_mode):
    """A place brought into the image in the way of a fill mode, step by step TF's."""
    if fill_mode == "CONSTANT":
        return place
    length = tf.cast(length, place.dtype)
    last = length - 1
    # An image of one pixel repeats it, whatever the mode; nothing is divided by zero.
    if fill_mode == "REFLECT":
        twice = 2 * length
        below = place + twice * _whole(-place / twice)
        below = tf.where(below < -length, below + twice, -below - 1)
        above = place - twice * _whole(place / twice)
        above = tf.where(above >= length, twice - above - 1, above)
    else:
        gaps = tf.maximum(last, 1)
        below = place + length * (_whole(-place / gaps) + 1)
        above = place - length * _whole(place / gaps)
    if fill_mode != "NEAREST":
        place = tf.where(place < 0, below, tf.where(place > last, above, place))
    return tf.clip_by_value(place, 0, last)


def _whole(number):
    """Rounded towards zero."""
    return tf.cast(tf.cast(number, tf.int32), number.dtype)
