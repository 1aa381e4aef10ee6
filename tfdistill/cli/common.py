"""What the commands share: flags, run folders, numbers on the screen."""

import contextlib
import fnmatch
import os
import resource

from absl import flags

from tfdistill.cli import recovery
from tfdistill.runs import files

FLAGS = flags.FLAGS
# Flags that say what is made of the data that --dataset names.
_FORM = ["image_size", "channels", "classes", "resplit"]


class InputError(Exception):
    """What a user can mend: shown as one sentence, without a traceback."""


@contextlib.contextmanager
def input_errors():
    """Turns errors about arguments and files into `InputError`."""
    try:
        yield
    except (ValueError, OSError) as error:
        if files.is_disk_full(error):
            raise
        raise InputError(" ".join(str(error).split())) from error


def define_workdir_flags(what: str) -> None:
    """Defines --workdir and --overwrite, of a command that writes a folder.

    Args:
        what: What the folder holds: "run" or "pool".
    """
    flags.DEFINE_string(
        "workdir", None, f"The {what}'s folder, made if it is not there."
    )
    flags.DEFINE_boolean(
        "overwrite", False, f"Whether to replace another {what} in --workdir."
    )


def check_workdir(example: str) -> None:
    """Refuses a command without --workdir."""
    if not FLAGS.workdir:
        raise InputError(
            f"--workdir is missing: name a folder, e.g. --workdir={example}."
        )


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
    flags.DEFINE_integer(
        "image_size", None, "Side that images are resized to.", lower_bound=1
    )
    flags.DEFINE_enum(
        "channels",
        None,
        ["1", "3"],
        "3 gives grey images three equal channels, 1 makes colour ones grey.",
    )
    flags.DEFINE_list(
        "classes",
        None,
        "Some labels, such as 0,1,2: only images of these classes are taken, which "
        "become classes 0, 1, ....",
    )
    flags.DEFINE_float(
        "resplit",
        None,
        "The part of all images that tests, drawn at random, in place of the official "
        "test images; the paper's USPS is split so, by 0.2.",
        lower_bound=0.001,
        upper_bound=0.9,
    )
    flags.DEFINE_boolean(
        "in_memory",
        None,
        "Whether the real images are held in memory or read anew all the time; held if "
        "the training images take less than 2 GiB, if not given.",
    )
    return ["dataset", "data_dir", "download", "in_memory", *_FORM]


def define_validation_flag() -> list[str]:
    """Defines the flag that says what is chosen on; returns its name."""
    flags.DEFINE_float(
        "validation",
        0.1,
        "Part of the training images that is set apart: whatever is watched or chosen, "
        "is so on them. The test images are used once, at the end.",
        lower_bound=0.001,
        upper_bound=0.9,
    )
    return ["validation"]


def define_initial_weights_flags() -> list[str]:
    """Defines the flags that say how students start; returns their names."""
    flags.DEFINE_enum(
        "initial_weights",
        "random",
        ["random", "fixed", "pretrained", "pretrained_fixed"],
        "Whom the images are for: any random initial weights; one known draw, which is "
        "saved with them (better for that one, useless for others); any student of "
        "--pool; or one of them.",
    )
    flags.DEFINE_string(
        "pool", None, "The folder of pretrained students: see tfdistill pretrain."
    )
    flags.DEFINE_integer(
        "pool_student",
        0,
        "With pretrained_fixed: which student of the pool.",
        lower_bound=0,
    )
    flags.DEFINE_boolean(
        "new_head",
        False,
        "With --pool: whether students get a new last layer, with weights of zero: for "
        "other classes than they know.",
    )
    return ["initial_weights", "pool", "pool_student", "new_head"]


def initial_weights():
    """The `InitialWeights` that the flags name.

    Raises:
        InputError: If there is no --pool where one is needed, or one where none is.
    """
    import tfdistill

    kind, pool = FLAGS.initial_weights, FLAGS.pool
    if kind.startswith("pretrained") != (pool is not None):
        raise InputError(
            f"--initial_weights={kind} needs {'a' if pool is None else 'no'} --pool."
        )
    if FLAGS.new_head and pool is None:
        raise InputError("--new_head needs a --pool.")
    with input_errors():
        if kind == "pretrained":
            return tfdistill.PretrainedWeights(pool, new_head=FLAGS.new_head)
        if kind == "random":
            return tfdistill.RandomWeights()
        return tfdistill.FixedWeights(pool, FLAGS.pool_student, new_head=FLAGS.new_head)


