"""TensorBoard's logs of a run, read back as TensorBoard reads them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import tfdistill


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Two epochs of three outer steps, with soft labels, and a test."""
    folder = tmp_path_factory.mktemp("logs")
    digits = tfdistill.load_dataset("digits").hold_out(0.1)
    images = tfdistill.DistilledImages.from_real(
        digits, steps=2, epochs=2, soft_labels=True
    )
    distiller = tfdistill.Distiller(tfdistill.students.linear, images)
    distiller.compile(keras.optimizers.Adam(0.01))
    summary = tfdistill.RunSummary(folder, {"rate": 0.02, "student": "linear"}, "mine")
    validation = digits.validation.batch(200)
    history = distiller.fit(
        digits.train.batch(64, repeat=True),
        steps_per_epoch=3,
        epochs=2,
        validation_data=validation,
        callbacks=[summary],
        verbose=0,
    )
    result = distiller.test(validation, 2)
    summary.add_tests({"distilled images": result, "before": result}, step=6)
    return folder, history.history, distiller.distilled(), result


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    return events.Reload()


def series(folder, tag):
    found = read(folder).Tensors(tag)
    return [e.step for e in found], [tf.make_ndarray(e.tensor_proto) for e in found]


def test_scalars_are_against_outer_steps(logs):
    folder, history, _, result = logs
    for part, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            steps, values = series(folder / part, name)
            assert steps == [3, 6]
            np.testing.assert_allclose(values, history[prefix + name], rtol=1e-5)
    for part in ("test", "test, before"):
        steps, values = series(folder / part, "accuracy")
        assert steps == [6] and values == [pytest.approx(result.accuracy_mean)]


def test_images_and_rates(logs):
    folder, _, distilled, _ = logs
    steps, pictures = series(folder / "distilled", "distilled images")
    assert steps == [3, 6]
    width, height, png = pictures[-1]
    assert (int(width), int(height)) == (10 * 34, 2 * 34)
    shown = tf.io.decode_png(png).numpy() / 255
    image = distilled.normalization.displayable(distilled.images)[1, 3]
    # The second row, the fourth column; each pixel is repeated four times.
    cell = shown[34 + 1 : 68 - 1 : 4, 3 * 34 + 1 : 4 * 34 - 1 : 4]
    np.testing.assert_allclose(cell, image, atol=0.01)
    rates = distilled.learning_rates
    _, histograms = series(folder / "distilled", "learned rates")
    assert histograms[-1][0, 0] == pytest.approx(rates.min())
    assert histograms[-1][:, 2].sum() == rates.size
    _, means = series(folder / "distilled", "learned rates/epoch 2")
    assert means[-1] == pytest.approx(rates[1].mean())
    _, confidence = series(folder / "distilled", "label confidence")
    assert confidence[-1] == pytest.approx(distilled.labels.max(-1).mean())


def test_hyperparameters(logs):
    folder, *_ = logs
    tags = read(folder).summary_metadata
    content = tags["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.group_name == "mine"
    assert start.hparams["rate"].number_value == 0.02
    assert start.hparams["student"].string_value == "linear"
    content = tags["_hparams_/experiment"].plugin_data.content
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content).experiment
    # Each metric that is to be compared is a scalar that is there.
    for metric in experiment.metric_infos:
        assert series(folder / metric.name.group, metric.name.tag)[0]
