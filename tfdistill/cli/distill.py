"""tfdistill distill: learns distilled images of a data set.

Learns a few synthetic images, and the learning rates to train on them with, such
that a network trained on just those does well on the real test set. Writes a run
folder:

  distilled/    the images, as a TFRecord data set that TFDS and tf.data read
  student/      a network trained on them, as a SavedModel that takes raw images
  metrics.json  test accuracies (fractions of 1), time and memory
  images/       pictures: the distilled images, the accuracy against outer steps
  logs/         TensorBoard logs
  flags.txt     the flags: tfdistill distill --flagfile=... repeats the run
  backup/       the state of the run: after a crash the same command goes on
"""

import os
import sys
import time

from tfdistill.cli import (
    comparisons,
    data,
    machine,
    objectives,
    results,
    run_folder,
    students,
    synthesizers,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking

_OWNED = (
    "flags.txt",
    "distilled",
    "student",
    "metrics*.json",
    "report.html",
    "images",
    "logs",
    "backup",
    "journal",
)
_OUTER_STEPS, _BACK_OFF = 1000, 10.0
_COMPILE = "distiller:Distiller.compile"
_WHO_LEARNS = [
    students.STUDENT,
    Flag(
        "widths",
        list,
        None,
        "Ranges of the student's widths, such as 32-128,64-256,64-256 for gtn_learner; "
        "each network has one of --architectures draws.",
    ),
    Flag(
        "architectures",
        int,
        8,
        "Number of networks that are drawn with --widths.",
        lowest=1,
        library="students.names:Sampled.of_widths.count",
    ),
    *students.INITIAL_WEIGHTS,
]
_HOW_LONG = [
    Flag(
        "outer_steps",
        int,
        None,
        "Updates of the distilled images. With --minutes, too, the run ends with "
        "whichever is over first.",
        lowest=1,
        shown=f"{_OUTER_STEPS}, if there is no --minutes",
    ),
    Flag("minutes", float, None, "Time to learn.", lowest=0.01),
    Flag("batch_size", int, 256, "Real images that judge a trained network.", lowest=1),
    Flag(
        "judgements",
        int,
        1,
        "Real batches that judge a network: after its last step and, evenly spaced, on "
        "the way. Must divide its steps.",
        lowest=1,
        library="distiller:Distiller.judgements",
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
        library="runs.callbacks:Anneal.schedule",
        table="runs.callbacks:SCHEDULES",
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
        "When a network diverges, lower all rates as far as this many outer steps could "
        "move them.",
        lowest=0,
        shown=f"{_BACK_OFF:g}; 0 with fixed initial weights",
    ),
    Flag(
        "ema",
        float,
        0.99,
        "The result is a moving average of the images: the share kept at each outer "
        "step, less in runs of under 1000; 0 for no average.",
        lowest=0,
        highest=0.99999,
    ),
    Flag(
        "report_every",
        int,
        None,
        "Outer steps between backups and tests on validation images.",
        lowest=1,
        shown="a tenth of the run, at most 500",
    ),
]
_RESULT = [
    *run_folder.flags("run"),
    Flag(
        "num_students",
        int,
        20,
        "Fresh networks that test the result.",
        lowest=1,
        library="evaluation.evaluation:evaluate.num_students",
    ),
    students.SEED,
]
_KEEP_EVERY = Flag(
    "keep_every",
    int,
    None,
    "Save memory: keep every so many steps of a network, and take those between once "
    "more.",
    lowest=1,
    shown="1, up to 256 MiB of steps",
    library="distiller:Distiller.keep_every",
)
_AUGMENT = Flag(
    "augment",
    str,
    "none",
    "Change the real images at random: pad by 4, crop and mirror them; or take a part "
    "of each, resized.",
    choices=("none", "crop_flip", "resized_crop_flip"),
    table="data.augmentation:AUGMENTATIONS",
)


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if c.minutes and c.strategy == "multi_worker":
        raise InputError(
            "--minutes is not for --strategy=multi_worker, whose machines have clocks "
            "of their own: give --outer_steps."
        )
    students.check(c)
    objectives.check(c)
    if c.minutes is None and c.outer_steps is None:
        c = c.replace(outer_steps=_OUTER_STEPS)
    if c.back_off is None:
        c = c.replace(back_off=0.0 if students.are_fixed(c) else _BACK_OFF)
    return synthesizers.resolve(c)


def run(configuration: Configuration) -> None:
    """Runs the command."""
    import keras

    from tfdistill.runs import strategies

    c = configuration
    machine.set_threads(c)
    strategy = machine.strategy(c)
    keras.utils.set_random_seed(c.seed % 2**31)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    with checking(), strategy.scope():
        distiller, anneal = _distiller(c, dataset), _anneal(c)
    if strategies.is_chief(strategy):
        run_folder.claim(COMMAND, c, _OWNED)
    strategies.meet(strategy)
    if run_folder.is_finished(c.workdir):
        return
    validation = dataset.validation.passes()
    before = distiller.test(validation, comparisons.num_students(c, 4))
    print(f"Before, on the validation images: {before}", flush=True)
    start = {
        "outer_step": 0,
        "val_accuracy": before.accuracy_mean,
        "val_accuracy_std": before.accuracy_std,
    }
    history = [start, *_learn(c, distiller, anneal, dataset, validation)]
    _finish(c, distiller, anneal, dataset, history)


def _distiller(c, dataset):
    import keras

    from tfdistill.distiller import Distiller

    distiller = Distiller(
        _student(c),
        synthesizers.make(c, dataset),
        students.weights(c),
        objectives.make(c, dataset),
        judgements=c.judgements,
        keep_every=c.keep_every,
        seed=c.seed,
    )
    # In a short run a long average would hold more of the start than of the end.
    ema = min(c.ema, max(0.0, 1 - 10 / (c.outer_steps or 10**9)))
    distiller.compile(
        keras.optimizers.Adam(
            c.outer_learning_rate, beta_1=0.5, use_ema=ema > 0, ema_momentum=ema
        ),
        students_per_step=c.students_per_step,
        clip=c.clip or None,
        back_off=c.back_off,
        validation_students=comparisons.num_students(c, 4),
    )
    return distiller


def _student(c):
    """Who learns; several, of which one is drawn each time, if --widths says so."""
    from tfdistill.students import names

    if not c.widths:
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


def _anneal(c):
    from tfdistill.runs.callbacks import Anneal

    seconds = 60 * c.minutes if c.minutes else None
    return Anneal(c.outer_schedule, outer_steps=c.outer_steps, seconds=seconds)


def _learn(c, distiller, anneal, dataset, validation):
    """Runs, or goes on with, the outer loop; returns its history."""
    from tfdistill.data import augmentation
    from tfdistill.runs import strategies
    from tfdistill.runs.callbacks import Backup

    backup = Backup(os.path.join(c.workdir, "backup"), anneal)
    with checking():
        done = backup.restore(distiller)
        strategies.check_alike(distiller.distribute_strategy, "outer step", done)
        batches = strategies.batches(
            distiller.distribute_strategy,
            dataset.train,
            c.batch_size * c.judgements,
            shuffle=True,
            seed=c.seed,
            repeat=True,
            start=done,
            augment=augmentation.AUGMENTATIONS[c.augment],
        )
    if done:
        print(f"Going on after outer step {done}.", flush=True)
    every = c.report_every
    if every is None:
        every = 100 if c.minutes else min(500, max(1, c.outer_steps // 10))
    distiller.fit(
        batches,
        **anneal.epochs(done, every),
        validation_data=validation,
        # A progress bar in a file is a flood.
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[anneal, _summary(c), backup],
    )
    return backup.history


def _summary(c):
    """What TensorBoard shows."""
    from tfdistill.reporting.tensorboard import RunSummary

    values = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in COMMAND.recorded_values(c).items()
        if value is not None
    }
    name = os.path.basename(os.path.abspath(c.workdir))
    return RunSummary(os.path.join(c.workdir, "logs"), values, name=name)


def _finish(c, distiller, anneal, dataset, history):
    """Tests the result beside what it is compared with, and writes the run folder."""
    from tfdistill.reporting import plots
    from tfdistill.runs import strategies

    started = time.monotonic()
    outer_steps = int(distiller.optimizer.iterations.numpy())
    distilled = distiller.distilled(
        load={**data.record(c), **students.record(c)},
        **objectives.record(c),
        outer_steps=outer_steps,
        seconds=anneal.elapsed,
        flags=COMMAND.record(c),
    )
    is_chief = strategies.is_chief(distiller.distribute_strategy)
    # All workers go on with the same student; the chief notes what they have done.
    journal = run_folder.journal(c.workdir, writes=is_chief)
    tested = comparisons.measure(c, distiller, distilled, dataset, journal)
    if not is_chief:
        return
    _summary(c).add_tests(tested, outer_steps)
    figures = {
        "distilled": plots.distilled_images(distilled),
        "accuracy": plots.accuracy_curve(
            [h["outer_step"] for h in history],
            [h["val_accuracy"] for h in history],
            [h["val_accuracy_std"] for h in history],
        ),
    }
    student, objective = distiller.population.name, distiller.objective
    content = {
        comparisons.KEYS[name]: {
            **results.evaluation_json(result, student, dataset.name),
            **objectives.figures_json(objective, result),
        }
        for name, result in tested.items()
    }
    costs = results.write(
        c.workdir,
        distilled,
        students.trained(c, distilled),
        figures,
        {
            **content.pop("distilled"),
            **content,
            **results.confusion_json(tested["distilled images"]),
            "initial_weights": c.initial_weights,
            "seed": c.seed,
            "outer_steps": outer_steps,
            "seconds": anneal.elapsed + time.monotonic() - started,
            "seconds_learning": anneal.elapsed,
            "selection": "nothing on test images; the last outer step; the rate of "
            "the random real images on held-out training images",
            "history": history,
        },
    )
    print(
        f"\nTest accuracy of fresh networks ({student}) trained on "
        f"{distilled.num_images} images of {dataset.name}:"
    )
    for name, result in tested.items():
        print(f"  {name:20} {result}")
        if line := objectives.figures_text(objective, result):
            print(f"  {'':20} {line}")
    print(f"{costs}\nEverything is in {c.workdir}.")


COMMAND = Command(
    name="distill",
    about=__doc__,
    groups=(
        Group("data", [*data.flags(), _AUGMENT, data.VALIDATION]),
        Group("who learns", _WHO_LEARNS),
        Group("what is learned", [*synthesizers.FLAGS, *objectives.FLAGS]),
        Group("how long", _HOW_LONG),
        Group("result", _RESULT),
        Group("machine", [machine.strategy_flag(True), machine.THREADS, _KEEP_EVERY]),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill distill --dataset=digits --workdir=run",
        "tfdistill distill --dataset=mnist --download --start=k_means --workdir=run",
        "tfdistill distill --flagfile=run/flags.txt --seed=1 --workdir=again",
    ),
)