def pretrained_weights():
    """`initial_weights` of students drawn from a pool; None for all others.

    The others are what an `Evaluator` finds in the data itself.
    """
    return initial_weights() if FLAGS.initial_weights == "pretrained" else None


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


def define_strategy_flag(machines: bool = True) -> list[str]:
    """Defines the flag that says where students run; returns its name.

    Args:
        machines: Whether several machines can take part.
    """
    names = ["none", "mirrored", "tpu"]
    about = "on one device, on all GPUs of this machine, or on a TPU."
    if machines:
        names.insert(2, "multi_worker")
        about = (
            "on one device, on all GPUs of this machine, on the machines that "
            "TF_CONFIG names (each runs the same command, on a --workdir that all "
            "see), or on a TPU. --students_per_step are dealt out evenly, and so is "
            "--batch_size."
        )
    flags.DEFINE_enum("strategy", "none", names, f"Where networks are trained: {about}")
    return ["strategy"]


def strategy():
    """The `tf.distribute.Strategy` that the flag names; before anything else runs."""
    from tfdistill.runs import preemption, strategies

    with input_errors():
        strategy = strategies.make(FLAGS.strategy)
    # TensorFlow takes SIGTERM for itself when workers find each other.
    preemption.exit_when_asked()
    return strategy


def set_threads(within: int = 1) -> None:
    """Sets TensorFlow's thread pools, before it makes them.

    Args:
        within: Threads of one operation; more than one where networks are trained one
            after the other.
    """
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_intra_op_parallelism_threads(within)


def load_dataset(name: str | None = None):
    """The data set that the flags name, with a validation part if there is a flag.

    Args:
        name: Another data set, which is to have the same form, with its own test split.
    """
    from tfdistill.data import loading as datasets

    with input_errors():
        dataset = datasets.load_dataset(
            name or FLAGS.dataset,
            data_dir=FLAGS.data_dir,
            download=FLAGS.download,
            in_memory=FLAGS.in_memory,
            image_size=FLAGS.image_size,
            channels=FLAGS.channels and int(FLAGS.channels),
        )
        if FLAGS.classes:
            if not all(label.isdecimal() for label in FLAGS.classes):
                raise ValueError(
                    f"--classes={','.join(FLAGS.classes)} must be labels, such as "
                    "0,1,2."
                )
            dataset = dataset.of_classes([int(label) for label in FLAGS.classes])
        if FLAGS.resplit and name is None:
            dataset = dataset.resplit(FLAGS.resplit)
        if "validation" in FLAGS:
            dataset = dataset.hold_out(FLAGS.validation, seed=FLAGS.seed)
        return dataset


def load_flags() -> dict:
    """What finds the real data and the students of a result again."""
    names = ["dataset", "data_dir", *_FORM]
    pool = FLAGS.pool if FLAGS.initial_weights == "pretrained" else None
    found = {name: FLAGS[name].value for name in names}
    return {**found, "pool": pool, "new_head": FLAGS.new_head}


def take_load_flags(known: dict) -> None:
    """Sets those flags that are not given to what `load_flags` has kept."""
    for name in ["dataset", "data_dir", *_FORM, "pool"]:
        if name in FLAGS and FLAGS[name].value is None:
            FLAGS[name].value = known.get(name)


def default_student(dataset) -> str:
    """The pool's, else LeNet, or an MLP where two poolings leave too little."""
    weights = initial_weights() if "initial_weights" in FLAGS else None
    pool = getattr(weights, "pool", None)
    if pool is not None and pool.student:
        return pool.student
    return "lenet" if min(dataset.image_shape[:2]) >= 28 else "mlp"


def journal(writes: bool = True):
    """Where the run folder keeps evaluations that are under way."""
    from tfdistill.runs.journal import Journal

    return Journal(os.path.join(FLAGS.workdir, "journal"), writes=writes)


