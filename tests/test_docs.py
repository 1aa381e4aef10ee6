"""The documentation: it builds, and its programs run."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_site_builds_without_warnings(tmp_path):
    for name in ("mkdocs", "material", "mkdocstrings_handlers"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: the extra [docs]")
    process = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
        + ["-f", "tools/mkdocs.yml", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert process.returncode == 0, process.stderr
    page = (tmp_path / "site" / "api" / "distilled.dataset" / "index.html").read_text()
    assert "Distilled batches in their order" in page
    page = (tmp_path / "site" / "commands" / "distill" / "index.html").read_text()
    assert "Updates of the distilled images" in page
    assert "<code>--outer_steps=N</code> (1000, if there is no --minutes)" in page


@pytest.mark.slow
def test_the_programs_of_the_readme(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert "epochs=20," in first and "model = ..." in second
    run(first.replace("epochs=20,", "epochs=1,"), tmp_path, PYTHONPATH=str(ROOT))
    assert (tmp_path / "served" / "saved_model.pb").is_file()
    # In another job, to which tfdistill does not exist.
    model = (
        "model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), "
        "keras.layers.Dense(10)])"
    )
    absent = "import sys\nsys.modules['tfdistill'] = None\n"
    run(absent + second.replace("model = ...", model), tmp_path)


def run(program, folder, **variables):
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.returncode == 0, process.stderr
