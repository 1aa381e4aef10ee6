"""The documentation: it builds, and its programs run."""

import importlib.util
import os
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
    page = (tmp_path / "site" / "api" / "distilled" / "index.html").read_text()
    assert "Distilled batches in their order" in page
    page = (tmp_path / "site" / "commands" / "distill" / "index.html").read_text()
    assert "Updates of the distilled images" in page
