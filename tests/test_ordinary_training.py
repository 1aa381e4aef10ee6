"""Ordinary training: random changes, the recipe, and its way into files and out."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill._internal.seeds import key_of
from tfdistill.evaluation import fresh_students
from tfdistill.testing import measures

SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


@pytest.fixture(scope="module")
def data(digits):
    """A hundred real images, to be trained on in the ordinary way."""
    real = tfdistill.baselines.random_real(digits, images_per_class=10, steps=1)
    recipe = tfdistill.OrdinaryTraining(
        updates=200,
        learning_rate=3e-3,
        batch_size=32,
        changes=tfdistill.RandomChanges(shift=0.1, rotation=0.03),
    )
    return real.replace(recipe=recipe)


def random_images(count=40, side=12, channels=3):
    shape = (count, side, side, channels)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_no_changes_change_nothing():
    images = random_images()
    change = tfdistill.RandomChanges()
    assert change.changes_nothing and change.to_config() == {}
    np.testing.assert_array_equal(change(images, SEED), images)


def test_flips_mirror_about_half():
    images = random_images()
    found = tfdistill.RandomChanges(flip=True)(images, SEED).numpy()
    same = np.isclose(found, images, atol=1e-4).all((1, 2, 3))
    mirrored = np.isclose(found, images[:, :, ::-1], atol=1e-4).all((1, 2, 3))
    assert (same ^ mirrored).all() and 8 < same.sum() < 32


@pytest.mark.parametrize("kind", ["shift", "rotation", "zoom"])
def test_movements_are_those_of_keras(kind):
    """The middle of a bright square moves as far as under Keras's layer."""
    images = np.zeros((1000, 21, 21, 1), "float32")
    images[:, 2:7, 4:11] = 1.0
    size = {"shift": 0.2, "rotation": 0.1, "zoom": 0.3}[kind]
    layer = {
        "shift": lambda: keras.layers.RandomTranslation(size, size, "nearest", seed=1),
        "rotation": lambda: keras.layers.RandomRotation(size, "nearest", seed=1),
        "zoom": lambda: keras.layers.RandomZoom(size, fill_mode="nearest", seed=1),
    }[kind]()
    ours = tfdistill.RandomChanges(**{kind: size})(images, SEED).numpy()
    keras_own = np.asarray(layer(images, training=True))

    def middles(pictures):
        rows, columns = np.mgrid[:21, :21]
        mass = pictures[..., 0].sum((1, 2))
        return [
            (pictures[..., 0] * axis).sum((1, 2)) / mass for axis in (rows, columns)
        ]

    for a, b in zip(middles(ours), middles(keras_own)):
        assert abs(a.mean() - b.mean()) < 0.3 and abs(a.std() / b.std() - 1) < 0.15


def test_a_cutout_is_a_square_of_zeros():
    images = np.ones((50, 12, 12, 3), "float32")
    found = tfdistill.RandomChanges(cutout=0.5)(images, SEED).numpy()
    assert set(np.unique(found)) == {0.0, 1.0}
    areas = (found[..., 0] == 0).sum((1, 2))
    assert areas.max() <= 36 and areas.min() >= 4 and areas.std() > 0


def test_colours_change_and_shapes_stay():
    images = random_images()
    found = tfdistill.RandomChanges(colour=0.5)(images, SEED).numpy()
    correlations = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, images)
    ]
    assert found.shape == images.shape and 0.5 < min(correlations) < 0.999


def test_a_cutout_is_of_zeros_whatever_the_colours():
    images = random_images()
    tinted = tfdistill.RandomChanges(colour=0.5)(images, SEED).numpy()
    cut = tfdistill.RandomChanges(cutout=0.5)(images, SEED).numpy() == 0
    both = tfdistill.RandomChanges(cutout=0.5, colour=0.5)(images, SEED).numpy()
    np.testing.assert_array_equal(both, np.where(cut, 0, tinted))


