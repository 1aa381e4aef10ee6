"""The leaderboard of the sets that ship: it is made, and it names them all."""

import json
import math
import re
from pathlib import Path

import commands
import pytest

import tfdistill

ROOT = Path(__file__).parents[1]
#: What tests ask of the networks.
QUICK = "networks=2,updates=2,architectures=linear,choosing=1,attack_images=0"


def run(folder, *arguments):
    return commands.run_python(
        *("tools/leaderboard.py", f"--workdir={folder / 'judged'}"),
        *(f"--docs={folder / 'docs'}", f"--flags={QUICK},baselines=none", *arguments),
        cwd=ROOT,
    )


@pytest.mark.slow
def test_it_is_made_and_goes_on(tmp_path):
    first = run(tmp_path, "--datasets=digits")
    assert first.returncode == 0, first.stderr
    text = (tmp_path / "docs" / "leaderboard.md").read_text()
    assert re.search(r"^\| digits-10 \(100 images, linear\) \|", text, re.MULTILINE)
    assert "Not measured yet: mnist-1, mnist-10, mnist-50." in text
    assert text.count("What the columns mean") == 1 and "**PGD**" in text
    page = (tmp_path / "docs" / "leaderboard" / "digits.html").read_text()
    assert "digits-10" in page
    # Of what is judged already nothing is done again.
    (tmp_path / "docs" / "leaderboard.md").unlink()
    second = run(tmp_path, "--datasets=digits")
    assert second.returncode == 0 and "finished" in second.stdout
    assert (tmp_path / "docs" / "leaderboard.md").read_text() == text


def test_the_page_of_the_documentation_names_every_set():
    """Each is judged, or said not to be; and its tables are pages, too."""
    text = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    missing = re.findall(r"^Not measured yet: (.*)\.$", text, re.MULTILINE)
    left = {name for names in missing for name in names.split(", ")}
    for name in tfdistill.distilled_names():
        name = name.replace("/", "-")
        assert (f"| {name} (" in text) != (name in left), name
    for link in re.findall(r"\]\((leaderboard/\w+\.html)\)", text):
        assert (ROOT / "docs" / link).is_file()


def test_a_set_ships_with_tests_of_its_own_kind_alone(tmp_path):
    usual = {"dataset": "d", "student": "a", "shuffle_steps": False, "num_students": 9}
    usual |= {"accuracy_mean": 0.5, "accuracy_std": 0.1, "seed": 0}
    for name, others in {
        "": {},
        "-2": {"num_students": 2},
        "-b": {"student": "b", "num_students": 3},
        "-b-2": {"student": "b", "num_students": 2},
        "-c-2": {"student": "c", "num_students": 2, "seed": 1},
        "-d": {"student": "d", "accuracy_mean": None},
        "-shuffled": {"shuffle_steps": True},
        "-e-shuffled": {"shuffle_steps": True, "student": "e"},
        "-f-300-updates-0.001": {"updates": 300, "student": "f"},
        "-g-pool-mine": {"other_pool": "mine", "student": "g"},
        "-h-on-other": {"dataset": "other", "student": "h"},
        "-i-on-d": {"other_data": True, "student": "i"},
        "-j.0123abcd.tmp": {"student": "j"},
    }.items():
        (tmp_path / f"metrics{name}.json").write_text(json.dumps(usual | others))
    code = f"import zoo, json; print(json.dumps(zoo.measured({str(tmp_path)!r})))"
    found = json.loads(_in_tools(code))
    assert [(row["student"], row["num_students"]) for row in found] == [
        ("a", 9),
        ("b", 3),
        ("c", 2),
        ("d", 9),
    ]
    assert math.isnan(found[-1]["mean"])


def test_the_zoo_keeps_no_flag_of_a_machine():
    kept = ["--dataset=mnist", "--student=mlp,pkg.nets:of", "--pool=pools/mnist"]
    left = ["--data_dir=tfds", "--threads=2", "--dataset=/d.npz", "--pool=/home/me/p"]
    left += ["--student=mlp,/home/me/a.keras", '--student="/a,b.keras",mlp']
    flags = "\n".join([*left, *kept, "--learned_rates=/home/me/run"])
    code = f"import zoo; print(zoo.of_any_machine({flags!r}))"
    assert _in_tools(code).splitlines() == kept


def _in_tools(code):
    here = "import sys; sys.path.insert(0, 'tools')"
    process = commands.run_python("-c", f"{here}; {code}", cwd=ROOT)
    assert process.returncode == 0, process.stderr
    return process.stdout
