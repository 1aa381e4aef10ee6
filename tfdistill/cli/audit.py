"""tfdistill audit: which labels of a data set are wrong?

Distils a few images from each half of the training data, several times, and lets
networks that learn from them alone judge the labels of the other half. Labels that they
consistently contradict are suspect. Writes into a folder:

  audit.csv      all training examples, the most suspect first: their index, the label
                 given, the label suggested, the given one's probability, the share of
                 networks for it, and whether it is suspect
  metrics.json   the estimated share of wrong labels, in all and between which classes
  images/        pictures: the most suspect examples; which label stands for which
  flags.txt      the flags: tfdistill audit --flagfile=... repeats the audit
  parts/         the state of the audit: after a crash the same command goes on

With --model it also says whether that network has learned wrong labels by heart.
"""

import csv
import io
import os
import time

import numpy as np
from absl import flags

from tfdistill.cli import common
from tfdistill.runs import files

FLAGS = flags.FLAGS
_names = []
_OWNED = ("flags.txt", "audit.csv", "metrics.json", "images", "parts")
_UNRECORDED = ("workdir", "overwrite", "threads")
_SHOWN = 40


def define_flags() -> None:
    """Defines the command's flags."""
    common.define_workdir_flags("audit")
    data_flags = common.define_data_flags("digits")
    flags.DEFINE_string(
        "student",
        "gtn_learner@16-32-64",
        "Who judges: as of tfdistill distill.",
    )
    flags.DEFINE_integer(
        "rounds",
        2,
        "How often the data is halved: each example is judged by so many networks, "
        "which learn from the half that it is not in.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "outer_steps", 800, "Updates of the images in each distillation.", lower_bound=1
    )
    flags.DEFINE_float(
        "outer_learning_rate", 0.03, "Of Adam on the images.", lower_bound=1e-8
    )
    flags.DEFINE_integer(
        "steps", 10, "Steps that a network takes on the images.", lower_bound=1
    )
    flags.DEFINE_integer(
        "images_per_class", 2, "Images a class in each step.", lower_bound=1
    )
    flags.DEFINE_integer(
        "batch_size", 256, "Real images that judge a network.", lower_bound=1
    )
    flags.DEFINE_string(
        "model",
        None,
        "A network trained on this data, to see whether it has learned wrong labels: a "
        ".keras file, a SavedModel or a .weights.h5 file of --student. It takes images "
        "normalised as metrics.json says.",
    )
    flags.DEFINE_float(
        "flip",
        0.0,
        "The share of labels that are made wrong first, to see how well they are "
        "found.",
        lower_bound=0,
        upper_bound=0.9,
    )
    flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", lower_bound=0)
    _names.extend(
        ["workdir", *data_flags, "student", "rounds", "outer_steps"]
        + ["outer_learning_rate", "steps", "images_per_class", "batch_size"]
        + ["model", "flip", "seed"]
        + [*common.define_machine_flags(), "overwrite"]
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("audit")
    if FLAGS.in_memory is False:
        raise common.InputError(
            "--in_memory=false is not for tfdistill audit, which holds the images."
        )
    FLAGS.in_memory = True
    import dataclasses

    from tfdistill import students
    from tfdistill.studies import audit

    common.set_threads()
    dataset = common.load_dataset()
    recipe = audit.Recipe(
        FLAGS.student,
        rounds=FLAGS.rounds,
        outer_steps=FLAGS.outer_steps,
        outer_learning_rate=FLAGS.outer_learning_rate,
        steps=FLAGS.steps,
        images_per_class=FLAGS.images_per_class,
        batch_size=FLAGS.batch_size,
        seed=FLAGS.seed,
    )
    with common.input_errors():
        students.build(FLAGS.student, dataset.image_shape, dataset.num_classes)
        model = FLAGS.model and common.given_model(
            FLAGS.model, FLAGS.student, dataset.image_shape, dataset.num_classes
        )
        train, wrong = audit.flipped(dataset.train, FLAGS.flip, FLAGS.seed)
    dataset = dataclasses.replace(dataset, train=train)
    lines = common.flag_lines(n for n in _names if n not in _UNRECORDED)
    common.claim_workdir(FLAGS.workdir, lines, FLAGS.overwrite, _OWNED)
    if common.is_finished(FLAGS.workdir):
        return
    started = time.monotonic()
    with common.input_errors():
        found = audit.examine(
            dataset, recipe, folder=os.path.join(FLAGS.workdir, "parts"), tell=_tell
        )
    _write(found, dataset, wrong, model, time.monotonic() - started)


def _tell(text):
    print(text, flush=True)


def _write(found, dataset, wrong, model, seconds):
    """Shows the result and writes the folder's files, metrics last."""
    from tfdistill.reporting import plots

    names, noise = dataset.class_names, found.noise()
    suspects, ranking = found.suspects, found.ranking
    content = {
        "dataset": dataset.name,
        "student": str(FLAGS.student),
        "examples": len(suspects),
        "suspects": int(suspects.sum()),
        "noise_rate": found.noise_rate,
        "noise": noise.tolist(),
        "class_names": list(names),
        "normalization": dataset.normalization.to_config(),
        **_checked(found, wrong),
        **_fitted(found, dataset, model),
        "seconds": seconds,
        "cpu_seconds": found.cpu_seconds,
        "selection": "nothing on test images",
        "peak_memory_bytes": common.peak_memory(),
    }
    figures = {"noise": plots.label_noise(noise, names)}
    if suspects.any():
        shown = ranking[suspects[ranking]][:_SHOWN]
        figures["suspects"] = plots.titled_images(
            dataset.normalization.displayable(
                dataset.normalization.normalize(dataset.train.images[shown]).numpy()
            ),
            [
                f"{names[given]}: {names[other]}?"
                for given, other in zip(found.given[shown], found.suggested[shown])
            ],
        )
    with common.input_errors():
        files.write_text(
            os.path.join(FLAGS.workdir, "audit.csv"), _table(found, names, wrong)
        )
        for name, figure in figures.items():
            plots.save(figure, os.path.join(FLAGS.workdir, "images", f"{name}.png"))
        files.write_json(os.path.join(FLAGS.workdir, "metrics.json"), content)
    files.remove(os.path.join(FLAGS.workdir, "parts"))
    _show(content, noise)


def _table(found, names, wrong):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["index", "given", "suggested", "probability", "agreement", "suspect"]
    writer.writerow(head + ["flipped"] * bool(FLAGS.flip))
    columns = (found.given, found.suggested, found.scores, found.agreement)
    columns = [values.tolist() for values in (*columns, found.suspects, wrong)]
    for k in found.ranking.tolist():
        given, suggested, score, agreement, suspect, flip = (c[k] for c in columns)
        row = [k, names[given], names[suggested], f"{score:.6f}", f"{agreement:.3f}"]
        writer.writerow([*row, int(suspect)] + [int(flip)] * bool(FLAGS.flip))
    return text.getvalue()


def _checked(found, wrong):
    """How well labels that were made wrong on purpose are found."""
    from sklearn.metrics import average_precision_score

    if not wrong.any():
        return {}
    hits = (found.suspects & wrong).sum()
    return {
        "flipped": int(wrong.sum()),
        "average_precision": float(average_precision_score(wrong, -found.scores)),
        "precision": float(hits / max(1, found.suspects.sum())),
        "recall": float(hits / wrong.sum()),
    }


def _fitted(found, dataset, model):
    """Whether a given network has learned wrong labels by heart."""
    import dataclasses

    from tfdistill.studies import audit

    if model is None or not found.suspects.any():
        return {}
    said = model.predict(dataset.train.passes(), verbose=0).argmax(-1)
    return {"model": dataclasses.asdict(audit.fitted(found, said))}


def _show(content, noise):
    names, total = content["class_names"], content["examples"]
    print(
        f"{content['suspects']} of {total} labels of {content['dataset']} are suspect; "
        f"about {100 * content['noise_rate']:.1f} % are wrong."
    )
    pairs = noise - np.diag(np.diag(noise))
    for place in np.argsort(-pairs, axis=None)[:5]:
        given, true = divmod(int(place), len(names))
        if pairs[given, true] * total >= 1:
            print(
                f"  {names[given]} that are {names[true]}: about "
                f"{round(pairs[given, true] * total)}"
            )
    if "flipped" in content:
        print(
            f"Of {content['flipped']} labels made wrong on purpose: average precision "
            f"of the ranking {content['average_precision']:.3f}; of the suspects "
            f"{100 * content['precision']:.1f} % are among them, who are "
            f"{100 * content['recall']:.1f} % of them."
        )
    if "model" in content:
        model = content["model"]
        knows = "has" if model["repeated"] > model["sided"] else "has not"
        print(
            f"--model gives {100 * model['repeated']:.1f} % of the suspects the label "
            f"contradicted, and {100 * model['sided']:.1f} % the one suggested: "
            f"it {knows} learned most wrong labels by heart."
        )
    elif FLAGS.model:
        print("No label is suspect: there is nothing wrong to have been learned.")
    print(f"Everything is in {FLAGS.workdir}.")
