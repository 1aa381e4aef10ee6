"""How to train on distilled data: what the files carry beside images and labels."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from tfdistill.inner import optimizers
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter
from tfdistill.inner.optimizers.unknown import UnknownOptimizer


@dataclasses.dataclass(frozen=True)
class LearnedSchedule:
    """The learned steps, in order: an optimizer and its hyperparameters at each.

    Attributes:
        inner_optimizer: What takes the steps.
        hyperparameters: For each of the optimizer's, by name, float32 `[epochs,
            steps]`.

    Raises:
        ValueError: If a hyperparameter is missing or is not the optimizer's, shapes
            differ, or a value is not finite or out of its bounds.
    """

    inner_optimizer: InnerOptimizer
    hyperparameters: Mapping[str, np.ndarray]

    def __post_init__(self):
        known = {h.name: h for h in self.inner_optimizer.hyperparameters}
        if set(known) != set(self.hyperparameters):
            raise ValueError(
                f"The inner optimizer {self.inner_optimizer.name!r} needs the "
                f"hyperparameters {', '.join(known)}, not "
                f"{', '.join(self.hyperparameters) or 'none'}."
            )
        arrays = {name: np.asarray(self.hyperparameters[name]) for name in known}
        for name, values in arrays.items():
            plural = known[name].plural
            if values.dtype.kind not in "biuf":
                raise ValueError(f"{plural} must be numbers, not {values.dtype}.")
            if values.ndim != 2 or len(values) < 1:
                raise ValueError(
                    f"{plural} must have the shape [epochs, steps], not "
                    f"{list(values.shape)}."
                )
            rates = arrays["learning_rate"].shape
            if values.shape != rates:
                raise ValueError(
                    f"{plural} must have the shape {list(rates)} of the learning "
                    f"rates, not {list(values.shape)}."
                )
            arrays[name] = values = values.astype("float32")
            _check_range(known[name], values)
        object.__setattr__(self, "hyperparameters", arrays)

    @property
    def epochs(self) -> int:
        """How often the steps are gone through."""
        return len(self.hyperparameters["learning_rate"])

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self.hyperparameters["learning_rate"].shape[1]

    def columns(self) -> dict[str, np.ndarray]:
        """float32 `[epochs, steps]` by the names that files use."""
        return {
            h.plural: self.hyperparameters[h.name]
            for h in self.inner_optimizer.hyperparameters
        }

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new Keras optimizer that takes the learned steps, for `fit` in order."""
        flat = {name: v.reshape(-1) for name, v in self.hyperparameters.items()}
        return self.inner_optimizer.to_keras(flat)

    @classmethod
    def of_columns(
        cls,
        inner_optimizer: InnerOptimizer | str,
        columns: Mapping[str, np.ndarray],
    ) -> "LearnedSchedule":
        """The schedule that a file holds.

        Args:
            inner_optimizer: An `InnerOptimizer`, or its name. One that is not known is
                kept by its name: its data can be looked at, but not be trained on.
            columns: The same as `columns` gives; others are left out.
        """
        if isinstance(inner_optimizer, str):
            name = inner_optimizer
            if name in optimizers.INNER_OPTIMIZERS:
                inner_optimizer = optimizers.get(name)
            else:
                inner_optimizer = UnknownOptimizer(name, _guessed(columns))
        return cls(
            inner_optimizer,
            {
                h.name: columns[h.plural]
                for h in inner_optimizer.hyperparameters
                if h.plural in columns
            },
        )


def _check_range(hyperparameter: Hyperparameter, values: np.ndarray) -> None:
    plural, low, high = (
        getattr(hyperparameter, name) for name in ("plural", "low", "high")
    )
    if np.isinf(high) and not (np.isfinite(values) & (values > low)).all():
        raise ValueError(f"{plural} must all be finite and above {low:g}.")
    # float32 rounds a sigmoid to its bounds.
    if not ((values >= low) & (values <= high)).all():
        raise ValueError(f"{plural} must lie in {low:g}..{high:g}.")


def _guessed(columns):
    """Hyperparameters of an unknown optimizer: any numbers."""
    for plural in columns:
        name = "learning_rate" if plural == "learning_rates" else plural
        yield Hyperparameter(name, 1.0, low=-np.inf, plural=plural)
