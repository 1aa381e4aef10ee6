"""tfdistill baseline: what distilled images are compared with.

Selects or computes as many real images as would be distilled, finds the learning rate
and the epochs at which networks learn most from them (on held-out training images),
and tests fresh networks on the whole test set. Needs no distillation before. Of a pool
of pretrained networks, it also tells how they do as they are (--kind=none), and when
they are adapted by as many images and the data that they were trained on (--kind=fada).
Writes a run folder like that of tfdistill distill:

  distilled/    the images (of the first set), as a TFRecord data set
  student/      a network trained on them, as a SavedModel that takes raw images
  metrics.json  test accuracies (fractions of 1), what was chosen, time and memory
  images/       a picture of the images
  flags.txt     the flags: tfdistill baseline --flagfile=... repeats the run
"""

import os
import time

import numpy as np
from absl import flags

from tfdistill.cli import common

FLAGS = flags.FLAGS
_names = []
_OWNED = (
    "flags.txt",
    "distilled",
    "student",
    "metrics*.json",
    "report.html",
    "images",
    "journal",
)
_UNRECORDED = ("workdir", "overwrite")
# Kinds that are of pretrained networks alone.
_ADAPTED = ("fada", "none")


def define_flags() -> None:
    """Defines the command's flags."""
    common.define_workdir_flags("run")
    data_flags = common.define_data_flags("digits")
    flags.DEFINE_enum(
        "kind",
        "random_real",
        ["random_real", "optimized_real", "k_means", "average_real", *_ADAPTED],
        "Random training images; the best fifth of many random sets, by what networks "
        "make of other training images; the centroids of each class; its mean image; "
        "random training images by few-shot adversarial domain adaptation (FADA); or "
        "no images at all.",
    )
    flags.DEFINE_string(
        "source_dataset",
        None,
        "With --kind=fada: the data that the students of --pool were trained on; by "
        "default what the pool says.",
    )
    flags.DEFINE_boolean(
        "nearest_neighbours",
        False,
        "Classify by the nearest of the images (k-NN) instead of training networks.",
    )
    flags.DEFINE_string(
        "student",
        None,
        "Who learns: as of tfdistill distill.",
    )
    weights_flags = common.define_initial_weights_flags()
    flags.DEFINE_integer(
        "images_per_class", 1, "Images a class in each step.", lower_bound=1
    )
    flags.DEFINE_integer("steps", 10, "Gradient-descent steps an epoch.", lower_bound=1)
    flags.DEFINE_string(
        "learned_rates",
        None,
        "The run folder of a distillation, whose learned rates are tried, too.",
    )
    flags.DEFINE_integer(
        "num_sets",
        10,
        "Sets of images that are drawn; of optimized_real, those that are kept: five "
        "times as many are drawn. There is one average_real.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "num_students",
        20,
        "Fresh networks that test the result, dealt out in pairs among the sets.",
        lower_bound=1,
    )
    flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", lower_bound=0)
    _names.extend(
        ["workdir", *data_flags]
        + ["kind", "nearest_neighbours", "student", *weights_flags, "source_dataset"]
        + ["images_per_class", "steps"]
        + ["learned_rates", "num_sets", "num_students", "seed"]
        + [*common.define_validation_flag(), *common.define_machine_flags()]
        + [*common.define_strategy_flag(machines=False), "overwrite"]
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    _check_flags()
    from tfdistill import students

    common.set_threads()
    strategy = common.strategy()
    dataset = common.load_dataset()
    if FLAGS.student is None:
        FLAGS.student = common.default_student(dataset)
    start = common.initial_weights()
    with common.input_errors():
        students.build(FLAGS.student, dataset.image_shape, dataset.num_classes)
        learned = _learned_rates()
        source = _source(dataset, start) if FLAGS.kind == "fada" else None
        started = time.monotonic()
        sets = _draw(dataset, start)
    lines = common.flag_lines(n for n in _names if n not in _UNRECORDED)
    common.claim_workdir(FLAGS.workdir, lines, FLAGS.overwrite, _OWNED)
    if common.is_finished(FLAGS.workdir):
        return
    with common.input_errors():
        model = None
        if FLAGS.kind == "none":
            sets, chosen, result = _unchanged(sets, dataset, start)
        elif FLAGS.kind == "fada":
            chosen, result, model = _adapted(sets, dataset, start, source)
        elif FLAGS.nearest_neighbours:
            sets, chosen, result = _nearest_neighbours(sets, dataset)
        else:
            with strategy.scope():
                sets, chosen, result = _students(sets, dataset, learned)
            model = common.trained_student(sets[0])
    _finish(sets, chosen, result, model, dataset, time.monotonic() - started)


def _check_flags():
    kind = FLAGS.kind
    if kind in _ADAPTED and FLAGS.initial_weights != "pretrained":
        raise common.InputError(
            f"--kind={kind} needs --initial_weights=pretrained, and its --pool."
        )
    if kind in _ADAPTED and FLAGS.nearest_neighbours:
        raise common.InputError(
            f"--nearest_neighbours needs a --kind of images, not {kind}."
        )
    if kind != "fada" and FLAGS.source_dataset:
        raise common.InputError(f"--source_dataset needs --kind=fada, not {kind}.")


def _source(dataset, start):
    """What the pool's students know, in the form of the data they are taken to."""
    name = FLAGS.source_dataset or start.pool.dataset
    source = common.load_dataset(name)
    for what in ("image_shape", "num_classes"):
        if getattr(source, what) != getattr(dataset, what):
            raise ValueError(
                f"--source_dataset={name} and --dataset={FLAGS.dataset} need the same "
                f"{what}, not {getattr(source, what)} and {getattr(dataset, what)}."
            )
    return source


def _learned_rates():
    from tfdistill import DistilledDataset

    if FLAGS.learned_rates is None:
        return None
    run = DistilledDataset.load(os.path.join(FLAGS.learned_rates, "distilled"))
    if run.steps != FLAGS.steps:
        raise ValueError(
            f"--learned_rates={FLAGS.learned_rates} has {run.steps} steps, but --steps "
            f"is {FLAGS.steps}."
        )
    return run.learning_rates


def _draw(dataset, start):
    """The sets, with the fixed start of their students if there is one."""
    from tfdistill.studies import baselines

    sizes = {"images_per_class": FLAGS.images_per_class, "steps": FLAGS.steps}
    if FLAGS.kind == "average_real":
        sets = [baselines.average_real(dataset, **sizes)]
        return _with_start(sets, start)
    make, count = baselines.random_real, FLAGS.num_sets
    if FLAGS.kind == "k_means":
        make = baselines.k_means
    if FLAGS.kind == "optimized_real":
        count *= 5
    sets = [make(dataset, **sizes, seed=FLAGS.seed + k) for k in range(count)]
    return _with_start(sets, start)


def _with_start(sets, start):
    import keras

    from tfdistill import students
    from tfdistill.inner.stateless import StatelessModel

    if start.is_random:
        return sets

    def make_model():
        return students.build(FLAGS.student, sets[0].image_shape, sets[0].num_classes)

    keras.utils.set_random_seed(FLAGS.seed % 2**31)
    model = make_model()
    start.build(make_model, model)
    student = StatelessModel(model)
    values = [np.asarray(v) for v in student.weights + student.state]
    return [data.replace(initial_weights=values) for data in sets]


def _students(sets, dataset, learned):
    import tfdistill
    from tfdistill.studies import baselines

    alike = sets[0].initial_weights is not None
    # Every set has a student or two; of fixed weights there is one for each.
    judges = min(len(sets), 5) if alike else 2 * max(2, min(len(sets), 5))
    weights, journal = common.pretrained_weights(), common.journal()
    sets = baselines.tune(
        sets,
        FLAGS.student,
        dataset.validation,
        learned=learned,
        num_students=judges,
        initial_weights=weights,
        seed=FLAGS.seed,
        journal=journal,
    )
    if FLAGS.kind == "optimized_real":
        sets = baselines.optimized_real(
            sets,
            FLAGS.student,
            dataset.train,
            num_students=1 if alike else 20,
            initial_weights=weights,
            seed=FLAGS.seed,
            journal=journal,
        )
    result = tfdistill.evaluate(
        sets,
        FLAGS.student,
        dataset.test,
        len(sets) if alike else FLAGS.num_students,
        initial_weights=weights,
        seed=FLAGS.seed,
        journal=journal,
    )
    return sets, f"rate {sets[0].provenance['rates']}", result


def _unchanged(sets, dataset, start):
    import tfdistill

    evaluator = tfdistill.Evaluator(FLAGS.student, sets[0], initial_weights=start)
    return [], "", evaluator.untrained(dataset.test, FLAGS.num_students)


def _adapted(sets, dataset, start, source):
    from tfdistill.evaluation.evaluator import evaluate_model
    from tfdistill.evaluation.result import Evaluation
    from tfdistill.studies import adaptation

    found = []
    test = dataset.test.batch(1000).cache()
    for model in adaptation.adapted(
        FLAGS.student, start, source.train, sets, FLAGS.num_students, seed=FLAGS.seed
    ):
        found.append(evaluate_model(model, test))
        print(
            f"{len(found)} of {FLAGS.num_students} students adapted, test accuracy "
            f"{100 * found[-1].accuracy_mean:.2f} %",
            flush=True,
        )
    return "", Evaluation.joined(found), model


def _nearest_neighbours(sets, dataset):
    from tfdistill.studies import baselines

    best = baselines.NearestNeighbours.tuned(sets, dataset.validation)
    return sets, f"k {best.k}, {best.metric}", best.evaluate(sets, dataset.test)


def _finish(sets, chosen, result, model, dataset, seconds):
    from tfdistill import students
    from tfdistill.reporting import plots

    learns = not FLAGS.nearest_neighbours and FLAGS.kind not in _ADAPTED
    student = students.name_of(FLAGS.student)
    name = "nearest neighbours" if FLAGS.nearest_neighbours else student
    distilled, figures = None, {}
    if sets:
        distilled = sets[0].replace(
            student=student if learns else "",
            provenance={
                "load": common.load_flags(),
                "flags": common.flag_lines(n for n in _names if n not in _UNRECORDED),
            },
        )
        figures["distilled"] = plots.distilled_images(distilled)
    costs = common.write_result(
        FLAGS.workdir,
        distilled,
        model,
        figures,
        {
            **common.metrics(result, name, dataset.name),
            "confusion": result.confusion.sum(0).tolist(),
            "kind": FLAGS.kind,
            "num_sets": len(sets),
            "seed": FLAGS.seed,
            "seconds": seconds,
            "chosen": chosen,
            "selection": "nothing on test images; rates, epochs, k and metric on "
            "held-out training images"
            if chosen
            else "nothing",
        },
    )
    images = distilled.num_images if sets else "no"
    does = "classifies by" if FLAGS.nearest_neighbours else "learns from"
    details = ", ".join(filter(None, [FLAGS.kind, f"{len(sets)} sets", chosen]))
    print(
        f"Test accuracy where {name} {does} {images} images of {dataset.name} "
        f"({details}): "
        f"{100 * result.accuracy_mean:.2f} ± {100 * result.accuracy_std:.2f} %"
    )
    print(f"{costs}\nEverything is in {FLAGS.workdir}.")
