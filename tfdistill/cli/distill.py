"""tfdistill distill: learns distilled images of a data set.

Learns a few synthetic images such that a network trained on just those does
well on the real test set. A student is a network that learns from the images.
An outer step lets students learn, judges them on real images, and improves the
distilled ones. Writes a run folder:

  distilled/    the images, as a TFRecord data set that TFDS and tf.data read
  student/      a network trained on them, as a SavedModel that takes raw images
  metrics.json  test accuracies (fractions of 1), time and memory
  images/       pictures: the distilled images, the accuracy against outer steps
  logs/         TensorBoard logs
  flags.txt     the flags: tfdistill distill --flagfile=... repeats the run
  backup/       the state of the run: after a crash the same command goes on
"""

import functools
import os

from tfdistill.cli import (
    comparisons,
    data,
    dry_run,
    machine,
    methods,
    objectives,
    outer_loop,
    rehearsal,
    results,
    run_folder,
    students,
    synthesizers,
    training,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import checking
from tfdistill.reporting.metrics import TESTS

_OWNED = (
    *("flags.txt", "distilled", "student", "metrics*.json", "exposure*.json"),
    *("report.html", "images", "logs", "backup", "journal"),
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
    results.STORED_AS,
    results.SEED,
]
_MACHINE = [
    machine.strategy_flag(machines=True),
    *machine.LONG,
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
    from tfdistill._internal.seeds import set_for_keras
    from tfdistill.runs import strategies
    from tfdistill.runs.backup import Backup
    from tfdistill.runs.progress import Progress

    c = configuration
    # Networks that go through a pool learn one after the other.
    machine.set_threads(c, c.threads if c.initial_weights == "learning" else 1)
    strategy = machine.strategy(c, COMMAND.compared(c))
    set_for_keras(c.seed)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    with checking(), strategy.scope():
        distiller, anneal = outer_loop.distiller(c, dataset), outer_loop.anneal(c)
    is_chief = strategies.is_chief(strategy)
    clock = run_folder.clock(c.workdir, writes=is_chief and not c.dry_run)
    if is_chief:
        rehearsal.of_distilled(_distilled(c, distiller), students.first(c, dataset))
    if c.dry_run:
        return _dry_run(c, distiller, dataset)
    if is_chief:
        content = data.content(
            dataset, students.pool_list(c), students={"student": c.student.split(",")}
        )
        run_folder.claim(COMMAND, c, _OWNED, content)
    strategies.meet(strategy)
    if run_folder.is_finished(c.workdir):
        return
    with Progress(parts=3, shown=is_chief) as progress:
        # All workers go on with the same student; the chief notes what they have done.
        journal = run_folder.journal(c.workdir, is_chief, progress, clock)
        compared = comparisons.Comparisons(c, distiller, dataset, journal, progress)
        progress.say(_plan(c, distiller, compared.start, dataset))
        backup = Backup(os.path.join(c.workdir, "backup"), anneal, check_run=False)
        if backup.newest:
            progress.say(f"Going on after outer step {backup.newest}.")
        for said in filter(None, (compared.draw(), compared.left_out)):
            progress.say(said)
        last = [(compared.tested_at_last, "networks")]
        then = [anneal.counted(0)[1:], *last]
        start, beside = _before(c, distiller, dataset, compared, backup, progress, then)
        clock.keep()
        _learn(c, distiller, anneal, dataset, beside, backup, progress, last, clock)
        history = [start, *backup.history]
        _finish(c, distiller, anneal, dataset, compared, history, progress, clock)


def _plan(c, distiller, start, dataset):
    """What is to be learned, and on what."""
    different, copies = students.num_tested(distiller, [start], c.num_students), ""
    if different < c.num_students and distiller.population.is_random:
        copies = (
            f" {different} of --num_students={c.num_students} test at the end, those "
            "that the pool holds out: more would be copies."
        )
    return (
        f"--method={c.method}: {start.num_images} images of {dataset.name}, through "
        f"{start.student}; {dataset.train.num_examples} real images to "
        f"learn from, {dataset.validation.num_examples} to watch it, "
        f"{dataset.test.num_examples} for the test at the end.{copies}"
    )


def _before(c, distiller, dataset, compared, backup, progress, then):
    """Tests what the images are at first, and what they are compared with."""
    few = outer_loop.num_validated(c, distiller)
    count = few + compared.tested_at_first
    again = ", once more" if backup.newest else ""
    progress.part(f"before learning{again}", count, "networks", then=then)
    before = distiller.test(dataset.validation.passes(), few)
    progress.advance(few)
    if not again:
        progress.say(f"Before, on the validation images: {before}")
    headline = f"val_{distiller.objective.headline}"
    start = {
        "outer_step": 0,
        "seconds": 0.0,
        headline: before.mean(),
        f"{headline}_std": before.std(),
    }
    beside = compared.tune()
    return start, beside if headline == "val_accuracy" else {}


def _batches(c, distiller, dataset, done):
    """The real batches that are left after so many outer steps."""
    from tfdistill.data import augmentation
    from tfdistill.runs import strategies

    return strategies.batches(
        distiller.distribute_strategy,
        dataset.train,
        c.batch_size * c.judgements,
        shuffle=True,
        seed=c.seed,
        repeat=True,
        start=done,
        augment=augmentation.AUGMENTATIONS[c.augment],
    )


def _learn(c, distiller, anneal, dataset, beside, backup, progress, then, clock):
    """Runs, or goes on with, the outer loop; its history is the backup's."""
    from tfdistill.runs import strategies
    from tfdistill.runs.progress import ProgressBar

    newest = backup.newest
    with checking():
        done = backup.restore(distiller)
        strategies.check_alike(distiller.distribute_strategy, "outer step", done)
        batches = _batches(c, distiller, dataset, done)
    if done != newest:  # that one was damaged
        progress.say(f"Going on after outer step {done}.")
    now, total, unit = anneal.counted(done)
    progress.part("learning", total, unit, now, then=then)
    shown, learned = ProgressBar(anneal, progress, beside=beside), anneal.elapsed
    distiller.fit(
        batches,
        **anneal.epochs(done, outer_loop.report_every(c)),
        validation_data=dataset.validation.passes(),
        verbose=0,
        callbacks=[anneal, shown, _summary(c), backup],
    )
    clock.leave_out(anneal.elapsed - learned)


def _distilled(c, distiller, **provenance):
    """The distilled data as it is now, with how it was made."""
    made = distiller.distilled(
        load={**data.record(c), **students.record(c)},
        **objectives.record(c),
        **provenance,
        flags=COMMAND.shown(c),
    )
    return made.in_half_precision() if c.stored_as == "float16" else made


def _summary(c):
    """What TensorBoard shows."""
    from tfdistill.reporting.tensorboard import RunSummary

    values = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in COMMAND.shown_values(c).items()
        if value is not None
    }
    name = os.path.basename(os.path.abspath(c.workdir))
    return RunSummary(os.path.join(c.workdir, "logs"), values, name=name)


def _finish(c, distiller, anneal, dataset, compared, history, progress, clock):
    """Writes the result, then tests it beside what it is compared with."""
    from tfdistill.runs import strategies

    outer_steps = int(distiller.optimizer.iterations.numpy())
    distilled = _distilled(
        c, distiller, outer_steps=outer_steps, seconds=anneal.elapsed
    )
    is_chief = strategies.is_chief(distiller.distribute_strategy)
    student, tests = distiller.population.name, compared.all(distilled)
    pictures = _pictures(distiller.objective, distilled, history) if is_chief else {}
    (main, (_, test)), *others = tests.items()
    later = [name for name, _ in others]
    later += ["student/", *map(results.picture, pictures), "logs/"] if is_chief else []
    result = results.Result(c.workdir, later, progress, writes=is_chief)
    result.save_data(distilled)
    progress.part("testing", sum(count for count, _ in tests.values()), "networks")
    progress.about(main)
    tested = {main: test()}
    result.add(
        {
            **results.evaluation_json(tested[main], student, dataset.name),
            **results.size_json(distilled),
            "initial_weights": c.initial_weights,
            "seed": c.seed,
            "outer_steps": outer_steps,
            "seconds": anneal.elapsed + clock.seconds,
            "seconds_learning": anneal.elapsed,
            "selection": "nothing on test images; the distilled images are those at "
            "the end of the run; the learning rate of the random real images is the "
            "best on held-out training images",
            "history": history,
        }
    )

    def compare(name, test):
        progress.about(name)
        tested[name] = test()
        found = results.compared_json(tested[name], student, dataset.name)
        return {TESTS[name]: found | compared.chosen(name)}

    for name, (_, test) in others:
        result.attempt(name, functools.partial(compare, name, test))
    progress.close()
    if not is_chief:
        return
    result.attempt(
        "student/",
        lambda: results.save_student(
            c.workdir, distilled, students.trained(c, distilled)
        ),
    )
    result.attempt_pictures(pictures)
    shown = {name: tested[name] for name in TESTS if name in tested}
    result.attempt("logs/", lambda: _summary(c).add_tests(shown, outer_steps))
    result.add({"seconds": anneal.elapsed + clock.seconds})
    print("\n".join(comparisons.lines(distilled, shown, dataset, distiller.objective)))
    metrics = result.content
    beside, ordered = comparisons.compared(metrics), distilled.recipe.is_ordered
    for sentence in comparisons.verdict(metrics, beside, is_ordered=ordered):
        print(sentence)
    print(f"{result.costs(distilled)}\nEverything is in {c.workdir}.")
    result.end()


def _pictures(objective, distilled, history):
    """Functions that draw the run's pictures, by name."""
    from tfdistill.reporting import plots

    headline = objective.headline
    return {
        "distilled": lambda: plots.distilled_images(distilled),
        "accuracy": lambda: plots.accuracy_curve(
            [h["outer_step"] for h in history],
            [h[f"val_{headline}"] for h in history],
            [h[f"val_{headline}_std"] for h in history],
            figure_name=headline,
            is_share=headline in objective.shares,
            higher_is_better=objective.higher_is_better,
        ),
    }


def _dry_run(c, distiller, dataset):
    """Measures a few steps and tests, and says what the run would take."""
    from tfdistill.runs import strategies
    from tfdistill.runs.progress import Progress

    step = dry_run.seconds_a_step(
        lambda callbacks: distiller.fit(
            _batches(c, distiller, dataset, 0),
            steps_per_epoch=10,
            verbose=0,
            callbacks=callbacks,
        )
    )
    validated = outer_loop.num_validated(c, distiller)
    few = min(2, validated)  # side by side

    def test(split):
        distiller.test(split.passes(), few)

    graph = dry_run.growth(lambda: test(dataset.validation))
    seconds = dry_run.seconds(lambda: test(dataset.validation)) / few
    # Already traced, but for the batches of another size.
    tested = dry_run.seconds(lambda: test(dataset.test)) / few
    compared = comparisons.Comparisons(c, distiller, dataset, None, Progress())
    # Others test in the end, test real images, and train the exported network.
    graphs = 2 if compared.draw() else 3
    steps, what = c.outer_steps or 0, "outer steps"
    learning = what, steps, step
    if c.minutes and (not steps or 60 * c.minutes < steps * step):
        steps = round(60 * c.minutes / step)
        learning = f"learning, {steps:,} {what}", 1, 60 * c.minutes
    reports = 1 + steps // outer_loop.report_every(c)
    validations = reports * validated + compared.tested_at_first
    tests = compared.tested_at_last - compared.known_at_last
    work = [
        learning,
        ("networks on validation images", validations, seconds),
        ("networks on test images", tests, tested),
    ]
    if strategies.is_chief(distiller.distribute_strategy):
        c = c.replace(report_every=outer_loop.report_every(c))
        dry_run.show(COMMAND, c, work, graphs * graph)


COMMAND = Command(
    name="distill",
    about=__doc__,
    groups=(
        Group("data", [*data.flags(), _AUGMENT, data.VALIDATION]),
        Group("who learns", [*methods.shown(students.FLAGS), students.PRECISION]),
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
        Group("machine", methods.shown(_MACHINE)),
    ),
    run=run,
    resolve=_resolve,
    preset=methods.preset,
    unused=methods.unused,
    check_typed=methods.check_typed,
    examples=(
        "tfdistill distill --dataset=digits --workdir=run",
        "tfdistill distill --dataset=mnist --download --start=k_means --workdir=run",
        "tfdistill distill --flagfile=run/flags.txt --seed=1 --workdir=again",
    ),
)
