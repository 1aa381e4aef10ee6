"""tfdistill search: ranks architectures by what they learn from distilled images.

Candidates of a space of architectures train on distilled (or generated) images alone,
seconds each, and are ranked by their accuracy on the validation part of the real
training images. KerasTuner says which candidates. Some can be trained on real images
too, to see how well the two rankings agree; the best are trained on real images in the
end, saved, and tested. The folder then holds:

  metrics.json            the agreement, the costs, the best architectures' accuracies
  ranking.md              all candidates, the best first
  candidates.json         the same with all hyperparameters; those skipped, and why
  architecture-1.keras ... the best architectures, trained on real images; they take
                          images normalised as metrics.json says
  images/search.png       accuracy on distilled images against accuracy on real ones
  flags.txt               the flags: tfdistill search --flagfile=... repeats the search
  tuner/                  KerasTuner's own files

After a crash the same command goes on after the last candidate.
"""

import os
import shutil
import sys
import time

from absl import flags

from tfdistill.cli import common
from tfdistill.runs import files

FLAGS = flags.FLAGS
_names = []
_UNRECORDED = ("workdir", "overwrite", "threads")
_SHOWN = 10


def define_flags() -> None:
    """Defines the command's flags."""
    common.define_workdir_flags("search")
    flags.DEFINE_string(
        "distilled",
        None,
        "What candidates train on: the run folder of tfdistill distill, or a folder of "
        "distilled images.",
    )
    data_flags = common.define_data_flags(None)
    flags.DEFINE_string(
        "space",
        "small_convnets",
        "What candidates look like: small_convnets, cells (two cells of five nodes), "
        'or your own as "package.module:function", from (hp, image_shape, num_classes) '
        "to a keras.Model, where hp is KerasTuner's HyperParameters.",
    )
    flags.DEFINE_enum(
        "oracle",
        "random",
        ["random", "bayesian", "hyperband"],
        "How KerasTuner chooses candidates: at random; by a Gaussian process on the "
        "accuracies so far; or at random, with more networks for the better ones.",
    )
    flags.DEFINE_integer("candidates", 20, "How many are ranked.", lower_bound=1)
    flags.DEFINE_integer(
        "num_students",
        None,
        "Networks that learn, whose mean accuracy ranks a candidate: 1 if not given. "
        "With --oracle=hyperband: the most that one gets, 9 if not given.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "passes",
        None,
        "How often candidates go through the distilled images, by Adam. They take the "
        "learned steps if not given; those suit networks best that are like the ones "
        "they were learned for.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "score_images",
        2000,
        "How many of the validation images rank them, at most.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "real_candidates",
        0,
        "How many of them are trained on real images, too, to compare: evenly from the "
        "best to the worst.",
        lower_bound=0,
    )
    flags.DEFINE_integer("real_epochs", 3, "How long these are.", lower_bound=1)
    flags.DEFINE_integer(
        "keep",
        1,
        "How many of the best are trained on real images and saved.",
        lower_bound=0,
    )
    flags.DEFINE_integer("retrain_epochs", 10, "How long these are.", lower_bound=1)
    flags.DEFINE_integer(
        "batch_size", 128, "Real images in a batch of such training.", lower_bound=1
    )
    flags.DEFINE_float(
        "learning_rate", 1e-3, "Adam's at first in such training.", lower_bound=1e-8
    )
    flags.DEFINE_integer(
        "seed",
        None,
        "Of everything that is drawn; by default the run's.",
        lower_bound=0,
    )
    _names.extend(
        ["workdir", "distilled", *data_flags]
        + ["space", "oracle", "candidates", "num_students", "passes", "score_images"]
        + ["real_candidates", "real_epochs", "keep", "retrain_epochs"]
        + ["batch_size", "learning_rate", "seed"]
        + [*common.define_validation_flag(), *common.define_machine_flags()]
        + [*common.define_strategy_flag(machines=False), "overwrite"]
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("search")
    if not FLAGS.distilled:
        raise common.InputError(
            "--distilled is missing: name the run folder of tfdistill distill."
        )
    if 0 < FLAGS.real_candidates < 3:
        raise common.InputError(
            f"--real_candidates={FLAGS.real_candidates} must be 0 or at least 3: fewer "
            "have no ranking to compare."
        )
    if FLAGS.num_students is None:
        FLAGS.num_students = 9 if FLAGS.oracle == "hyperband" else 1
    common.set_threads(within=FLAGS.threads)
    strategy = common.strategy()
    distilled = _distilled()
    dataset = common.load_dataset()
    search = _search(distilled, dataset, strategy)
    lines = common.flag_lines(n for n in _names if n not in _UNRECORDED)
    owned = [
        "candidates.json",
        "ranking.md",
        "metrics.json",
        "images",
        "tuner",
        "backup",
    ]
    if os.path.isdir(FLAGS.workdir):
        owned += [f for f in os.listdir(FLAGS.workdir) if f.endswith(".keras")]
    common.claim_workdir(FLAGS.workdir, lines, FLAGS.overwrite, owned)
    if common.is_finished(FLAGS.workdir):
        return
    _explore(search)
    agreement = _compare(search)
    kept = _keep(search, dataset)
    _finish(search, dataset, agreement, kept)


def _distilled():
    """The distilled data; takes those flags that are not given from its run."""
    import tfdistill

    inside = os.path.join(FLAGS.distilled, "distilled")
    folder = inside if os.path.isdir(inside) else FLAGS.distilled
    with common.input_errors():
        distilled = tfdistill.DistilledDataset.load(folder)
    made_of = distilled.provenance
    common.take_load_flags(made_of.get("load", {}))
    # The validation images must be those that the distillation did not learn from.
    for line in str(made_of.get("flags", "")).splitlines():
        name, _, value = line.removeprefix("--").partition("=")
        if name == "seed" and FLAGS.seed is None:
            FLAGS.seed = int(value)
        if name == "validation" and not FLAGS["validation"].present:
            FLAGS.validation = float(value)
    if FLAGS.seed is None:
        FLAGS.seed = 0
    if FLAGS.dataset is None:
        raise common.InputError(
            "--dataset is missing: the distilled images don't say what they are of."
        )
    return distilled


def _search(distilled, dataset, strategy):
    from tfdistill.studies.architecture_search import search as architecture_search

    with common.input_errors():
        try:
            return architecture_search.Search(
                FLAGS.space,
                distilled,
                dataset,
                FLAGS.workdir,
                oracle=FLAGS.oracle,
                num_students=FLAGS.num_students,
                passes=FLAGS.passes,
                score_images=FLAGS.score_images,
                seed=FLAGS.seed,
                strategy=strategy,
            )
        except ImportError as error:
            raise common.InputError(str(error)) from error


def _explore(search):
    with common.input_errors():
        known = len(search.candidates)
    if known:
        print(f"Going on after candidate {known}.", flush=True)
    progress = _Progress("candidate", FLAGS.candidates, len(search.ranking))

    def show(candidate):
        if candidate.refusal:
            print(f"Skipped: {candidate} ({candidate.refusal})", flush=True)
            return
        best = search.ranking[0].score
        progress.show(
            len(search.ranking),
            f"{100 * candidate.score:.2f} % (best {100 * best:.2f} %): {candidate}",
        )

    search.explore(FLAGS.candidates, show)
    ranked, skipped = len(search.ranking), len(search.candidates) - len(search.ranking)
    if not ranked:
        raise common.InputError(
            f"--space={FLAGS.space}: none of {skipped} candidates could be trained."
        )
    print(f"{ranked} candidates ranked, {skipped} skipped.", flush=True)


def _compare(search):
    if not FLAGS.real_candidates:
        return None

    def count():
        return sum(c.real_accuracy is not None for c in search.candidates)

    total = min(FLAGS.real_candidates, len(search.ranking))
    progress = _Progress("on real images", total, count())

    def show(candidate):
        progress.show(
            count(),
            f"{100 * candidate.real_accuracy:.2f} % (distilled "
            f"{100 * candidate.score:.2f} %): {candidate}",
        )

    search.compare(FLAGS.real_candidates, FLAGS.real_epochs, show, **_training())
    with common.input_errors():
        return search.agreement()


def _training():
    return {"batch_size": FLAGS.batch_size, "learning_rate": FLAGS.learning_rate}


def _keep(search, dataset):
    """Trains the best on real images, unless their files are there; tests them."""
    import keras

    from tfdistill import Backup
    from tfdistill.evaluation.evaluator import evaluate_model

    kept = []
    for rank, candidate in enumerate(search.ranking[: FLAGS.keep], 1):
        name = f"architecture-{rank}.keras"
        path = os.path.join(FLAGS.workdir, name)
        if not os.path.isfile(path):
            print(f"Training architecture {rank} on real images.", flush=True)
            backup = os.path.join(FLAGS.workdir, "backup", f"{rank}")
            model = search.retrained(
                candidate,
                FLAGS.retrain_epochs,
                backup=Backup(backup, within_epochs=False),
                verbose=1 if sys.stdout.isatty() else 2,
                **_training(),
            )
            with common.input_errors(), files.replacing(path) as temporary:
                model.save(temporary)
            shutil.rmtree(os.path.dirname(backup))
        with common.input_errors():
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


def _finish(search, dataset, agreement, kept):
    """Shows the result and writes the folder's files, metrics last."""
    import dataclasses

    from tfdistill.reporting import plots
    from tfdistill.studies.architecture_search import search as architecture_search

    ranking = search.ranking
    with common.input_errors():
        files.write_text(
            os.path.join(FLAGS.workdir, "ranking.md"),
            architecture_search.table(ranking) + "\n",
        )
        if agreement is not None:
            both = [c for c in ranking if c.real_accuracy is not None]
            plots.save(
                plots.agreement(
                    [c.score for c in both],
                    [c.real_accuracy for c in both],
                    agreement.spearman,
                ),
                os.path.join(FLAGS.workdir, "images", "search.png"),
            )
    print(architecture_search.table(ranking[:_SHOWN]))
    if agreement is not None:
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
    with common.input_errors():
        files.write_json(
            os.path.join(FLAGS.workdir, "metrics.json"),
            {
                "space": FLAGS.space,
                "dataset": dataset.name,
                "normalization": dataset.normalization.to_config(),
                "ranked": len(ranking),
                "skipped": len(search.candidates) - len(ranking),
                "seconds_per_candidate": sum(c.seconds for c in ranking) / len(ranking),
                "agreement": agreement and dataclasses.asdict(agreement),
                "architectures": kept,
                "selection": "architectures on validation images; nothing on test "
                "images",
                "peak_memory_bytes": common.peak_memory(),
            },
        )


class _Progress:
    """Tells what is done, and how long the rest takes."""

    def __init__(self, what, total, done):
        self._what, self._total, self._first = what, total, done
        self._started = time.monotonic()

    def show(self, done, text):
        elapsed = time.monotonic() - self._started
        left = elapsed / max(1, done - self._first) * (self._total - done)
        print(
            f"{self._what} {done}/{self._total}, {int(left) // 60}:{int(left) % 60:02} "
            f"left: {text}",
            flush=True,
        )