def test_a_whole_batch_changes_alike():
    images = np.repeat(random_images(1), 6, axis=0)
    options = {"shift": 0.2, "rotation": 0.1, "cutout": 0.3, "colour": 0.5}
    alike = tfdistill.RandomChanges(**options, whole_batch=True)(images, SEED).numpy()
    other = tfdistill.RandomChanges(**options)(images, SEED).numpy()
    np.testing.assert_allclose(alike, np.repeat(alike[:1], 6, axis=0), atol=1e-6)
    assert np.abs(other - other[:1]).max() > 0.1


@pytest.mark.parametrize("drawn", [0.0, -0.5])
def test_an_image_is_mirrored_or_not_whatever_is_drawn(monkeypatch, drawn):
    """A draw of 0 is no side: it made each row one colour."""
    images = random_images()

    def draw(shape, seed, low, high):
        return tf.fill(shape, drawn * high)

    monkeypatch.setattr(tf.random, "stateless_uniform", draw)
    found = tfdistill.RandomChanges(flip=True)(images, SEED).numpy()
    expected = images[:, :, ::-1] if drawn < 0 else images
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_changes_are_a_function_of_their_seed_and_differentiable():
    change = tfdistill.RandomChanges(
        shift=0.1, rotation=0.1, zoom=0.2, flip=True, cutout=0.3, colour=0.4
    )
    images = tf.Variable(random_images(3, 6).astype("float64"))
    towards = np.random.default_rng(1).normal(size=images.shape)

    def function():
        changed = tf.cast(change(images.value(), SEED), tf.float64)
        return tf.reduce_sum(changed * towards)

    with tf.GradientTape() as tape:
        value = function()
    gradient = tape.gradient(value, images)
    measures.check_derivatives(function, [images], [gradient], names=["images"])
    # XLA draws other floats.
    compiled = tf.function(lambda: change(images.value(), SEED), jit_compile=True)()
    assert compiled.shape == images.shape and np.isfinite(compiled).all()


