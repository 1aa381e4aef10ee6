"""What `fit` and `compile` of Keras take and a `Distiller` does not; its callbacks."""

import contextlib
import difflib
import warnings
from collections.abc import Iterator, Mapping

import keras
import tensorflow as tf

from tfdistill._internal.endless import is_endless
from tfdistill.runs import strategies
from tfdistill.runs.backup import Backup
from tfdistill.runs.progress import ProgressBar

_JUDGED = (
    "the objective says how students are taught and judged: Distiller(..., objective=)"
)
_OF_COMPILE = {
    name: _JUDGED for name in ("loss", "loss_weights", "metrics", "weighted_metrics")
}
_WEIGHTS = (
    "students are judged on real batches as they come: balance them, or write an "
    "Objective that weights its meta_loss"
)
_OF_FIT = {"class_weight": _WEIGHTS, "sample_weight": _WEIGHTS}
# Integers that TensorFlow's losses do not take, and those that hold them.
_CASTS = dict.fromkeys((tf.uint8, tf.int8, tf.uint16, tf.int16), tf.int32)
_CASTS |= dict.fromkeys((tf.uint32, tf.uint64), tf.int64)
#: Outer steps after which an epoch of unknown length may have no end.
LONG_EPOCH = 10_000
#: What takes the place of a file of the whole Keras model.
INSTEAD_OF_SAVING = (
    "A Distiller is not saved as a whole model: distiller.distilled().save(folder) "
    "saves what it has learned, the callback tfdistill.Backup(folder) the state of a "
    "run, and distiller.save_weights(path) its variables."
)

_INSTEAD_OF_PREDICTING = (
    "A Distiller is no network: distiller.distilled().train(model) trains one, and "
    "distiller.evaluate(batches) tests fresh ones."
)


def check_compile(arguments: Mapping) -> None:
    """Refuses arguments of `compile` that would have no effect.

    Raises:
        ValueError: If there are some.
    """
    _refuse("compile", arguments, _OF_COMPILE)


def check_fit(data, arguments: Mapping) -> None:
    """Refuses arguments of `fit` that would have no effect, or no end.

    It warns of epochs that would be copies of the first one.

    Args:
        data: The real data.
        arguments: The other arguments.

    Raises:
        ValueError: If there are some.
    """
    _refuse("fit", arguments, _OF_FIT)
    if arguments.get("steps_per_epoch") is None and is_endless(data):
        raise ValueError(
            "The real batches repeat without end: pass steps_per_epoch, the number of "
            "outer steps between two validations."
        )
    if getattr(data, "repeats_its_draws", False) and _asks_for_more(data, arguments):
        warnings.warn(
            "Every epoch has these batches in the same order, with the same random "
            "changes: give batch(..., repeat=True), and steps_per_epoch to fit.",
            stacklevel=3,
        )


def _asks_for_more(data, arguments):
    length = int(data.cardinality())
    epochs = (arguments.get("epochs") or 1) - (arguments.get("initial_epoch") or 0)
    return epochs * (arguments.get("steps_per_epoch") or length) > length


def _refuse(method, arguments, reasons):
    for name, reason in reasons.items():
        if arguments.get(name) is not None:
            raise ValueError(f"{method}({name}=) has no effect here; {reason}.")


def pairs(data) -> tuple:
    """A batch of real data as (images, labels).

    Raises:
        ValueError: If it is no such pair.
    """
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise ValueError("Each batch must be a pair (images, labels).")
    if len(data) == 3 and data[2] is not None:
        raise ValueError(
            f"Batches with sample weights are not for a Distiller: {_WEIGHTS}."
        )
    images, labels = data[:2]
    dtype = getattr(labels, "dtype", None)
    other = None if dtype is None else _CASTS.get(tf.as_dtype(dtype))
    return images, labels if other is None else tf.cast(labels, other)


