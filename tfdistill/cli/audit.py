"""tfdistill audit: which labels of a data set are wrong?

Distils a few images from each half of the training data, several times, and
lets networks that learn from them alone judge the labels of the other half.
A label is suspect if it is more likely wrong than right, by what the networks
say and by how many labels seem wrong in all. (The distilled images' own labels
are learned, and may move to other classes.) Writes into a folder:

  audit.csv      all training examples, the most suspect first: row number, file
                 (or TFDS id, or row), label given, label suggested,
                 probability that the given one is right, share of networks
                 for it, and whether it is suspect: 1 for yes, 0 for no
  metrics.json   the estimated share of wrong labels, in all and between classes
  images/        pictures: the most suspect examples; which labels are mixed up
  flags.txt      the flags: tfdistill audit --flagfile=... repeats the audit
  parts/         the state of the audit: after a crash the same command goes on

With --model it also says whether that network has learned wrong labels by
heart. Where the data has no test part, all of it is audited. --apply=FOLDER
writes a corrected copy, or a list of what to keep, as audit.csv says. Before,
look at its first rows, down to some below the last suspect, and edit the column
"suspect": 1 takes the suggested label, 0 keeps the given one. The data itself
is never touched.
"""

import os

from tfdistill._internal import code
from tfdistill.cli import (
    audit_copies,
    content,
    data,
    dry_run,
    machine,
    rehearsal,
    results,
    run_folder,
    students,
)
from tfdistill.cli import (
    audit_listing as listing,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

_OWNED = ("flags.txt", "audit.csv", "metrics.json", "images", "parts")
_LISTED = 5
_RECIPE = "studies.audit:Recipe"
_MODEL = Flag(
    "model",
    str,
    None,
    "Has this network learned wrong labels? A .keras file, a SavedModel or a "
    ".weights.h5 file of --student, for images normalised as in metrics.json.",
    value="FILE",
    names_code=code.is_saved_model,
)
_FLIP = Flag(
    "flip",
    float,
    0.0,
    "Share of labels that are made wrong first, to see how well they are found.",
    lowest=0,
    highest=0.9,
)
_WHAT_IS_LEARNED = [
    Flag(
        "steps",
        int,
        10,
        "Steps that a network takes on the images.",
        lowest=1,
        library=f"{_RECIPE}.steps",
    ),
    Flag(
        "images_per_class",
        int,
        2,
        "Images of each class in each step.",
        lowest=1,
        library=f"{_RECIPE}.images_per_class",
    ),
]
_HOW_LONG = [
    Flag(
        "rounds",
        int,
        2,
        "Times that the data is halved: each example is judged by so many networks, "
        "which learn from the half that it is not in.",
        lowest=1,
        library=f"{_RECIPE}.rounds",
    ),
    Flag(
        "outer_steps",
        int,
        800,
        "Updates of the images in each distillation.",
        lowest=1,
        library=f"{_RECIPE}.outer_steps",
    ),
    Flag(
        "outer_learning_rate",
        float,
        0.03,
        "Learning rate of the outer Adam, which updates the images.",
        lowest=1e-8,
        library=f"{_RECIPE}.outer_learning_rate",
    ),
    Flag(
        "batch_size",
        int,
        256,
        "Real images that judge a network.",
        lowest=1,
        library=f"{_RECIPE}.batch_size",
    ),
]


def _as_before(given):
    return audit_copies.as_before(COMMAND, given)


def _resolve(configuration: Configuration) -> Configuration:
    if configuration.in_memory is False:
        raise InputError(
            "--noin_memory is not for tfdistill audit: it holds the images in memory."
        )
    audit_copies.check(configuration)
    if configuration.resplit:
        raise InputError("--resplit is not for tfdistill audit, which has no test.")
    return configuration.replace(in_memory=True)


def run(configuration: Configuration) -> None:
    """Runs the command."""
    import dataclasses

    from tfdistill.runs.progress import Progress, ProgressBar
    from tfdistill.studies import audit, audit_halves

    c = configuration
    audit_copies.check_audit(c)
    machine.set_threads(c)
    dataset, places, names = load(c)
    with checking():
        audit_copies.check_folder(c, places)
        students.build(c.student, dataset)
        model = c.model and students.given_model(c.model, c.student, dataset)
        train, wrong = audit.flipped(dataset.train, c.flip, c.seed)
        dataset = dataclasses.replace(dataset, train=train)
        audit_halves.check(dataset, _recipe(c))
    _rehearse(dataset, places)
    if c.dry_run:
        return _dry_run(c, dataset)
    held = data.content(
        dataset, students={"student": [c.student]}, model=content.of_path(c.model)
    )
    run_folder.claim(COMMAND, c, _OWNED, held)
    then = "--apply follows its audit.csv" if c.apply else run_folder.REPEATED
    if run_folder.is_finished(c.workdir, what="audit", then=then):
        audit_copies.write(c, places, names)
        return
    parts = os.path.join(c.workdir, "parts")
    with Progress() as progress:
        progress.part("distilling", 2 * c.rounds, "halves")
        found = audit.examine(
            dataset,
            _recipe(c),
            folder=parts,
            tell=progress.say,
            callbacks=lambda number: [ProgressBar(progress=progress, before=number)],
        )
        progress.to(2 * c.rounds)  # some may have been done before
    _write(c, found, dataset, places, wrong, model, progress)
    audit_copies.write(c, places, names)


def load(c):
    """The data, all of it in `train`; where it lies; the names of all classes."""
    import numpy as np

    from tfdistill.studies import corrections, origins

    with checking():
        every, places = origins.whole(
            data.load(c.replace(classes=None)), c.dataset, c.data_dir
        )
        corrections.check_places(places)
        dataset = every
        if c.classes:
            chosen = data.labels(c.classes, every.class_names)
            dataset = every.of_classes(chosen)
            places = places.where(np.isin(every.train.labels, chosen))
    return dataset, places, every.class_names


def _recipe(c):
    from tfdistill.studies import audit

    return audit.Recipe(
        c.student,
        rounds=c.rounds,
        outer_steps=c.outer_steps,
        outer_learning_rate=c.outer_learning_rate,
        steps=c.steps,
        images_per_class=c.images_per_class,
        batch_size=c.batch_size,
        seed=c.seed,
    )


def _write(c, found, dataset, places, wrong, model, progress):
    """Shows the result and writes the folder's files, pictures last."""
    names, noise = dataset.class_names, found.noise()
    suspects, shown = found.suspects, listing.first(found)
    metrics = {
        "dataset": dataset.name,
        "student": c.student,
        "examples": len(suspects),
        "suspects": int(suspects.sum()),
        "noise_rate": found.noise_rate,
        "noise": noise.tolist(),
        "class_names": list(names),
        "normalization": dataset.normalization.to_config(),
        **_checked(found, wrong),
        **_fitted(found, dataset, model),
        "seconds": found.seconds,
        "cpu_seconds": found.cpu_seconds,
        "selection": "nothing on test images",
    }
    table = listing.table(found, names, places, wrong if c.flip else None)
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, "audit.csv"), table)
    figures = listing.figures(found, dataset, places, shown)
    result = results.Result(c.workdir, map(results.picture, figures), progress)
    result.add(metrics)
    result.attempt_pictures(figures)
    _show(metrics, noise)
    print(listing.words(found, names, places, shown[:_LISTED]))
    if model is not None and "model" not in metrics:
        print("No label is suspect: there is nothing wrong to have been learned.")
    print(f"Everything is in {c.workdir}.")
    result.end()
    files.remove(os.path.join(c.workdir, "parts"))


