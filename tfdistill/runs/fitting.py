"""What `fit` and `compile` of Keras take and a `Distiller` does not; its callbacks."""

import warnings
from collections.abc import Mapping

import keras

from tfdistill._internal.endless import is_endless
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
#: Outer steps after which an epoch of unknown length may have no end.
LONG_EPOCH = 10_000
#: What takes the place of a file of the whole Keras model.
INSTEAD_OF_SAVING = (
    "A Distiller is not saved as a whole model: distiller.distilled().save(folder) "
    "saves what it has learned, the callback tfdistill.Backup(folder) the state of a "
    "run, and distiller.save_weights(path) its variables."
)


def check_compile(arguments: Mapping) -> None:
    """Refuses arguments of `compile` that would have no effect.

    Raises:
        ValueError: If there are some.
    """
    _refuse("compile", arguments, _OF_COMPILE)


def check_fit(data, arguments: Mapping) -> None:
    """Refuses arguments of `fit` that would have no effect, or no end.

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
    return tuple(data[:2])


def with_own(callbacks, objective, verbose) -> tuple:
    """The callbacks and `verbose` that Keras's `fit` is given.

    Args:
        callbacks, objective: Same as for `prepared`.
        verbose: What a user passed; "auto" and 1 are one bar for the whole run.
    """
    found = prepared(callbacks, objective)
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks, verbose
    found = [StopWhenNotFinite(), SayWhenNoEnd(), *found]
    if verbose not in ("auto", 1):
        return found, verbose
    return [*found, ProgressBar.among(found)], 0


def prepared(callbacks, objective) -> list:
    """The callbacks of `fit`, those that monitor a figure with its direction.

    Keras knows the direction of its own metrics only.

    Args:
        callbacks: What a user passed.
        objective: The `Objective` whose figures they monitor.

    Raises:
        ValueError: If one saves the whole model.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        found = list(callbacks.callbacks)
    elif isinstance(callbacks, (list, tuple)):
        found = list(callbacks)
    else:
        found = [] if callbacks is None else [callbacks]
    for callback in found:
        saves = isinstance(callback, keras.callbacks.ModelCheckpoint)
        if saves and not callback.save_weights_only:
            raise ValueError(
                f"{INSTEAD_OF_SAVING} Pass ModelCheckpoint(save_weights_only=True)."
            )
        if getattr(callback, "mode", None) == "auto" and hasattr(callback, "monitor"):
            callback.mode = _direction(callback.monitor, objective)
    return found


def _direction(monitored, objective):
    name = monitored.removeprefix("val_")
    if name == objective.headline:
        return "max" if objective.higher_is_better else "min"
    if name == "loss" or name.endswith(("_std", "error")):
        return "min"
    return "max" if name in objective.shares else "auto"


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends `fit` with an error when no student has ended finite for a while."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.failures.numpy()) >= self.model.patience:
            raise FloatingPointError(
                "The meta-loss became NaN or infinite at outer step "
                f"{int(self.model.optimizer.iterations.numpy())}; the distilled data "
                "keeps its last finite state. Try a lower outer learning rate, a lower "
                "initial learning rate of the steps, or fewer steps."
            )


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
