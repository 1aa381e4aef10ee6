"""The contract of recipes: how to train on distilled data."""

import abc
from collections.abc import Callable, Mapping

import keras
import numpy as np

from tfdistill.inner.curriculum import Curriculum
from tfdistill.inner.optimizers import half_precision
from tfdistill.inner.optimizers.base import InnerOptimizer


class Teacher(abc.ABC):
    """Trains students on data sets of one shape, of which it holds one at a time.

    A graph is traced once, and serves all that is assigned later.
    """

    @abc.abstractmethod
    def difference(self, distilled) -> str:
        """In what a data set, or its training, is none for this graph; "" in nothing.

        Args:
            distilled: A `DistilledDataset` of the same image shape and classes.
        """

    @abc.abstractmethod
    def assign(self, distilled, shuffle: bool = False) -> None:
        """Takes a data set without `difference`.

        Args:
            distilled: A `DistilledDataset`.
            shuffle: Whether each student takes the learned steps in a random order of
                its own, which its seed draws.
        """

    @abc.abstractmethod
    def forget(self) -> None:
        """Takes no steps at all from now on."""

    @abc.abstractmethod
    def curriculum(self, seed) -> Curriculum:
        """What one student learns from.

        Args:
            seed: Seed of all random draws, int32 `[2]`.
        """


class Recipe(abc.ABC):
    """How to train on distilled data: what files hold besides images and labels.

    Example:
        >>> import tfdistill
        >>> recipe = tfdistill.OrdinaryTraining(updates=300)
        >>> recipe.describe((1, 100, 28, 28, 1)).partition(",")[0]
        'ordinary training: 300 updates by Adam at 0.001'

    Attributes:
        kind: Its name in files.
        is_ordered: Whether the batches have an order that matters.
        inner_optimizer: The optimizer that takes the steps.
        hyperparameters: The optimizer's learned hyperparameters by name, float32
            `[epochs, steps]`; empty if none are learned.
    """

    kind: str
    is_ordered: bool
    inner_optimizer: InnerOptimizer
    hyperparameters: Mapping[str, np.ndarray]

    @abc.abstractmethod
    def num_steps(self, steps: int) -> int:
        """Number of a student's updates.

        Args:
            steps: Number of batches that the images are in.
        """

    @abc.abstractmethod
    def check(self, steps: int) -> None:
        """Refuses data that it is not for.

        Args:
            steps: Number of batches that the images are in.

        Raises:
            ValueError: If the data is refused.
        """

    @abc.abstractmethod
    def teacher(self, distilled) -> Teacher:
        """A `Teacher` for data of the same shape, which holds this data at first.

        Args:
            distilled: A `DistilledDataset` with such a recipe.
        """

    @abc.abstractmethod
    def fit(self, model: keras.Model, distilled, verbose: int) -> None:
        """Trains a model by `keras.Model.fit`, and nothing else.

        Args:
            model: A built model.
            distilled: The `DistilledDataset`.
            verbose: Same as for `keras.Model.fit`.
        """

    @abc.abstractmethod
    def describe(self, shape: tuple[int, ...]) -> str:
        """In words, without a full stop.

        Args:
            shape: Of the images, `[steps, batch, *image_shape]`.
        """

    def kept(self, changes: Mapping) -> dict:
        """What a copy of the data keeps of it, as arguments of `DistilledDataset`.

        Args:
            changes: Arguments that are others in the copy, by name.
        """
        if "recipe" in changes:
            return {}
        if not {"learning_rates", "inner_optimizer", "hyperparameters"} & {*changes}:
            return {"recipe": self}
        others = dict(self.hyperparameters)
        rates = others.pop("learning_rate", None)
        if "learning_rate" in (changes.get("hyperparameters") or {}):
            rates = None  # which are given there
        return {
            "learning_rates": rates,
            # Ordinary training's Adam has a smaller epsilon than that of steps.
            "inner_optimizer": self.inner_optimizer if self.is_ordered else "adam",
            "hyperparameters": others,
        }

    def draws(self, num_images: int) -> bool:
        """Whether two networks with the same start learn differently.

        Args:
            num_images: Number of all images.
        """
        del num_images
        return not self.is_ordered

    def columns(self) -> dict[str, np.ndarray]:
        """Learned numbers, float32 `[epochs, steps]`, by their names in files.

        Raises:
            ValueError: If files call something else by one of the names.
        """
        return {}

    def to_config(self) -> dict:
        """Everything else, as JSON."""
        return {"kind": self.kind}


def compile_for(
    distilled, model: keras.Model, optimizer: Callable[[], keras.optimizers.Optimizer]
) -> None:
    """Compiles a model for the `fit` of a recipe, under the model's own strategy.

    Args:
        distilled: The `DistilledDataset`.
        model: A built model.
        optimizer: Makes the optimizer.
    """
    with model.distribute_strategy.scope():
        model.compile(
            half_precision.for_weights(optimizer(), model.trainable_variables),
            distilled.objective.keras_loss(),
            jit_compile=False,
            # Scaling would leave updates out, and they are counted.
            auto_scale_loss=False,
        )
