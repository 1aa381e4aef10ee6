"""tfdistill evaluate: trains fresh networks on distilled images, and tests them.

Reads the distilled images of a run folder, trains networks on them alone, and tests
each on the whole test set. The result is printed and written to the run folder, as
metrics.json (the student that the images were distilled for) or as
metrics-STUDENT.json (another one).
"""

import json
import os

from absl import flags

from tfdistill.commands import common

FLAGS = flags.FLAGS
_names = []


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("workdir", None, "The run folder of tfdistill distill.")
    flags.DEFINE_string(
        "student",
        None,
        "Who learns: lenet, alex_cifar_net, alexnet, convnet, mlp, linear, or your own "
        'as "package.module:function". By default whom the images were made for.',
    )
    flags.DEFINE_integer(
        "num_students", 20, "Fresh networks; the paper takes 200.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "Of the networks' initial weights.")
    flags.DEFINE_string(
        "pool",
        None,
        "The pretrained networks to start from, whose held-out ones are tested; by "
        "default the run's, if there is one.",
    )
    flags.DEFINE_boolean(
        "shuffle_steps",
        False,
        "Whether each network meets the steps in another order than they were "
        "distilled for.",
    )
    _names.extend(
        ["workdir", "student", "num_students", "seed", "pool", "shuffle_steps"]
        + common.define_data_flags(None)
        + common.define_machine_flags()
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    import tfdistill

    common.set_threads()
    with common.input_errors():
        distilled = tfdistill.DistilledDataset.load(
            os.path.join(FLAGS.workdir, "distilled")
        )
    made_of = distilled.provenance.get("load", {})
    for name in ("dataset", "data_dir", "image_size", "pool"):
        if getattr(FLAGS, name) is None:
            setattr(FLAGS, name, made_of.get(name))
    dataset = common.load_dataset()
    common.lock_workdir(FLAGS.workdir)
    with common.input_errors():
        check_fits(distilled, dataset)
        student = tfdistill.students.name_of(FLAGS.student or distilled.student)
        result = tfdistill.evaluate(
            distilled,
            student,
            dataset.test,
            FLAGS.num_students,
            initial_weights=tfdistill.PretrainedWeights(FLAGS.pool)
            if FLAGS.pool
            else None,
            shuffle_steps=FLAGS.shuffle_steps,
            seed=FLAGS.seed,
            journal=common.journal(),
        )
    order = "in another order" if FLAGS.shuffle_steps else "in order"
    print(f"{student} on {dataset.name}, steps {order}: {result}")
    for name, share in zip(distilled.class_names, result.per_class):
        print(f"  {name}: {100 * share:.1f} %")
    name = "metrics"
    if student != distilled.student:
        name += "-" + "".join(c if c.isalnum() or c in "_." else "-" for c in student)
    if FLAGS.shuffle_steps:
        name += "-shuffled"
    path = os.path.join(FLAGS.workdir, f"{name}.json")
    known = {}
    if os.path.isfile(path):
        with common.input_errors(), open(path, encoding="utf-8") as file:
            known = json.load(file)
    with common.input_errors():
        common.write_json(
            path,
            {
                **known,
                **common.metrics(result, student, dataset.name),
                "seed": FLAGS.seed,
            },
        )
    common.journal().forget()


def check_fits(distilled, dataset) -> None:
    """Refuses data of another kind than the distilled images.

    Raises:
        ValueError: If image shapes or class counts differ.
    """
    if tuple(dataset.image_shape) != tuple(distilled.image_shape):
        raise ValueError(
            f"The distilled images have the shape {tuple(distilled.image_shape)}, but "
            f"those of {dataset.name} have {tuple(dataset.image_shape)}."
        )
    if dataset.num_classes != distilled.num_classes:
        raise ValueError(
            f"The distilled images have {distilled.num_classes} classes, but "
            f"{dataset.name} has {dataset.num_classes}."
        )
