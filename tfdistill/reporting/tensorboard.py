"""TensorBoard logs of a run."""

import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfdistill.evaluation.result import Evaluation
from tfdistill.reporting import plots
from tfdistill.runs import files, strategies


class RunSummary(keras.callbacks.Callback):
    """Writes TensorBoard logs of a `Distiller`'s `fit`, against outer steps.

    After every epoch, it writes Keras's logs as scalars, validation beside training;
    the distilled images as one picture with a row for each step; histograms of the
    learned rates and other learned hyperparameters; and the mean rate in each epoch of
    the inner loop. For labels that are distributions over classes, it adds the mean
    share of the most probable class, unless all labels are one-hot; for other labels,
    such as those of a regression, a histogram.

    Args:
        log_dir: Folder for the logs of the run. TensorBoard compares all runs below the
            folder that it is started with.
        hyperparameters: Numbers, strings and booleans by name, for HPARAMS: the
            settings that a sweep varies.
        name: Name of the run in HPARAMS.

    Example:
        >>> import tempfile, tfdistill
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2)
        >>> distiller = tfdistill.Distiller("linear", images)
        >>> distiller.compile()
        >>> folder = tempfile.mkdtemp()
        >>> history = distiller.fit(
        ...     digits.train.batch(128, repeat=True),
        ...     steps_per_epoch=3,
        ...     validation_data=digits.validation.batch(100),
        ...     callbacks=[tfdistill.RunSummary(folder, {"steps": 2})],
        ...     verbose=0,
        ... )  # and then: tensorboard --logdir with that folder
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        hyperparameters: Mapping[str, float | str | bool] | None = None,
        name: str = "",
    ):
        super().__init__()
        self._log_dir = files.local(log_dir)
        self._hyperparameters, self._name = dict(hyperparameters or {}), name
        self._writers, self._writes = {}, True

    def on_train_begin(self, logs=None):
        # One of several machines writes.
        self._writes = strategies.is_chief(self.model.distribute_strategy)
        if self._hyperparameters:
            from tensorboard.plugins.hparams import api

            headline = self.model.objective.headline
            measured = [("test", headline), ("validation", headline)]
            if headline != "loss":
                measured.append(("validation", "loss"))
            with self._writer("").as_default():
                api.hparams_config(
                    [api.HParam(name) for name in self._hyperparameters],
                    [api.Metric(figure, group=group) for group, figure in measured],
                )
                api.hparams(self._hyperparameters, self._name or None)

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            with self._writer(part).as_default(step):
                tf.summary.scalar(name.removeprefix("val_"), value)
        distilled = self.model.distilled()
        rates = distilled.learning_rates
        with self._writer("distilled").as_default(step):
            tf.summary.image("distilled images", plots.grid(distilled)[None])
            if rates is not None:
                tf.summary.histogram("learned rates", rates)
                for k in range(min(len(rates), 10)):
                    tf.summary.scalar(f"learned rates/epoch {k + 1}", rates[k].mean())
            for name, values in distilled.hyperparameters.items():
                if name != "learning_rate":
                    tf.summary.histogram(f"learned {name.replace('_', ' ')}", values)
            confidence = distilled.labels.max(-1).mean()
            if not _are_distributions(distilled.labels):
                tf.summary.histogram("labels", distilled.labels)
            elif confidence < 1:
                tf.summary.scalar("label confidence", confidence)
        self._flush()

    def add_tests(self, results: Mapping[str, Evaluation], step: int) -> None:
        """Adds the test figures of a finished run, by what students learned from.

        Args:
            results: Evaluations by name. "distilled images" is the run's own; the
                others are what it is compared with.
            step: Number of outer steps of the run.
        """
        for name, result in results.items():
            part = "test" if name == "distilled images" else f"test, {name}"
            with self._writer(part).as_default(step):
                for figure in result.figures:
                    tf.summary.scalar(figure, result.mean(figure))
                    tf.summary.scalar(f"{figure}_std", result.std(figure))
        self._flush()

    def _writer(self, part):
        if part not in self._writers:
            folder = os.path.join(self._log_dir, part)
            make = tf.summary.create_file_writer
            self._writers[part] = (
                make(folder) if self._writes else tf.summary.create_noop_writer()
            )
        return self._writers[part]

    def _flush(self):
        for writer in self._writers.values():
            writer.flush()


def _are_distributions(labels):
    return (labels >= 0).all() and np.allclose(labels.sum(-1), 1, atol=1e-3)
