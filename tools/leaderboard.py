"""Judges the distilled sets that ship, and writes docs/leaderboard.md.

    python tools/leaderboard.py --workdir=judged --data_dir=...

One `tfdistill compare` for each data set, of all its sets in the zoo beside as many
random, k-means and herded real images. The page has their tables, and docs/leaderboard
their HTML pages. After a crash the same command goes on after the last network.
`--datasets=digits` judges some; of the others the page keeps what it has, or says that
they are not measured.
"""

import os
import re
import shutil
import subprocess
import sys

import paths
from absl import app, flags

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tfdistill.distilled import shipped  # noqa: E402
from tfdistill.runs import files  # noqa: E402

FLAGS = flags.FLAGS
paths.define("workdir", None, "Folder of the comparisons.", required=True)
paths.define("data_dir", None, "Where TFDS keeps its data.")
flags.DEFINE_list("datasets", None, "Data sets to judge; all of the zoo by default.")
flags.DEFINE_list("flags", [], "More flags of tfdistill compare, without --.")
paths.define("docs", os.path.join(ROOT, "docs"), "Where the page is written.")

#: Flags of `tfdistill compare`: what two cores can do in half an hour.
USUAL = ("--networks=5", "--rates=0.001,0.003", "--updates=1000", "--teacher_epochs=0")
SMALL = ("--architectures=lenet,mlp", "--choosing=1", "--attack_images=200")
OF_DATASET = {
    "digits": (
        *("--architectures=wide_convnet_bn@32-64,mlp", "--attack_images=200"),
        *("--rates=0.003", "--updates=300"),
    )
}
INTRODUCTION = """# Leaderboard: the sets that ship

What fresh networks learn from each set of `tfdistill.load_distilled`, beside as many
random, k-means and herded real images, by the protocol of [compare.md](compare.md): all
is chosen on validation images, and test images decide nothing. Random changes of the
images are the same for all sets: not those of a set's own recipe, as in README's table.
Written by `python tools/leaderboard.py`.

"""
MEANING = "What the columns mean:"
MISSING = "Not measured yet"


def sets_of(dataset: str) -> dict[str, str]:
    """Folders of the shipped sets of a data set, by name such as digits-10."""
    return {
        name.replace("/", "-"): os.path.join(shipped.FOLDER, *name.split("/"))
        for name in shipped.distilled_names()
        if name.split("/")[0] == dataset
    }


def judge(dataset: str, folder: str) -> None:
    """Compares all sets of a data set, or goes on with it."""
    sets = [f"{name}={path}" for name, path in sets_of(dataset).items()]
    given = [f"--sets={','.join(sets)}", f"--dataset={dataset}", f"--workdir={folder}"]
    if FLAGS.data_dir:
        given.append(f"--data_dir={FLAGS.data_dir}")
    given += [*USUAL, *OF_DATASET.get(dataset, SMALL)]
    given += [f"--{flag}" for flag in FLAGS.flags]  # the last of a name counts
    environment = {**os.environ, "PYTHONPATH": ROOT}
    command = [sys.executable, "-m", "tfdistill", "compare", *given]
    subprocess.run(command, check=True, env=environment)


def section(dataset: str, folder: str) -> str:
    """What the page says of a data set, from `comparison.md`."""
    with open(os.path.join(folder, "comparison.md"), encoding="utf-8") as file:
        _, _, text = file.read().partition("\n")
    table, _, _ = text.partition(MEANING)
    link = f"[By architecture and class](leaderboard/{dataset}.html)."
    return f"## {dataset}\n\n{table.strip()}\n\n{link}\n"


def sections(path: str) -> dict[str, str]:
    """The sections of an earlier page, by data set; none if there is no page."""
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as file:
        _, *parts = re.split(r"^## ", file.read(), flags=re.MULTILINE)
    parts = [part.partition(f"\n{MISSING}")[0] for part in parts]
    found = {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}
    return {name: text for name, text in found.items() if "| set |" in text}


def main(_):
    known = list(dict.fromkeys(n.split("/")[0] for n in shipped.distilled_names()))
    chosen = FLAGS.datasets or known
    if not set(chosen) <= set(known):
        raise app.UsageError(f"--datasets must be some of {', '.join(known)}.")
    path = os.path.join(FLAGS.docs, "leaderboard.md")
    found = sections(path)
    for dataset in chosen:
        folder = os.path.join(FLAGS.workdir, dataset)
        judge(dataset, folder)
        found[dataset] = section(dataset, folder)
        with files.replacing(
            os.path.join(FLAGS.docs, "leaderboard", f"{dataset}.html")
        ) as temporary:
            shutil.copyfile(os.path.join(folder, "comparison.html"), temporary)
        # After each, so that a killed run leaves a whole page.
        files.write_text(path, page(found, known))
    print(f"{path} is written.")


def page(found: dict[str, str], known: list[str]) -> str:
    """The whole page; of sets that no table has it says so."""
    from tfdistill.studies.comparison.page import COLUMNS

    parts = [INTRODUCTION]
    for dataset in known:
        text = found.get(dataset, f"## {dataset}\n")
        names = [name for name in sets_of(dataset) if f"| {name} (" not in text]
        if names:
            text += f"\n{MISSING}: {', '.join(names)}.\n"
        parts.append(text + "\n")
    parts.append(f"## {MEANING.removesuffix(':')}\n\n")
    parts += [f"- **{title}**: {text}\n" for title, text in COLUMNS.items()]
    return "".join(parts)


if __name__ == "__main__":
    app.run(main)
