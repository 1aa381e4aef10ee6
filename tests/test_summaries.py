"""TensorBoard's logs of a run, read back as TensorBoard reads them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import tfdistill


class Closeness(tfdistill.Objective):
    """Somebody's own objective: a headline that is no share and may be negative."""

    name = "closeness"
    headline, higher_is_better = "explained", True
    shares = ("close",)
    metric_names = ("explained", "close")

    def inner_loss(self, labels, outputs):
        return tf.reduce_mean(abs(outputs - labels))

    def meta_loss(self, labels, outputs):
        return self.inner_loss(labels, outputs)

    def metrics(self, labels, outputs):
        errors = tf.square(outputs - labels)
        close = tf.cast(errors < 0.3, outputs.dtype)
        return {
            "explained": 1 - tf.reduce_mean(errors),
            "close": tf.reduce_mean(close),
        }

    def caption(self, label, names):
        return f"{names[label.argmax()]} up"


#: Objectives and image shapes beside classification of pictures.
CASES = {
    "regression": (tfdistill.Regression(), (4, 4, 1)),
    "own objective": (Closeness(), (4, 4, 1)),
    "vectors": (tfdistill.Classification(), (4,)),
}


def learn(case, log_dir):
    """Two epochs of two outer steps; what was learned, from what, and the history."""
    objective, shape = CASES[case]
    rng = np.random.default_rng(0)
    images = rng.standard_normal((64, *shape)).astype("float32")
    targets = images.reshape(64, -1)[:, :2] / 2
    if case == "vectors":
        targets = targets.argmax(1).astype("int32")
    real = tf.data.Dataset.from_tensor_slices((images, targets)).batch(32)
    channels = shape[-1]
    normalization = tfdistill.Normalization((0.0,) * channels, (1.0,) * channels, 1)
    start = tfdistill.DistilledImages(
        rng.standard_normal((3, 2, *shape)),
        np.arange(2),
        2,
        epochs=2,
        inner_optimizer="momentum",
        soft_labels=case == "vectors",
        source=tfdistill.DataSource("plane", normalization, ("pan", "tilt")),
    )

    def student():
        layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
        return keras.Sequential([keras.Input(shape), *layers])

    distiller = tfdistill.Distiller(student, start, objective=objective)
    distiller.compile(keras.optimizers.Adam(0.01), validation_students=2)
    history = distiller.fit(
        real.repeat(),
        steps_per_epoch=2,
        epochs=2,
        validation_data=real,
        callbacks=[tfdistill.RunSummary(log_dir, {"steps": 3})],
        verbose=0,
    )
    return distiller.distilled(), student, real, history


@pytest.fixture(scope="module", params=CASES)
def learned(request, tmp_path_factory):
    """A case's name and log folder, and what `learn` gives."""
    folder = tmp_path_factory.mktemp("logs")
    return request.param, folder, *learn(request.param, folder)


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


def test_any_objective_and_shape_in_tensorboard(learned):
    case, folder, distilled, _, _, history = learned
    headline = distilled.objective.headline
    steps, values = series(folder / "validation", headline)
    assert steps == [2, 4]
    np.testing.assert_allclose(values, history.history[f"val_{headline}"], rtol=1e-5)
    _, pictures = series(folder / "distilled", "distilled images")
    # Each pixel is repeated until an image is 32 pixels high.
    width = 4 * 32 if case == "vectors" else 32
    assert tuple(map(int, pictures[-1][:2])) == (2 * (width + 2), 3 * (32 + 2))
    _, momenta = series(folder / "distilled", "learned momentum")
    assert momenta[-1][:, 2].sum() == distilled.momenta.size
    tags = read(folder / "distilled").summary_metadata
    assert ("label confidence" in tags) == (case == "vectors")


def test_plots_of_any_objective_and_shape(learned, tmp_path):
    case, _, distilled, *_ = learned
    figure = tfdistill.plots.distilled_images(distilled)
    assert len(figure.axes[0].images) == 6
    says = {"regression": "1, 0", "own objective": "pan up", "vectors": "pan 8"}[case]
    assert figure.axes[0].texts[0].get_text().startswith(says)
    tfdistill.plots.save(figure, tmp_path / "distilled.png")
    grid = tfdistill.plots.grid(distilled)
    assert grid.min() >= 0 and grid.max() <= 1


def many(images, class_names=("a", "b")):
    """Distilled data of some images and classes."""
    steps, batch, *shape = images.shape
    labels = np.eye(len(class_names))[np.arange(batch) % len(class_names)]
    return tfdistill.DistilledDataset(
        images,
        np.broadcast_to(labels, (steps, *labels.shape)),
        np.full((1, steps), 0.02),
        normalization=tfdistill.Normalization([0.0] * shape[-1], [1.0] * shape[-1], 1),
        class_names=class_names,
    )


