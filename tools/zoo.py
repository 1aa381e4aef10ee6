"""Puts a distilled set into the zoo that ships with tfdistill.

    python tools/zoo.py --name=mnist/10 --run=run

Copies the images of a run folder, as float16, with what was measured on them:
metrics.json and metrics-*.json, of fresh networks on the whole test set. Flags with
absolute paths, and others that are of this machine, are left out.
"""

import glob
import os
import re
import sys

import paths
from absl import app, flags

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tfdistill.distilled import shipped  # noqa: E402
from tfdistill.distilled.dataset import DistilledDataset  # noqa: E402
from tfdistill.reporting.metrics import of_set  # noqa: E402

FLAGS = flags.FLAGS
paths.define("run", None, "The run folder.", required=True)
flags.DEFINE_string("name", None, "Its name in the zoo.", required=True)
# What says how the set was made, and nothing of where.
_KEPT = ("dataset", "seed", "outer_steps", "seconds", "flags")
# What tells a test of another kind: tfdistill evaluate writes it.
_OTHERWISE = ("shuffle_steps", "updates", "other_pool", "other_data")
# Flags of this machine: some by their names, others by an absolute path.
_OF_THIS_MACHINE = re.compile(r"--(data_dir|threads|strategy)\b|--\w+=(.*,)?\"?/")


def of_any_machine(recorded: str) -> str:
    """The flags of a record, one a line, that say nothing of this machine."""
    lines = recorded.splitlines()
    return "\n".join(line for line in lines if not _OF_THIS_MACHINE.match(line))


def measured(folder: str) -> list[dict]:
    """What metrics.json and metrics-*.json say of fresh networks, best known first.

    Of each student there is the test of the most networks, trained as the images say,
    on the data that they are of.
    """
    contents = [*of_set(folder)[0].values()]
    rows: dict = {}
    for content in contents:
        otherwise = any(content.get(name) for name in _OTHERWISE)
        if otherwise or content.get("dataset") != contents[0].get("dataset"):
            continue
        row = {
            "student": content["student"],
            "mean": content["accuracy_mean"],
            "std": content["accuracy_std"],
            "num_students": content["num_students"],
        }
        known = rows.setdefault(row["student"], row)
        if row["num_students"] > known["num_students"]:
            rows[row["student"]] = row
    return list(rows.values())


def main(_):
    distilled = DistilledDataset.load(os.path.join(FLAGS.run, "distilled"))
    known = distilled.provenance
    provenance = {name: known[name] for name in _KEPT if name in known}
    provenance["flags"] = of_any_machine(provenance.get("flags", ""))
    provenance["measured"] = measured(FLAGS.run)
    distilled.provenance = provenance
    target = os.path.join(shipped.FOLDER, *FLAGS.name.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    distilled.in_half_precision().save(target, overwrite=True)
    size = sum(os.path.getsize(path) for path in glob.glob(f"{target}/*"))
    print(f"{FLAGS.name}: {size / 1024:.0f} KiB, {provenance['measured']}")


if __name__ == "__main__":
    app.run(main)
