"""What is a small memory of earlier classes worth, if it is distilled?

    python examples/replay.py --workdir=replayed
    python examples/replay.py --dataset=mnist --download --bytes_per_class=1600 \
        --student=lenet --workdir=replayed_mnist

A network learns the classes of a data set two at a time, and forgets the first ones,
unless some of their images are replayed. Distilled images, real ones with learned
labels, herded and random ones are given the same bytes. Writes, in the folder:

    replay.md    the table, and which differences are more than chance
    replay.json  everything: accuracy of each task after each task, by memory and seed
    journal/     what is done: after a crash the same command goes on

`--only=herding,reservoir` compares these alone. Bounds are what no memory, and all
images of all tasks, give. With `--alone`, a fresh network learns after each task, from
the memory alone; in the same folder, it takes images that are distilled already, and
writes alone.md and alone.json.
"""

import os
import time

from absl import app, flags

import tfdistill
from tfdistill import replay
from tfdistill.runs import files

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "digits", "Same as of tfdistill distill.")
flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data.")
flags.DEFINE_bool("download", False, "Whether TFDS may download the data.")
flags.DEFINE_integer("bytes_per_class", 400, "Images and labels, of each class.")
flags.DEFINE_list("only", None, "Memories to compare, by name.")
flags.DEFINE_integer("classes_per_task", 2, "Classes of each task.")
flags.DEFINE_string("student", "wide_convnet_bn@32-64", "The network that learns.")
flags.DEFINE_integer("updates", 300, "Its updates in each task.")
flags.DEFINE_string("through", "wide_convnet_bn@32-64", "Networks that distil.")
flags.DEFINE_integer("outer_steps", 200, "Outer steps of each distillation.")
flags.DEFINE_integer("seeds", 5, "How often all of it is done.")
flags.DEFINE_bool("alone", False, "Whether networks learn from memories alone.")
flags.DEFINE_bool("bounds", True, "Whether to add no memory and all images.")
flags.DEFINE_string("workdir", None, "Folder of the results.", required=True)


def main(_):
    data = tfdistill.load_dataset(
        FLAGS.dataset, data_dir=FLAGS.data_dir, download=FLAGS.download
    )
    distillation = replay.Distillation(FLAGS.through, outer_steps=FLAGS.outer_steps)
    memories = {
        "distilled": replay.Distilled(distillation),
        "soft labels": replay.SoftLabels(distillation),
        "herding": replay.Herding(),
        "reservoir": replay.Reservoir(),
    }
    names = FLAGS.only or list(memories)
    if not set(names) <= set(memories):
        raise app.UsageError(f"--only must be some of {', '.join(memories)}.")
    started = time.time()
    found = replay.compare(
        data,
        {name: memories[name] for name in names},
        bytes_per_class=FLAGS.bytes_per_class,
        student=FLAGS.student,
        classes_per_task=FLAGS.classes_per_task,
        updates=FLAGS.updates,
        alone=FLAGS.alone,
        bounds=FLAGS.bounds,
        seeds=range(FLAGS.seeds),
        folder=FLAGS.workdir,
        report=lambda line: print(f"{time.time() - started:.0f} s: {line}", flush=True),
    )
    path = os.path.join(FLAGS.workdir, "alone" if FLAGS.alone else "replay")
    files.write_json(f"{path}.json", found.to_json())
    files.write_text(f"{path}.md", found.markdown())
    print(found.markdown())


if __name__ == "__main__":
    app.run(main)
