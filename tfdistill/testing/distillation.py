"""Do own classes work together, from fit to the report?"""

import os
import tempfile

import numpy as np

from tfdistill import students
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distiller import Distiller
from tfdistill.evaluation.evaluator import evaluate
from tfdistill.reporting import report
from tfdistill.reporting.run import Run
from tfdistill.testing.measures import require


def check_distillation(distiller: Distiller, real, test, student) -> None:
    """Takes a compiled `Distiller` through all that one does with it.

    `fit` with validation, `distilled()`, save, load, `evaluate`, `train`, the report.

    Args:
        distiller: Compiled, with own classes in it.
        real: Endless batches of (images, labels) to learn from.
        test: Batches of (images, labels) to test on.
        student: The student that the distiller is for.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
        >>> distiller = tfdistill.Distiller("linear", images)
        >>> distiller.compile()
        >>> real = digits.train.batch(100, repeat=True)
        >>> tfdistill.testing.check_distillation(
        ...     distiller, real, digits.test.batch(300), "linear"
        ... )
    """
    objective = distiller.objective
    history = distiller.fit(
        real, steps_per_epoch=2, epochs=2, validation_data=test, verbose=0
    ).history
    for name in ("loss", *objective.metric_names, "val_loss"):
        require(name in history, f"fit() must report {name}, not only {list(history)}.")
        require(np.isfinite(history[name]).all(), f"{name} is not finite: {history}.")
    headline = objective.headline
    require(
        f"val_{headline}" in history,
        f"Validation must report the objective's headline, val_{headline}.",
    )
    distilled = distiller.distilled()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "distilled")
        distilled.save(path)
        loaded = DistilledDataset.load(
            path,
            inner_optimizer=distilled.inner_optimizer,
            objective=distilled.objective,
        )
    require(
        np.array_equal(loaded.images, distilled.images),
        "The images that are loaded are not those that were saved.",
    )
    result = evaluate(loaded, student, test, 2)
    page = report.page([Run.of_results(loaded, {"distilled images": result})])
    shown = headline.replace("_", " ")
    require(shown in page.lower(), f"The report does not show {shown}.")
    figures = [result.mean(name) for name in result.figures]
    require(np.isfinite(figures).all(), f"The evaluation is not finite: {result}.")
    model = students.build(student, loaded.image_shape, loaded.num_classes)
    # Taking the saved start is no training yet.
    loaded.assign_initial_weights(model)
    before = model.get_weights()
    loaded.train(model)
    require(
        any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights())),
        "train() has not changed the model.",
    )
