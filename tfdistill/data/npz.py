"""`.npz` files of images, their labels and, perhaps, the names of classes."""

import numpy as np

from tfdistill.data.labels import as_text


def read(
    path: str, *, images: bool = True
) -> tuple[dict[str, np.ndarray], list[str] | None]:
    """Reads a file.

    Args:
        path: The file, with x_train, y_train and, optionally, x_test, y_test and
            class_names.
        images: Whether to read the images, too.

    Returns:
        (the arrays by their names, without class_names; the names of classes, None if
        the file has none).

    Raises:
        ValueError: If the file is damaged, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            held = set(file.files)
            tested = {"x_test", "y_test"} & held
            wanted = ["x_train", "y_train", "x_test", "y_test"][: 4 if tested else 2]
            missing = [key for key in wanted if key not in held]
            read = [key for key in wanted if images or key[0] == "y"]
            arrays = {key: file[key] for key in [*read, "class_names"] if key in held}
            keys = ", ".join(file.files)
    except Exception as error:  # zip, zlib, NumPy and the system differ in theirs
        raise ValueError(f"not a whole .npz file of plain arrays ({error})") from error
    if missing:
        raise ValueError(
            f"the file must hold {', '.join(wanted)}, but lacks {', '.join(missing)}: "
            f"it holds {keys or 'nothing'}."
        )
    names = arrays.pop("class_names", None)
    return arrays, None if names is None else [as_text(x) for x in names.reshape(-1)]
