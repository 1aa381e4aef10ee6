"""tfdistill distill: learns distilled images of a data set.

Learns a few synthetic images, and the learning rates to train on them with, such that
a network trained on just those does well on the real test set. Writes a run folder:

  distilled/    the images, as a TFRecord data set that TFDS and tf.data read
  student/      a network trained on them, as a SavedModel that takes raw images
  metrics.json  test accuracies (fractions of 1), time and memory
  images/       pictures: the distilled images, the accuracy against outer steps
  logs/         TensorBoard logs
  flags.txt     the flags: tfdistill distill --flagfile=... repeats the run
  backup/       the state of the run: after a crash the same command goes on
"""

import os
import sys

from absl import flags

from tfdistill.cli import common, outcome, synthesis

FLAGS = flags.FLAGS
_names = []
_OWNED = (
    "flags.txt",
    "distilled",
    "student",
    "metrics*.json",
    "report.html",
    "images",
    "logs",
    "backup",
    "journal",
)
_OUTER_STEPS = 1000
# Flags that do not change the result.
_UNRECORDED = ("workdir", "overwrite")


def define_flags() -> None:
    """Defines the command's flags."""
    common.define_workdir_flags("run")
    data_flags = common.define_data_flags("digits")
    flags.DEFINE_string(
        "student",
        None,
        "Who learns, by default lenet, and mlp where images are smaller than 28 "
        "pixels: lenet, alex_cifar_net, alexnet, convnet, mlp, linear, gtn_learner, "
        "two of them with widths if you like (convnet@64, "
        "gtn_learner@8-16-32); several of them, with commas, of which each network is "
        "one; your own as "
        '"package.module:function", a function that returns a keras.Model with logits '
        "(it may take image_shape and num_classes), or as a .keras file, whose weights "
        'are kept by --initial_weights=fixed; or "keras.applications:MobileNetV2", '
        'with ":imagenet" at its end if pretrained weights may be downloaded.',
    )
    flags.DEFINE_list(
        "widths",
        None,
        "Ranges of the student's widths, e.g. 32-128,64-256,64-256 for gtn_learner: "
        "each network has one of --architectures draws of them.",
    )
    flags.DEFINE_integer(
        "architectures", 8, "With --widths: how many there are.", lower_bound=1
    )
    weights_flags = common.define_initial_weights_flags()
    flags.DEFINE_enum(
        "objective",
        "classification",
        ["classification", "attack"],
        "What trained networks are judged on: how well they classify, or how well they "
        "classify but for --attack_class, which they are to take for --target_class.",
    )
    flags.DEFINE_integer("attack_class", None, "The class to be mistaken, from 0.")
    flags.DEFINE_integer("target_class", None, "What it is to be taken for.")
    synthesis_flags = synthesis.define_flags()
    flags.DEFINE_integer(
        "judgements",
        1,
        "Real batches that judge a network: after its last step, and on its way there "
        "at even distances. It must divide the steps.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "keep_every",
        None,
        "Less memory for more time: of a network's steps every so many are kept, and "
        "those between taken again. All are kept up to 256 MiB, if not given.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "outer_steps",
        None,
        f"Updates of the distilled images; {_OUTER_STEPS} if there is no --minutes.",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "minutes",
        None,
        "Time to learn. With --outer_steps, too, whichever is over first ends it.",
        lower_bound=0.01,
    )
    flags.DEFINE_integer(
        "batch_size", 256, "Real images that judge a trained network.", lower_bound=1
    )
    flags.DEFINE_enum(
        "augment",
        "none",
        ["none", "crop_flip", "resized_crop_flip"],
        "What is done to the real images: crop_flip pads by 4, crops and mirrors them "
        "at random; resized_crop_flip takes a random part of each for the whole.",
    )
    flags.DEFINE_integer(
        "students_per_step",
        2,
        "Networks trained in each outer step, side by side; with fixed initial weights "
        "one is enough.",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "outer_learning_rate", 0.01, "Of Adam on the images.", lower_bound=1e-8
    )
    flags.DEFINE_enum(
        "outer_schedule",
        "cosine",
        ["cosine", "halving", "constant"],
        "How that rate falls: to 0 by a cosine, or halved at every tenth of the run.",
    )
    flags.DEFINE_float(
        "clip",
        2.0,
        "A meta-gradient is clipped to this many times its usual norm; 0: never.",
        lower_bound=0,
    )
    flags.DEFINE_float(
        "back_off",
        None,
        "When a network diverges, all rates shrink as far as this many outer steps "
        "could move them; by default 10, and 0 with fixed initial weights.",
        lower_bound=0,
    )
    flags.DEFINE_float(
        "ema",
        0.99,
        "The result is the average of the images over the last outer steps: this much "
        "of the average is kept at each, less in a run of under 1000; 0: no average.",
        lower_bound=0,
        upper_bound=0.99999,
    )
    flags.DEFINE_integer(
        "report_every",
        None,
        "Outer steps between backups and tests; a tenth of the run, at most 500, if "
        "not given.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "num_students", 20, "Fresh networks that test the result.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", lower_bound=0)
    _names.extend(
        ["workdir", *data_flags]
        + ["student", *weights_flags, "objective", "attack_class", "target_class"]
        + ["widths", "architectures", *synthesis_flags, "judgements", "keep_every"]
        + [
            "outer_steps",
            "minutes",
            "batch_size",
            "augment",
            "students_per_step",
            "outer_learning_rate",
        ]
        + ["outer_schedule", "clip", "back_off", "ema", "report_every"]
        + ["num_students", "seed"]
        + [*common.define_validation_flag(), *common.define_strategy_flag()]
        + [*common.define_machine_flags(), "overwrite"]
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    if FLAGS.minutes and FLAGS.strategy == "multi_worker":
        raise common.InputError(
            "--minutes is not for --strategy=multi_worker, whose machines have clocks "
            "of their own: give --outer_steps."
        )
    if FLAGS.minutes is None and FLAGS.outer_steps is None:
        FLAGS.outer_steps = _OUTER_STEPS
    if FLAGS.back_off is None:
        FLAGS.back_off = 0.0 if outcome.are_fixed() else 10.0
    synthesis.set_defaults()
    import keras

    from tfdistill.runs import strategies

    common.set_threads()
    strategy = common.strategy()
    keras.utils.set_random_seed(FLAGS.seed % 2**31)
    dataset = common.load_dataset()
    if FLAGS.student is None:
        FLAGS.student = common.default_student(dataset)
    with common.input_errors(), strategy.scope():
        distiller, anneal = _distiller(dataset)
    lines = common.flag_lines(_recorded())
    if strategies.is_chief(strategy):
        common.claim_workdir(FLAGS.workdir, lines, FLAGS.overwrite, _OWNED)
    strategies.meet(strategy)
    if common.is_finished(FLAGS.workdir):
        return
    validation = dataset.validation.passes()
    before = distiller.test(validation, outcome.num_students(4))
    print(f"Before, on the validation images: {before}", flush=True)
    history = _learn(distiller, anneal, dataset, validation)
    history.insert(
        0,
        {
            "outer_step": 0,
            "val_accuracy": before.accuracy_mean,
            "val_accuracy_std": before.accuracy_std,
        },
    )
    outcome.write(
        distiller,
        dataset,
        anneal,
        history,
        _summary(),
        common.flag_lines(_recorded()),
    )


def _student():
    """Who learns; several, of which one is drawn each time, if --widths says so."""
    from tfdistill import students

    if not FLAGS.widths:
        return students.name_of(FLAGS.student)
    ranges = []
    for width in FLAGS.widths:
        low, _, high = width.partition("-")
        if not (low.isdecimal() and high.isdecimal()):
            raise ValueError(
                f"--widths={','.join(FLAGS.widths)} must be ranges like 8-32,16-64."
            )
        ranges.append((int(low), int(high)))
    return students.Sampled.of_widths(
        FLAGS.student, ranges, FLAGS.architectures, FLAGS.seed
    )


def _distiller(dataset):
    import keras

    import tfdistill

    distiller = tfdistill.Distiller(
        _student(),
        synthesis.make(dataset),
        common.initial_weights(),
        _objective(dataset),
        meta_gradient=tfdistill.BackGradient(
            keep_every=FLAGS.keep_every, judgements=FLAGS.judgements
        ),
        seed=FLAGS.seed,
    )
    # In a short run a long average would hold more of the start than of the end.
    ema = min(FLAGS.ema, max(0.0, 1 - 10 / (FLAGS.outer_steps or 10**9)))
    distiller.compile(
        keras.optimizers.Adam(
            FLAGS.outer_learning_rate,
            beta_1=0.5,
            use_ema=ema > 0,
            ema_momentum=ema,
        ),
        students_per_step=FLAGS.students_per_step,
        clip=FLAGS.clip or None,
        back_off=FLAGS.back_off,
        validation_students=outcome.num_students(4),
    )
    return distiller, tfdistill.Anneal(
        FLAGS.outer_schedule,
        outer_steps=FLAGS.outer_steps,
        seconds=60 * FLAGS.minutes if FLAGS.minutes else None,
    )


def _objective(dataset):
    from tfdistill import Attack, Classification

    classes = (FLAGS.attack_class, FLAGS.target_class)
    if FLAGS.objective == "classification":
        if classes != (None, None):
            raise ValueError(
                "--attack_class and --target_class need --objective=attack."
            )
        return Classification()
    if None in classes or not all(0 <= c < dataset.num_classes for c in classes):
        raise ValueError(
            "--objective=attack needs --attack_class and --target_class in "
            f"0..{dataset.num_classes - 1}, not {classes[0]} and {classes[1]}."
        )
    return Attack(*classes)


def _learn(distiller, anneal, dataset, validation):
    """Runs, or goes on with, the outer loop; returns its history."""
    import tfdistill
    from tfdistill.data import augmentation
    from tfdistill.runs import strategies

    backup = tfdistill.Backup(_path("backup"), anneal)
    with common.input_errors():
        done = backup.restore(distiller)
        strategies.check_alike(distiller.distribute_strategy, "outer step", done)
    if done:
        print(f"Going on after outer step {done}.", flush=True)
    every = FLAGS.report_every
    if every is None:
        every = min(500, max(1, FLAGS.outer_steps // 10)) if not FLAGS.minutes else 100
    with common.input_errors():
        batches = strategies.batches(
            distiller.distribute_strategy,
            dataset.train,
            FLAGS.batch_size * FLAGS.judgements,
            shuffle=True,
            seed=FLAGS.seed,
            repeat=True,
            start=done,
            augment=augmentation.AUGMENTATIONS[FLAGS.augment],
        )
    distiller.fit(
        batches,
        **anneal.epochs(done, every),
        validation_data=validation,
        # A progress bar in a file is a flood.
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            anneal,
            _summary(),
            backup,
        ],
    )
    return backup.history


def _summary():
    import tfdistill

    values = {name: FLAGS[name].value for name in _recorded()}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = ",".join(value)
    return tfdistill.RunSummary(
        _path("logs"),
        {name: value for name, value in values.items() if value is not None},
        name=os.path.basename(os.path.abspath(FLAGS.workdir)),
    )


def _recorded():
    return [name for name in _names if name not in _UNRECORDED]


def _path(*parts):
    return os.path.join(FLAGS.workdir, *parts)