def flag_lines(names) -> str:
    """An absl flagfile of the present values of some flags."""
    lines = []
    for name in names:
        value = FLAGS[name].value
        if isinstance(value, list):
            value = ",".join(value)
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
        owned: Names in the folder, or patterns such as "metrics*.json", that belong to
            a run; overwriting removes them.

    Raises:
        InputError: If the folder holds another run or other files, or cannot be
            written.
    """
    path = os.path.join(folder, "flags.txt")

    def check():
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
        elif os.path.isdir(folder) and recovery.contents(folder) and not overwrite:
            raise InputError(
                f"--workdir={folder} is not empty and holds no run of tfdistill; "
                "choose another folder, or pass --overwrite to write into it."
            )

    with _written_errors(folder):
        check()
        os.makedirs(folder, exist_ok=True)
        lock_workdir(folder)
        check()  # what another process may have done meanwhile
        recovery.tidy(folder, owned)
        if overwrite:
            for name in os.listdir(folder):
                if any(fnmatch.fnmatch(name, pattern) for pattern in owned):
                    files.remove(os.path.join(folder, name))
        files.write_text(path, lines)


def lock_workdir(folder: str) -> None:
    """Refuses a run folder that another process is at work in.

    Raises:
        InputError: If there is one.
    """
    with _written_errors(folder):
        if not recovery.lock(folder):
            raise InputError(
                f"--workdir={folder} is in use: another tfdistill is at work there."
            )


@contextlib.contextmanager
def _written_errors(folder):
    try:
        yield
    except OSError as error:
        if files.is_disk_full(error):
            raise
        raise InputError(
            f"--workdir={folder} cannot be written: {error.strerror or error}."
        ) from error


def is_finished(folder: str) -> bool:
    """Whether a run folder holds a result; says so if it does."""
    if not os.path.isfile(os.path.join(folder, "metrics.json")):
        return False
    print(f"{folder} holds this run, finished; --overwrite repeats it.")
    return True


def metrics(result, student: str, dataset: str) -> dict:
    """An `Evaluation` as JSON: accuracies are fractions of 1."""
    return {**result.to_json(), "student": student, "dataset": dataset}


def given_model(path: str, student: str, image_shape, num_classes: int):
    """A user's own network.

    Args:
        path: A .keras file, or a SavedModel or a .weights.h5 file of `student`.
        student: The architecture of a file that does not hold its own.
        image_shape, num_classes: What it must fit.

    Raises:
        ValueError: If the file is damaged, or doesn't fit.
    """
    import tfdistill
    from tfdistill import students

    def make_model():
        own = path.endswith(".keras")
        return students.build(path if own else student, image_shape, num_classes)

    model = make_model()
    pool = tfdistill.Pool.of_files([path])
    (values,) = pool.values(pool.training, make_model)
    students.assign(model, values)
    return model


def trained_student(distilled):
    """A network trained on distilled data, from where the flags say that it starts."""
    from tfdistill import students
    from tfdistill._internal.seeds import Stream, student_seed
    from tfdistill.inner.stateless import StatelessModel

    def make_model():
        first = students.each_of(FLAGS.student)[0]
        return students.build(first, distilled.image_shape, distilled.num_classes)

    model, pretrained = make_model(), pretrained_weights()
    if pretrained is not None:
        pretrained.build(make_model, model)
        seed = student_seed(FLAGS.seed, Stream.EVALUATION, 0)
        StatelessModel(model).assign(*pretrained.sample_held_out(seed, 0))
    return distilled.train(model)


def write_result(folder: str, distilled, model, figures: dict, content: dict) -> str:
    """Fills a run folder: data, a trained student, pictures, and last its metrics.

    Args:
        folder: The run folder.
        distilled: A `DistilledDataset`; None for none.
        model: A student that learned from it, to be exported; None for none.
        figures: Matplotlib figures by name.
        content: For metrics.json, to which bytes and peak memory are added.

    Returns:
        What the result cost and what it was selected on, as a sentence.
    """
    from tfdistill.reporting import plots

    size = 0
    with input_errors():
        if distilled is not None:
            distilled.save(os.path.join(folder, "distilled"), overwrite=True)
            size = distilled.images.nbytes + distilled.labels.nbytes
        if model is not None:
            served = distilled.serving_model(model)
            exported = os.path.join(folder, "student")
            with files.replacing(exported) as temporary:
                served.export(temporary, verbose=False)
        for name, figure in figures.items():
            plots.save(figure, os.path.join(folder, "images", f"{name}.png"))
        content = {
            **content,
            "num_images": 0 if distilled is None else distilled.num_images,
            "bytes": size,
            "peak_memory_bytes": peak_memory(),
        }
        files.write_json(os.path.join(folder, "metrics.json"), content)
    journal().forget()
    return (
        f"{size / 1024:.0f} KiB of images and labels, "
        f"{content['seconds']:.0f} seconds, {peak_memory() / 2**20:.0f} MiB at the "
        f"peak; selected: {content['selection']}."
    )


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
