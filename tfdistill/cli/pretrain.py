"""tfdistill pretrain: trains students on real data, for a pool of pretrained ones.

Distilled images may be made for students that already know something: to adapt
them to other data, to fine-tune them, or to measure how easily they are misled.
This trains such students, several at once, and writes a pool:

  pool.json     who they are, their accuracies, and which are held out for tests
  student-0000.weights.h5 ...
  flags.txt     the flags: tfdistill pretrain --flagfile=... repeats the run
  backup/       the state of the run: after a crash the same command goes on
"""

import functools
import os
import shutil
import sys

from tfdistill.cli import data, machine, results, run_folder, students
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

_HOW_LONG = [
    Flag(
        "epochs",
        int,
        None,
        "Passes over the training images.",
        lowest=1,
        shown="the paper's: 40 for mnist, 130 for usps, ...; else 40",
    ),
    Flag(
        "halve_every",
        int,
        None,
        "Epochs after which the learning rate is halved.",
        lowest=1,
        shown="the paper's, else 20",
    ),
    Flag(
        "learning_rate",
        float,
        None,
        "Learning rate of Adam at first.",
        lowest=1e-8,
        shown="the paper's, else 0.0002",
    ),
    Flag(
        "batch_size",
        int,
        1024,
        "Images in a batch of each student.",
        lowest=1,
        library="studies.pretraining:pretrain.batch_size",
    ),
]
_RESULT = [
    *run_folder.flags("pool"),
    Flag("num_students", int, 20, "Students in all.", lowest=1),
    Flag(
        "held_out",
        int,
        None,
        "Students that are kept for tests: the last ones.",
        lowest=0,
        shown="a fifth",
    ),
    results.SEED,
]
_SIDE_BY_SIDE = Flag(
    "side_by_side",
    int,
    4,
    "Students that learn at once, in parallel branches of one graph.",
    lowest=1,
)


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if c.held_out is None:
        c = c.replace(held_out=c.num_students // 5)
    if c.held_out >= c.num_students:
        raise InputError(
            f"--held_out={c.held_out} leaves none of --num_students="
            f"{c.num_students} students to distil with."
        )
    return c


def run(configuration: Configuration) -> None:
    """Runs the command."""
    from tfdistill.students import names
    from tfdistill.weights import pool as pools

    c = configuration
    machine.set_threads(c)
    strategy = machine.strategy(c)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    recipe = _recipe(c, dataset)
    with checking():
        name = names.name_of(c.student)
        students.build(c.student, dataset)
    owned = ["flags.txt", pools.MANIFEST, "backup", "*.weights.h5"]
    run_folder.claim(COMMAND, c, owned)
    if run_folder.is_finished(c.workdir, pools.MANIFEST, "pool"):
        return
    members = []
    for first in range(0, c.num_students, c.side_by_side):
        last = min(first + c.side_by_side, c.num_students)
        with strategy.scope():
            members += _cohort(c, dataset, recipe, range(first, last))
        known = [m.accuracy for m in members]
        print(
            f"{len(members)} of {c.num_students} students, test accuracy "
            f"{100 * min(known):.2f} to {100 * max(known):.2f} %",
            flush=True,
        )
    text = pools.manifest(
        c.workdir,
        members,
        c.held_out,
        student=name,
        dataset=dataset.name,
        normalization=dataset.normalization,
        num_classes=dataset.num_classes,
    )
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, pools.MANIFEST), text)
    print(f"The pool is in {c.workdir}.")


def _recipe(c, dataset):
    from tfdistill.studies import pretraining

    known = pretraining.recipe_for(dataset.name)
    return pretraining.Recipe(
        c.epochs or known.epochs,
        c.halve_every or known.halve_every,
        c.learning_rate or known.learning_rate,
    )


def _cohort(c, dataset, recipe, numbers):
    """Trains some students and saves them, or finds them saved."""
    from tfdistill.runs.backup import Backup
    from tfdistill.studies import pretraining
    from tfdistill.weights import pool as pools

    make_model = functools.partial(students.build, c.student, dataset)
    paths = [
        os.path.join(c.workdir, f"student-{number:04}.weights.h5") for number in numbers
    ]
    if all(map(os.path.isfile, paths)):
        models = [make_model() for _ in paths]
        with checking():
            for model, path in zip(models, paths):
                model.load_weights(path)
    else:
        backup = os.path.join(c.workdir, "backup", f"{numbers[0]:04}")
        models = pretraining.pretrain(
            make_model,
            dataset,
            numbers,
            recipe,
            batch_size=c.batch_size,
            seed=c.seed,
            backup=Backup(backup, within_epochs=False),
            verbose=1 if sys.stdout.isatty() else 2,
        )
        for model, path in zip(models, paths):
            with files.replacing(path) as temporary:
                model.save_weights(temporary)
        shutil.rmtree(os.path.dirname(backup))
    found = pretraining.accuracies(models, dataset.test)
    return [
        pools.Member(path, files.sha256(path), accuracy)
        for path, accuracy in zip(paths, found)
    ]


COMMAND = Command(
    name="pretrain",
    about=__doc__,
    groups=(
        Group("data", data.flags()),
        Group(
            "who learns",
            [students.one_student(None, "lenet; mlp for images under 28 pixels")],
        ),
        Group("how long", _HOW_LONG),
        Group("result", _RESULT),
        Group(
            "machine",
            [machine.strategy_flag(), machine.THREADS, machine.VERBOSE, _SIDE_BY_SIDE],
        ),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill pretrain --dataset=mnist --num_students=100 --workdir=pool",
        "tfdistill pretrain --dataset=cifar10 --classes=0,1,2,3,4 --workdir=half",
    ),
)
