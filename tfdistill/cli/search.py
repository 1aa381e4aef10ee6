"""tfdistill search: ranks architectures by what they learn from distilled images.

Candidates of a space of architectures train on distilled (or generated) images
alone, seconds each, and are ranked by their accuracy on the validation part of
the real training images. KerasTuner says which candidates. Some can be trained
on real images too, to see how well the two rankings agree; the best are trained
on real images in the end, saved, and tested. The folder then holds:

  metrics.json            the agreement, the costs, the best ones' accuracies
  ranking.md              all candidates, the best first
  candidates.json         the same with hyperparameters; those skipped, and why
  architecture-1.keras    the best architectures, trained on real images; they
                          take images normalised as metrics.json says
  images/search.png       accuracy on distilled images against that on real ones
  flags.txt               the flags: tfdistill search --flagfile=... repeats it
  tuner/                  KerasTuner's own files

After a crash the same command goes on after the last candidate.
"""

import dataclasses
import os
import shutil
import sys

from tfdistill.cli import data, machine, results, run_folder
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.cli.progress import Progress
from tfdistill.runs import files

_OWNED = (
    "candidates.json",
    "ranking.md",
    "metrics.json",
    "images",
    "tuner",
    "backup",
    "*.keras",
)
_SHOWN = 10
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
        names_code=True,
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
        "Passes over the distilled images, by Adam. The learned steps suit networks "
        "best that are like those they were learned for.",
        lowest=1,
        shown="the learned steps, instead",
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
_SEED = Flag("seed", int, None, "Random seed.", lowest=0, shown="the run's, or 0")
_VALIDATION = dataclasses.replace(
    data.VALIDATION,
    default=None,
    shown=f"the run's, or {data.VALIDATION.default}",
    library="",
)


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
    machine.set_threads(configuration, within=configuration.threads)
    strategy = machine.strategy(configuration)
    distilled = _distilled(configuration.distilled)
    c = _as_distilled(configuration, distilled)
    dataset = data.load(c)
    search = _search(c, distilled, dataset, strategy)
    run_folder.claim(COMMAND, c, _OWNED)
    if run_folder.is_finished(c.workdir):
        return
    _explore(c, search)
    agreement = _compare(c, search) if c.real_candidates else None
    kept = _keep(c, search, dataset)
    _finish(c, search, dataset, agreement, kept)


def _distilled(folder):
    from tfdistill.distilled.dataset import DistilledDataset

    inside = os.path.join(folder, "distilled")
    with checking():
        return DistilledDataset.load(inside if os.path.isdir(inside) else folder)


def _as_distilled(c, distilled):
    """The configuration, with the data of the distillation where no flag is given."""
    made_of = distilled.provenance
    c = data.as_recorded(c, made_of.get("load", {}))
    # The validation images must be those that the distillation did not learn from.
    for line in made_of.get("flags", "").splitlines():
        name, _, value = line.removeprefix("--").partition("=")
        for flag in (_SEED, _VALIDATION):
            if name == flag.name and getattr(c, name) is None:
                with checking():
                    found = flag.kind(value)
                    flag.check_recorded(found)
                c = c.replace(**{name: found})
    if c.seed is None:
        c = c.replace(seed=0)
    if c.validation is None:
        c = c.replace(validation=data.VALIDATION.default)
    if c.dataset is None:
        raise InputError(
            "--dataset is missing: the distilled images don't say what they are of."
        )
    return c


