"""tfdistill baseline: what images with learned steps are compared with.

Selects or computes as many real images as would be distilled, finds the
learning rate and the epochs at which networks learn most from them (on held-out
training images), and tests fresh networks on the whole test set. Needs no
distillation before. (Beside images for any order, tfdistill compare trains on
real ones in the same way.) Of a pool of pretrained networks, it also tells how
they do as they are (--kind=none), and when they are adapted by as many images
and the data that they were trained on (--kind=fada). Writes a run folder like
that of tfdistill distill:

  distilled/    the images (of the first set), as a TFRecord data set
  student/      a network trained on them, as a SavedModel that takes raw images
  metrics.json  test accuracies (fractions of 1), what was chosen, costs
  images/       a picture of the images
  flags.txt     the flags: tfdistill baseline --flagfile=... repeats the run
"""

from tfdistill.cli import (
    baseline_data,
    content,
    data,
    dry_run,
    machine,
    rehearsal,
    results,
    run_folder,
    students,
    synthesizers,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking

_OWNED = (
    *("flags.txt", "distilled", "student", "metrics*.json", "report.html"),
    *("images", "journal"),
)
# Kinds that are of pretrained networks alone.
_ADAPTED = ("fada", "none")
# Of a network that is adapted, and of its discriminator before.
_UPDATES = {"rounds": 400, "discriminator_steps": 200}
# Nothing of these is drawn: there is one.
_ALONE = ("average_real", "herding")
_KIND = Flag(
    "kind",
    str,
    "random_real",
    "Random images, the best of many such sets, centroids, images that follow the "
    "mean, the mean; of a --pool: adaptation, or no training (none).",
    choices=(
        *("random_real", "optimized_real", "k_means", "herding", "average_real"),
        *_ADAPTED,
    ),
)
_NEAREST = Flag(
    "nearest_neighbours",
    bool,
    False,
    "Classify by the nearest of the images (k-NN) instead of training networks.",
)
_LEARNED = [
    _KIND,
    _NEAREST,
    *(synthesizers.IMAGES_PER_CLASS, synthesizers.STEPS),
    baseline_data.LEARNED_RATES,
]
_RESULT = [
    *run_folder.flags("run"),
    Flag(
        "num_sets",
        int,
        10,
        "Number of sets: drawn at random, or the best of five times as many "
        "(optimized_real). average_real and herding have one.",
        lowest=1,
    ),
    Flag(
        "num_students",
        int,
        20,
        "Fresh networks that test the result, dealt out in pairs among the sets.",
        lowest=1,
        library="evaluation.evaluator:evaluate.num_students",
    ),
    results.SEED,
]


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if c.kind in _ADAPTED and c.initial_weights != "pretrained":
        raise InputError(
            f"--kind={c.kind} needs --initial_weights=pretrained, and its --pool."
        )
    if c.kind in _ADAPTED and c.nearest_neighbours:
        raise InputError(
            f"--nearest_neighbours needs a --kind of images, not {c.kind}."
        )
    if c.kind != "fada" and c.source_dataset:
        raise InputError(f"--source_dataset needs --kind=fada, not {c.kind}.")
    if c.learned_rates and (c.nearest_neighbours or c.kind in _ADAPTED):
        raise InputError(
            "--learned_rates is for networks that learn from images step by step: "
            "leave out --nearest_neighbours, and --kind=fada and none."
        )
    students.check(c)
    return c


def run(configuration: Configuration) -> None:
    """Runs the command."""
    from tfdistill.evaluation.result import Evaluation
    from tfdistill.runs.progress import Progress

    c = configuration
    machine.set_threads(c)
    strategy = machine.strategy(c)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    start = students.weights(c)
    with checking():
        students.build(c.student, dataset)
        learned = baseline_data.learned_rates(c, dataset)
        source = baseline_data.source(c, dataset, start)
        clock = run_folder.clock(c.workdir, writes=not c.dry_run)
        journal, progress = None, Progress()
        if not c.dry_run:
            journal = run_folder.journal(c.workdir, progress=progress, clock=clock)
        sets = _draw(c, dataset, start)
        with strategy.scope():
            evaluator = _evaluator(c, sets, start, journal)
    model = None if c.nearest_neighbours else students.first(c, dataset)
    rehearsal.of_distilled(sets[0], model)
    if c.dry_run:
        return _dry_run(c, sets, dataset, learned, evaluator, start, source)
    held = data.content(
        dataset,
        None if c.nearest_neighbours else students.pool_list(c),
        students={"student": c.student.split(",")},
        learned_rates=content.of_path(c.learned_rates),
        source_dataset=source and content.of_part(source.train),
    )
    run_folder.claim(COMMAND, c, _OWNED, held)
    if run_folder.is_finished(c.workdir):
        return
    chosen, model = "", None
    with progress:
        progress.part("testing", _networks(c, sets, learned, evaluator), "networks")
        if c.kind == "none":
            result, sets = evaluator.untrained(dataset.test, c.num_students), []
        elif c.kind == "fada":
            sets, found = sets[: c.num_students], []
            for adapted in _adapted(c, sets, dataset, start, source):
                model, test = adapted
                found.append(test)
                result = Evaluation.joined(found)
                progress.advance(1, f"accuracy {result.summary()}")
        elif c.nearest_neighbours:
            sets, chosen, result = _nearest_neighbours(c, sets, dataset)
        else:
            with strategy.scope():
                found = _tested(c, sets, dataset, learned, evaluator, journal, progress)
            sets, chosen, result = found
    _finish(c, sets, chosen, result, model, dataset, clock.seconds, progress)


def _count(c, sets):
    """How many networks are to test, but for copies: of fixed weights, of each set."""
    fixed = sets[0].initial_weights is not None
    return max(c.num_students, len(sets)) if fixed else c.num_students


def _networks(c, sets, learned, evaluator):
    """How many networks will be trained."""
    from tfdistill.studies import baselines

    if c.nearest_neighbours:
        return 1
    if c.kind == "fada":
        return c.num_students
    if c.kind == "none":
        return len(evaluator.dealt([], c.num_students))
    candidates = len(baselines.RATES) * len(baselines.EPOCHS) + (learned is not None)
    kept = sets[: c.num_sets]
    tested = len(evaluator.dealt(kept, _count(c, kept)))
    if c.kind == "optimized_real":
        tested += len(sets) * len(evaluator.dealt(sets[:1], 20))
    return candidates * len(evaluator.dealt(sets, _judges(sets))) + tested


def _judges(sets):
    """How many networks judge each rate: each set has two, or a fixed one."""
    alike = sets[0].initial_weights is not None
    return min(len(sets), 5) if alike else 2 * max(2, min(len(sets), 5))


def _draw(c, dataset, start):
    """The sets, with the fixed start of their students if there is one."""
    from tfdistill._internal.seeds import seed_of_draw
    from tfdistill.studies import baselines

    sizes = {"images_per_class": c.images_per_class, "steps": c.steps}
    if c.kind == "none":  # a set for the form of the data: nothing learns from it
        sets = [baselines.random_real(dataset, images_per_class=1, steps=1)]
        return students.with_start(c, sets, start)
    if c.kind in _ALONE:
        made = getattr(baselines, c.kind)(dataset, **sizes)
        return students.with_start(c, [made], start)
    make = baselines.k_means if c.kind == "k_means" else baselines.random_real
    count = c.num_sets * (5 if c.kind == "optimized_real" else 1)
    seeds = [seed_of_draw(c.seed, k) for k in range(count)]
    sets = [make(dataset, **sizes, seed=seed) for seed in seeds]
    return students.with_start(c, sets, start)


def _evaluator(c, sets, start, journal):
    """Who tests the sets; None if their nearest neighbours do."""
    from tfdistill.evaluation.evaluator import Evaluator

    if c.nearest_neighbours:
        return None
    return Evaluator(
        c.student,
        sets[0],
        initial_weights=start if start.is_random else None,
        side_by_side=1 if _count(c, sets) == 1 else 2,
        journal=journal,
    )


def _tested(c, sets, dataset, learned, evaluator, journal, progress):
    """The sets at the rates that suit them best, what was chosen, and the result."""
    from tfdistill.studies import baselines

    going = {
        "initial_weights": students.pretrained_weights(c),
        "seed": c.seed,
        "journal": journal,
    }
    progress.about("choosing the rate", figures=False)
    sets = baselines.tune(
        sets,
        c.student,
        dataset.validation,
        learned=learned,
        num_students=_judges(sets),
        **going,
    )
    if c.kind == "optimized_real":
        progress.about("choosing the sets", figures=False)
        count = len(evaluator.dealt(sets[:1], 20))
        sets = baselines.optimized_real(
            sets, c.student, dataset.train, num_students=count, **going
        )
    progress.about("")
    count = _count(c, sets)
    sets = sets[: 1 + max(evaluator.dealt(sets, count))]
    result = evaluator(sets, dataset.test, count, seed=c.seed)
    return sets, f"rate {sets[0].provenance['rates']}", result


def _adapted(c, sets, dataset, start, source, share=1):
    """Each adapted network, by a share of the usual updates, and its test."""
    from tfdistill.evaluation.evaluator import evaluate_model
    from tfdistill.studies import adaptation

    test = dataset.test.batch(1000).cache()
    updates = {name: max(1, round(share * count)) for name, count in _UPDATES.items()}
    for model in adaptation.adapted(
        c.student, start, source.train, sets, c.num_students, seed=c.seed, **updates
    ):
        yield model, evaluate_model(model, test)


def _nearest_neighbours(c, sets, dataset):
    """The sets that are tested, what was chosen, and the result."""
    from tfdistill.studies import baselines

    best = baselines.NearestNeighbours.tuned(sets, dataset.validation)
    if c.kind == "optimized_real":
        scores = best.evaluate(sets, dataset.validation).accuracies
        kept = sorted(range(len(sets)), key=lambda k: -scores[k])[: c.num_sets]
        sets = [
            sets[k].replace(provenance={"baseline": c.kind, "score": float(scores[k])})
            for k in kept
        ]
    return sets, f"k {best.k}, {best.metric}", best.evaluate(sets, dataset.test)


def _finish(c, sets, chosen, result, model, dataset, seconds, progress):
    from tfdistill.reporting import plots
    from tfdistill.students import names

    learns = not c.nearest_neighbours and c.kind not in _ADAPTED
    student = names.name_of(c.student)
    name = "nearest neighbours" if c.nearest_neighbours else student
    distilled, later = None, {}
    if sets:
        distilled = sets[0].replace(
            student=student if learns else "",
            provenance={
                "load": {**data.record(c), **students.record(c)},
                "flags": COMMAND.shown(c),
            },
        )
        later[results.picture("distilled")] = lambda: results.draw(
            c.workdir, "distilled", lambda: plots.distilled_images(distilled)
        )
    if model or learns:
        later["student/"] = lambda: results.save_student(
            c.workdir, distilled, model or students.trained(c, sets[0])
        )
    kept = results.Result(c.workdir, later, progress)
    if distilled is not None:
        kept.save_data(distilled)
    kept.add(
        {
            **results.evaluation_json(result, name, dataset.name),
            **results.size_json(distilled),
            "kind": c.kind,
            "num_sets": len(sets),
            "seed": c.seed,
            "seconds": seconds,
            "chosen": chosen,
            "selection": "nothing on test images; rates, epochs, k and metric are "
            "the best on held-out training images"
            if chosen
            else "nothing",
        }
    )
    for what, make in later.items():
        kept.attempt(what, make)
    images = distilled.num_images if sets else "no"
    does = "classifies by" if c.nearest_neighbours else "learns from"
    several = f"{len(sets)} set{'s' * (len(sets) > 1)}" if sets else ""
    if 0 < len(sets) < c.num_sets and c.kind not in _ALONE:
        several = f"{len(sets)} of {c.num_sets} sets: more --num_students test all"
    details = ", ".join(filter(None, [c.kind, several, chosen]))
    print(
        f"Test accuracy where {name} {does} {images} images of {dataset.name} "
        f"({details}): {result.summary('accuracy')}"
    )
    print(f"{kept.costs(distilled)}\nEverything is in {c.workdir}.")
    kept.end()


def _dry_run(c, sets, dataset, learned, evaluator, start, source):
    """Measures a few tests, and says what the run would take."""
    what, count, traced = "networks", _networks(c, sets, learned, evaluator), 0
    if c.nearest_neighbours:
        what, count = "sets of images", len(sets)
        each = dry_run.seconds(lambda: _nearest_neighbours(c, sets[:1], dataset))
    elif c.kind == "fada":
        each = _seconds_to_adapt(c, sets, dataset, start, source)
    elif c.kind == "none":
        each, _ = dry_run.a_network(evaluator, None, dataset.test)
    else:
        each, traced = dry_run.a_network(evaluator, sets[0], dataset.validation)
    # Others choose the rate, and train the exported network.
    dry_run.show(COMMAND, c, [(what, count, each)], 2 * traced)


def _seconds_to_adapt(*adapted):
    """Of one network, by a tenth of its updates; all else is done once for each."""

    def seconds(share):
        return dry_run.seconds(lambda: next(_adapted(*adapted, share)))

    seconds(0)  # and what takes place once in the process
    least, tenth = seconds(0), seconds(0.1)
    return least + 10 * max(0.0, tenth - least)


COMMAND = Command(
    name="baseline",
    about=__doc__,
    groups=(
        Group("data", [*data.flags(), baseline_data.SOURCE, data.VALIDATION]),
        Group("who learns", [students.STUDENT, *students.INITIAL_WEIGHTS]),
        Group("what is learned", _LEARNED),
        Group("result", _RESULT),
        Group("machine", [machine.strategy_flag(), *machine.LONG]),
    ),
    run=run,
    resolve=_resolve,
    unused=baseline_data.unused,
    examples=(
        "tfdistill baseline --dataset=mnist --kind=k_means --workdir=means",
        "tfdistill baseline --dataset=mnist --learned_rates=steps --workdir=random",
    ),
)
