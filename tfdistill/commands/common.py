"""What the commands share: flags, run folders, numbers on the screen."""

import contextlib
import json
import os
import resource

from absl import flags

FLAGS = flags.FLAGS


class InputError(Exception):
    """What a user can mend: shown as one sentence, without a traceback."""


@contextlib.contextmanager
def input_errors():
    """Turns errors about arguments and files into `InputError`."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise InputError(" ".join(str(error).split())) from error


def define_data_flags(dataset: str | None) -> list[str]:
    """Defines the flags that name the real data; returns their names.

    Args:
        dataset: The default; None for the data of the run in --workdir.
    """
    whose = (
        "The real data" if dataset else "The real data to test on (default: the run's)"
    )
    flags.DEFINE_string(
        "dataset",
        dataset,
        f'{whose}: "digits" (built in), a TFDS name such as "mnist", a .npz file '
        "with x_train, y_train, x_test, y_test, a folder of images by class, or a "
        "prepared TFDS folder.",
    )
    flags.DEFINE_string(
        "data_dir", None, "Where TFDS keeps its data; TFDS's own default if not given."
    )
    flags.DEFINE_boolean(
        "download", False, "Whether TFDS may download and prepare data that is absent."
    )
    return ["dataset", "data_dir", "download"]


def define_machine_flags() -> list[str]:
    """Defines the flags that say how the machine is used; returns their names."""
    flags.DEFINE_integer(
        "threads",
        os.cpu_count() or 1,
        "Operations that run side by side on the CPU. Students run beside each other "
        "in single-threaded operations, which measured fastest.",
        lower_bound=1,
    )
    return ["threads"]


def set_threads() -> None:
    """Sets TensorFlow's thread pools, before it makes them."""
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def load_dataset():
    """The data set that the flags name."""
    from tfdistill import datasets

    with input_errors():
        return datasets.load_dataset(
            FLAGS.dataset, data_dir=FLAGS.data_dir, download=FLAGS.download
        )


def flag_lines(names) -> str:
    """An absl flagfile of the present values of some flags."""
    lines = []
    for name in names:
        value = FLAGS[name].value
        if isinstance(value, bool):
            lines.append(f"--{'' if value else 'no'}{name}")
        elif value is not None:
            lines.append(f"--{name}={value}")
    return "\n".join(lines) + "\n"


def claim_workdir(folder: str, lines: str, overwrite: bool, owned) -> None:
    """Takes a run folder, or refuses one that holds another run.

    Args:
        folder: The run folder; made if absent.
        lines: The run's flagfile. A folder with the same one is resumed.
        overwrite: Whether a run with other flags is removed.
        owned: Names in the folder that belong to a run, which overwriting removes.

    Raises:
        InputError: If the folder holds another run or other files, or cannot be
            written.
    """
    import shutil

    path = os.path.join(folder, "flags.txt")
    with input_errors():
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise InputError(f"--workdir={folder} is a file, not a folder.")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                found = file.read()
            if found != lines and not overwrite:
                changed = sorted(set(found.split("\n")) ^ set(lines.split("\n")))
                raise InputError(
                    f"--workdir={folder} holds another run (different: "
                    f"{', '.join(filter(None, changed))}); choose another folder, "
                    "repeat its flags to resume it, or pass --overwrite to replace it."
                )
        elif os.path.isdir(folder) and os.listdir(folder) and not overwrite:
            raise InputError(
                f"--workdir={folder} is not empty and holds no run of tfdistill; "
                "choose another folder, or pass --overwrite to write into it."
            )
        os.makedirs(folder, exist_ok=True)
        if overwrite:
            for name in owned:
                target = os.path.join(folder, name)
                if os.path.isdir(target):
                    shutil.rmtree(target)
                elif os.path.exists(target):
                    os.remove(target)
        write_text(path, lines)


def write_text(path: str, text: str) -> None:
    """Writes a file: complete or not at all."""
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def write_json(path: str, content) -> None:
    """Writes JSON: complete or not at all."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