@pytest.mark.parametrize(
    "options",
    [{"shift": 2}, {"rotation": -0.1}, {"zoom": 1.0}, {"flip": 1}, {"colour": "much"}],
)
def test_changes_have_bounds(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        tfdistill.RandomChanges(**options)


@pytest.mark.parametrize(
    "options", [{"updates": 0}, {"learning_rate": 0}, {"batch_size": 0}, {"changes": 1}]
)
def test_recipes_have_bounds(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        tfdistill.OrdinaryTraining(**options)


def test_every_image_is_seen_equally_often(data):
    teacher = data.recipe.teacher(
        data.replace(recipe=tfdistill.OrdinaryTraining(updates=100, batch_size=32))
    )
    curriculum = teacher.curriculum(SEED)
    first = curriculum.batch(tf.constant(0)).images
    flat = data.images.reshape(100, -1)
    seen = np.zeros(100, int)
    for t in range(25):
        batch = curriculum.batch(tf.constant(t))
        rows = np.asarray(batch.images).reshape(32, -1)
        found = [int(np.abs(flat - row).sum(1).argmin()) for row in rows]
        labels = data.labels.reshape(100, -1)[found]
        np.testing.assert_array_equal(batch.labels, labels)
        seen += np.bincount(found, minlength=100)
    assert (seen == 8).all()
    other = teacher.curriculum(SEED + 1).batch(tf.constant(0)).images
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("t", [0, 3])
def test_a_batch_is_the_same_in_any_graph(data, t, grappler):
    """Grappler breaks what is gathered from a stack of equal orders, at a known t."""
    curriculum = data.recipe.teacher(data).curriculum(SEED)
    in_graph = tf.function(lambda: curriculum.batch(tf.constant(t)).images)()
    alone = curriculum.batch(tf.constant(t)).images
    np.testing.assert_allclose(in_graph, alone, atol=1e-5)


def test_passes_and_updates_have_draws_of_their_own(data):
    changes = tfdistill.RandomChanges(shift=0.2)
    orders, changed = (
        tfdistill.OrdinaryTraining(updates=20, batch_size=size, changes=change)
        for size, change in ((50, tfdistill.RandomChanges()), (100, changes))
    )
    for recipe in (orders, changed):
        curriculum = recipe.teacher(data.replace(recipe=recipe)).curriculum(SEED)
        # Two batches are a pass in one case, and the images change alone in the other.
        seen = {
            np.asarray(curriculum.batch(tf.constant(t)).images).tobytes()
            for t in range(10)
        }
        assert len(seen) == 10


def test_xla_trains_networks_where_there_is_a_gpu(data, digits, monkeypatch):
    recipes = {
        "all": tfdistill.OrdinaryTraining(updates=50, batch_size=100),
        "some, changed": dataclasses.replace(data.recipe, updates=50),
    }
    found = {}
    for gpu in (False, True):
        monkeypatch.setattr(fresh_students, "accelerated", lambda gpu=gpu: gpu)
        for name, recipe in recipes.items():
            made = data.replace(recipe=recipe)
            assert fresh_students.by_xla(recipe) is gpu
            found[name, gpu] = tfdistill.evaluate(
                made, "linear", digits.test, num_students=3
            )
    assert not fresh_students.by_xla(None) and not fresh_students.by_xla(
        tfdistill.baselines.random_real(digits, steps=1).recipe
    )
    steps = tfdistill.baselines.random_real(digits, steps=2)
    a, b = (
        tfdistill.evaluate(steps, "linear", digits.test, 2, jit_compile=jit)
        for jit in (True, False)
    )
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-4)
    # The same starts; XLA draws other changes, and another order where a number of the
    # seed is negative.
    a, b = (found["all", gpu] for gpu in (False, True))
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-4)
    a, b = (found["some, changed", gpu] for gpu in (False, True))
    assert not np.array_equal(a.losses, b.losses)
    np.testing.assert_allclose(a.accuracy_mean, b.accuracy_mean, atol=0.1)


def test_the_rate_falls_to_zero(data):
    curriculum = data.recipe.teacher(data).curriculum(SEED)
    rates = [
        float(curriculum.batch(tf.constant(t)).learning_rate) for t in (0, 100, 199)
    ]
    np.testing.assert_allclose(rates, [3e-3, 1.5e-3, 0], atol=1e-6)


def test_keras_and_the_loop_train_alike(data, digits):
    def student():
        return tfdistill.students.mlp(digits.image_shape)

    keras.utils.set_random_seed(0)
    loop = tfdistill.evaluate(data, "mlp", digits.test, 4).mean()
    fitted = [
        tfdistill.evaluate_model(data.train(student()), digits.test).mean()
        for _ in range(2)
    ]
    assert abs(np.mean(fitted) - loop) < 0.025


ELSEWHERE = """
import glob, json, sys
import keras, numpy as np, tensorflow as tf
folder, test = sys.argv[1:]
card = json.load(open(f"{folder}/tfdistill.json"))
recipe = card["recipe"]
shape, classes = card["image_shape"], len(card["class_names"])
spec = {
    "image": tf.io.FixedLenFeature(shape, tf.float32),
    "soft_label": tf.io.FixedLenFeature([classes], tf.float32),
}
data = tf.data.TFRecordDataset(glob.glob(f"{folder}/*.tfrecord*"))
data = data.map(lambda r: tf.io.parse_single_example(r, spec))
data = data.map(lambda x: (x["image"], x["soft_label"]))
change = keras.Sequential([
    keras.layers.RandomTranslation(recipe["changes"]["shift"],
                                   recipe["changes"]["shift"], "nearest"),
    keras.layers.RandomRotation(recipe["changes"]["rotation"], "nearest"),
])
batches = data.cache().shuffle(1000).repeat().batch(recipe["batch_size"])
batches = batches.map(lambda x, y: (change(x, training=True), y))
arrays = np.load(test)
scores = []
for seed in range(4):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(),
        keras.layers.Dense(128, "relu"), keras.layers.Dense(128, "relu"),
        keras.layers.Dense(classes)])
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(
            recipe["learning_rate"], recipe["updates"])),
        keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(batches, steps_per_epoch=recipe["updates"], verbose=0)
    said = model.predict(arrays["images"], verbose=0).argmax(1)
    scores.append(float((said == arrays["labels"]).mean()))
assert "tfdistill" not in sys.modules
print(json.dumps(scores))
"""


