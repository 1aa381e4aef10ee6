"""The flags of the outer loop, and the `Distiller` that runs it."""

from tfdistill.cli import objectives, students, synthesizers
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

_OUTER_STEPS, _BACK_OFF = 1000, 10.0
_COMPILE = "distiller:Distiller.compile"

KEEP_EVERY = Flag(
    "keep_every",
    int,
    None,
    "Save memory: keep the weights of every N-th step only, and compute the steps "
    "between once more.",
    lowest=1,
    shown="1; more, if all steps' weights took over 256 MiB",
    library="inner.back_gradient:BackGradient.keep_every",
)
_RIDGE = "inner.ridge:RidgeRegression"
META_GRADIENT = [
    Flag(
        "meta_gradient",
        str,
        "back_gradient",
        "How networks learn, to be judged: by steps (back_gradient), or at once, by a "
        "ridge regression on their features.",
        choices=("back_gradient", "ridge"),
    ),
    Flag(
        "penalty",
        float,
        1e-6,
        "With ridge regression: penalty on large weights, as a share of the features' "
        "mean squared length.",
        lowest=1e-12,
        library=f"{_RIDGE}.penalty",
    ),
    Flag(
        "margin",
        float,
        0.0,
        "With ridge regression: weight of a reward for labels whose largest number "
        "stands out.",
        lowest=0,
        library=f"{_RIDGE}.margin",
    ),
    Flag(
        "mirrored",
        bool,
        False,
        "With ridge regression: learn from the mirror images, too. For photographs.",
        library=f"{_RIDGE}.mirrored",
    ),
    Flag(
        "features",
        str,
        None,
        "With ridge regression: the layer whose outputs are the features, by its name "
        "in Keras. Only for networks that do not end in a dense layer.",
        shown="what goes into the last layer",
        library=f"{_RIDGE}.features",
    ),
]
FLAGS = [
    Flag(
        "outer_steps",
        int,
        None,
        "Updates of the distilled images. With --minutes, too, the run ends with "
        "whichever is over first.",
        lowest=1,
        shown=f"{_OUTER_STEPS}, if there is no --minutes",
    ),
    Flag(
        "minutes",
        float,
        None,
        "Time to learn; the tests before and after it come on top.",
        lowest=0.01,
        shown="no limit",
    ),
    Flag("batch_size", int, 256, "Real images that judge a trained network.", lowest=1),
    Flag(
        "judgements",
        int,
        1,
        "Real batches that judge a network: after its last step and, evenly spaced, on "
        "the way. Must divide its steps.",
        lowest=1,
        library="inner.back_gradient:BackGradient.judgements",
    ),
    Flag(
        "students_per_step",
        int,
        2,
        "Networks trained in each outer step, side by side. With fixed initial weights "
        "one is enough.",
        lowest=1,
        library=f"{_COMPILE}.students_per_step",
    ),
    Flag(
        "outer_learning_rate",
        float,
        0.01,
        "Learning rate of the outer Adam, which updates the images.",
        lowest=1e-8,
    ),
    Flag(
        "outer_schedule",
        str,
        "cosine",
        "How that rate falls: to 0 by a cosine, by half at every tenth of the run, or "
        "not at all.",
        choices=("cosine", "halving", "constant"),
        library="runs.annealing:Anneal.schedule",
        table="runs.annealing:SCHEDULES",
    ),
    Flag(
        "clip",
        float,
        2.0,
        "Clip meta-gradients to this many times their usual norm; 0 for no clipping.",
        lowest=0,
        library=f"{_COMPILE}.clip",
    ),
    Flag(
        "back_off",
        float,
        None,
        "When a network diverges, lower all learned rates at once, by as much as X "
        "outer steps could.",
        lowest=0,
        shown=f"{_BACK_OFF:g}; 0 with fixed initial weights",
    ),
    Flag(
        "ema",
        float,
        0.99,
        "Decay of the moving average of the images, which is the result; lower in "
        "short runs, to average a tenth of the run at most. 0: no average.",
        lowest=0,
        highest=0.99999,
    ),
    Flag(
        "report_every",
        int,
        None,
        "Outer steps between backups, with a test on validation images at each. With "
        "learned steps: a tenth of the run, 500 at most; with --minutes, 100.",
        lowest=1,
        shown="a quarter of the run; with --minutes, 1000",
    ),
]