def of_classes(labels: tf.Tensor, num_classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels with 0 in the place of those of no class, and how many these are.

    Without 0, TensorFlow fails on a CPU, and gives NaN, or any number, elsewhere.

    Args:
        labels: int `[batch]`.
        num_classes: Number of classes.

    Returns:
        int `[batch]`, and the number in all replicas, an int64 scalar.
    """
    wrong = (labels < 0) | (labels >= num_classes)
    number = strategies.total(tf.reduce_sum(tf.cast(wrong, tf.float32)))
    return tf.where(wrong, tf.zeros_like(labels), labels), tf.cast(number, tf.int64)


class NotOfAModel:
    """What a `keras.Model` does and a `Distiller` does not, which says why."""

    def save(self, *args, **kwargs):
        """Refuses: what is worth saving is `distilled()`, or the state of a run."""
        raise NotImplementedError(INSTEAD_OF_SAVING)

    def predict(self, *args, **kwargs):
        """Refuses: networks predict, those that learn from `distilled()`."""
        raise NotImplementedError(_INSTEAD_OF_PREDICTING)

    predict_on_batch = test_on_batch = __call__ = predict

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Everything is built. Under a strategy Keras would take a batch to build on and
        # average it over the replicas, which fails where there are several workers.
        del iterator, data_batch


def with_own(callbacks, objective, verbose) -> tuple:
    """The callbacks and `verbose` that Keras's `fit` is given.

    Args:
        callbacks, objective: Same as for `prepared`.
        verbose: What a user passed; "auto" and 1 are one bar for the whole run.
    """
    found = prepared(callbacks, objective)
    # A `History` of the user's comes later, and is what `fit` returns.
    own = [RefuseLabels(), StopWhenNotFinite(), SayWhenNoEnd(), HistoryOfEpochs()]
    found = [*own, *found]
    if verbose not in ("auto", 1):
        return found, verbose
    return [*found, ProgressBar.among(found)], 0


@contextlib.contextmanager
def stopped_at_last(callbacks, model, initial_epoch) -> Iterator[None]:
    """Stops callbacks that hold something while `fit` runs: signals, a bar.

    Keras tells them when `fit` ends well, and not when something was raised in it.

    Args:
        callbacks: The list of those that Keras's `fit` is given.
        model: The `Distiller`.
        initial_epoch: That of `fit`, which Keras does not tell them; or None.
    """
    model._initial_epoch = initial_epoch
    try:
        yield
    finally:
        model._initial_epoch = None
        for callback in callbacks:
            holds = isinstance(callback, (Backup, ProgressBar))
            if holds and callback.model is not None:
                callback.stop()


def prepared(callbacks, objective) -> list:
    """The callbacks of `fit`, those that monitor a figure with its direction.

    Keras knows the direction of its own metrics only.

    Args:
        callbacks: What a user passed; a `keras.callbacks.CallbackList` is the callbacks
            in it.
        objective: The `Objective` whose figures they monitor.

    Raises:
        ValueError: If one is no callback, saves the whole model, or monitors a figure
            that there is not.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        found = list(callbacks.callbacks)
    elif isinstance(callbacks, (list, tuple)):
        found = list(callbacks)
    else:
        found = [] if callbacks is None else [callbacks]
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                f"callbacks must be instances of keras.callbacks.Callback, not "
                f"{callback!r}."
            )
        saves = isinstance(callback, keras.callbacks.ModelCheckpoint)
        if saves and not callback.save_weights_only:
            raise ValueError(
                f"{INSTEAD_OF_SAVING} Pass ModelCheckpoint(save_weights_only=True)."
            )
        if getattr(callback, "mode", None) == "auto" and hasattr(callback, "monitor"):
            callback.mode = _direction(callback, objective)
    return found


def _direction(callback, objective):
    monitored = callback.monitor
    name = monitored.removeprefix("val_")
    if name == objective.headline:
        return "max" if objective.higher_is_better else "min"
    if name == "loss" or name.endswith(("_std", "error")):
        return "min"
    if name in objective.shares:
        return "max"
    known = dict.fromkeys(["loss", objective.headline, *objective.metric_names])
    near = difflib.get_close_matches(monitored, [*known, *(f"val_{k}" for k in known)])
    hint = f"did you mean {' or '.join(near)}? If not, give" if near else "give"
    raise ValueError(
        f"{type(callback).__name__} monitors {monitored}, of which it is not known "
        f'whether less is better: {hint} it mode="min" or "max".'
    )


class RefuseLabels(keras.callbacks.Callback):
    """Ends `fit` with an error when a real batch held labels of no class."""

    def on_train_begin(self, logs=None):
        self.model.wrong_labels.assign(0)

    def on_train_batch_end(self, batch, logs=None):
        if number := int(self.model.wrong_labels.numpy()):
            raise ValueError(
                "The labels of real batches must be integers from 0 to "
                f"{self.model.synthesizer.num_classes - 1}, which {number} of a batch "
                "are not: correct these examples, or leave them out."
            )


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends `fit` with an error when no student has ended finite for a while."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.failures.numpy()) >= self.model.patience:
            # Here, not as `fit` begins: a state may have been restored into it.
            self.model.failures.assign(0)
            raise FloatingPointError(
                "The meta-loss became NaN or infinite at outer step "
                f"{int(self.model.optimizer.iterations.numpy())}; the distilled data "
                "keeps its last finite state. Try a lower outer learning rate, a lower "
                "initial learning rate of the steps, or fewer steps."
            )


class HistoryOfEpochs(keras.callbacks.History):
    """Keras's history, which also knows what was measured when.

    Keras has a list for each figure, and not of which epochs its values are, if there
    was no validation after some.

    Attributes:
        reports: For each epoch its number, as `epoch`, and its logs.
    """

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.reports = []

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.reports.append({"epoch": epoch, **(logs or {})})


class SayWhenNoEnd(keras.callbacks.Callback):
    """Warns when an epoch of data of unknown length goes on and on."""

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == LONG_EPOCH and self.params.get("steps") is None:
            warnings.warn(
                f"The first epoch has taken {LONG_EPOCH:,} outer steps, and the real "
                "batches do not say when they end: if they never do, pass "
                "steps_per_epoch, or there will be no validation.",
                stacklevel=2,
            )