def _rehearse(dataset, places):
    """Draws and lists an audit in which nothing is known."""
    import numpy as np

    from tfdistill.studies import audit

    given = np.asarray(dataset.train.labels)
    votes = np.ones((len(given), dataset.num_classes), np.int32)
    found = audit.Audit(given, (votes / dataset.num_classes).astype("float32"), votes)
    with rehearsal.rehearsal() as trial, trial.of("drawn"):
        listing.table(found, dataset.class_names, places, None)
        shown = listing.first(found)
        for name, make in listing.figures(found, dataset, places, shown).items():
            results.draw(trial.folder, name, make)


def _dry_run(c, dataset):
    """Measures a few outer steps, and says what the audit would take."""
    import dataclasses

    from tfdistill.studies import audit

    recipe = dataclasses.replace(_recipe(c), rounds=1, outer_steps=10)
    peaks = []

    def examine(callbacks):
        def of(number):
            peaks.append(results.peak_memory())
            return () if number else callbacks

        audit.examine(dataset, recipe, callbacks=of)

    step = dry_run.seconds_a_step(examine)
    # All but the first two halves take as much again as the second.
    later = (2 * c.rounds - 2) * (results.peak_memory() - peaks[-1])
    work = [("outer steps", 2 * c.rounds * c.outer_steps, step)]
    dry_run.show(COMMAND, c, work, later)


