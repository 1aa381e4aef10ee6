"""tfdistill distill: learns distilled images of a data set.

Learns a few synthetic images, and the learning rates to train on them with,
such that a network trained on just those does well on the real test set. Writes
a run folder:

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
    methods,
    objectives,
    outer_loop,
    results,
    run_folder,
    students,
    synthesizers,
    training,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import checking

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
_RESULT = [
    *run_folder.flags("run"),
    Flag(
        "num_students",
        int,
        20,
        "Fresh networks that test the result.",
        lowest=1,
        library="evaluation.evaluator:evaluate.num_students",
    ),
    results.SEED,
]
_MACHINE = [
    machine.strategy_flag(machines=True),
    machine.THREADS,
    machine.VERBOSE,
    outer_loop.KEEP_EVERY,
]
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
    students.check(c)
    objectives.check(c)
    return synthesizers.resolve(outer_loop.resolve(c))


def run(configuration: Configuration) -> None:
    """Runs the command."""
    import keras

    from tfdistill.runs import strategies

    c = configuration
    # Networks that go through a pool learn one after the other.
    machine.set_threads(c, c.threads if c.initial_weights == "learning" else 1)
    strategy = machine.strategy(c, COMMAND.compared(c))
    keras.utils.set_random_seed(c.seed % 2**31)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    with checking(), strategy.scope():
        distiller, anneal = outer_loop.distiller(c, dataset), outer_loop.anneal(c)
    if strategies.is_chief(strategy):
        run_folder.claim(COMMAND, c, _OWNED)
    strategies.meet(strategy)
    if run_folder.is_finished(c.workdir):
        return
    validation = dataset.validation.passes()
    before = distiller.test(validation, outer_loop.num_validated(c))
    print(f"Before, on the validation images: {before}", flush=True)
    headline = f"val_{distiller.objective.headline}"
    start = {
        "outer_step": 0,
        headline: before.mean(),
        f"{headline}_std": before.std(),
    }
    history = [start, *_learn(c, distiller, anneal, dataset, validation)]
    _finish(c, distiller, anneal, dataset, history)


def _learn(c, distiller, anneal, dataset, validation):
    """Runs, or goes on with, the outer loop; returns its history."""
    from tfdistill.data import augmentation
    from tfdistill.runs import strategies
    from tfdistill.runs.backup import Backup

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
    distiller.fit(
        batches,
        **anneal.epochs(done, outer_loop.report_every(c)),
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
    student, objective = distiller.population.name, distiller.objective
    headline = objective.headline
    figures = {
        "distilled": plots.distilled_images(distilled),
        "accuracy": plots.accuracy_curve(
            [h["outer_step"] for h in history],
            [h[f"val_{headline}"] for h in history],
            [h[f"val_{headline}_std"] for h in history],
            figure_name=headline,
            is_share=headline in objective.shares,
            higher_is_better=objective.higher_is_better,
        ),
    }
    main = tested["distilled images"]
    compared = {
        comparisons.KEYS[name]: results.compared_json(result, student, dataset.name)
        for name, result in tested.items()
        if result is not main
    }
    costs = results.write(
        c.workdir,
        distilled,
        students.trained(c, distilled),
        figures,
        {
            **results.evaluation_json(main, student, dataset.name),
            **compared,
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
        if line := objectives.attack_text(objective, result):
            print(f"  {'':20} {line}")
    print(f"{costs}\nEverything is in {c.workdir}.")


COMMAND = Command(
    name="distill",
    about=__doc__,
    groups=(
        Group("data", [*data.flags(), _AUGMENT, data.VALIDATION]),
        Group("who learns", methods.shown(students.FLAGS)),
        Group(
            "what is learned",
            [
                methods.METHOD,
                *methods.shown(
                    [
                        *synthesizers.FLAGS,
                        *outer_loop.META_GRADIENT,
                        *objectives.FLAGS,
                        *training.FLAGS,
                    ]
                ),
            ],
        ),
        Group("how long", methods.shown(outer_loop.FLAGS)),
        Group("result", methods.shown(_RESULT)),
        Group("machine", _MACHINE),
    ),
    run=run,
    resolve=_resolve,
    preset=methods.preset,
    examples=(
        "tfdistill distill --dataset=digits --workdir=run",
        "tfdistill distill --dataset=mnist --download --start=k_means --workdir=run",
        "tfdistill distill --flagfile=run/flags.txt --seed=1 --workdir=again",
    ),
)
