"""Ridge regression on features, and students who learn while they judge."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import inner
from tfdistill.inner import ridge
from tfdistill.inner.stateless import StatelessModel


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


def network(image_shape=(8, 8, 1), num_classes=10):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(num_classes),
        ]
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = keras.layers.Dense(6, activation="relu", name="body")
        self.flat, self.last = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, images):
        return self.last(self.body(self.flat(images)))


def features_of(model, images, layer=None):
    student = StatelessModel(model)
    return student.features(student.weights, student.state, images, layer)


@pytest.mark.parametrize(("count", "width"), [(5, 12), (12, 5)])
def test_the_solution_is_that_of_the_normal_equations(count, width):
    rng = np.random.default_rng(0)
    phi, labels = rng.normal(size=(count, width)), rng.normal(size=(count, 3))
    found = ridge.solution(tf.constant(phi), tf.constant(labels), 1e-3)
    weight = 1e-3 * np.trace(phi @ phi.T) / count
    expected = np.linalg.solve(phi.T @ phi + weight * np.eye(width), phi.T @ labels)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize(("count", "width"), [(40, 300), (300, 40)])
def test_singular_kernels_are_solved_in_float32(count, width):
    # Images that are the same, units that have died, and fewer features than images.
    rng = np.random.default_rng(0)
    phi = np.maximum(rng.normal(size=(count, width)), 0).astype("float32")
    phi[1::2], phi[:, ::3] = phi[::2], 0
    labels = np.eye(10, dtype="float32")[np.arange(count) % 10]
    with tf.GradientTape() as tape:
        features = tf.constant(phi)
        tape.watch(features)
        loss = tf.reduce_sum(ridge.solution(features, tf.constant(labels), 1e-6) ** 2)
    assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, features)).all()
    assert np.isfinite(ridge.solution(tf.zeros([3, 4]), tf.zeros([3, 2]), 1e-6)).all()


def test_features_are_what_the_last_layer_takes():
    images = tf.random.normal([5, 8, 8, 1])
    for model, last in ((network(), -1), (Subclassed(), -1)):
        logits = model(images)
        kernel, bias = model.layers[last].get_weights()
        again = features_of(model, images) @ kernel + bias
        np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-5)
    # Nothing is left behind.
    assert "call" not in vars(model.layers[last])


def test_features_are_in_single_precision_under_any_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = features_of(network(), tf.random.normal([5, 8, 8, 1]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == tf.float32 and found.shape == (5, 128)


def test_features_of_a_named_layer():
    images = tf.random.normal([5, 8, 8, 1])
    model = network()
    assert features_of(model, images, "flat").shape == (5, 4 * 4 * 8)
    with pytest.raises(ValueError, match="has no layer 'body'"):
        features_of(model, images, "body")
    convolution = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 8), keras.layers.Flatten()]
    )
    with pytest.raises(ValueError, match="does not end in a dense layer: name"):
        features_of(convolution, images)


def after_dense(change, zero=False):
    """A dense layer of as many units as classes, and what follows it."""
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(images)
    hidden = keras.layers.Dense(12, activation="relu")(flat)
    start = "zeros" if zero else "glorot_uniform"
    logits = keras.layers.Dense(3, kernel_initializer=start)(hidden)
    return keras.Model(images, change(logits, flat))


def wide_and_deep(logits, flat):
    wide = keras.layers.Dense(3, kernel_initializer="zeros")(flat)
    return keras.layers.Add()([logits, wide])


def recurrent(logits, _):
    rows = keras.layers.Reshape((3, 1))(logits)
    return keras.layers.EinsumDense("ab,bc->ac", 3)(keras.layers.GRU(4)(rows))


@pytest.mark.parametrize(
    "change", [wide_and_deep, recurrent, lambda logits, flat: logits + flat[:, :3]]
)
@pytest.mark.parametrize("zero", [False, True])
def test_a_dense_layer_that_is_not_the_last_is_refused(change, zero):
    student = StatelessModel(after_dense(change, zero))
    with pytest.raises(ValueError, match="does not end in a dense layer: name"):
        tfdistill.RidgeRegression().check_student(student, (8, 8, 1))
    named = student.model.layers[2].name
    tfdistill.RidgeRegression(features=named).check_student(student, (8, 8, 1))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "change",
    [
        lambda logits, _: logits / 4,
        lambda logits, _: keras.layers.Rescaling(0.5)(logits),
        lambda logits, _: keras.layers.Activation("linear", dtype="float32")(logits),
        lambda logits, _: keras.layers.Softmax()(logits),
        lambda logits, _: keras.layers.Dropout(0.1)(logits),
    ],
)
def test_what_follows_the_last_layer_may_scale_and_cast(change, policy):
    keras.config.set_dtype_policy(policy)
    try:
        student = StatelessModel(after_dense(change))
        tfdistill.RidgeRegression().check_student(student, (8, 8, 1))
    finally:
        keras.config.set_dtype_policy("float32")
    assert features_of(student.model, tf.zeros([2, 8, 8, 1])).shape == (2, 12)


def for_regression(digits):
    return tfdistill.DistilledImages.from_real(
        digits,
        steps=1,
        epochs=1,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(),
    )


def test_a_student_without_features_is_refused_before_anything_is_traced():
    def convolution(image_shape, num_classes):
        return keras.Sequential(
            [
                keras.Input(image_shape),
                keras.layers.Conv2D(num_classes, 3),
                keras.layers.GlobalAveragePooling2D(name="pooled"),
            ]
        )

    def distiller(student, features=None):
        digits = tfdistill.load_dataset("digits")
        images = for_regression(digits)
        return tfdistill.Distiller(
            student,
            images,
            tfdistill.LearningStudents(size=2),
            "least_squares",
            meta_gradient=tfdistill.RidgeRegression(features=features),
        )

    for several in (convolution, tfdistill.students.Sampled(("mlp", convolution))):
        with pytest.raises(ValueError, match="does not end in a dense layer: name"):
            distiller(several)
    with pytest.raises(ValueError, match="no layer 'poled', but .*pooled"):
        distiller(convolution, "poled")
    distiller(convolution, "pooled")


def images_and(**others):
    def make(digits):
        kinds = {"epochs": 1, "recipe": tfdistill.OrdinaryTraining(), **others}
        return tfdistill.DistilledImages.from_real(digits, steps=1, **kinds)

    return make


def not_learned(digits):
    images = images_and()(digits)
    images.images.trainable = False
    return images


LEARNED = tfdistill.LearnedSchedule("sgd", {"learning_rate": np.full((1, 1), 0.1)})
NO_STEPS = "no steps by which to train .*: give DistilledImages a recipe, recipe=tfd"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (images_and(recipe=None), NO_STEPS),
        (images_and(recipe=LEARNED), NO_STEPS),
        (
            images_and(epochs=3),
            "epochs must be 1, not 3: give Distilled",
        ),
        (not_learned, "images and labels, but DistilledImages has neither to learn"),
        (
            lambda digits: tfdistill.RealBatches(digits, steps=2),
            "but RealBatches has n",
        ),
    ],
)
def test_what_a_regression_does_not_learn_is_refused(digits, make, says):
    with pytest.raises(ValueError, match=says):
        tfdistill.Distiller(
            "linear", make(digits), meta_gradient=tfdistill.RidgeRegression()
        )


@pytest.mark.parametrize(
    "options", [{"penalty": 0}, {"penalty": np.nan}, {"margin": -1.0}]
)
def test_options_are_checked(options):
    with pytest.raises(ValueError, match="must be"):
        tfdistill.RidgeRegression(**options)


@pytest.mark.parametrize(
    ("options", "shape", "outputs", "says"),
    [
        ({"mirrored": True}, (6,), 3, r"needs images of height and width, not \[6\]"),
        ({"margin": 0.1}, (8, 8, 1), 1, "margin is for labels of several numbers"),
    ],
)
def test_options_that_a_student_cannot_have_are_refused(options, shape, outputs, says):
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(outputs)]
    student = StatelessModel(keras.Sequential(layers))
    tfdistill.RidgeRegression().check_student(student, shape)
    with pytest.raises(ValueError, match=says):
        tfdistill.RidgeRegression(**options).check_student(student, shape)


def problem(synthesizer, model=None, **real):
    """What a network of three classes is to learn, and real images that judge it."""
    student = StatelessModel(model or network(num_classes=3))
    nothing = {"images": tf.zeros([]), "labels": tf.zeros([])}
    return inner.Problem(
        student,
        synthesizer,
        tfdistill.LeastSquares(),
        student.weights,
        student.state,
        **{**nothing, **real},
    )


def centred(steps=3, size=6):
    """Images of three classes whose labels are any numbers."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal([steps, size, 8, 8, 1])
    synthesizer = tfdistill.DistilledImages(
        images, np.arange(size) % 3, 3, epochs=1, centred_labels=True
    )
    synthesizer.label_values.assign(rng.standard_normal([steps, size, 3]) / 2)
    return synthesizer


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_loss_is_that_of_the_closed_form(mirrored):
    rng = np.random.default_rng(1)
    real = rng.standard_normal([9, 8, 8, 1]).astype("float32")
    labels, model = np.arange(9) % 3, network(num_classes=3)
    synthesizer = centred()
    images = np.concatenate(synthesizer.images.numpy())
    targets = np.concatenate(synthesizer.labels.numpy())
    largest = np.sort(targets)
    clear = np.minimum(largest[:, -1] - largest[:, -2], 1 / 3)
    assert len({*clear}) < len(clear)  # some are clear, some are not
    if mirrored:  # from left to right
        images = np.concatenate([images, images[:, :, ::-1]])
        targets = np.concatenate([targets, targets])
    phi, real_phi = (np.float64(features_of(model, x)) for x in (images, real))
    kernel = phi @ phi.T
    kernel += 0.1 * np.trace(kernel) / len(phi) * np.eye(len(phi))
    outputs = real_phi @ phi.T @ np.linalg.solve(kernel, targets)
    distances = np.square(outputs - (np.eye(3)[labels] - 1 / 3)).sum(1)
    loss = distances.mean() / 2 - 0.5 * clear.mean()
    found = tfdistill.RidgeRegression(penalty=0.1, margin=0.5, mirrored=mirrored)(
        problem(
            synthesizer,
            model,
            images=tf.constant(real),
            labels=tf.constant(labels, tf.int32),
        )
    )
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-4)
    assert float(found.loss) == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("real_type", ["float32", "float64"])
