"""The network that learned from the real data: a yardstick, and a teacher."""

import functools
import os

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill.data import fingerprints
from tfdistill.data.dataset import Dataset
from tfdistill.evaluation import networks
from tfdistill.inner.stateless import in_precision
from tfdistill.runs import files
from tfdistill.studies import pretraining
from tfdistill.weights import pool as pools

_BATCH_SIZE, _EPOCHS = 256, 5
# In the folder of its pool: how it was trained, and what its accuracy is of.
_TRAINED = "teacher.json"


class Teacher:
    """A network that learned from all real training images.

    Args:
        name: The architecture, same as for `students.get`.
        dataset: The real data.
        epochs: Passes over them.
        seed: Random seed.
        folder: A pool that holds it, or will; None for none.

    Raises:
        ValueError: If the pool is damaged, or its network of another architecture, data
            set, number of epochs or seed.
    """

    def __init__(
        self, name: str, dataset: Dataset, epochs: int, seed: int, folder: str | None
    ):
        if folder and os.path.isfile(os.path.join(folder, pools.MANIFEST)):
            pool = pools.Pool.load(folder)
            _check(pool, folder, name, dataset, epochs, seed)
            make_model = _maker(name, dataset)
            self._model = make_model()
            (values, *_) = pool.values(pool.members[:1], make_model)
            students.assign(self._model, values)
            self.accuracy = float(pool.members[0].accuracy or 0)
            return
        self._model = pretrained(name, dataset, epochs, seed)
        (self.accuracy,) = pretraining.accuracies([self._model], dataset.test)
        if folder:
            self._save(folder, name, dataset, epochs, seed)

    def _save(self, folder, name, dataset, epochs, seed):
        path = os.path.join(folder, "student-0000.weights.h5")
        with files.replacing(path) as temporary:
            self._model.save_weights(temporary)
        member = pools.Member(path, files.sha256(path), self.accuracy)
        text = pools.manifest(
            folder,
            [member],
            0,
            student=students.name_of(name),
            dataset=dataset.name,
            normalization=dataset.normalization,
            num_classes=dataset.num_classes,
        )
        trained = _trained(name, dataset, epochs, seed)
        files.write_json(os.path.join(folder, _TRAINED), trained)
        files.write_text(os.path.join(folder, pools.MANIFEST), text)

    def labels(self, images: np.ndarray) -> np.ndarray:
        """Its probabilities.

        Args:
            images: float `[..., H, W, C]`, normalised.

        Returns:
            float32 `[..., classes]`.
        """
        flat = images.reshape(-1, *images.shape[-3:])
        parts = [flat[k : k + 500] for k in range(0, len(flat), 500)]
        logits = [in_precision(self._model(x, training=False), x) for x in parts]
        found = tf.nn.softmax(tf.concat(logits, 0)).numpy()
        return found.reshape(*images.shape[:-3], -1)


def pretrained(
    name, dataset: Dataset, epochs: int, seed: int, callbacks=()
) -> keras.Model:
    """A network that learns from all real training images.

    Args:
        name, dataset, epochs, seed: Same as for `Teacher`.
        callbacks: Same as for `keras.Model.fit`.
    """
    (model,) = pretraining.pretrain(
        _maker(name, dataset),
        dataset,
        [0],
        pretraining.Recipe(epochs, max(1, epochs // 2), 1e-3),
        batch_size=_BATCH_SIZE,
        seed=seed,
        callbacks=callbacks,
        verbose=0,
    )
    return model


def updates_an_epoch(dataset: Dataset) -> int:
    """How many updates of the teacher are a pass over the training images."""
    return pretraining.updates_an_epoch(dataset, _BATCH_SIZE)


def usual_epochs(dataset: Dataset) -> int:
    """Passes over the training images by default: on small data, more."""
    return pretraining.enough_epochs(_EPOCHS, updates_an_epoch(dataset))


def _maker(name, dataset):
    return functools.partial(
        students.build, name, dataset.image_shape, dataset.num_classes
    )


def _trained(name, dataset, epochs, seed):
    parts = dataset.train, dataset.test
    # What a string names is told by the pool.
    told = isinstance(name, str)
    return {
        "networks": "" if told else networks.key(name, dataset),
        "epochs": epochs,
        "seed": seed,
        "images": [fingerprints.of_split(part) for part in parts],
    }


def _check(pool, folder, name, dataset, epochs, seed):
    found = pool.student, pool.dataset, pool.normalization
    wanted = students.name_of(name), dataset.name, dataset.normalization
    if found != wanted:
        raise ValueError(
            f"The pool {folder} holds {found[0]} for {found[1]}, not {wanted[0]} for "
            f"{wanted[1]} in its normalization: choose another folder."
        )
    path = os.path.join(folder, _TRAINED)
    if not os.path.isfile(path):
        return  # a pool of an earlier version
    known = files.read_json(path)
    trained = _trained(name, dataset, epochs, seed)
    other = [key for key, value in trained.items() if known.get(key) != value]
    if other:
        raise ValueError(
            f"The pool {folder} holds a teacher of other {' and '.join(other)}: choose "
            "another folder."
        )
