"""What students are judged on."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import Attack, Classification, LeastSquares, Regression


def test_an_attack_judges_by_modified_labels():
    attack, plain = Attack(0, 1), Classification()
    labels = tf.constant([0, 1, 2, 0])
    outputs = tf.random.stateless_normal([4, 3], [1, 2])
    np.testing.assert_allclose(
        attack.meta_loss(labels, outputs),
        plain.meta_loss(tf.constant([1, 1, 2, 1]), outputs),
    )
    # What students are taught by stays true.
    soft = tf.one_hot(labels, 3)
    np.testing.assert_allclose(
        attack.inner_loss(soft, outputs), plain.inner_loss(soft, outputs)
    )


def test_the_metrics_of_an_attack():
    labels = tf.constant([0, 0, 1, 2])
    outputs = tf.one_hot([1, 0, 1, 0], 3)
    metrics = Attack(0, 1).metrics(labels, outputs)
    assert metrics["accuracy"] == 0.5
    assert metrics["modified_accuracy"] == 0.5
    assert set(metrics) == set(Attack.metric_names)


def test_the_figures_of_an_attack():
    confusion = np.array([[[2, 6, 0], [0, 4, 0], [1, 0, 3]]])
    figures = Attack(0, 1).figures({"confusion": confusion}, 16)
    assert figures["accuracy"] == 9 / 16
    assert figures["modified_accuracy"] == 13 / 16
    assert figures["attacked"] == 6 / 8


@pytest.mark.parametrize("classes", [(1, 1), (-1, 0), (0, -2), (True, 0)])
def test_attacks_need_two_classes(classes):
    with pytest.raises(ValueError, match="two different classes"):
        Attack(*classes)


def test_attacks_are_on_classes_that_there_are():
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.DistilledImages.from_real(digits, steps=1)
    batches = digits.train.batch(64)
    for attack in (Attack(20, 0), Attack(0, 20)):
        distiller = tfdistill.Distiller("linear", images, objective=attack)
        distiller.compile()
        with pytest.raises(ValueError, match="classes from 0 to 9, not 20"):
            distiller.fit(batches)
        with pytest.raises(ValueError, match="classes from 0 to 9, not 20"):
            distiller.evaluate(batches)


@pytest.mark.parametrize(
    ("labels", "outputs", "way_out"),
    [
        (np.zeros(4), 1, r"labels\[:, None\]"),
        (np.zeros(10, int), 10, "one-hot"),
        (np.zeros((4, 2)), 1, r"not \[4, 2\]"),
    ],
)
def test_labels_that_would_broadcast_are_refused(labels, outputs, way_out):
    with pytest.raises(ValueError, match=way_out):
        Regression().check_real(labels, outputs)
    Regression().check_real(np.zeros((4, outputs)), outputs)


def test_a_model_is_not_tested_on_labels_that_would_broadcast():
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    images = np.random.default_rng(0).normal(size=(6, 2, 2, 1)).astype("float32")
    labels = np.asarray(model(images))
    with pytest.raises(ValueError, match=r"labels\[:, None\]"):
        tfdistill.evaluate_model(
            model, [(images, labels[:, 0])], objective=Regression()
        )
    result = tfdistill.evaluate_model(model, [(images, labels)], objective=Regression())
    assert result.mean() == 0


def test_least_squares_may_be_judged_by_cross_entropy():
    labels, outputs = tf.constant([0, 2]), tf.constant([[3.0, 0, 0], [0, 1, 2.0]])
    by_entropy, plain = LeastSquares("cross_entropy"), LeastSquares()
    np.testing.assert_allclose(
        by_entropy.meta_loss(labels, outputs),
        Classification().meta_loss(labels, outputs),
    )
    soft = tf.one_hot(labels, 3) - 1 / 3
    np.testing.assert_allclose(
        by_entropy.inner_loss(soft, outputs), plain.inner_loss(soft, outputs)
    )
    with pytest.raises(ValueError, match="squared_distance"):
        LeastSquares("accuracy")


def test_a_file_keeps_by_what_its_students_are_judged(tmp_path):
    """Probabilities are those of logits, not of outputs that differ by 1 at most."""
    judged = {}
    for by in ("squared_distance", "cross_entropy"):
        made = tfdistill.DistilledDataset(
            np.random.default_rng(0).normal(size=(1, 3, 4, 4, 1)).astype("float32"),
            np.eye(3, dtype="float32")[None] - 1 / 3,
            recipe=tfdistill.OrdinaryTraining(updates=2),
            objective=LeastSquares(by),
            class_names=["a", "b", "c"],
            normalization=tfdistill.Normalization((0.0,), (1.0,)),
        )
        made.save(str(tmp_path / by))
        for _ in range(2):  # as it is, and from a file that was read and written
            made = tfdistill.DistilledDataset.load(str(tmp_path / by))
            assert made.objective.judged_by == by
            made.save(str(tmp_path / by), overwrite=True)
        keras.utils.set_random_seed(0)
        model = tfdistill.students.linear((4, 4, 1), 3)
        served = made.serving_model(model, probabilities=True)
        judged[by] = np.asarray(served(np.full((1, 4, 4, 1), 200.0)))
    assert judged["squared_distance"].max() > judged["cross_entropy"].max() + 0.01


def test_a_file_with_options_that_its_objective_lacks_is_refused(tmp_path):
    made = tfdistill.load_distilled("digits/10")
    made.save(str(tmp_path / "made"))
    path = tmp_path / "made" / "tfdistill.json"
    content = json.loads(path.read_text())
    for options in ({"judged_by": "luck"}, {"other": 1}):
        content["objective_options"] = options
        content["sha256"].pop("tfdistill.json", None)
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="judged_by must be|no such options"):
            tfdistill.DistilledDataset.load(str(tmp_path / "made"))


class Smoothed(Classification):
    name = "smoothed"
    options = {"classes": np.int64(10), "by": np.float32(0.5)}


def test_options_may_be_numbers_of_numpy(tmp_path):
    digits = tfdistill.load_dataset("digits")
    made = tfdistill.baselines.random_real(digits, steps=1)
    made = made.replace(objective=Smoothed())
    made.save(tmp_path / "made")
    content = json.loads((tmp_path / "made" / "tfdistill.json").read_text())
    assert content["objective_options"] == {"classes": 10, "by": 0.5}
    made.to_npz(tmp_path / "made.npz")
    words = np.load(tmp_path / "made.npz")["objective_options"]
    assert json.loads(str(words)) == content["objective_options"]


class FirstTwo(Classification):
    """Also measures whether the class is one of the two most likely."""

    headline = "top2"
    shares = metric_names = ("accuracy", "top2")

    def metrics(self, labels, outputs):
        hits = tf.cast(tf.math.in_top_k(labels, outputs, 2), outputs.dtype)
        return {**super().metrics(labels, outputs), "top2": tf.reduce_mean(hits)}


def test_metrics_that_a_subclass_adds_are_tested():
    images = np.random.default_rng(0).normal(size=(7, 2, 2, 1)).astype("float32")
    labels = np.arange(7, dtype="int32") % 3
    model = tfdistill.students.linear((2, 2, 1), 3)
    batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    result = tfdistill.evaluate_model(model, batches, objective=FirstTwo())
    metrics = FirstTwo().metrics(tf.constant(labels), model(images))
    assert result.mean() == pytest.approx(float(metrics["top2"]))
    assert result.accuracy_mean == pytest.approx(float(metrics["accuracy"]))
    assert 0 < result.accuracy_mean < result.mean() < 1
    attacked = Attack(0, 1).totals(tf.constant(labels), model(images))
    assert list(attacked) == ["confusion"]


@pytest.mark.parametrize("objective", ["least_squares", LeastSquares("cross_entropy")])
def test_least_squares_teaches_what_it_judges_by(objective):
    digits = tfdistill.load_dataset("digits")
    make = tfdistill.DistilledImages.from_real
    for images in (
        make(digits, steps=1),
        make(digits, steps=1, soft_labels=True),
        tfdistill.RealBatches(digits, steps=1, batch_size=4),
        tfdistill.Generator.of(digits, steps=1, batch_size=10),
    ):
        with pytest.raises(ValueError, match="with centred_labels=True, or"):
            tfdistill.Distiller("linear", images, objective=objective)
    images = make(digits, steps=1, centred_labels=True)
    tfdistill.Distiller("linear", images, objective=objective)


def test_fresh_students_learn_by_no_objective_that_labels_are_not_for():
    digits = tfdistill.load_dataset("digits")
    one_hot = tfdistill.baselines.random_real(digits, steps=1)
    centred = one_hot.replace(
        recipe=tfdistill.OrdinaryTraining(updates=2),
        labels=one_hot.labels - 0.1,
        objective=LeastSquares(),
    )
    for data, objective, says in (
        (centred, Classification(), "labels must be distributions"),
        (centred, Attack(0, 1), "labels must be distributions"),
        (one_hot, LeastSquares(), "labels must be centred"),
    ):
        with pytest.raises(ValueError, match=says):
            tfdistill.evaluate(data, "linear", digits.test, 1, objective=objective)
    for data, objective in (
        (centred, LeastSquares("cross_entropy")),
        (one_hot, Attack(0, 1)),
        # Of an earlier version, which took them.
        (one_hot.replace(objective=LeastSquares()), LeastSquares()),
    ):
        tfdistill.evaluate(data, "linear", digits.test, 1, objective=objective)


@pytest.mark.parametrize("objective", [Regression(), LeastSquares()])
def test_models_regress_by_the_same_loss(objective):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(loss=objective.keras_loss())
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    expected = np.square(model(rows) - labels).sum(1).mean() / 2
    found = model.evaluate(rows, labels, batch_size=4, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
    inner = objective.inner_loss(tf.constant(labels), model(rows))
    assert float(inner) == pytest.approx(expected, rel=1e-5)
