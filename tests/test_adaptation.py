"""Few-shot domain adaptation, on digits that are moved."""

import numpy as np
import pytest

import tfdistill
from tfdistill import adaptation, students
from tfdistill.studies import pretraining


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


@pytest.mark.slow
def test_fada_beats_no_adaptation_on_images_it_has_not_seen(digits):
    (model,) = pretraining.pretrain(
        lambda: students.build("mlp", digits.image_shape, 10),
        digits,
        [0],
        pretraining.Recipe(epochs=10, learning_rate=0.003),
        batch_size=64,
        verbose=0,
    )
    train, test = (
        (np.roll(split.images, 1, axis=2), split.labels)
        for split in (digits.train, digits.test)
    )
    target = tfdistill.from_arrays(train, test)
    (before,) = pretraining.accuracies([model], target.test)
    adaptation.fada(model, digits.train, *target.train.sample(7), rounds=150)
    (after,) = pretraining.accuracies([model], target.test)
    assert after > before + 0.1
    # The source is not forgotten.
    assert pretraining.accuracies([model], digits.test)[0] > 0.85


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": np.zeros((20, 7, 8, 1))}, r"\[20, 8, 8, 1\]"),
        ({"labels": np.zeros(20, int)}, "two classes"),
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"gamma": -1.0}, "gamma must be at least 0"),
    ],
)
def test_bad_arguments(change, says, digits):
    images, labels = digits.train.sample(2)
    arguments = {"images": images, "labels": labels, **change}
    model = students.build("linear", digits.image_shape, 10)
    with pytest.raises(ValueError, match=says):
        adaptation.fada(model, digits.train, **arguments)