def test_anybody_trains_on_it_without_tfdistill(data, digits, tmp_path):
    data.save(tmp_path / "data")
    images, labels = next(iter(digits.test.batch(2000)))
    np.savez(tmp_path / "test.npz", images=images, labels=labels)
    command = [
        sys.executable,
        "-c",
        ELSEWHERE,
        tmp_path / "data",
        tmp_path / "test.npz",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores = json.loads(done.stdout.splitlines()[-1])
    own = tfdistill.evaluate(data, "mlp", digits.test, 8).mean()
    assert abs(np.mean(scores) - own) < 0.02


def test_files_hold_the_recipe(data, tmp_path):
    data.save(tmp_path / "data")
    again = tfdistill.DistilledDataset.load(tmp_path / "data")
    assert again.recipe == data.recipe
    assert again.learning_rates is None and again.num_steps == 200
    np.testing.assert_array_equal(again.images, data.images)
    assert "200 updates by Adam at 0.003" in again.recipe.describe(again.images.shape)
    with pytest.raises(ValueError, match=r"has no learned steps.*call train"):
        again.optimizer()


@pytest.mark.parametrize(
    "recipe",
    [
        {"kind": "secret"},
        {"kind": "ordinary", "updates": -1},
        {"kind": "ordinary", "code": "os:abort"},
        {"kind": "ordinary", "changes": {"shift": "far"}},
        {"kind": "ordinary", "changes": {"explode": 1}},
    ],
)
def test_damaged_recipes_are_refused(data, tmp_path, recipe):
    from tfdistill.distilled import tfrecords

    folder = tmp_path / "data"
    data.save(folder)
    path = folder / "tfdistill.json"
    content = json.loads(path.read_text())
    content["recipe"] = recipe
    content["sha256"]["tfdistill.json"] = tfrecords.signature(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="cannot be read"):
        tfdistill.DistilledDataset.load(folder)


def test_a_set_has_one_recipe(data):
    with pytest.raises(ValueError, match="either learning_rates or a recipe"):
        tfdistill.DistilledDataset(
            data.images,
            data.labels,
            normalization=data.normalization,
            class_names=data.class_names,
        )
    learned = data.replace(recipe=None, learning_rates=np.full((2, 1), 0.1))
    assert learned.recipe.is_ordered and learned.num_steps == 2


def test_tuning_chooses_the_rate(data, digits):
    (tuned,) = tfdistill.baselines.tune(
        [data], "linear", digits.validation, num_students=1
    )
    assert tuned.recipe.learning_rate in tfdistill.baselines.TRAINING_RATES
    assert tuned.recipe.changes == data.recipe.changes
    (tuned,) = tfdistill.baselines.tune(
        [data], "linear", digits.validation, num_students=1, rates=(0.5,)
    )
    assert tuned.recipe.learning_rate == 0.5
    for given in ({"epochs": (2,)}, {"learned": np.ones((1, 1))}):
        with pytest.raises(ValueError, match="give rates only"):
            tfdistill.baselines.tune([data], "linear", digits.validation, **given)


@pytest.mark.parametrize("updates", [1, 7, 202, 211])
def test_training_is_one_fit_of_so_many_updates(digits, updates):
    calls = []

    class Counted(keras.Model):
        def fit(self, *args, **kwargs):
            calls.append(kwargs["epochs"])
            return super().fit(*args, **kwargs)

    layers = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    images = keras.Input(digits.image_shape)
    model = Counted(images, layers(images))
    data = tfdistill.baselines.random_real(digits, steps=1)
    data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=updates))
    data.train(model)
    assert int(model.optimizer.iterations) == updates
    assert len(calls) == 1 and updates % calls[0] == 0