def resolve(configuration: Configuration) -> Configuration:
    """Fills in what depends on the initial weights, and on how long the run is.

    Raises:
        InputError: If two flags don't go together.
    """
    c = configuration
    if c.minutes and c.strategy == "multi_worker":
        raise InputError(
            "--minutes is not for --strategy=multi_worker, whose machines have clocks "
            "of their own: give --outer_steps."
        )
    if c.minutes is None and c.outer_steps is None:
        c = c.replace(outer_steps=_OUTER_STEPS)
    if c.meta_gradient == "ridge" and c.judgements > 1:
        raise InputError("--judgements is for --meta_gradient=back_gradient.")
    if c.back_off is None:
        c = c.replace(back_off=0.0 if students.are_fixed(c) else _BACK_OFF)
    return c


def distiller(configuration: Configuration, dataset):
    """A compiled `Distiller`; to be made in the scope of the strategy.

    Raises:
        ValueError: If two of its choices don't fit.
    """
    from tfdistill.distiller import Distiller

    c = configuration
    # Not in `resolve`, which reads the folders of earlier versions: they took it.
    suits = c.synthesizer == "images" and c.recipe == "ordinary" and c.epochs == 1
    if c.meta_gradient == "ridge" and not suits:
        raise InputError(
            "--meta_gradient=ridge regresses once on all images, and learns no steps: "
            "it needs --synthesizer=images, --recipe=ordinary and --epochs=1."
        )
    images, weights = synthesizers.make(c, dataset), students.weights(c)
    objective = objectives.make(c, dataset)
    with students.precision(c):
        made = Distiller(
            students.sampled(c),
            images,
            weights,
            objective,
            meta_gradient=_meta_gradient(c),
            seed=c.seed,
        )
    made.compile(
        _optimizer(c),
        students_per_step=c.students_per_step,
        clip=c.clip or None,
        back_off=c.back_off,
        validation_students=num_validated(c, made),
    )
    return made


def _optimizer(configuration):
    from keras import optimizers

    from tfdistill.runs.averaging import AveragingAdam

    c = configuration
    # In a short run a long average would hold more of the start than of the end.
    ema = min(c.ema, max(0.0, 1 - 10 / (c.outer_steps or 10**9)))
    if c.minutes and ema:  # nobody knows yet how short it will be
        return AveragingAdam(c.outer_learning_rate, beta_1=0.5, ema_momentum=ema)
    return optimizers.Adam(
        c.outer_learning_rate, beta_1=0.5, use_ema=ema > 0, ema_momentum=ema
    )


def _meta_gradient(configuration):
    from tfdistill.inner.back_gradient import BackGradient
    from tfdistill.inner.ridge import RidgeRegression

    c = configuration
    if c.meta_gradient == "ridge":
        return RidgeRegression(
            penalty=c.penalty,
            margin=c.margin,
            mirrored=c.mirrored,
            features=c.features,
        )
    return BackGradient(keep_every=c.keep_every, judgements=c.judgements)


def anneal(configuration: Configuration):
    """The `Anneal` of the run."""
    from tfdistill.runs.annealing import Anneal

    c = configuration
    seconds = 60 * c.minutes if c.minutes else None
    return Anneal(c.outer_schedule, outer_steps=c.outer_steps, seconds=seconds)


def report_every(configuration: Configuration) -> int:
    """Outer steps between two reports."""
    c = configuration
    if c.report_every is not None:
        return c.report_every
    if c.recipe == "ordinary":  # its networks take many updates
        return 1000 if c.minutes else max(1, c.outer_steps // 4)
    return 100 if c.minutes else min(500, max(1, c.outer_steps // 10))


def most_validated(configuration: Configuration) -> int:
    """Number of fresh networks that are tested on validation images, but for copies."""
    c = configuration
    return min(c.num_students, 2 if c.recipe == "ordinary" else 4)


def num_validated(configuration: Configuration, distiller) -> int:
    """Number of fresh networks that each report trains and tests."""
    most, synthesizer = most_validated(configuration), distiller.synthesizer
    if synthesizer.recipe is None and synthesizer.is_random:  # each has other batches
        return most
    return students.num_tested(distiller, [distiller.distilled()], most)
