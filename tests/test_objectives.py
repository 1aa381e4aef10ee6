"""What students are judged on."""

import numpy as np
import pytest
import tensorflow as tf

from tfdistill import Attack, Classification


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


@pytest.mark.parametrize("classes", [(1, 1), (-1, 0), (0, -2)])
def test_attacks_need_two_classes(classes):
    with pytest.raises(ValueError, match="two different classes"):
        Attack(*classes)
