"""tfdistill compare: judges sets of images, whatever program made them.

Trains fresh networks on each set, and on as many random, k-means and herded
real images, in the ordinary way: with the set's own labels, hard ones and a
teacher's, with random changes of the images and without. Everything is chosen
on validation images, for each set; the last networks are tested once. Sets are
folders and files of tfdistill, TFDS folders, .npz, .npy pairs (x.npy+y.npy),
.parquet, folders of images by class, and .pt files of tensors. What is in them
is never run. Writes:

  comparison.md    one table, and what each number means
  comparison.html  the same as a page
  comparison.json  everything
  teacher/         the network that learned from all real images, a pool
  journal/         cells that are done: after a crash the same command goes on
  flags.txt        the flags: tfdistill compare --flagfile=... repeats it
"""

import math
import os

from tfdistill._internal import code
from tfdistill.cli import (
    compared_sets,
    data,
    dry_run,
    machine,
    results,
    run_folder,
    training,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

_RESULT = "comparison.json"
_OWNED = (_RESULT, "comparison.md", "comparison.html", "journal", "teacher")
_COMPARE = "studies.comparison.compare:compare"
_WHO_LEARNS = [
    Flag(
        "architectures",
        list,
        None,
        "The networks, the main one first: names such as convnet@32, or your own "
        "package.module:function.",
        shown="those of the sets, convnet and lenet",
        library=f"{_COMPARE}.architectures",
        names_code=code.is_named,
    ),
    Flag(
        "networks",
        int,
        5,
        "Networks that are tested for each set, architecture and way of training.",
        lowest=1,
        library=f"{_COMPARE}.networks",
    ),
    Flag(
        "choosing",
        int,
        2,
        "Other networks that judge each candidate on validation images.",
        lowest=1,
        library=f"{_COMPARE}.choosing",
    ),
]
_WHAT_IS_LEARNED = [
    Flag(
        "baselines",
        list,
        ["random_real", "k_means", "herding"],
        "Real images to compare with, as many as each set has; none for none.",
    ),
    Flag(
        "rates", list, ["0.001", "0.003"], "Candidates for the rate of Adam at first."
    ),
    Flag("updates", list, ["300", "1000"], "Candidates for the number of updates."),
    next(flag for flag in training.FLAGS if flag.name == "training_batch"),
    next(flag for flag in training.FLAGS if flag.name == "changes"),
    Flag(
        "teacher_epochs",
        int,
        None,
        "Passes over the real images of the teacher; 0 for no teacher, and no "
        "label-robust scores.",
        lowest=0,
        shown="5, or more for 1000 updates",
        library=f"{_COMPARE}.teacher_epochs",
    ),
    Flag(
        "attack_images",
        int,
        500,
        "Test images that are attacked, at most; 0 for none.",
        lowest=0,
        library=f"{_COMPARE}.attack_images",
    ),
    Flag(
        "epsilon",
        float,
        8 / 255,
        "The most that an attack changes a pixel, as a share of its range.",
        lowest=0.0,
        highest=1.0,
        shown="0.0313725, which is 8/255",
        library=f"{_COMPARE}.epsilon",
    ),
    Flag(
        "pgd_steps",
        int,
        10,
        "Steps of the stronger attack.",
        lowest=1,
        library=f"{_COMPARE}.pgd_steps",
    ),
]


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    compared_sets.said(c)
    for flag, kind in (("rates", float), ("updates", int)):
        try:
            values = [kind(value) for value in getattr(c, flag)]
        except ValueError:
            values = []
        if not values or not all(0 < value < math.inf for value in values):
            raise InputError(
                f"--{flag}={','.join(getattr(c, flag))} must be numbers above 0."
            )
    return c


def run(configuration: Configuration) -> None:
    """Runs the command."""
    from tfdistill.studies.comparison import networks

    c = configuration
    machine.set_threads(c)
    dataset = data.load(c)
    c = _with_teacher(c, dataset)
    sets = compared_sets.read(c, dataset)
    kinds, protocol = _options(c, dataset)
    with checking():
        learners = networks.chosen(c.architectures, sets, dataset)
    if c.dry_run:
        return _dry_run(c, sets, dataset, kinds, protocol, learners)
    held = compared_sets.content(c, dataset, learners.names)
    run_folder.claim(COMMAND, c, _OWNED, held)
    if run_folder.is_finished(c.workdir, _RESULT, "comparison"):
        return
    found = _compare(c, sets, dataset, kinds, protocol)
    _finish(c, found)


def _with_teacher(c, dataset):
    """The configuration with the teacher's epochs, which runs record."""
    from tfdistill.studies.comparison import teachers

    if c.teacher_epochs is not None:
        return c
    return c.replace(teacher_epochs=teachers.usual_epochs(dataset))


def _options(c, dataset):
    from tfdistill.studies.comparison import competitors

    kinds = [] if c.baselines == ["none"] else c.baselines
    with checking():
        changes = training.changes(c, dataset.image_shape[-1])
        unknown = set(kinds) - set(competitors.BASELINES)
        if unknown:
            raise ValueError(
                f"baselines must be some of {', '.join(competitors.BASELINES)}, or "
                f"none, not {min(unknown)}."
            )
    return kinds, {
        "networks": c.networks,
        "choosing": c.choosing,
        "rates": tuple(float(rate) for rate in c.rates),
        "updates": tuple(int(number) for number in c.updates),
        "batch_size": c.training_batch,
        "changes": changes,
        "epsilon": c.epsilon,
        "pgd_steps": c.pgd_steps,
        "attack_images": c.attack_images,
        "teacher_epochs": c.teacher_epochs,
        "seed": c.seed,
    }


def _compare(c, sets, dataset, kinds, protocol):
    from tfdistill.studies.comparison.compare import compare

    return compare(
        sets,
        dataset,
        architectures=c.architectures,
        baselines=kinds,
        **protocol,
        folder=c.workdir,
        report=lambda line: print(line, flush=True),
    )


def _dry_run(c, sets, dataset, kinds, protocol, learners):
    """Lets a few networks learn a little, and says what the comparison would take."""
    from tfdistill.studies.comparison import teachers
    from tfdistill.studies.comparison.forecast import forecast
    from tfdistill.studies.comparison.settings import Settings

    work, found = [], []
    for line in learners.left_out:
        print(line, flush=True)
    if c.teacher_epochs:
        step = dry_run.seconds_a_step(
            lambda watch: teachers.pretrained(
                learners.main, dataset, dry_run.STEPS, c.seed, watch
            )
        )
        updates = c.teacher_epochs * teachers.updates_an_epoch(dataset)
        work.append(("updates of the teacher", updates, step))

    def measure():
        settings = Settings(**protocol)
        found.extend(forecast(sets, dataset, learners.architectures, kinds, settings))

    traced = dry_run.growth(measure)
    for one in found:
        name = one.architecture
        work.append((f"{name}, to choose", one.choosing, one.choosing_seconds))
        work.append((f"{name}, to test", one.networks, one.seconds))
    c = c.replace(architectures=[one.architecture for one in found])
    # Another graph for training without changes, and another for one network alone.
    dry_run.show(COMMAND, c, work, 2 * traced)


def _finish(c, found):
    from tfdistill.studies.comparison import page

    text = page.markdown(found)
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, "comparison.md"), text)
        html = page.html(found)
        files.write_text(os.path.join(c.workdir, "comparison.html"), html)
        files.write_json(os.path.join(c.workdir, _RESULT), found.to_json())
    print("\n" + text.partition("What the columns mean")[0].strip())
    print(f"\nEverything is in {c.workdir}.")


COMMAND = Command(
    name="compare",
    about=__doc__,
    groups=(
        Group("data", [*compared_sets.FLAGS, *data.flags(), data.VALIDATION]),
        Group("who learns", _WHO_LEARNS),
        Group("what is learned", _WHAT_IS_LEARNED),
        Group("result", [*run_folder.flags("comparison"), results.SEED]),
        Group("machine", machine.LONG),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill compare --sets=run,other.npz --dataset=mnist --workdir=judged",
        "tfdistill compare --sets=theirs.pt --pixels=0..1 --workdir=judged",
    ),
)