def _checked(found, wrong):
    """How well labels that were made wrong on purpose are found."""
    from sklearn.metrics import average_precision_score

    if not wrong.any():
        return {}
    hits = (found.suspects & wrong).sum()
    return {
        "flipped": int(wrong.sum()),
        "average_precision": float(average_precision_score(wrong, -found.scores)),
        "precision": float(hits / max(1, found.suspects.sum())),
        "recall": float(hits / wrong.sum()),
    }


def _fitted(found, dataset, model):
    """Whether a given network has learned wrong labels by heart."""
    import dataclasses

    from tfdistill.studies import audit

    if model is None or not found.suspects.any():
        return {}
    said = model.predict(dataset.train.passes(), verbose=0).argmax(-1)
    return {"model": dataclasses.asdict(audit.fitted(found, said))}


def _show(content, noise):
    import numpy as np

    names, total = content["class_names"], content["examples"]
    print(
        f"{content['suspects']} of {total} labels of {content['dataset']} are suspect; "
        f"about {100 * content['noise_rate']:.1f} % are wrong."
    )
    pairs = noise - np.diag(np.diag(noise))
    for place in np.argsort(-pairs, axis=None)[:5]:
        given, true = divmod(int(place), len(names))
        if pairs[given, true] * total >= 1:
            print(
                f"  labelled {names[given]}, but really {names[true]}: about "
                f"{round(pairs[given, true] * total)}"
            )
    if "flipped" in content:
        print(
            f"Of {content['flipped']} labels made wrong on purpose: average precision "
            f"of the ranking {content['average_precision']:.3f}, precision of the "
            f"suspects {100 * content['precision']:.1f} %, recall "
            f"{100 * content['recall']:.1f} %."
        )
    if "model" in content:
        model = content["model"]
        knows = "has" if model["repeated"] > model["sided"] else "has not"
        print(
            f"--model gives {100 * model['repeated']:.1f} % of the suspects the label "
            f"contradicted, and {100 * model['sided']:.1f} % the one suggested: "
            f"it {knows} learned most wrong labels by heart."
        )


COMMAND = Command(
    name="audit",
    about=__doc__,
    groups=(
        Group("data", [*data.flags(held=True), _FLIP]),
        Group(
            "who learns",
            [
                students.one_student(
                    "gtn_learner@16-32-64", library=f"{_RECIPE}.student"
                ),
                _MODEL,
            ],
        ),
        Group("what is learned", _WHAT_IS_LEARNED),
        Group("how long", _HOW_LONG),
        Group("result", [*run_folder.flags("audit"), audit_copies.APPLY, results.SEED]),
        Group("machine", [*machine.LONG]),
    ),
    run=run,
    resolve=_resolve,
    preset=_as_before,
    unrecorded=("workdir", "overwrite", "apply", "verbose", "dry_run"),
    examples=(
        "tfdistill audit --dataset=my_images/ --workdir=audit",
        "tfdistill audit --dataset=my_images/ --workdir=audit --apply=corrected",
        "tfdistill audit --dataset=my_images/ --flip=0.1 --workdir=check",
    ),
)
