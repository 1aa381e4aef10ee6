"""The leaderboard of the sets that ship: it is made, and it names them all."""

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
    assert "Not measured yet: mnist-1, mnist-10." in text
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
