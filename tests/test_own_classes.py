"""Sets for a user's own classes, which files name and the command line doesn't know."""

import numpy as np
import pytest
from commands import run as tfdistill

import tfdistill as library


class Focal(library.Objective):
    name = "focal"
    headline, metric_names = "error", ("error",)

    def inner_loss(self, labels, outputs):
        return ((outputs - labels) ** 2).mean()

    meta_loss = inner_loss

    def metrics(self, labels, outputs):
        return {"error": self.inner_loss(labels, outputs)}


class Slower(library.inner.GradientDescent):
    def update(self, t, hyperparameters, gradients, weights, slots):
        less = [g / 2 for g in gradients]
        return super().update(t, hyperparameters, less, weights, slots)


@pytest.fixture(scope="module", params=["objective", "inner_optimizer"])
def own(request, tmp_path_factory):
    """Folder of a run, and what in it is unknown."""
    folder = tmp_path_factory.mktemp("own")
    data = library.baselines.random_real(library.load_dataset("digits"), steps=1)
    changes = {
        "objective": {"objective": Focal()},
        "inner_optimizer": {
            "learning_rates": np.full((1, 1), 0.1),
            "inner_optimizer": Slower(),
        },
    }
    data = data.replace(
        **changes[request.param],
        student="linear",
        provenance={"load": {"dataset": "digits"}},
    )
    data.save(folder / "run" / "distilled")
    name = {"objective": "focal", "inner_optimizer": "Slower"}[request.param]
    return folder, request.param, name


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--workdir=run"],
        ["evaluate", "--workdir=run", "--student=mlp", "--dry_run"],
        ["search", "--distilled=run", "--workdir=other"],
        ["search", "--distilled=run/distilled", "--workdir=other"],
        ["compare", "--sets=run", "--dataset=digits", "--workdir=other"],
    ],
    ids=" ".join,
)
def test_a_command_that_trains_refuses_it(own, arguments):
    folder, kind, name = own
    process = tfdistill(*arguments, cwd=folder)
    assert process.returncode == 2, process.stderr
    (line,) = process.stderr.splitlines()
    assert f"is for the {kind.replace('_', ' ')} {name!r}, which does not ship" in line
    assert f"DistilledDataset.load(folder, {kind}=...)" in line
    assert sorted(path.name for path in folder.iterdir()) == ["run"]


def test_an_export_says_what_is_needed(own, tmp_path):
    folder, kind, name = own
    output = tmp_path / "own.npz"
    process = tfdistill(
        "export", "--workdir=run", f"--output={output}", cwd=folder, together=True
    )
    assert process.returncode == 0, process.stdout
    assert f"needs the {kind.replace('_', ' ')} {name!r}" in process.stdout
    with np.load(output) as arrays:
        assert arrays[kind] == name


def test_it_can_be_viewed(own):
    folder, _, name = own
    data = library.DistilledDataset.load(folder / "run" / "distilled")
    assert data.num_images == 10 and len(data.images) == 1
    with pytest.raises(ValueError, match=f"{name!r}, which does not ship"):
        data.train(library.students.linear(data.image_shape))