def test_a_student_in_double_precision_is_judged_on_real_images_of_any(real_type):
    start = network(num_classes=3).get_weights()

    def judged(kind, real_type):
        keras.config.set_dtype_policy(kind)
        try:
            model = network(num_classes=3)
        finally:
            keras.config.set_dtype_policy("float32")
        model.set_weights(start)
        rng = np.random.default_rng(0)
        images, real = rng.standard_normal([2, 6, 8, 8, 1])
        task = problem(
            tfdistill.DistilledImages(
                images[None], np.arange(6) % 3, 3, centred_labels=True, dtype=kind
            ),
            model,
            images=tf.constant(real, real_type),
            labels=tf.range(6) % 3,
        )
        return tfdistill.RidgeRegression(penalty=0.1)(task)

    single, found = judged("float32", "float32"), judged("float64", real_type)
    assert found.loss.dtype == found.outputs.dtype == real_type
    assert {g.dtype for g in found.gradients} >= {tf.float64}
    np.testing.assert_allclose(found.outputs, single.outputs, atol=1e-4)
    np.testing.assert_allclose(found.gradients[0], single.gradients[0], atol=1e-4)


def advanced(students, task, seed):
    """A student of a pool takes its own steps; what it was, and its weights then."""
    weights, state = students.sample(seed)
    students.advance(seed, task._replace(weights=weights, state=state))
    index = int(students._index(seed))
    kept = [v.numpy()[index] for v in students.variables[: len(weights)]]
    return [w.numpy() for w in weights], kept