def test_numbers_of_numpy_are_kept_as_pythons(tmp_path):
    """JSON, in which they are saved, has no others."""
    digits = tfdistill.load_dataset("digits")
    recipe = tfdistill.OrdinaryTraining(
        updates=np.int64(5),
        learning_rate=np.float32(0.01),
        batch_size=np.int32(7),
        changes=tfdistill.RandomChanges(shift=np.float32(0.1), flip=np.True_),
    )
    data = tfdistill.baselines.random_real(digits, steps=1).replace(recipe=recipe)
    data.save(tmp_path / "distilled")
    assert tfdistill.DistilledDataset.load(tmp_path / "distilled").recipe == recipe


def test_a_model_with_random_changes_is_saved(tmp_path):
    changes = tfdistill.RandomChanges(shift=0.1, flip=True)
    model = keras.Sequential([keras.Input((8, 8, 1)), changes.layer(3)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    np.testing.assert_array_equal(
        again(images, training=True), model(images, training=True)
    )


@pytest.mark.parametrize("global_policy", ["mixed_bfloat16", "float64"], indirect=True)
def test_random_changes_are_the_same_under_any_policy(global_policy):
    changes = tfdistill.RandomChanges(shift=0.1, flip=True, colour=0.5)
    images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    seed = key_of(*tf.unstack(keras.random.SeedGenerator(3).next()))
    layer = changes.layer(3)
    # As files of earlier versions have it.
    old = type(layer).from_config({**layer.get_config(), "dtype": global_policy})
    for each in (layer, old):
        changed = each(images, training=True)
        assert changed.dtype == tf.float32
        np.testing.assert_array_equal(changed, changes(images, seed))


def test_steps_in_place_of_ordinary_training_are_saved_as_they_are(tmp_path):
    """Its Adam has Keras's epsilon, that of learned steps a larger one."""
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=2)
    data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=5))
    steps = data.replace(learning_rates=np.full((1, 2), 0.01))
    steps.save(tmp_path / "distilled")
    loaded = tfdistill.DistilledDataset.load(tmp_path / "distilled")
    epsilons = [vars(d.inner_optimizer)["_epsilon"] for d in (loaded, steps)]
    assert epsilons[0] == epsilons[1]


def test_learned_steps_take_no_adam_that_files_would_not_keep(tmp_path):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=2)
    data.replace(inner_optimizer="adam").save(tmp_path / "set")
    rates = data.recipe.hyperparameters
    own = tfdistill.inner.Adam(epsilon=1e-2)
    for make in (
        lambda adam: tfdistill.DistilledImages.from_real(digits, inner_optimizer=adam),
        lambda adam: data.replace(inner_optimizer=adam),
        lambda adam: tfdistill.LearnedSchedule(adam, rates),
        lambda adam: tfdistill.DistilledDataset.load(
            tmp_path / "set", inner_optimizer=adam
        ),
    ):
        with pytest.raises(ValueError, match="epsilon of 0.0001, not 0.01: files"):
            make(own)
        make(tfdistill.inner.Adam(epsilon=1e-4))


def test_ordinary_sets_are_loaded_for_adam_alone(tmp_path):
    data = tfdistill.baselines.random_real(tfdistill.load_dataset("digits"), steps=1)
    data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=5))
    data.save(tmp_path / "set")
    load = tfdistill.DistilledDataset.load
    loaded = load(tmp_path / "set", inner_optimizer=data.inner_optimizer)
    assert loaded.recipe == data.recipe
    with pytest.raises(ValueError, match="its inner optimizer is 'adam', not 'sgd'"):
        load(tmp_path / "set", inner_optimizer="sgd")


