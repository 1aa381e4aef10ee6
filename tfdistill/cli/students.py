"""The flags that say who learns and how far along they are, and what they name."""

import contextlib
import dataclasses
import functools
import os
import shlex
from collections.abc import Iterator

from tfdistill._internal import code
from tfdistill.cli import content
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking

#: The student that is taken if none is given.
BY_SIZE = "lenet; mlp for images under 28 pixels"
STUDENT = Flag(
    "student",
    str,
    None,
    "Who learns: a network that ships (lenet, convnet, mlp, ...), a .keras file, or "
    "your own package.module:function; several, with commas.",
    value="NAME",
    shown=f"the pool's, or {BY_SIZE}",
    names_code=code.is_named,
)
# Of ridge regression: features of convolutions teach other networks, too.
_WIDE, _WIDE_IF_SMALL = "wide_convnet_bn@32-64-128", "wide_convnet_bn@32-64"
_POOLED = "weights.pretrained:PretrainedWeights"
INITIAL_WEIGHTS = [
    Flag(
        "initial_weights",
        str,
        "random",
        "Networks start from any random weights; from one draw, saved with the images; "
        "from any student of --pool; or from one of them.",
        choices=("random", "fixed", "pretrained", "pretrained_fixed"),
    ),
    Flag(
        "pool",
        str,
        None,
        "The pretrained students, made by tfdistill pretrain; by default, --student is "
        "theirs.",
        value="FOLDER",
    ),
    Flag(
        "pool_student",
        int,
        0,
        "Index of the pool's student, with --initial_weights=pretrained_fixed.",
        lowest=0,
        library="weights.fixed:FixedWeights.number",
    ),
    Flag(
        "new_head",
        bool,
        False,
        "Give the pool's students a new last layer, with weights of zero: for other "
        "classes than they know.",
        library=f"{_POOLED}.new_head",
    ),
]

_LEARNING = "weights.learning:LearningStudents"
#: Of students who are learning from the images while these are learned.
LEARNING = [
    Flag(
        "learning_students",
        int,
        10,
        "With --initial_weights=learning: number of networks that are learning.",
        lowest=1,
        library=f"{_LEARNING}.size",
    ),
    Flag(
        "max_age",
        int,
        100,
        "Steps after which a learning network is replaced by a new one.",
        lowest=1,
        library=f"{_LEARNING}.max_age",
    ),
    Flag(
        "learning_batch",
        int,
        None,
        "Distilled images that a learning network draws for a step of its own.",
        shown="all of them",
        lowest=1,
        library=f"{_LEARNING}.batch_size",
    ),
]
FLAGS = [
    dataclasses.replace(
        STUDENT, shown=f"{_WIDE}, less for small images; others by --method"
    ),
    Flag(
        "widths",
        list,
        None,
        "Ranges of the student's widths, such as 32-128,64-256,64-256 for gtn_learner; "
        "each network has one of --architectures draws.",
        shown="the student's own",
    ),
    Flag(
        "architectures",
        int,
        8,
        "Number of networks that are drawn with --widths.",
        lowest=1,
        library="students.names:Sampled.of_widths.count",
    ),
    dataclasses.replace(
        INITIAL_WEIGHTS[0],
        help="Networks start new (random), amid training on the images (learning), "
        "always the same (fixed), or as any of --pool, or one of it.",
        choices=("random", "learning", "fixed", "pretrained", "pretrained_fixed"),
    ),
    *INITIAL_WEIGHTS[1:],
    *LEARNING,
]
PRECISION = Flag(
    "precision",
    str,
    "float32",
    "Keras's policy of the networks that images are learned through. The test at the "
    "end, and the exported network, are in float32.",
    choices=("float32", "mixed_bfloat16", "mixed_float16"),
)


def one_student(default: str | None, shown: str = "", library: str = "") -> Flag:
    """--student, of a command that takes one architecture.

    Args:
        default, shown, library: The same as in `Flag`.
    """
    return Flag(
        "student",
        str,
        default,
        "Who learns: a network that ships (lenet, convnet, mlp, ...), a .keras file, "
        "or your own package.module:function.",
        value="NAME",
        shown=shown,
        library=library,
        names_code=code.is_named,
    )


def recorded(name: str, folder: str) -> str:
    """The student that a file names, which may be a stranger's.

    Args:
        name: Of the student.
        folder: Whose file it is.

    Raises:
        InputError: If it names code to run.
    """
    if code.is_named(name):
        typed = shlex.quote(f"--student={name}")
        raise InputError(
            f"{folder} is for the student {name}, which names code to run, and a "
            f"file's word is not enough: if you trust that code, pass {typed}."
        )
    return name


def pool_list(configuration: Configuration) -> str | None:
    """The file that lists the students of --pool, with their hashes; None if none."""
    from tfdistill.weights.pool import MANIFEST

    pool = configuration.pool
    return pool and os.path.join(pool, MANIFEST)


def check(configuration: Configuration) -> None:
    """Refuses flags of initial weights that don't go together.

    Raises:
        InputError: If there is no --pool where one is needed, or one where none is.
    """
    kind, pool = configuration.initial_weights, configuration.pool
    if kind.startswith("pretrained") != (pool is not None):
        raise InputError(
            f"--initial_weights={kind} needs {'a' if pool is None else 'no'} --pool."
        )
    if configuration.new_head and pool is None:
        raise InputError("--new_head needs a --pool.")