def pool(**kwargs):
    def make_model():
        return network(num_classes=3)

    students = tfdistill.LearningStudents(**kwargs)
    students.build(make_model, make_model())
    return students


def test_own_steps_are_those_of_keras_on_all_batches_in_turn():
    adam = inner.Adam(0.01, epsilon=1e-7)
    students = pool(size=1, max_age=8, steps=2, optimizer=adam)
    task, model = problem(centred()), network(num_classes=3)
    loss = task.objective.keras_loss()
    model.compile(keras.optimizers.Adam(0.01, epsilon=1e-7), loss)
    for turn in range(4):
        before, after = advanced(students, task, tf.constant([1, turn]))
        if turn == 0:
            model.set_weights(before)
        for mine, kept in zip(before, model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, kept, atol=2e-4)
        for t in (2 * turn, 2 * turn + 1):
            batch = task.curriculum.batch(t % 3)
            model.train_on_batch(batch.images, batch.labels)
        for mine, kept in zip(after, model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, kept, atol=2e-4)
    fresh, _ = advanced(students, task, tf.constant([1, 4]))
    assert np.abs(fresh[0] - after[0]).max() > 0.05  # that one has reached its age


def test_a_replaced_student_begins_at_age_0():
    students, task = pool(size=2, max_age=4), problem(centred())
    seeds = [tf.constant([2, k]) for k in range(30)]
    seeds = [seed for seed in seeds if int(students._index(seed)) == 1]
    ages = []
    for seed in seeds[:8]:
        advanced(students, task, seed)
        ages.append(students.variables[-1].numpy().tolist())
    # The second of two starts at half of the age.
    assert ages == [[-1, age] for age in (3, 4, 1, 2, 3, 4, 1, 2)]


