"""Which file of a run folder an evaluation goes to: none replaces another one."""

import glob
import os
from collections.abc import Mapping

from tfdistill.cli import content, own_names, run_folder
from tfdistill.cli.errors import checking
from tfdistill.reporting import metrics
from tfdistill.runs import files, headings

#: In a file of results: what the test part holds, as `content.of_part` says.
TEST = "test_data"
# Of what it is, besides its name and the distilled set; all but the last are hashes.
_OF = (TEST, "start", "student")
# What is said of networks, besides means and deviations: figures, and their training.
_DETAILS = ("accuracy_per_class", "confusion", "mistakes")
_TRAINING = ("updates", "training_rate", "training_batch", "changes")
_RESULTS, _PICTURES = ("metrics*.json", "exposure*.json"), "images/exposure*.png"
#: What `evaluate` and `report` write into a run folder.
WRITTEN = (*_RESULTS, _PICTURES, "report.html", "journal")


def plain(name: str) -> str:
    """A name as a part of a file's."""
    return "".join(c if c.isalnum() or c in "_.@" else "-" for c in name)


def base(path: str) -> str:
    """The end of a path, as a part of a file's name."""
    return plain(os.path.basename(os.path.normpath(path)))


def known(folder: str, name: str) -> dict:
    """What a file of results holds; nothing if there is none.

    Args:
        folder: The run folder.
        name: Of the file, without ".json".

    Raises:
        InputError: If it is damaged.
    """
    path = os.path.join(folder, f"{name}.json")
    if not os.path.isfile(path):
        return {}
    with checking():
        return metrics.read_figures(path)


def main(folder: str, own: str | None) -> dict:
    """What the file of the main evaluation of a distilled set holds; nothing if none.

    Args:
        folder: The run folder.
        own: The hash of the set.

    Raises:
        InputError: If a file is damaged.
    """
    return known(folder, _of_set(folder, "metrics", own))


def tidy(folder: str) -> None:
    """Removes what an evaluation that was killed has left under temporary names.

    Pages stay: `report` takes no lock, and may be writing one.

    Args:
        folder: The run folder, which this process has locked.
    """
    with run_folder.writing(folder):
        own_names.tidy(folder, [*_RESULTS, _PICTURES])


def check(folder: str) -> None:
    """Refuses files of results that no other one can be written beside.

    Args:
        folder: The run folder.

    Raises:
        InputError: If one is damaged.
    """
    for pattern in _RESULTS:
        for path in glob.glob(os.path.join(glob.escape(folder), pattern)):
            known(folder, os.path.basename(path).removesuffix(".json"))


def of_other_pool(provenance: Mapping, pool: str, start: str) -> bool:
    """Whether a pool is another one than the run's.

    The run says what its pool holds; one of an earlier version, where it lies.

    Args:
        provenance: Of the run's distilled data.
        pool: The folder of the pool.
        start: The hash of its pool.json, by `content.of_path`.
    """
    known = provenance.get("load", {})
    if own := known.get("pool_content"):
        return own != start
    recorded = known.get("pool")
    return not recorded or os.path.realpath(pool) != os.path.realpath(recorded)


def of_other_data(
    folder: str, provenance: Mapping, dataset, path: str, own: str | None
) -> bool:
    """Whether real data have another test part than the run's.

    The run says what its test part holds; one of an earlier version, what the data are
    called and where they lie.

    Args:
        folder: The run folder.
        provenance: Of its distilled data.
        dataset: The `Dataset`.
        path: Where it was read.
        own: The hash of the distilled data.
    """
    found = main(folder, own)
    test = found.get(TEST)
    if not test and _of_set(folder, "metrics", own) == "metrics":
        test = headings.recorded(folder, headings.TEST)
    if test:
        return not content.is_same(str(test), content.of_part(dataset.test))
    name = found.get("dataset") or provenance.get("dataset")
    if name not in (None, dataset.name):
        return True
    recorded = provenance.get("load", {}).get("dataset")
    if not recorded or not os.path.exists(recorded):  # it may have moved
        return False
    return os.path.realpath(path) != os.path.realpath(recorded)


def write(
    folder: str, name: str, found: Mapping, counted: str = "num_students"
) -> tuple[str, dict]:
    """Writes an evaluation beside others of other numbers of networks.

    The one of the most networks has the plain name. A file of other data, or of another
    network, model, pool or distilled set, that is called the same is left as it is: the
    name of this one ends in a few digits of what it is of.

    Args:
        folder: The run folder.
        name: Of the file, without ".json".
        found: The evaluation; "test_data", "distilled_data", and "start" of another
            pool or of a model, are hashes of what it is of.
        counted: Which of its keys is the number of networks.

    Returns:
        The name of the file that was written, and what was in the file of the plain
        name before.
    """
    taken, name = name, _own(folder, name, found)
    before = known(folder, name)
    if not metrics.is_of(known(folder, taken), found.get(metrics.SET)):
        print(
            f"{taken}.json is of another distilled set; what is found of this one is "
            f"called {name}."
        )

    def put(name, found):
        with run_folder.writing(folder):
            files.write_json(os.path.join(folder, f"{name}.json"), found)

    def beside(of):
        seed = f"-seed{of['seed']}" if of.get("seed") else ""
        return _own(folder, f"{name}-{of[counted]}{seed}", of)

    count, most = found[counted], before.get(counted, 0)
    if count < most or (count == most and found["seed"] != before.get("seed", 0)):
        written = beside(found)
        put(written, found)
        print(
            f"{name}.json keeps the result of {most} network{'s' if most > 1 else ''}; "
            f"this one, of {count}, is in {written}.json."
        )
        return written, before
    # What this one lacks of that is of the networks before: it leaves with those.
    left = {key for key in before if key not in found and _is_of_networks(key)}
    if most and count > most:
        own = left | found.keys()
        put(beside(before), {k: v for k, v in before.items() if k in own})
    put(name, {**{k: v for k, v in before.items() if k not in left}, **found})
    return name, before


def forget(folder: str) -> None:
    """Removes what was found of distilled data that are about to be replaced."""
    for pattern in WRITTEN:
        for path in glob.glob(os.path.join(glob.escape(folder), pattern)):
            files.remove(path)


def _is_of_networks(key):
    """Whether a key is of the networks, and not of the run."""
    return key.endswith(("_mean", "_std")) or key in _DETAILS + _TRAINING


def _of_set(folder, name, own):
    """A name, with digits of the distilled set if that file is of another one."""
    if metrics.is_of(known(folder, name), own):
        return name
    return metrics.of_another(name, own)


def _own(folder, name, found):
    """A name, with digits of what this is of if that file is of something else."""
    name = _of_set(folder, name, found.get(metrics.SET))
    before = known(folder, name)
    marks = [_mark(key, found) for key in _OF if _differs(key, before, found)]
    return "-".join([name, *marks])


def _differs(key, before, found):
    """Whether a file is known to be of something else."""
    if key not in before or key not in found:
        return False
    if key == "student":
        return before[key] != found[key]
    return not content.is_same(str(before[key]), str(found[key]))


def _mark(key, found):
    value = str(found[key])
    return (content.of_values([value]) if key == "student" else value)[:8]
