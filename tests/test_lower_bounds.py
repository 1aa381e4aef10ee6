"""The lowest versions that we allow are those that CI tries."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tools"))
import lower_bounds  # noqa: E402
import smoke  # noqa: E402

from tfdistill.cli import main  # noqa: E402


def test_constraints_are_the_lower_bounds_of_setup_cfg():
    process = subprocess.run(
        [sys.executable, "tools/lower_bounds.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    constraints = dict(line.split("==") for line in process.stdout.split())
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    section = setup.split("install_requires =")[1].split("[options.packages.find]")[0]
    required = [line.strip() for line in section.splitlines() if ">=" in line]
    assert len(required) >= 10
    for line in required:
        name, version = line.split(">=")
        assert constraints[name] == version
    assert constraints["keras-tuner"] in setup.split("keras-tuner>=")[1][:20]


@pytest.mark.parametrize("name", ["tensorflow", "keras", "numpy"])
def test_what_is_installed_is_allowed(name):
    def parts(version):
        return [int(part) for part in version.split(".")[:2]]

    assert parts(metadata.version(name)) >= parts(lower_bounds.lowest()[name])


def test_the_smoke_test_runs_every_command():
    assert {arguments[0] for arguments in smoke.COMMANDS} == set(main.COMMANDS)
    for name, *arguments, _ in smoke.COMMANDS:
        main.command(name).parse(arguments)


def test_ci_runs_both():
    steps = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    extras = ",".join(lower_bounds.EXTRAS)
    for step in ("lower_bounds.py > lowest.txt", f"[{extras}]", "tools/smoke.py"):
        assert step in steps