@pytest.mark.parametrize("max_age", [2**30, 2**63 - 1])
@pytest.mark.parametrize("steps", [1, 2])
def test_students_that_are_never_replaced_learn(max_age, steps):
    students, task = pool(size=3, max_age=max_age, steps=steps), problem(centred())
    learned = {}
    for turn in range(12):
        seed = tf.constant([4, turn])
        index = int(students._index(seed))
        before, after = advanced(students, task, seed)
        if index in learned:
            np.testing.assert_array_equal(before[0], learned[index])
        learned[index] = after[0]
    ages = students.variables[-1].numpy().tolist()
    firsts = [k * max_age // 3 for k in range(3)]
    own = [age - first for age, first in zip(ages, firsts, strict=True)]
    assert min(own) > 0 and sum(own) == 12 * steps


def test_each_own_step_has_a_draw_of_its_own():
    seen = []

    def changes(images, seed):
        seen.append((images.numpy().tobytes(), seed.numpy().tobytes()))
        return images

    students = pool(size=1, steps=3, batch_size=10, changes=changes)
    task = problem(centred(steps=1, size=30))
    for turn in range(2):
        advanced(students, task, tf.constant([3, turn]))
    rows, seeds = zip(*seen, strict=True)
    assert len({*rows}) == len({*seeds}) == 6


def distiller(digits, students=None, seed=0, **options):
    images = tfdistill.DistilledImages.from_real(
        digits,
        steps=1,
        epochs=1,
        images_per_class=2,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(updates=40, learning_rate=3e-3),
    )
    made = tfdistill.Distiller(
        network,
        images,
        students or tfdistill.LearningStudents(size=4, max_age=6),
        "least_squares",
        meta_gradient=tfdistill.RidgeRegression(),
        seed=seed,
    )
    made.compile(**{"students_per_step": 1, **options})
    return made


def real(digits, start=0):
    return digits.train.batch(128, shuffle=True, repeat=True, start=start)


def test_images_and_labels_are_learned_and_any_order_will_do(digits):
    made = distiller(digits)
    before = made.distilled()
    history = made.fit(real(digits), steps_per_epoch=60, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    data = made.distilled()
    assert not np.allclose(data.labels, before.labels, atol=1e-2)
    assert not data.recipe.is_ordered and data.learning_rates is None
    results = [
        tfdistill.evaluate(each, network, digits.test, 3) for each in (before, data)
    ]
    assert results[1].mean() > results[0].mean() + 0.03
    backwards = data.replace(images=data.images[:, ::-1], labels=data.labels[:, ::-1])
    other = tfdistill.evaluate(backwards, network, digits.test, 3)
    assert abs(other.mean() - results[1].mean()) < 0.05


def test_a_network_goes_on_from_where_it_was_left_and_is_replaced(digits):
    students = tfdistill.LearningStudents(size=1, max_age=3)
    made = distiller(digits, students)
    (own,) = (weights for _, weights in made.population.members)
    before = [v.numpy() for v in own.variables]
    ages, kernels = [], []
    for step in range(5):
        made.fit(real(digits, step), steps_per_epoch=1, verbose=0)
        ages.append(int(own.variables[-1].numpy()[0]))
        kernels.append(own.variables[0].numpy()[0])
    assert before[-1].tolist() == [-1] and ages == [1, 2, 3, 1, 2]
    moved = [np.abs(b - a).max() for a, b in zip(kernels, kernels[1:])]
    # A step of Adam is about its rate; a new draw is another network.
    assert max(moved[0], moved[1], moved[3]) < 2e-3 < 0.05 < moved[2]


def test_a_network_draws_some_of_the_images_for_a_step_of_its_own(digits):
    drawn = []

    def changes(images, seed):
        tf.numpy_function(lambda x: drawn.append(x.copy()), [images], [])
        return images

    def made(size):
        return distiller(
            digits,
            tfdistill.LearningStudents(size=2, batch_size=size, changes=changes),
        )

    some = made(5)
    rows = some.distilled().images.reshape([20, -1])
    some.fit(real(digits), steps_per_epoch=1, verbose=0)
    some.fit(real(digits, 1), steps_per_epoch=1, verbose=0)
    assert [x.shape for x in drawn] == [(5, 8, 8, 1)] * 2
    # Before the images' own first step they are known.
    near = [np.abs(rows - x.reshape(-1)).max(1).argmin() for x in drawn[0]]
    np.testing.assert_array_equal(rows[near], drawn[0].reshape([5, -1]))
    assert len(set(near)) == 5 and not np.allclose(drawn[0], drawn[1], atol=0.1)
    drawn.clear()
    # There are no more than all of them.
    made(50).fit(real(digits), steps_per_epoch=1, verbose=0)
    assert drawn[0].shape == (20, 8, 8, 1)


def test_networks_draw_some_of_the_images_under_xla(digits):
    made = distiller(digits, tfdistill.LearningStudents(size=2, batch_size=5))
    made.compile(jit_compile=True)
    history = made.fit(real(digits), steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_ages_are_staggered(digits):
    students = tfdistill.LearningStudents(size=4, max_age=40)
    made = distiller(digits, students)
    made.fit(real(digits), steps_per_epoch=12, verbose=0)
    (own,) = (weights for _, weights in made.population.members)
    ages = own.variables[-1].numpy()
    assert (ages >= 0).all() and (np.diff(ages) > 0).all() and ages.sum() == 60 + 12


def test_several_architectures_have_pools_of_their_own(digits):
    students = tfdistill.LearningStudents(size=2, max_age=10)
    images = for_regression(digits)
    made = tfdistill.Distiller(
        "convnet@4,wide_convnet_bn@4-8",
        images,
        students,
        "least_squares",
        meta_gradient=tfdistill.RidgeRegression(),
    )
    made.compile()
    history = made.fit(real(digits), steps_per_epoch=8, verbose=0).history
    ages = [weights.variables[-1].numpy() for _, weights in made.population.members]
    steps = sum(int(a[a >= 0].sum()) - 5 * int(a[1] >= 0) for a in ages)
    assert np.isfinite(history["loss"][0]) and steps == 16


def test_a_run_that_goes_on_is_the_same(digits, tmp_path):
    whole = distiller(digits)
    whole.fit(real(digits), steps_per_epoch=3, epochs=4, verbose=0)
    first = distiller(digits)
    first.fit(
        real(digits),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        callbacks=[tfdistill.Backup(tmp_path)],
    )
    again = distiller(digits)
    assert tfdistill.Backup(tmp_path).restore(again) == 6
    again.fit(real(digits, 6), steps_per_epoch=3, epochs=2, verbose=0)
    np.testing.assert_allclose(
        again.synthesizer.images, whole.synthesizer.images, atol=1e-5
    )


def test_a_backup_with_ages_of_another_integer_type_goes_on(digits, tmp_path):
    first, again = distiller(digits), distiller(digits)
    first.fit(real(digits), steps_per_epoch=5, verbose=0)
    kept = first.checkpointed
    *others, ages = kept["students"]
    # As runs wrote them before ages became int64.
    former = [*others, tf.Variable(tf.cast(ages, tf.int32))]
    record = tf.Variable('{"history": [], "anneal": null}')
    state = tf.train.Checkpoint(
        optimizer=first.optimizer, record=record, **{**kept, "students": former}
    )
    tf.train.CheckpointManager(state, tmp_path, 2).save(5)
    assert tfdistill.Backup(tmp_path).restore(again) == 5
    for a, b in zip(kept["students"], again.checkpointed["students"]):
        np.testing.assert_array_equal(a, b)


def test_replicas_have_networks_of_their_own_which_are_saved(
    digits, mirrored, tmp_path
):
    def made():
        with mirrored.scope():
            return distiller(digits, students_per_step=2)

    def ages(of):
        return [v.numpy() for v in of.checkpointed["students"][-2:]]

    whole, first, again = made(), made(), made()
    whole.fit(real(digits), steps_per_epoch=8, verbose=0)
    backup = tfdistill.Backup(tmp_path)
    first.fit(real(digits), steps_per_epoch=4, verbose=0, callbacks=[backup])
    assert tfdistill.Backup(tmp_path).restore(again) == 4
    for a, b in zip(ages(first), ages(again)):
        np.testing.assert_array_equal(a, b)
    again.fit(real(digits, 4), steps_per_epoch=4, verbose=0)
    one, other = ages(again)
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(
        again.synthesizer.images, whole.synthesizer.images, atol=1e-5
    )


def test_windows_start_at_every_age(digits):
    images = tfdistill.DistilledImages.from_real(
        digits,
        steps=1,
        epochs=3,
        inner_optimizer="adam",
        learning_rate=1e-3,
        learned_rates=False,
        soft_labels=True,
    )
    students = tfdistill.LearningStudents(size=3, max_age=20, steps=2)
    made = tfdistill.Distiller(network, images, students)
    made.compile(students_per_step=1)
    rates = images.learning_rates.numpy()
    made.fit(real(digits), steps_per_epoch=6, verbose=0)
    (own,) = (weights for _, weights in made.population.members)
    np.testing.assert_array_equal(images.learning_rates, rates)
    ages = own.variables[-1].numpy()
    assert (ages[ages >= 0] - (np.arange(3) * 20 // 3)[ages >= 0]).sum() == 12


def test_networks_in_half_precision_take_steps_like_others(digits):
    """The first steps of Adam are about as long as its rate, whatever the gradient."""
    images = tfdistill.DistilledImages.from_real(
        digits,
        steps=1,
        epochs=1,
        images_per_class=10,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(),
    )
    moves = {}
    for dtype in ("float16", "float32"):

        def small(image_shape, num_classes, dtype=dtype):
            layers = [
                keras.layers.Flatten(dtype=dtype),
                keras.layers.Dense(32, "relu", dtype=dtype),
                keras.layers.Dense(num_classes, dtype=dtype),
            ]
            return keras.Sequential([keras.Input(image_shape), *layers])

        students = tfdistill.LearningStudents(size=1, max_age=100)
        meta_gradient = tfdistill.RidgeRegression()
        made = tfdistill.Distiller(
            small, images, students, "least_squares", meta_gradient=meta_gradient
        )
        made.compile(students_per_step=1)
        kernel = made.population.members[0][1].variables[0]
        found = []
        for steps in (1, 10):
            made.fit(real(digits), steps_per_epoch=steps, verbose=0)
            found.append(kernel.numpy().astype("float32"))
        moves[dtype] = abs(found[1] - found[0]).max()
    assert moves["float16"] < 2 * moves["float32"] < 2 * 11 * 3e-4


def test_a_network_that_is_not_finite_is_replaced(digits):
    students = tfdistill.LearningStudents(size=2, max_age=100)
    made = distiller(digits, students)
    made.fit(real(digits), steps_per_epoch=8, verbose=0)
    (own,) = (weights for _, weights in made.population.members)
    kernels, ages = own.variables[0], own.variables[-1]
    lost = kernels.numpy()
    lost[0] = np.nan
    kernels.assign(lost)
    made.fit(real(digits), steps_per_epoch=8, verbose=0)
    assert all(np.isfinite(of.numpy()).all() for of in own.variables)
    assert 0 < ages.numpy()[0] < 10 < ages.numpy()[1]


def test_students_of_a_pool_must_be_random():
    with pytest.raises(ValueError, match="start must be random"):
        tfdistill.LearningStudents(start=tfdistill.FixedWeights())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"optimizer": keras.optimizers.Adam()}, "must be one of .*adam, not"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"optimizer": inner.Adam}, r"Adam\(\), not the class"),
        ({"changes": 0.1}, "tfdistill.RandomChanges, not a float"),
        ({"changes": tfdistill.RandomChanges}, r"RandomChanges\(\), not the class"),
        ({"start": "random"}, "tfdistill.InitialWeights, not a str"),
        ({"start": tfdistill.RandomWeights}, r"RandomWeights\(\), not the class"),
        ({"start": tfdistill.LearningStudents()}, "LearningStudents trains them, too"),
    ],
)
def test_arguments_of_another_kind_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        tfdistill.LearningStudents(**options)


