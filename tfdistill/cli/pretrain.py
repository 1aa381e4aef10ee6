"""tfdistill pretrain: trains students on real data, for a pool of pretrained ones.

Distilled images may be made for students that already know something: to adapt
them to other data, to fine-tune them, or to measure how easily they are misled.
This trains such students, several at once, and writes a pool:

  pool.json     who they are, their accuracies, and which are held out for tests
  student-0000.weights.h5 ...
  flags.txt     the flags: tfdistill pretrain --flagfile=... repeats the run
  backup/       the state of the run: after a crash the same command goes on
"""

import dataclasses
import functools
import os
import shutil

from tfdistill.cli import (
    data,
    dry_run,
    machine,
    rehearsal,
    results,
    run_folder,
    students,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

# Shares of the way from guessing to perfection. After many updates, data may be hard.
_LITTLE, _LITTLE_IN_A_HURRY = 0.3, 0.75
_HOW_LONG = [
    Flag(
        "epochs",
        int,
        None,
        "Passes over the training images.",
        lowest=1,
        shown="the paper's: 40 for mnist, ...; else 40, or more for 1000 updates",
    ),
    Flag(
        "halve_every",
        int,
        None,
        "Epochs after which the learning rate is halved.",
        lowest=1,
        shown="the paper's, else 20, or half of the default epochs",
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
        shown="a fifth, such as 4 of 20",
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
    from tfdistill.runs.progress import Progress
    from tfdistill.students import names
    from tfdistill.studies import pretraining
    from tfdistill.weights import pool as pools

    c = configuration
    machine.set_threads(c)
    strategy = machine.strategy(c)
    dataset = data.load(c)
    c = students.with_student(c, dataset)
    recipe = _recipe(c, dataset)
    with checking():
        pretraining.check_batches(dataset, c.batch_size, strategy)
        name = names.name_of(c.student)
        model = students.build(c.student, dataset)
    _rehearse(c, dataset, model, name)
    if c.dry_run:
        return _dry_run(c, dataset, recipe)
    owned = ["flags.txt", pools.MANIFEST, "backup", "student-*.weights.h5"]
    content = data.content(dataset, students={"student": [c.student]})
    run_folder.claim(COMMAND, c, owned, content)
    if run_folder.is_finished(c.workdir, pools.MANIFEST, "pool"):
        return
    with Progress() as progress:
        progress.part("training", c.num_students * recipe.epochs, "epochs")
        # Each student that is saved is whole, with any others beside it.
        paths = [_path(c, number) for number in range(c.num_students)]
        left = [n for n, path in enumerate(paths) if not os.path.isfile(path)]
        for first in range(0, len(left), c.side_by_side):
            progress.to((c.num_students - len(left) + first) * recipe.epochs)
            with strategy.scope():
                numbers = left[first : first + c.side_by_side]
                _train(c, dataset, recipe, numbers, progress)
        members = []
        for first in range(0, c.num_students, c.side_by_side):
            members += _tested(c, dataset, paths[first : first + c.side_by_side])
        known = [m.accuracy for m in members]
        progress.to(
            c.num_students * recipe.epochs,
            f"accuracy {100 * min(known):.1f} to {100 * max(known):.1f} %",
        )
    text = _manifest(c, c.workdir, members, name, dataset)
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, pools.MANIFEST), text)
    if sentence := _advice(known, dataset.num_classes, _updates(c, dataset, recipe)):
        print(sentence)
    print(f"The pool is in {c.workdir}.")


def _manifest(c, folder, members, name, dataset):
    from tfdistill.weights import pool as pools

    return pools.manifest(
        folder,
        members,
        min(c.held_out, len(members) - 1),
        student=name,
        dataset=dataset.name,
        normalization=dataset.normalization,
        num_classes=dataset.num_classes,
    )


def _rehearse(c, dataset, model, name):
    """Saves and loads a pool of one student that has learned nothing."""
    from tfdistill.weights import pool as pools

    make_model = functools.partial(students.build, c.student, dataset)
    with rehearsal.rehearsal() as trial:
        path = trial.path("student-0000.weights.h5")
        with trial.of("saved"):
            model.save_weights(path)
            member = pools.Member(path, files.sha256(path), 0.0)
            text = _manifest(c, trial.folder, [member], name, dataset)
            files.write_text(trial.path(pools.MANIFEST), text)
        with trial.of("loaded"):
            pool = pools.Pool.load(trial.folder)
            pool.values(pool.training, make_model)


def _dry_run(c, dataset, recipe):
    """Measures a few steps, and says what the run would take."""
    from tfdistill.studies import pretraining

    side_by_side = min(c.side_by_side, c.num_students)

    def cohort(callbacks):
        pretraining.pretrain(
            functools.partial(students.build, c.student, dataset),
            dataset,
            range(side_by_side),
            dataclasses.replace(recipe, epochs=dry_run.STEPS),
            batch_size=c.batch_size,
            seed=c.seed,
            callbacks=callbacks,
            verbose=0,
        )

    step = dry_run.seconds_a_step(cohort)
    cohorts, later = -(-c.num_students // side_by_side), 0
    if cohorts > 1:  # the others take as much again as the second
        traced = dry_run.growth(lambda: dry_run.seconds_a_step(cohort))
        later = (cohorts - 1) * traced
    steps = _updates(c, dataset, recipe)
    c = c.replace(**dataclasses.asdict(recipe))
    what = f"steps of {side_by_side} students at once"
    dry_run.show(COMMAND, c, [(what, cohorts * steps, step)], later)


def _recipe(c, dataset):
    from tfdistill.studies import pretraining

    # A length that is given is that of the usual recipe.
    few = None if c.epochs else pretraining.updates_an_epoch(dataset, c.batch_size)
    known = pretraining.recipe_for(dataset.name, few)
    return pretraining.Recipe(
        c.epochs or known.epochs,
        c.halve_every or known.halve_every,
        c.learning_rate or known.learning_rate,
    )


def _updates(c, dataset, recipe):
    """How many updates each student takes."""
    from tfdistill.studies import pretraining

    return recipe.epochs * pretraining.updates_an_epoch(dataset, c.batch_size)


def _advice(accuracies, num_classes, updates):
    """What helps students that have learned little; None if they have learned."""
    from tfdistill.studies.pretraining import FEWEST_UPDATES

    mean, chance = sum(accuracies) / len(accuracies), 1 / num_classes
    learned = (mean - chance) / (1 - chance)
    if learned >= (_LITTLE if updates >= FEWEST_UPDATES else _LITTLE_IN_A_HURRY):
        return None
    return (
        f"The students have learned little: {100 * mean:.1f} % of the test images on "
        f"average, where guessing gets {100 * chance:.1f} %, after {updates:,} "
        f"update{'' if updates == 1 else 's'} each. What usually helps: more --epochs, "
        "a higher --learning_rate, such as 0.001, or a smaller --batch_size."
    )


def _path(c, number):
    return os.path.join(c.workdir, f"student-{number:04}.weights.h5")


def _train(c, dataset, recipe, numbers, progress):
    """Trains some students at once, and saves them."""
    from tfdistill.runs.backup import Backup
    from tfdistill.runs.progress import ProgressBar
    from tfdistill.studies import pretraining

    name = f"{numbers[0]:04}-{len(numbers)}"
    backup = os.path.join(c.workdir, "backup", name)
    earlier = os.path.join(c.workdir, "backup", f"{numbers[0]:04}")
    if os.path.isdir(earlier):  # of a version that named it so
        backup = earlier
    models = pretraining.pretrain(
        functools.partial(students.build, c.student, dataset),
        dataset,
        numbers,
        recipe,
        batch_size=c.batch_size,
        seed=c.seed,
        backup=Backup(backup, within_epochs=False, check_run=False),
        callbacks=[
            ProgressBar(
                progress=progress,
                before=progress.done,
                each=len(numbers) * recipe.epochs,
            )
        ],
        verbose=0,
    )
    for model, number in zip(models, numbers):
        with files.replacing(_path(c, number)) as temporary:
            model.save_weights(temporary)
    shutil.rmtree(os.path.dirname(backup))


def _tested(c, dataset, paths):
    """Members of the pool, from their files."""
    from tfdistill.studies import pretraining
    from tfdistill.weights import h5_files
    from tfdistill.weights import pool as pools

    models = [students.build(c.student, dataset) for _ in paths]
    with checking():
        for model, path in zip(models, paths):
            h5_files.check(path)
            model.load_weights(path)
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
            [machine.strategy_flag(), *machine.LONG, _SIDE_BY_SIDE],
        ),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill pretrain --dataset=mnist --num_students=100 --workdir=pool",
        "tfdistill pretrain --dataset=cifar10 --classes=0,1,2,3,4 --workdir=half",
    ),
)
