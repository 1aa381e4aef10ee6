"""The program that disturbs runs: what it takes for whole, and for the same."""

import os
import types

import numpy as np
import pytest

from tfdistill.runs import files

PNG = b"\x89PNG\r\n\x1a\n ... IEND\xaeB`\x82"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend("tools")
    import chaos

    chaos.FLAGS(["chaos"])
    return chaos


@pytest.mark.parametrize("name", ["images/mean.png", "journal/evaluation.npz"])
def test_a_file_is_whole_under_its_own_name_only(name, tool, tmp_path):
    run = tool.Run(str(tmp_path))
    with files.replacing(tmp_path / name) as temporary:
        half = PNG[:9] if name.endswith("png") else b"PK"
        with open(temporary, "wb") as file:
            file.write(half)
        run.look()
        assert run.evaluations() == 0
        with open(temporary, "wb") as file:
            np.savez(file, a=1) if name.endswith("npz") else file.write(PNG)
    run.look()
    assert run.evaluations() == name.endswith("npz")
    (tmp_path / name).write_bytes(half)
    with pytest.raises(tool.Wrong, match="is there, and not whole"):
        run.look()


def test_distilled_data_without_one_of_its_files_is_not_whole(tool, tmp_path):
    path = tmp_path / "distilled" / "tfdistill.json"
    files.write_json(path, {"sha256": {"tfdistill.json": "0", "missing": "0"}})
    with pytest.raises(tool.Wrong, match="is there, and not whole"):
        tool.Run(str(tmp_path)).look()


def test_nobody_works_on_after_something_wrong(tool, tmp_path):
    with pytest.raises(tool.Wrong), tool.Run(str(tmp_path)).at_work() as process:
        assert process.poll() is None
        raise tool.Wrong
    assert process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_what_is_not_finite_is_not_the_same(tool):
    def run(**changes):
        names = "images", "labels", "learning_rates"
        content = {name: np.ones((2, 3)) for name in names} | changes
        return types.SimpleNamespace(result=lambda: types.SimpleNamespace(**content))

    assert tool.difference(run(), run()) == 0
    assert tool.difference(run(), run(labels=np.full((2, 3), 3.0))) == 2
    for name in ("images", "labels", "learning_rates"):
        nans = run(**{name: np.full((2, 3), np.nan)})
        assert np.isnan(tool.difference(nans, run()))
