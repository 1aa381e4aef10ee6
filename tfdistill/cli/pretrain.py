"""tfdistill pretrain: trains students on real data, for a pool of pretrained ones.

Distilled images may be made for students that already know something: to adapt them to
other data, to fine-tune them, or to measure how easily they are misled. This trains
such students, several at once, and writes a pool:

  pool.json            who they are, their accuracies, and which are held out for tests
  student-0000.weights.h5 ...
  flags.txt            the flags: tfdistill pretrain --flagfile=... repeats the run
  backup/              the state of the run: after a crash the same command goes on
"""

import os
import shutil
import sys

from absl import flags

from tfdistill.cli import common
from tfdistill.runs import files

FLAGS = flags.FLAGS
_names = []
_UNRECORDED = ("workdir", "overwrite")


def define_flags() -> None:
    """Defines the command's flags."""
    common.define_workdir_flags("pool")
    data_flags = common.define_data_flags("digits")
    flags.DEFINE_string("student", None, "Who learns: as of tfdistill distill.")
    flags.DEFINE_integer("num_students", 20, "Students in all.", lower_bound=1)
    flags.DEFINE_integer(
        "held_out",
        None,
        "Of these, how many are kept for tests, the last ones; a fifth if not given.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "side_by_side",
        4,
        "Students that learn at once, in parallel branches of one graph.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "epochs",
        None,
        "Passes over the training images; as in the paper if not given: 40 for mnist, "
        "130 for usps, 65 for svhn_cropped, 50 for cifar10, and 40 for others.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "halve_every", None, "Epochs after which the rate is halved.", lower_bound=1
    )
    flags.DEFINE_float("learning_rate", None, "Adam's, at first.", lower_bound=1e-8)
    flags.DEFINE_integer("batch_size", 1024, "Of each student.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", lower_bound=0)
    _names.extend(
        ["workdir", *data_flags]
        + ["student", "num_students", "held_out", "side_by_side", "epochs"]
        + ["halve_every", "learning_rate", "batch_size", "seed"]
        + [*common.define_machine_flags()]
        + [*common.define_strategy_flag(machines=False), "overwrite"]
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("pool")
    if FLAGS.held_out is None:
        FLAGS.held_out = FLAGS.num_students // 5
    if FLAGS.held_out >= FLAGS.num_students:
        raise common.InputError(
            f"--held_out={FLAGS.held_out} leaves none of --num_students="
            f"{FLAGS.num_students} students to distil with."
        )
    from tfdistill import students
    from tfdistill.weights import pool as pools

    common.set_threads()
    strategy = common.strategy()
    dataset = common.load_dataset()
    if FLAGS.student is None:
        FLAGS.student = common.default_student(dataset)
    recipe = _recipe(dataset)
    with common.input_errors():
        name = students.name_of(FLAGS.student)
        students.build(FLAGS.student, dataset.image_shape, dataset.num_classes)
    lines = common.flag_lines(n for n in _names if n not in _UNRECORDED)
    path = os.path.join(FLAGS.workdir, pools.MANIFEST)
    owned = ["flags.txt", pools.MANIFEST, "backup"]
    if os.path.isdir(FLAGS.workdir):
        owned += [f for f in os.listdir(FLAGS.workdir) if f.endswith(".weights.h5")]
    common.claim_workdir(FLAGS.workdir, lines, FLAGS.overwrite, owned)
    if os.path.isfile(path):
        print(f"{FLAGS.workdir} holds this pool, finished; --overwrite repeats it.")
        return
    members = []
    for first in range(0, FLAGS.num_students, FLAGS.side_by_side):
        last = min(first + FLAGS.side_by_side, FLAGS.num_students)
        with strategy.scope():
            members += _cohort(dataset, recipe, range(first, last))
        known = [m.accuracy for m in members]
        print(
            f"{len(members)} of {FLAGS.num_students} students, test accuracy "
            f"{100 * min(known):.2f} to {100 * max(known):.2f} %",
            flush=True,
        )
    files.write_text(
        path,
        pools.manifest(
            FLAGS.workdir,
            members,
            FLAGS.held_out,
            student=name,
            dataset=dataset.name,
            normalization=dataset.normalization,
            num_classes=dataset.num_classes,
        ),
    )
    print(f"The pool is in {FLAGS.workdir}.")


def _recipe(dataset):
    from tfdistill.studies import pretraining

    known = pretraining.recipe_for(dataset.name)
    return pretraining.Recipe(
        FLAGS.epochs or known.epochs,
        FLAGS.halve_every or known.halve_every,
        FLAGS.learning_rate or known.learning_rate,
    )


def _cohort(dataset, recipe, numbers):
    """Trains some students and saves them, or finds them saved."""
    from tfdistill import Backup, students
    from tfdistill.studies import pretraining
    from tfdistill.weights import pool as pools

    def make_model():
        return students.build(FLAGS.student, dataset.image_shape, dataset.num_classes)

    paths = [
        os.path.join(FLAGS.workdir, f"student-{number:04}.weights.h5")
        for number in numbers
    ]
    if all(map(os.path.isfile, paths)):
        models = [make_model() for _ in paths]
        with common.input_errors():
            for model, path in zip(models, paths):
                model.load_weights(path)
    else:
        backup = os.path.join(FLAGS.workdir, "backup", f"{numbers[0]:04}")
        models = pretraining.pretrain(
            make_model,
            dataset,
            numbers,
            recipe,
            batch_size=FLAGS.batch_size,
            seed=FLAGS.seed,
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
