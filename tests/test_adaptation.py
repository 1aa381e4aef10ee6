"""Few-shot domain adaptation, on digits that are moved."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import tfdistill
from tfdistill import adaptation, students
from tfdistill.studies import pretraining


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


def pretrained(digits, student, epochs, learning_rate, **options):
    (model,) = pretraining.pretrain(
        lambda: students.build(student, digits.image_shape, 10),
        digits,
        [0],
        pretraining.Recipe(epochs=epochs, learning_rate=learning_rate),
        verbose=0,
        **options,
    )
    return model


@pytest.mark.slow
def test_fada_beats_no_adaptation_on_images_it_has_not_seen(digits):
    model = pretrained(digits, "mlp", 10, 0.003, batch_size=64)
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


def test_confusion_makes_the_domains_hard_to_tell(digits):
    """By a classifier of its own, which sees the logits of both."""
    moved = np.roll(digits.train.images, 1, axis=2), digits.train.labels
    shots, labels = tfdistill.from_arrays(moved, moved).train.sample(10)
    source, _ = digits.train.sample(10)
    known, told = pretrained(digits, "linear", 5, 0.01), []
    for gamma in (0.0, 2.0):
        model = keras.models.clone_model(known)
        model.set_weights(known.get_weights())
        few = {"rounds": 100, "discriminator_steps": 100, "gamma": gamma}
        adaptation.fada(model, digits.train, shots, labels, **few)
        logits = np.concatenate([model(source), model(shots)])
        domains = np.repeat([0, 1], 100)
        probe = LogisticRegression(max_iter=2000).fit(logits, domains)
        told.append(probe.score(logits, domains))
    assert told[1] < told[0] - 0.03


def test_adapted_students_take_the_sets_in_turn(digits, tmp_path):
    paths = [tmp_path / f"{name}.keras" for name in "abc"]
    for path in paths:
        students.build("linear", digits.image_shape, 10).save(path)
    start = tfdistill.PretrainedWeights(
        tfdistill.Pool.of_files(map(str, paths[:1]), map(str, paths[1:]))
    )
    good = tfdistill.baselines.random_real(digits, steps=1)
    bad = good.replace(labels=np.broadcast_to(np.eye(10)[0], good.labels.shape))
    few = {"rounds": 1, "discriminator_steps": 0, "pairs": 2}
    found = adaptation.adapted("linear", start, digits.train, [good, bad], 2, **few)
    next(found)
    with pytest.raises(ValueError, match="at least two classes"):
        next(found)
    wide = tfdistill.Normalization((0.0,), (3.0,), digits.normalization.scale)
    both = [good, good.replace(normalization=wide)]
    with pytest.raises(ValueError, match="have the same normalization"):
        next(adaptation.adapted("linear", start, digits.train, both, 2, **few))
    with pytest.raises(ValueError, match="num_students must be an integer of at"):
        next(adaptation.adapted("linear", start, digits.train, [good], 0, **few))


def test_students_of_neighbouring_seeds_share_no_draws(digits, tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{name}.keras") for name in "abc"]
    for path in paths:
        students.build("linear", digits.image_shape, 10).save(path)
    pool = tfdistill.Pool.of_files(paths[:1], paths[1:])
    start = tfdistill.PretrainedWeights(pool)
    sets = [tfdistill.baselines.random_real(digits, steps=1)]
    monkeypatch.setattr(adaptation, "fada", lambda *given, seed: seed)
    one, other = (
        [*adaptation.adapted("linear", start, digits.train, sets, 2, seed=seed)]
        for seed in (0, 1)
    )
    assert one[0] == 0 and other[0] == 1  # as `fada` alone
    assert len({*one, *other}) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": np.zeros((20, 7, 8, 1))}, r"\[20, 8, 8, 1\]"),
        ({"labels": np.zeros(20, int)}, "two classes"),
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"gamma": -1.0}, "gamma must be at least 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_bad_arguments(change, says, digits):
    images, labels = digits.train.sample(2)
    arguments = {"images": images, "labels": labels, **change}
    model = students.build("linear", digits.image_shape, 10)
    with pytest.raises(ValueError, match=says):
        adaptation.fada(model, digits.train, **arguments)
