"""The end of a run, rehearsed at its start with a tiny result.

What is saved, loaded, exported and drawn after hours of learning is so once before,
in a temporary folder: of the same shapes, names and classes. What the end would refuse
is refused then.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from tfdistill.cli import results
from tfdistill.cli.errors import InputError


class Rehearsal:
    """A temporary folder, and what is being tried in it."""

    def __init__(self, folder: str):
        self.folder, self._what = folder, ""

    def path(self, name: str) -> str:
        """A path in the folder."""
        return os.path.join(self.folder, name)

    @contextlib.contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Makes an error of one thing a sentence: `what` could not be done.

        Raises:
            InputError: If the block fails, however it does.
        """
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"The result could not be {what} in the end: {reason[:500]}"
            ) from error


@contextlib.contextmanager
def rehearsal() -> Iterator[Rehearsal]:
    """A folder for a rehearsal, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tfdistill-") as folder:
        yield Rehearsal(folder)


def of_distilled(distilled, model=None) -> None:
    """Saves, loads, exports and draws the first step of distilled data.

    Args:
        distilled: A `DistilledDataset` of the shapes and names of the result.
        model: A network of the kind that will be exported; None for none.

    Raises:
        InputError: If one of these fails.
    """
    from tfdistill.distilled.dataset import DistilledDataset
    from tfdistill.reporting import plots

    with rehearsal() as trial:
        with trial.of("saved"):
            results.save_data(trial.folder, _first_step(distilled))
        with trial.of("loaded"):
            tiny = DistilledDataset.load(
                trial.path("distilled"),
                inner_optimizer=distilled.inner_optimizer,
                objective=distilled.objective,
            )
        if model is not None:
            with trial.of("exported"):
                results.save_student(trial.folder, tiny, model)
        with trial.of("drawn"):
            few = {"max_steps": 1, "max_images": 40}
            results.draw(
                trial.folder, "try", lambda: plots.distilled_images(tiny, **few)
            )


def _first_step(distilled):
    first = {
        "images": distilled.stored_images[:1],
        "enlarged": distilled.enlarged,
        "labels": distilled.labels[:1],
    }
    if not distilled.recipe.is_ordered:
        return distilled.replace(**first)
    others = {name: of[:, :1] for name, of in distilled.hyperparameters.items()}
    return distilled.replace(
        **first, learning_rates=others.pop("learning_rate"), hyperparameters=others
    )