def weights(configuration: Configuration):
    """The `InitialWeights` of the flags.

    Raises:
        InputError: If the pool cannot be read.
    """
    from tfdistill.weights.fixed import FixedWeights
    from tfdistill.weights.learning import LearningStudents
    from tfdistill.weights.pretrained import PretrainedWeights
    from tfdistill.weights.random import RandomWeights

    c = configuration
    with checking():
        if c.initial_weights == "pretrained":
            return PretrainedWeights(c.pool, new_head=c.new_head)
        if c.initial_weights == "random":
            return RandomWeights()
        if c.initial_weights == "learning":
            return LearningStudents(
                c.learning_students, c.max_age, batch_size=c.learning_batch
            )
        return FixedWeights(c.pool, c.pool_student, new_head=c.new_head)


def pretrained_weights(configuration: Configuration):
    """`weights` of students drawn from a pool; None for all others.

    The others are what an `Evaluator` finds in the data itself.
    """
    drawn = configuration.initial_weights == "pretrained"
    return weights(configuration) if drawn else None


def are_fixed(configuration: Configuration) -> bool:
    """Whether all networks start from the same weights."""
    return configuration.initial_weights.endswith("fixed")


def num_tested(distiller, sets, most: int, *, shuffle_steps: bool = False) -> int:
    """How many fresh networks test: as many as are asked for, but no copies.

    Args:
        distiller: The `Distiller`, whose population they are of.
        sets: What they learn from, `DistilledDataset`s; none if they are not trained.
        most: How many are asked for.
        shuffle_steps: Whether each takes the learned steps in an order of its own.
    """
    from tfdistill.evaluation import copies

    population = distiller.population
    return len(copies.dealt(population, sets, most, 1, shuffle_steps=shuffle_steps))


def record(configuration: Configuration) -> dict:
    """What finds the pretrained students of a result again, as JSON."""
    drawn = configuration.initial_weights == "pretrained"
    pool = configuration.pool if drawn else None
    found = {"pool": pool, "new_head": configuration.new_head}
    if pool:
        with contextlib.suppress(OSError):  # by the end of a run it may be gone
            found["pool_content"] = content.of_path(pool_list(configuration))
    return found


def with_student(configuration: Configuration, dataset) -> Configuration:
    """A configuration whose --student is given.

    By default it is the pool's, else one that fits the method; a smaller one where
    poolings would leave too little.
    """
    if configuration.student is not None:
        return configuration
    large = min(dataset.image_shape[:2]) >= 28
    student = "lenet" if large else "mlp"
    if "meta_gradient" in configuration and configuration.meta_gradient == "ridge":
        student = _WIDE if large else _WIDE_IF_SMALL
    if "initial_weights" in configuration:
        pool = getattr(weights(configuration), "pool", None)
        if pool and pool.student:
            student = recorded(pool.student, f"--pool={configuration.pool}")
    return configuration.replace(student=student)


def sampled(configuration: Configuration):
    """Who learns; several, of which one is drawn each time, if --widths says so.

    Raises:
        ValueError: If there is no such student, or it has no such widths.
    """
    from tfdistill.students import names

    c = configuration
    if "widths" not in c or not c.widths:
        return names.name_of(c.student)
    ranges = []
    for width in c.widths:
        low, _, high = width.partition("-")
        if not (low.isdecimal() and high.isdecimal()):
            raise ValueError(
                f"--widths={','.join(c.widths)} must be ranges like 8-32,16-64."
            )
        ranges.append((int(low), int(high)))
    return names.Sampled.of_widths(c.student, ranges, c.architectures, c.seed)


@contextlib.contextmanager
def precision(configuration: Configuration) -> Iterator[None]:
    """Networks that are made until the block ends compute in --precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(configuration.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build(student, data):
    """A new network.

    Args:
        student: As `students.get` takes it.
        data: What it must fit: anything with `image_shape` and `num_classes`.

    Raises:
        ValueError: If there is no such student, or it doesn't fit.
    """
    from tfdistill.students import building

    return building.build(student, data.image_shape, data.num_classes)


def with_start(configuration: Configuration, sets: list, start) -> list:
    """Sets of images, with the fixed start of the students who learn from them.

    Args:
        configuration: The command's.
        sets: `DistilledDataset`s of one shape.
        start: The `weights` of the configuration; if random, the sets stay as they are.
    """
    from tfdistill._internal.seeds import set_for_keras

    if start.is_random:
        return sets
    make_model = functools.partial(build, configuration.student, sets[0])
    set_for_keras(configuration.seed)
    model = make_model()
    start.build(make_model, model)
    values = start.student.arrays()
    return [each.replace(initial_weights=values) for each in sets]


def first(configuration: Configuration, data):
    """A new network of `sampled`; of several, of the first."""
    from tfdistill.students import names

    return build(names.each_of(sampled(configuration))[0], data)


def given_model(path: str, student: str, data):
    """A user's own trained network.

    Args:
        path: A .keras file, or a SavedModel or a .weights.h5 file of `student`.
        student: The architecture of a file that does not hold its own.
        data: The same as for `build`.

    Raises:
        ValueError: If the file is damaged, or doesn't fit.
    """
    from tfdistill.students.building import assign
    from tfdistill.weights.pool import Pool

    architecture = path if path.endswith(".keras") else student
    make_model = functools.partial(build, architecture, data)
    model = make_model()
    pool = Pool.of_files([path])
    (values,) = pool.values(pool.training, make_model)
    assign(model, values)
    return model


def trained(configuration: Configuration, distilled):
    """A network trained on distilled data, from where the flags say that it starts.

    Of several students it is the first.
    """
    from tfdistill._internal.seeds import Stream, student_seed
    from tfdistill.inner.stateless import StatelessModel

    make_model = functools.partial(first, configuration, distilled)
    model, pretrained = make_model(), pretrained_weights(configuration)
    if pretrained is not None:
        pretrained.build(make_model, model)
        seed = student_seed(configuration.seed, Stream.EVALUATION, 0)
        StatelessModel(model).assign(*pretrained.sample_held_out(seed, 0))
    return distilled.train(model)
