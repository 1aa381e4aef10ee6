"""One image file: what its header says, and its pixels."""

import dataclasses
import functools
import os
import struct

import numpy as np

# Formats whose files Pillow names, and does not decode itself.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_GREY = ("1", "L", "LA", "La")
_ORIENTATION = 0x0112  # of EXIF
_BITS_PER_SAMPLE = 258  # of TIFF


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        size: (height, width), as it is to be looked at.
        is_grey: Whether it has no colour.
        is_turned: Whether its EXIF data turn or mirror it.
        is_transparent: Whether pixels may be transparent.
        has_frames: Whether there is more than one frame.
    """

    size: tuple[int, int]
    is_grey: bool
    is_turned: bool
    is_transparent: bool
    has_frames: bool


@functools.cache
def suffixes() -> frozenset[str]:
    """The endings of files that must be images, such as ".png"."""
    from PIL import Image

    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(s for s, f in known if f in Image.OPEN and f not in _NOT_DECODED)


def header(path: str | os.PathLike) -> Header | None:
    """Reads the header of a file.

    Args:
        path: Any file.

    Returns:
        The `Header`; None if the file is no image, and does not claim to be one.

    Raises:
        ValueError: If it claims to be an image and is none, has more than 8 bits per
            channel, or more pixels than Pillow opens.
    """
    from PIL import Image

    try:
        with _opened(path) as image:
            if image.format in _NOT_DECODED:
                return None
            deep, turned = is_deep(image), _orientation(image)
            size = (image.height, image.width)
            # Pillow gives the size of a TIFF as it will be.
            on_its_side = turned in (5, 6, 7, 8) and image.format != "TIFF"
            header = Header(
                size[::-1] if on_its_side else size,
                _is_grey(image),
                turned > 1,
                _is_transparent(image),
                getattr(image, "is_animated", False),
            )
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{str(path)!r} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, which "
            "Pillow does not open: make it smaller, or leave it out."
        ) from error
    except Exception as error:
        if os.path.splitext(path)[1].lower() not in suffixes():
            return None
        raise ValueError(f"{str(path)!r} is not a whole image.") from error
    if deep:
        raise ValueError(f"{str(path)!r} has more than 8 bits per channel.")
    return header


def pixels(path: str | os.PathLike, is_grey: bool) -> np.ndarray:
    """Reads an image as it is to be looked at: turned, and on white.

    Args:
        path: A file with a `header`.
        is_grey: Whether to make it grey.

    Returns:
        uint8 array [H, W, 1] or [H, W, 3].

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        with _opened(path) as image:
            return decoded(image, is_grey)
    except Exception as error:  # each format has its own
        raise _damaged(path, error) from error


def decoded(image, is_grey: bool) -> np.ndarray:
    """Same as `pixels`, of an image that Pillow has opened and not yet decoded."""
    from PIL import Image, ImageOps

    if _orientation(image) > 1:
        image = ImageOps.exif_transpose(image)
    if _is_transparent(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.atleast_3d(np.asarray(image.convert("L" if is_grey else "RGB")))


def check(path: str | os.PathLike) -> None:
    """Decodes a whole file, as coarsely as its format allows.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        with _opened(path) as image:
            image.draft(image.mode, (1, 1))
            image.load()
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path, error):
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
    return ValueError(f"{str(path)!r} is damaged: {reason}.")


def _opened(path):
    from PIL import Image

    return Image.open(path)


def _is_grey(image):
    if image.mode in ("P", "PA"):
        colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in _GREY


def _is_transparent(image):
    return image.has_transparency_data


def is_deep(image) -> bool:
    """Whether it has more than 8 bits per channel, of which Pillow may drop the lower.

    Of JPEG 2000 and AVIF in colour, Pillow does not tell.
    """
    if image.mode[0] in "IF":
        return True
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8
    for codec, _, _, arguments in image.tile:
        mode, *others = arguments if isinstance(arguments, tuple) else (arguments,)
        if image.format == "PNG" and mode.endswith(";16B"):
            return True
        if image.format == "PPM" and others and others[0] > 255:  # the highest value
            return True
        if codec == "SGI16" or (codec == "sgi_rle" and others[-1] == 2):  # bytes
            return True
    return False


def _orientation(image):
    if image.format == "PNG" and not _has_exif(image):
        return 1  # Pillow would decode all of it to look for EXIF data at its end
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(2, 9) else 1


def _has_exif(image):
    """Whether a PNG has EXIF data: its chunks are skipped through, to their end."""
    if not {"exif", "Raw profile type exif"}.isdisjoint(image.info):
        return True
    file, at = image.fp, image.fp.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind in (b"eXIf", b"IEND"):
                return kind == b"eXIf"
            file.seek(length + 4, os.SEEK_CUR)
    finally:
        file.seek(at)
    return False
