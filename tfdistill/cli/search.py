"""tfdistill search: ranks architectures by what they learn from distilled images.

Candidates of a space of architectures train on distilled (or generated) images
alone, seconds each, and are ranked by their accuracy on the validation part of
the real training images. KerasTuner says which candidates. Some can be trained
on real images too, to see how well the two rankings agree; the best are trained
on real images in the end, saved, and tested. The folder then holds:

  metrics.json            the agreement, the costs, the best ones' accuracies
  ranking.md              all candidates, the best first; those of hyperband by
                          their number of networks, then by accuracy
  candidates.json         the same with hyperparameters; those skipped, and why
  architecture-1.keras    the best architectures, trained on real images; they
                          take images normalised as metrics.json says
  images/search.png       accuracy on distilled images against that on real ones
  flags.txt               the flags: tfdistill search --flagfile=... repeats it
  tuner/                  KerasTuner's own files

After a crash the same command goes on after the last candidate.
"""

import contextlib
import os
import shutil

from tfdistill._internal import code
from tfdistill.cli import (
    content,
    data,
    dry_run,
    machine,
    rehearsal,
    results,
    run_folder,
    search_data,
    search_result,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

_OWNED = (
    "candidates.json",
    "ranking.md",
    "metrics.json",
    "images",
    "tuner",
    "backup",
    "architecture-*.keras",
)
# Fewer have no ranking to compare.
_FEWEST = 3
_SEARCH = "studies.architecture_search.search:Search"
_DISTILLED = Flag(
    "distilled",
    str,
    None,
    "What candidates train on: the run folder of tfdistill distill, or a folder of "
    "distilled images.",
    value="FOLDER",
    missing="name the run folder of tfdistill distill.",
)
_WHO_LEARNS = [
    Flag(
        "space",
        str,
        "small_convnets",
        "What candidates look like: small_convnets, cells, or your own "
        "package.module:function of KerasTuner's HyperParameters.",
        value="NAME",
        names_code=code.is_named,
    ),
    Flag(
        "oracle",
        str,
        "random",
        "How KerasTuner chooses candidates: at random; by a Gaussian process; or at "
        "random, with more networks for the better ones.",
        choices=("random", "bayesian", "hyperband"),
        library=f"{_SEARCH}.oracle",
        table="studies.architecture_search.oracles:ORACLES",
    ),
    Flag("candidates", int, 20, "Number of candidates that are ranked.", lowest=1),
    Flag(
        "num_students",
        int,
        None,
        "Networks whose mean accuracy ranks a candidate; with --oracle=hyperband, the "
        "most that one gets.",
        lowest=1,
        shown="1; 9 with hyperband",
    ),
]
_HOW_LONG = [
    Flag(
        "passes",
        int,
        None,
        "In place of learned steps, which suit networks like those they are for: "
        "passes over their images by Adam, one update a step.",
        lowest=1,
        shown="as the images' recipe says",
        library=f"{_SEARCH}.passes",
    ),
    Flag(
        "score_images",
        int,
        2000,
        "Validation images that rank the candidates, at most.",
        lowest=1,
        library=f"{_SEARCH}.score_images",
    ),
    Flag(
        "real_candidates",
        int,
        0,
        "Candidates that are trained on real images, too, to compare: evenly from the "
        "best to the worst.",
        lowest=0,
    ),
    Flag("real_epochs", int, 3, "Epochs of these trainings.", lowest=1),
    Flag(
        "keep",
        int,
        1,
        "Number of the best that are trained on real images and saved.",
        lowest=0,
    ),
    Flag("retrain_epochs", int, 10, "Epochs of these trainings.", lowest=1),
    Flag(
        "batch_size",
        int,
        128,
        "Real images in a batch of all such trainings.",
        lowest=1,
        library=f"{_SEARCH}.retrained.batch_size",
    ),
    Flag(
        "learning_rate",
        float,
        1e-3,
        "Learning rate of Adam at first in all such trainings.",
        lowest=1e-8,
        library=f"{_SEARCH}.retrained.learning_rate",
    ),
]


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if 0 < c.real_candidates < _FEWEST:
        raise InputError(
            f"--real_candidates={c.real_candidates} must be 0 or at least {_FEWEST}: "
            "fewer have no ranking to compare."
        )
    if c.real_candidates and c.candidates < _FEWEST:
        raise InputError(
            f"--candidates={c.candidates} must be at least {_FEWEST} with "
            "--real_candidates: fewer have no ranking to compare."
        )
    if c.num_students is None:
        c = c.replace(num_students=9 if c.oracle == "hyperband" else 1)
    return c


def run(configuration: Configuration) -> None:
    """Runs the command."""
    from tfdistill.runs.progress import Progress
    from tfdistill.studies import pretraining

    machine.set_threads(configuration, within=configuration.threads)
    strategy = machine.strategy(configuration)
    distilled = search_data.load_distilled(configuration.distilled)
    c, dataset = search_data.load(configuration, distilled)
    if c.real_candidates or c.keep:
        with checking():
            pretraining.check_batches(dataset, c.batch_size, strategy)
    if c.dry_run:
        return _dry_run(c, distilled, dataset, strategy)
    search = _search(c, c.workdir, distilled, dataset, strategy)
    _rehearse(c, search)
    held = data.content(dataset, distilled=content.of_path(c.distilled))
    run_folder.claim(COMMAND, c, _OWNED, held)
    if run_folder.is_finished(c.workdir):
        return
    parts = 1 + bool(c.real_candidates) + bool(c.keep)
    with Progress(parts) as progress:
        _explore(c, search, progress)
        agreement = _compare(c, search, progress) if c.real_candidates else None
        kept = _keep(c, search, dataset, progress)
    search_result.finish(c, search, dataset, agreement, kept, progress)


def _search(c, folder, distilled, dataset, strategy):
    from tfdistill.studies.architecture_search.search import Search

    try:
        with checking():
            search = Search(
                c.space,
                distilled,
                dataset,
                folder,
                oracle=c.oracle,
                num_students=c.num_students,
                passes=c.passes,
                score_images=c.score_images,
                seed=c.seed,
                strategy=strategy,
                saves=c.keep > 0,
            )
    except ImportError as error:
        raise InputError(str(error)) from error
    return search


def _explore(c, search, progress):
    with checking():
        known = len(search.candidates)
    if known:
        progress.say(f"Going on after candidate {known}.")
    progress.part("distilled images", c.candidates, "candidates", len(search.ranking))

    def show(candidate):
        if candidate.refusal:
            progress.say(f"Skipped: {candidate} ({candidate.refusal})")
            return
        best = search.ranking[0].score
        progress.to(
            len(search.ranking),
            f"{100 * candidate.score:.2f} % (best {100 * best:.2f} %): {candidate}",
        )

    with checking():
        search.explore(c.candidates, show)
    ranked, skipped = len(search.ranking), len(search.candidates) - len(search.ranking)
    if c.real_candidates and ranked < _FEWEST:
        raise InputError(
            f"--space={c.space}: {ranked} of {len(search.candidates)} candidates could "
            "be trained."
        )
    progress.say(f"{ranked} candidates ranked, {skipped} skipped.")


def _compare(c, search, progress):
    def count():
        return sum(x.real_accuracy is not None for x in search.candidates)

    total = min(c.real_candidates, len(search.ranking))
    progress.part("real images", total, "candidates", count())

    def show(candidate):
        progress.to(
            count(),
            f"{100 * candidate.real_accuracy:.2f} % (distilled "
            f"{100 * candidate.score:.2f} %): {candidate}",
        )

    search.compare(c.real_candidates, c.real_epochs, show, **_training(c))
    return search.agreement()


def _training(c):
    return {"batch_size": c.batch_size, "learning_rate": c.learning_rate}


def _keep(c, search, dataset, progress):
    """Trains the best on real images, unless their files are there; tests them."""
    from tfdistill.evaluation.evaluator import evaluate_model
    from tfdistill.runs.backup import Backup
    from tfdistill.runs.progress import ProgressBar
    from tfdistill.students import names

    kept, best = [], search.ranking[: c.keep]
    if best:
        progress.part("training the best", len(best), "architectures")
    for rank, candidate in enumerate(best, 1):
        name = f"architecture-{rank}.keras"
        path = os.path.join(c.workdir, name)
        if not os.path.isfile(path):
            backup = os.path.join(c.workdir, "backup", f"{rank}")
            model = search.retrained(
                candidate,
                c.retrain_epochs,
                backup=Backup(backup, within_epochs=False, check_run=False),
                callbacks=[ProgressBar(progress=progress, before=rank - 1)],
                **_training(c),
            )
            with run_folder.writing(c.workdir), files.replacing(path) as temporary:
                model.save(temporary)
            shutil.rmtree(os.path.dirname(backup))
        with checking():
            model = names.get(path)()
        progress.to(rank)
        kept.append(
            {
                "file": name,
                "test_accuracy": evaluate_model(model, dataset.test).accuracy_mean,
                "distilled_accuracy": candidate.score,
                "parameters": candidate.parameters,
                "hyperparameters": candidate.values,
            }
        )
    return kept


def _rehearse(c, search):
    """Saves and loads a network of the space, and draws a picture."""
    import keras

    from tfdistill.reporting import plots

    with rehearsal.rehearsal() as trial:
        model = None
        with contextlib.suppress(ValueError, TypeError):  # others may fit
            model = search.build(search.example)
        if model is not None and c.keep:
            path = trial.path("architecture-1.keras")
            with trial.of("saved"):
                model.save(path)
            with trial.of("loaded"):
                keras.models.load_model(path, compile=False)
        with trial.of("drawn"):
            results.draw(
                trial.folder, "search", lambda: plots.agreement([0, 1], [0, 1], 1)
            )


def _dry_run(c, distilled, dataset, strategy):
    """Scores a candidate and trains it a little, and says what the rest would take."""
    with rehearsal.rehearsal() as trial:
        search = _search(c, trial.folder, distilled, dataset, strategy)
        _rehearse(c, search)
        with checking():
            search.explore(1)
        (candidate, *_) = search.ranking
        work = [("candidates", c.candidates, candidate.seconds)]
        if c.real_candidates or c.keep:
            step = dry_run.seconds_a_step(
                lambda callbacks: search.retrained(
                    candidate, dry_run.STEPS, callbacks=callbacks, **_training(c)
                )
            )
            epoch = step * max(1, dataset.train.num_examples // c.batch_size)
            work.append(("on real images", c.real_candidates, c.real_epochs * epoch))
            work.append(("of the best", c.keep, c.retrain_epochs * epoch))
    dry_run.show(COMMAND, c, work)


COMMAND = Command(
    name="search",
    about=__doc__,
    groups=(
        Group("data", [_DISTILLED, *data.flags(None), search_data.VALIDATION]),
        Group("who learns", _WHO_LEARNS),
        Group("how long", _HOW_LONG),
        Group("result", [*run_folder.flags("search"), search_data.SEED]),
        Group("machine", [machine.strategy_flag(), *machine.LONG]),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill search --distilled=run --candidates=60 --keep=3 --workdir=search",
        "tfdistill search --distilled=run --real_candidates=20 --workdir=check",
    ),
)