@pytest.mark.parametrize(
    "shape",
    [
        (1, 2000, 1),
        (2000, 1, 1),
        (500,),
        (500, 400, 3),
        (6, 5),
        (6, 5, 4),
        (2, 6, 5, 7),
    ],
)
def test_pictures_of_any_shape_are_bounded(shape):
    images = np.random.default_rng(0).standard_normal((2, 3, *shape))
    distilled = many(images)
    grid = tfdistill.plots.grid(distilled)
    height, width, channels = grid.shape
    assert channels == (3 if len(shape) == 3 and shape[-1] in (3, 4) else 1)
    assert 2 * 34 <= height <= 2 * 258 and 3 * 3 <= width <= 3 * 258
    figure = tfdistill.plots.distilled_images(distilled)
    assert len(figure.axes[0].images) == 6
    for shown in figure.axes[0].images:
        assert max(shown.get_array().shape) <= 256
    assert max(figure.get_size_inches()) < 8


def test_pictures_of_many_steps_and_classes_are_bounded():
    names = [f"class {k}" for k in range(1000)]
    images = np.random.default_rng(0).standard_normal((2, 1000, 4, 4, 1))
    for distilled in (many(images, names), many(images.reshape(2000, 1, 4, 4, 1))):
        for most in (10, 10_000):
            arguments = {"max_steps": most, "max_images": most}
            grid = tfdistill.plots.grid(distilled, **arguments)
            assert grid.size <= 4_000_000
    figure = tfdistill.plots.distilled_images(many(images, names), max_images=10_000)
    assert len(figure.axes[0].images) == 2 * 40
    figure = tfdistill.plots.label_noise(np.eye(1000) / 1000, names)
    assert max(figure.get_size_inches()) < 30


def test_a_grid_shows_all_images_of_ordinary_training():
    images = np.linspace(0, 1, 20).reshape(1, 20, 1, 1, 1)
    data = many(np.broadcast_to(images, (1, 20, 8, 8, 1)))
    data = data.replace(recipe=tfdistill.OrdinaryTraining())
    grid = tfdistill.plots.grid(data)
    assert grid.shape == (10 * 34, 2 * 34, 1)
    np.testing.assert_allclose(grid[17::34, 17::34].ravel(), images.ravel(), rtol=1e-6)
    assert tfdistill.plots.grid(data, max_steps=3).shape == (3 * 34, 2 * 34, 1)


def test_large_images_are_averaged_and_small_ones_repeated():
    image = np.indices((300, 300)).sum(0) % 2 * 2.0  # a fine chequered pattern
    image[:, 150:] = 0
    shown = tfdistill.plots.grid(many(image[None, None, :, :, None]))
    assert shown.shape == (152, 152, 1)
    np.testing.assert_allclose(shown[1:-1, 1:76], 0.5)
    np.testing.assert_allclose(shown[1:-1, 76:-1], 0)


def test_long_captions_are_shortened():
    names = ["$" + "a very long name of a class " * 9, "b"]
    images = np.random.default_rng(0).standard_normal((1, 1, 4, 4, 1))
    figure = tfdistill.plots.distilled_images(many(images, names))
    lines = figure.axes[0].texts[0].get_text().split("\n")
    assert len(lines) == 3 and max(map(len, lines)) <= 16
    figure.canvas.draw()


@pytest.mark.parametrize("name", ["max_steps", "max_images"])
@pytest.mark.parametrize("draw", ["grid", "distilled_images"])
def test_pictures_need_room_for_one_image(draw, name):
    distilled = many(np.zeros((1, 1, 4, 4, 1)))
    with pytest.raises(ValueError, match=name):
        getattr(tfdistill.plots, draw)(distilled, **{name: 0})


def test_curves_of_any_figure():
    draw = tfdistill.plots.accuracy_curve
    (axis,) = draw([0, 5], [0.1, 0.8], [0.05, 0.02], baseline=0.6).axes
    assert axis.get_ylabel() == "validation accuracy of fresh students (%)"
    assert axis.get_ylim() == (0, 100)
    np.testing.assert_allclose(axis.get_lines()[0].get_ydata(), [10, 80])
    np.testing.assert_allclose(axis.get_lines()[1].get_ydata(), [60, 60])
    error = dict(figure_name="squared_error", is_share=False, higher_is_better=False)
    (axis,) = draw([0, 5], [3.0, 0.2], baseline=0.1, **error).axes
    assert axis.get_ylabel() == "validation squared error of fresh students"
    assert axis.get_ylim()[0] == 0 and axis.get_ylim()[1] < 5
    (axis,) = draw([0, 5], [np.nan, -2.0], [np.nan, 0.5], **error).axes
    assert axis.get_ylim()[0] < -2
    with pytest.raises(ValueError, match="at least one step"):
        draw([], [], [])
