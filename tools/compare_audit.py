"""Confident learning (cleanlab) on the data of an audit, in the same CPU-seconds.

    pip install 'tfdistill[audit]'
    tfdistill audit --dataset=mnist --flip=0.1 --workdir=audit
    python tools/compare_audit.py --audit=audit

The usual way to get probabilities that are out of sample: networks are trained on all
but a fifth of the real images, and asked about that fifth. Five of them train side by
side, an epoch at a time, until they have used as many CPU-seconds as the audit; after
each epoch cleanlab ranks the labels. The seconds of an epoch are those of all training
until then and of one round of predictions, as the audit's are of its own. Written to
the audit's folder: cleanlab.json.
"""

import json
import os
import sys
import time

import paths
from absl import app, flags

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tfdistill
from tfdistill.cli import audit as audits
from tfdistill.cli import main as commands
from tfdistill.runs import files

FLAGS = flags.FLAGS
FOLDS = 5
paths.define("audit", None, "Folder of an audit with --flip.", required=True)
flags.DEFINE_string("student", None, "The network; by default the audit's.")
flags.DEFINE_float(
    "cpu_seconds", None, "To be used; by default the audit's.", lower_bound=1
)
flags.DEFINE_integer("batch_size", 128, "Images in a batch.", lower_bound=1)
flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of Adam.", lower_bound=1e-8)


def read_audit():
    """What the audit measured, and its configuration."""
    with open(os.path.join(FLAGS.audit, "metrics.json"), encoding="utf-8") as file:
        metrics = json.load(file)
    if "flipped" not in metrics:
        raise app.UsageError(f"--audit={FLAGS.audit} was made without --flip.")
    path = os.path.join(FLAGS.audit, "flags.txt")
    arguments = [f"--workdir={FLAGS.audit}", f"--flagfile={path}"]
    return metrics, commands.command("audit").parse(arguments)


def audited(audit, count):
    """The data of an audit, its examples with the labels that it saw, and the wrong."""
    clean, _, _ = audits.load(audit)  # which holds nothing out, if there is no test
    train, wrong = tfdistill.audit.flipped(clean.train, audit.flip, audit.seed)
    if wrong.sum() != count:
        raise app.UsageError(
            f"The data of --audit={FLAGS.audit} are others now: {wrong.sum()} labels "
            f"are wrong, not {count}."
        )
    return clean, train, wrong


def main(_):
    import cleanlab
    import keras
    import numpy as np
    import tensorflow as tf
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    metrics, audit = read_audit()
    clean, train, wrong = audited(audit, metrics["flipped"])
    images = train.normalization.normalize(train.images).numpy()
    labels, student = train.labels, FLAGS.student or audit.student
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    parts = list(folds.split(images, labels))

    def make(seed):
        keras.utils.set_random_seed(seed)
        model = tfdistill.students.build(student, clean.image_shape, clean.num_classes)
        model.compile(
            keras.optimizers.Adam(FLAGS.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return model

    models = [make(k) for k in range(FOLDS)]
    spent, training, epochs = 0.0, 0.0, []
    budget = FLAGS.cpu_seconds or metrics["cpu_seconds"]
    print(
        f"the audit: {metrics['cpu_seconds']:.0f} CPU-seconds, average precision "
        f"{metrics['average_precision']:.4f}"
    )
    while spent < budget:
        started = time.process_time()
        for model, (rows, _) in zip(models, parts):
            model.fit(
                images[rows], labels[rows], batch_size=FLAGS.batch_size, verbose=0
            )
        trained = time.process_time()
        training += trained - started
        probabilities = np.zeros((len(labels), clean.num_classes))
        for model, (_, rows) in zip(models, parts):
            logits = model.predict(images[rows], batch_size=1000, verbose=0)
            probabilities[rows] = tf.nn.softmax(logits).numpy()
        # Nobody who wants this ranking needs the predictions of the epochs before.
        predicting = time.process_time() - trained
        spent = training + predicting
        quality = cleanlab.rank.get_label_quality_scores(labels, probabilities)
        joint = cleanlab.count.estimate_joint(labels, probabilities)
        epochs.append(
            {
                "cpu_seconds": spent,
                "cpu_seconds_of_predictions": predicting,
                "average_precision": float(average_precision_score(wrong, -quality)),
                "noise_rate": float(1 - np.trace(joint)),
            }
        )
        print(
            f"cleanlab, {student}, {len(epochs)} epochs: {spent:.0f} CPU-seconds, "
            f"average precision {epochs[-1]['average_precision']:.4f}, noise "
            f"{100 * epochs[-1]['noise_rate']:.1f} %",
            flush=True,
        )
    files.write_json(
        os.path.join(FLAGS.audit, "cleanlab.json"),
        {"student": student, "folds": FOLDS, "epochs": epochs},
    )


if __name__ == "__main__":
    app.run(main)