def _search(c, distilled, dataset, strategy):
    from tfdistill.studies.architecture_search.search import Search

    try:
        with checking():
            search = Search(
                c.space,
                distilled,
                dataset,
                c.workdir,
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


def _explore(c, search):
    with checking():
        known = len(search.candidates)
    if known:
        print(f"Going on after candidate {known}.", flush=True)
    progress = Progress("candidate", c.candidates, len(search.ranking))

    def show(candidate):
        if candidate.refusal:
            print(f"Skipped: {candidate} ({candidate.refusal})", flush=True)
            return
        best = search.ranking[0].score
        progress.show(
            len(search.ranking),
            f"{100 * candidate.score:.2f} % (best {100 * best:.2f} %): {candidate}",
        )

    search.explore(c.candidates, show)
    ranked, skipped = len(search.ranking), len(search.candidates) - len(search.ranking)
    if ranked < (_FEWEST if c.real_candidates else 1):
        raise InputError(
            f"--space={c.space}: {ranked or 'none'} of {len(search.candidates)} "
            "candidates could be trained."
        )
    print(f"{ranked} candidates ranked, {skipped} skipped.", flush=True)


def _compare(c, search):
    def count():
        return sum(x.real_accuracy is not None for x in search.candidates)

    total = min(c.real_candidates, len(search.ranking))
    progress = Progress("on real images", total, count())

    def show(candidate):
        progress.show(
            count(),
            f"{100 * candidate.real_accuracy:.2f} % (distilled "
            f"{100 * candidate.score:.2f} %): {candidate}",
        )

    search.compare(c.real_candidates, c.real_epochs, show, **_training(c))
    return search.agreement()


def _training(c):
    return {"batch_size": c.batch_size, "learning_rate": c.learning_rate}


def _keep(c, search, dataset):
    """Trains the best on real images, unless their files are there; tests them."""
    import keras

    from tfdistill.evaluation.evaluator import evaluate_model
    from tfdistill.runs.backup import Backup

    kept = []
    for rank, candidate in enumerate(search.ranking[: c.keep], 1):
        name = f"architecture-{rank}.keras"
        path = os.path.join(c.workdir, name)
        if not os.path.isfile(path):
            print(f"Training architecture {rank} on real images.", flush=True)
            backup = os.path.join(c.workdir, "backup", f"{rank}")
            model = search.retrained(
                candidate,
                c.retrain_epochs,
                backup=Backup(backup, within_epochs=False),
                verbose=1 if sys.stdout.isatty() else 2,
                **_training(c),
            )
            with run_folder.writing(c.workdir), files.replacing(path) as temporary:
                model.save(temporary)
            shutil.rmtree(os.path.dirname(backup))
        with checking():
            model = keras.models.load_model(path, compile=False)
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


def _finish(c, search, dataset, agreement, kept):
    """Shows the result and writes the folder's files, metrics last."""
    from tfdistill.reporting import plots
    from tfdistill.studies import architecture_search

    ranking = search.ranking
    print(architecture_search.table(ranking[:_SHOWN]))
    figures = {}
    if agreement is not None:
        both = [x for x in ranking if x.real_accuracy is not None]
        figures["search"] = plots.agreement(
            [x.score for x in both],
            [x.real_accuracy for x in both],
            agreement.spearman,
        )
        print(
            f"Of {agreement.candidates} candidates trained on both: rank correlation "
            f"(Spearman) {agreement.spearman:.2f}; of the top {agreement.top} on "
            f"distilled images {100 * agreement.overlap:.0f} % are among those on real "
            f"ones, and the best of them is within {100 * agreement.shortfall:.2f} "
            f"points of the best of all; {agreement.speedup:.1f} times faster."
        )
    for content in kept:
        print(
            f"{content['file']}: test accuracy {100 * content['test_accuracy']:.2f} %, "
            f"{content['parameters']:,} weights"
        )
    table = architecture_search.table(ranking) + "\n"
    content = {
        "space": c.space,
        "dataset": dataset.name,
        "normalization": dataset.normalization.to_config(),
        "ranked": len(ranking),
        "skipped": len(search.candidates) - len(ranking),
        "seconds_per_candidate": sum(x.seconds for x in ranking) / len(ranking),
        "agreement": agreement and dataclasses.asdict(agreement),
        "architectures": kept,
        "selection": "architectures on validation images; nothing on test images",
        "peak_memory_bytes": results.peak_memory(),
    }
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, "ranking.md"), table)
        results.save_figures(c.workdir, figures)
        files.write_json(os.path.join(c.workdir, "metrics.json"), content)


COMMAND = Command(
    name="search",
    about=__doc__,
    groups=(
        Group("data", [_DISTILLED, *data.flags(None), _VALIDATION]),
        Group("who learns", _WHO_LEARNS),
        Group("how long", _HOW_LONG),
        Group("result", [*run_folder.flags("search"), _SEED]),
        Group("machine", [machine.strategy_flag(), machine.THREADS, machine.VERBOSE]),
    ),
    run=run,
    resolve=_resolve,
    unrecorded=("workdir", "overwrite", "verbose", "threads"),
    examples=(
        "tfdistill search --distilled=run --candidates=60 --keep=3 --workdir=search",
        "tfdistill search --distilled=run --real_candidates=20 --workdir=check",
    ),
)