def test_an_evaluator_of_one_recipe_refuses_another():
    digits = tfdistill.load_dataset("digits")
    steps = tfdistill.baselines.random_real(digits, steps=1)
    ordinary = steps.replace(recipe=tfdistill.OrdinaryTraining(updates=2))
    for made_for, given in ((steps, ordinary), (ordinary, steps)):
        with pytest.raises(ValueError, match="make another"):
            tfdistill.Evaluator("linear", made_for)(given, digits.test, 1)


def test_an_evaluator_takes_what_its_graph_is_for(data, digits):
    def recipe(**changed):
        return data.replace(recipe=dataclasses.replace(data.recipe, **changed))

    steps = tfdistill.baselines.random_real(digits, images_per_class=10, steps=1)
    momenta = {"momentum": 0.5 * steps.learning_rates}
    momentum = steps.replace(inner_optimizer="momentum", hyperparameters=momenta)
    fewer = tfdistill.baselines.random_real(digits, images_per_class=9, steps=1)
    for like, taken, refused in (
        (
            data,
            recipe(updates=2, learning_rate=1.0),
            [recipe(batch_size=9), steps, fewer.replace(recipe=data.recipe)],
        ),
        (
            steps,
            steps.replace(learning_rates=np.ones((3, 1))),
            [data, momentum, fewer],
        ),
    ):
        evaluator = tfdistill.Evaluator("linear", like)
        assert evaluator.takes(like) and evaluator.takes(taken)
        assert evaluator(taken, digits.validation, 1).num_students == 1
        for other in refused:
            assert not evaluator.takes(other)
            with pytest.raises(ValueError):
                evaluator(other, digits.validation, 1)


def test_an_evaluator_refuses_sets_that_are_taught_otherwise(data, digits):
    """Others would be taught by the first set's loss, or from its fixed weights."""
    evaluator = tfdistill.Evaluator("linear", data)
    start = tfdistill.students.linear((8, 8, 1), 10).get_weights()
    norm = tfdistill.Normalization((0.1,), (0.2,))
    for changed, says in (
        ({"objective": "least_squares"}, "objective"),
        ({"normalization": norm}, "normalization"),
        ({"initial_weights": start}, "initial weights"),
        ({"class_names": list("abcdefghij")}, None),
    ):
        other = data.replace(**changed)
        assert evaluator.takes(other) == (says is None)
        if says is not None:
            with pytest.raises(ValueError, match=f"same {says}"):
                evaluator([data, other], digits.test, 2)
    fixed = data.replace(initial_weights=start)
    # All start there, where the data is, or where it is said.
    assert tfdistill.Evaluator("linear", fixed).takes(fixed)
    assert tfdistill.Evaluator("linear", fixed).takes(data)
    anywhere = tfdistill.RandomWeights()
    assert tfdistill.Evaluator("linear", data, initial_weights=anywhere).takes(fixed)


@pytest.mark.parametrize("objective", ["classification", "least_squares"])
def test_a_model_that_gives_probabilities_is_refused(data, objective):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    before = model.get_weights()
    with pytest.raises(ValueError, match="must return logits"):
        data.replace(objective=objective).train(model)
    with pytest.raises(ValueError, match="must return logits"):
        data.serving_model(model, probabilities=True)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_model_that_is_not_built_starts_from_the_fixed_weights(data):
    def unbuilt():
        return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])

    start = tfdistill.students.linear((8, 8, 1), 10).get_weights()
    recipe = tfdistill.OrdinaryTraining(updates=1, learning_rate=1e-9)
    fixed = data.replace(initial_weights=start, recipe=recipe)
    for a, b in zip(fixed.train(unbuilt()).get_weights(), start):
        np.testing.assert_allclose(a, b, atol=1e-6)