def test_an_optimizer_by_its_name():
    assert isinstance(pool(size=1, optimizer="adam").optimizer, inner.Adam)


def test_cross_entropy_judges_centred_labels(digits):
    """What is learned so is exported, and teaches, by the squared distance."""
    images = tfdistill.DistilledImages.from_real(
        digits,
        steps=1,
        epochs=1,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(updates=60, learning_rate=0.01),
    )
    distiller = tfdistill.Distiller(
        "mlp",
        images,
        tfdistill.LearningStudents(size=2),
        tfdistill.LeastSquares("cross_entropy"),
        meta_gradient=tfdistill.RidgeRegression(),
    )
    distiller.compile(keras.optimizers.Adam(0.02), students_per_step=1)
    batches = digits.train.batch(256, shuffle=True, repeat=True)
    history = distiller.fit(batches, steps_per_epoch=10, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    distilled = distiller.distilled()
    assert distilled.objective.name == "least_squares"
    assert tfdistill.evaluate(distilled, "mlp", digits.test, 2).mean() > 0.4


@pytest.mark.parametrize("meta_gradient", [None, tfdistill.RidgeRegression()])
def test_centred_labels_are_no_distributions(digits, meta_gradient):
    images = for_regression(digits)
    with pytest.raises(ValueError, match='for the objective "least_squares"'):
        tfdistill.Distiller("linear", images, meta_gradient=meta_gradient)
