"""The outer loop, through compile and fit; fresh students on what comes out."""

import contextlib
import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import (
    DistilledImages,
    Distiller,
    FixedWeights,
    RandomWeights,
    stability,
)
from tfdistill.cli import main, synthesizers
from tfdistill.evaluation import fresh_students, validation
from tfdistill.evaluation.fresh_students import FreshStudents
from tfdistill.inner import Problem, StatelessModel
from tfdistill.runs.averaging import AveragingAdam


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


def distiller(
    digits, *, weights=None, start="real", optimizer=None, rate=0.1, **kwargs
):
    make = {"real": DistilledImages.from_real, "noise": DistilledImages.from_noise}
    synthesizer = make[start](digits, steps=2, epochs=2, learning_rate=rate)
    model = Distiller(tfdistill.students.linear, synthesizer, weights, seed=3)
    model.compile(optimizer or keras.optimizers.Adam(0.05, beta_1=0.5), **kwargs)
    return model


def fit(model, digits, steps=30, **kwargs):
    batches = digits.train.batch(128, shuffle=True, repeat=True)
    kwargs = {"steps_per_epoch": steps, "verbose": 0, **kwargs}
    return model.fit(batches, **kwargs).history


def test_fit_learns_and_reports(digits):
    model = distiller(digits, start="noise")
    test = digits.test.batch(200)
    before = model.evaluate(test, return_dict=True)
    history = fit(model, digits, 60, validation_data=test)
    assert set(history) == {
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "val_accuracy_std",
    }
    assert before["accuracy"] < 0.3
    assert history["val_accuracy"][-1] > 0.8


def test_data_from_keras_like_sources(digits):
    model = distiller(digits)
    images = digits.train.normalization.normalize(digits.train.images).numpy()
    model.fit(images, digits.train.labels, batch_size=500, verbose=0)
    assert int(model.optimizer.iterations) == 3


def test_the_seed_repeats_a_run(digits):
    images = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        model = distiller(digits)
        fit(model, digits, 5)
        images.append(model.distilled().images)
    np.testing.assert_allclose(*images, atol=1e-6)


def test_students_of_one_step_are_averaged(digits):
    batch = next(iter(digits.train.batch(100)))
    model = distiller(
        digits, optimizer=keras.optimizers.SGD(1.0), students_per_step=2, clip=None
    )
    start = model.synthesizer.images.numpy()
    gradients = [
        model.meta_gradient(
            Problem(
                model.population.members[0][0],
                model.synthesizer,
                model.objective,
                *model.population.members[0][1].sample(seed),
                *batch,
            )
        ).gradients[0]
        for seed in model.student_seeds()
    ]
    assert not np.allclose(*gradients)
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    moved = start - model.synthesizer.images.numpy()
    np.testing.assert_allclose(moved, np.mean(gradients, 0), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_diverges_stops_and_keeps_a_finite_state(digits):
    model = distiller(
        digits, optimizer=keras.optimizers.SGD(1e30), clip=None, back_off=0
    )
    with pytest.raises(FloatingPointError, match="outer step"):
        fit(model, digits, 30)
    assert np.isfinite(model.synthesizer.images.numpy()).all()
    assert np.isfinite(model.synthesizer.schedule.raw_rates.numpy()).all()


def test_clipping_holds_an_unusual_gradient_back():
    usual = [stability.RunningMean(tf.Variable(0.0)) for _ in range(2)]
    clipping = stability.Clipping(2.0, usual)
    rates, good = tf.ones([2, 2]), tf.constant([True])

    def average(images):
        norms = [[tf.norm(images), tf.norm(rates)]]
        return clipping.shares([[images, rates]], tf.stack(norms), good, 0)[0][0]

    usual, huge = average(tf.ones([4])), average(1000 * tf.ones([4]))
    assert float(tf.norm(huge)) == pytest.approx(2 * float(tf.norm(usual)))


def false_alarms(first, others, steps=200):
    """How often two students of one loss are held to diverge, after first losses."""
    back_off = stability.BackOff(10, stability.RunningMean(tf.Variable(0.0)))

    @tf.function
    def factor(loss, step):
        losses = tf.fill([2], loss)
        return back_off.factor(losses, tf.math.is_finite(losses), step, 0.01)

    losses = [*first, *[others] * (steps - len(first))]
    found = [factor(tf.constant(loss), tf.constant(k)) for k, loss in enumerate(losses)]
    return sum(float(f) < 1 for f in found[len(first) :])


@pytest.mark.parametrize("first", [[np.nan] * 3, [np.inf] * 9, [0.0] * 5, [1.0, 1e-9]])
def test_first_losses_that_say_nothing_raise_no_false_alarms(first):
    # Of the step after a loss of nearly 0 nobody knows which of the two is usual.
    assert false_alarms(first, 1.0) == (1e-9 in first)


def test_a_huge_first_loss_hides_no_later_one():
    back_off = stability.BackOff(10, stability.RunningMean(tf.Variable(0.0)))
    losses = [1e9] + [2.3] * 3 + [1e3, 1e9, 1e9]
    found = [
        float(back_off.factor(tf.constant([loss]), tf.constant([True]), step, 0.01))
        for step, loss in enumerate(losses)
    ]
    assert [factor < 1 for factor in found] == [False] * 4 + [True] * 3


def test_the_usual_norm_is_that_of_finite_gradients():
    usual = [stability.RunningMean(tf.Variable(0.0))]
    clipping = stability.Clipping(2.0, usual)
    for step, norm in enumerate([np.nan, np.nan, np.nan, 3.0, 5.0]):
        good = tf.constant([np.isfinite(norm)])
        clipping.shares([[tf.fill([1], norm)]], tf.constant([[norm]]), good, step)
    assert float(usual[0].variable) == pytest.approx(4.0)


def test_a_usual_value_is_a_mean_and_then_moves_slowly():
    usual = stability.RunningMean(tf.Variable(0.0))
    for step in range(200):
        value = tf.constant(1.0 + step % 2)
        usual.follow(value, value, tf.constant(step))
        if step == 99:
            assert float(usual.variable) == pytest.approx(1.5)
    before = float(usual.variable)
    usual.follow(tf.constant(9.0), tf.constant(3.0), tf.constant(200))
    assert float(usual.variable) == pytest.approx(0.99 * before + 0.01 * 3)


class Judged(tfdistill.Classification):
    """Gives the students' meta-losses a factor each, in turn."""

    def __init__(self, *factors):
        self.factors, self.calls = tf.constant(factors), tf.Variable(0)

    def meta_loss(self, labels, outputs):
        turn = (self.calls.assign_add(1) - 1) % len(self.factors)
        return self.factors[turn] * super().meta_loss(labels, outputs)


class Counted(tfdistill.Classification):
    """Counts its traces."""

    name = "counted"
    traces = 0

    def meta_loss(self, labels, outputs):
        self.traces += 1
        return super().meta_loss(labels, outputs)


def test_students_alike_are_traced_once_for_batches_of_any_size(digits):
    learning, testing = Counted(), Counted()
    images = DistilledImages.from_real(digits, steps=1, epochs=1)
    model = Distiller(tfdistill.students.linear, images, objective=learning)
    model.compile(students_per_step=3)
    fit(model, digits, 2)
    data = model.distilled()
    evaluator = tfdistill.Evaluator("linear", data, objective=testing)
    for size in (100, 77):
        evaluator(data, digits.test.batch(size), num_students=4)
    assert (learning.traces, testing.traces) == (1, 1)


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.AdamW])
def test_weight_decay_is_not_for_rates(digits, optimizer):
    images = DistilledImages.from_real(
        digits, steps=1, epochs=1, soft_labels=True, inner_optimizer="momentum"
    )
    model = Distiller("linear", images)
    optimizer = optimizer(1e-8, weight_decay=1e7)
    optimizer.exclude_from_weight_decay(var_names=["label_logits"])
    model.compile(optimizer, students_per_step=1)
    before = {v.name: v.numpy() for v in images.trainable_variables}
    fit(model, digits, 1)
    after = {v.name: v.numpy() for v in images.trainable_variables}
    before["images"] *= 0.9
    assert set(before) == {"images", "label_logits", "raw_rates", "raw_momenta"}
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_student_that_is_not_finite_is_left_out(digits, bad):
    starts = [
        DistilledImages.from_real(digits, steps=2, epochs=2, learning_rate=0.1)
        for _ in range(2)
    ]
    batch = next(iter(digits.train.batch(100)))
    for start, factors in zip(starts, ([1.0, bad], [1.0])):
        model = Distiller(tfdistill.students.linear, start, objective=Judged(*factors))
        model.compile(
            keras.optimizers.SGD(1.0), students_per_step=len(factors), clip=None
        )
        model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    images = [np.asarray(start.images) for start in starts]
    np.testing.assert_allclose(*images, atol=1e-6)


class SomeLost(RandomWeights):
    """Students that are NaN from the start: each of them, or every second one."""

    def __init__(self, *lost):
        self.lost, self.calls = tf.constant(lost), tf.Variable(0)

    def sample(self, seed):
        weights, state = super().sample(seed)
        lost = self.lost[(self.calls.assign_add(1) - 1) % len(self.lost)]
        return [tf.where(lost, np.nan, w) for w in weights], state


@pytest.mark.parametrize("lost", [[False, True], [True]])
def test_figures_of_training_are_those_of_finite_students(digits, lost):
    images = DistilledImages.from_real(digits, steps=1)
    model = Distiller("linear", images, SomeLost(*lost), "regression")
    model.compile(students_per_step=2, back_off=10)
    batch, labels = next(iter(digits.train.batch(100)))
    history = model.fit(batch.numpy(), np.eye(10)[labels], verbose=0).history
    assert np.isnan(history["loss"][0]) == all(lost)
    np.testing.assert_allclose(
        history["squared_error"], 2 * np.array(history["loss"]), rtol=1e-5
    )


def test_rates_shrink_when_a_student_diverges(digits):
    model = distiller(
        digits, optimizer=keras.optimizers.SGD(1e-9), students_per_step=2, back_off=10
    )
    fit(model, digits, 3)
    np.testing.assert_allclose(model.synthesizer.learning_rates, 0.1, rtol=1e-5)
    back_off = stability.BackOff(10, stability.RunningMean(model.usual_loss))
    losses = float(model.usual_loss) * tf.constant([1.9, 2.1])

    def step(finite):
        factor = back_off.factor(losses, tf.constant([finite, finite]), 3, 0.01)
        model.synthesizer.scale_rates(factor)

    step(True)
    shrunk = 0.1 * np.exp(-0.1)
    np.testing.assert_allclose(model.synthesizer.learning_rates, shrunk, rtol=1e-5)
    step(False)
    shrunk *= np.exp(-0.2)
    np.testing.assert_allclose(model.synthesizer.learning_rates, shrunk, rtol=1e-5)


def test_rates_that_are_not_learned_stay():
    for learned, rate in ((True, 0.05), (False, 0.1)):
        schedule = tfdistill.Schedule(1, 2, learning_rate=0.1, learned=learned)
        schedule.scale_rates(tf.constant(0.5))
        np.testing.assert_allclose(schedule.learning_rates, rate, rtol=1e-5)


class Bounded(tfdistill.InnerOptimizer):
    """Gradient descent with a learning rate between two bounds."""

    name = "bounded"

    def __init__(self, low, high):
        self.hyperparameters = (
            tfdistill.inner.Hyperparameter("learning_rate", 0.1, low=low, high=high),
        )

    def update(self, t, hyperparameters, gradients, weights, slots):
        rate = hyperparameters["learning_rate"]
        return [w - rate * g for w, g in zip(weights, gradients)], slots


@pytest.mark.parametrize(
    ("low", "high", "fallen"),
    [
        (0.08, 0.5, 0.086),
        (0.08, np.inf, 0.086),
        (0.0, 0.5, 0.03),
        (-1.0, 0.5, 0.03),
        (-np.inf, 0.5, 0.03),
        (-np.inf, np.inf, 0.03),
    ],
)
def test_a_rate_falls_as_far_as_its_bound_lets_it(low, high, fallen):
    schedule = tfdistill.Schedule(1, 2, inner_optimizer=Bounded(low, high))
    schedule.scale_rates(tf.constant(0.3))
    np.testing.assert_allclose(schedule.learning_rates, fallen, rtol=1e-4)
    for _ in range(200):
        schedule.scale_rates(tf.constant(0.3))
    assert np.isfinite(schedule.raw_learning_rates).all()
    assert (schedule.learning_rates.numpy() >= low).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1, np.inf), (-1, 2), (-np.inf, 2), (-np.inf, np.inf)],
)
def test_a_hyperparameter_has_one_bound_or_two_or_none(low, high):
    tilt = tfdistill.inner.Hyperparameter("tilt", 0.5, low=low, high=high)
    values = tf.constant([-0.9, 0.5, 1.9])
    raw = tilt.raw(values)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        again = tilt.value(raw)
    np.testing.assert_allclose(again, values, rtol=1e-5)
    assert (tape.gradient(again, raw).numpy() > 0).all()
    far = tilt.value(tf.constant([-1000.0, 1000.0])).numpy()
    np.testing.assert_allclose(far, [max(low, -1000), min(high, 1000)], atol=2)
    ends = [end for end in (low, high) if np.isfinite(end)]
    assert np.isfinite(tilt.raw(np.float32(ends))).all()
    with pytest.raises(ValueError, match="learning_rates must"):
        tfdistill.LearnedSchedule(Bounded(low, high), {"learning_rate": [[-np.inf]]})


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_what_was_rounded_to_a_bound_is_learned_again(bound):
    schedule = tfdistill.Schedule(1, 2, inner_optimizer="momentum")
    stored = {"learning_rate": np.zeros((1, 2)), "momentum": np.full((1, 2), bound)}
    schedule.start(tfdistill.inner.Momentum(), stored)
    for name, least in (("learning_rate", 0.0), ("momentum", bound)):
        np.testing.assert_allclose(schedule.values()[name], least, atol=1e-6)
        assert np.isfinite(schedule.raw(name)).all()
    with tf.GradientTape() as tape:
        values = [tf.reduce_sum(x) for x in schedule.values().values()]
    for gradient in tape.gradient(values, schedule.trainable_variables):
        assert (gradient.numpy() > 0).all()
    rates = schedule.learning_rates.numpy()
    schedule.scale_rates(tf.constant(0.5))
    assert (schedule.learning_rates.numpy() < rates).all()
    for _ in range(200):  # and is not raised, where it falls to 0
        before = schedule.learning_rates.numpy()
        schedule.scale_rates(tf.constant(0.3))
        assert (schedule.learning_rates.numpy() <= before).all()


@pytest.mark.slow
def test_a_large_student_on_the_cpu():
    # With Grappler's rewrites the second step fails (AlreadyExistsError).
    rng = np.random.default_rng(0)
    images = rng.standard_normal((300, 32, 32, 3)).astype("float32")
    labels = np.arange(300, dtype="int32") % 10
    model = Distiller(
        tfdistill.students.alex_cifar_net,
        DistilledImages(images[:10][None], labels[:10], 10, epochs=2),
        FixedWeights(),
    )
    model.compile()
    before = tf.config.optimizer.get_experimental_options()
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    history = model.fit(data, steps_per_epoch=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert tf.config.optimizer.get_experimental_options() == before


def test_an_average_over_outer_steps(digits):
    optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)
    model = distiller(digits, optimizer=optimizer)
    fit(model, digits, 5)
    assert np.isfinite(model.distilled().images).all()


def test_an_average_that_grows_with_the_run():
    adam = AveragingAdam(0.1, beta_1=0.5, ema_momentum=0.6)
    variable = keras.Variable([1.0])
    adam.build([variable])
    step = tf.function(lambda: adam.apply_gradients([(tf.ones([1]), variable)]))
    average = 0.0
    for done in range(25):
        step()
        kept = min(done / (done + 10), 0.6)
        average = kept * average + (1 - kept) * float(variable[0])
    adam.finalize_variable_values([variable])
    assert float(variable[0]) == pytest.approx(average, rel=1e-5)
    again = AveragingAdam.from_config(adam.get_config())
    assert again.get_config() == adam.get_config()


def test_a_restored_run_goes_on_as_if_nothing_had_happened(digits, tmp_path):
    def run(backup, epochs):
        model = distiller(digits)
        callback = tfdistill.Backup(tmp_path / backup)
        done = callback.restore(model)
        batches = digits.train.batch(128, shuffle=True, repeat=True, start=done)
        model.fit(
            batches,
            steps_per_epoch=3,
            epochs=epochs,
            initial_epoch=done // 3,
            verbose=0,
            callbacks=[callback],
        )
        return model.distilled().images, callback.history

    keras.utils.set_random_seed(1)
    whole, history = run("whole", 4)
    run("broken", 2)
    resumed, resumed_history = run("broken", 4)
    np.testing.assert_allclose(resumed, whole, atol=1e-6)
    assert [h["outer_step"] for h in resumed_history] == [3, 6, 9, 12]
    assert resumed_history[-1]["loss"] == pytest.approx(history[-1]["loss"], rel=1e-4)


def test_a_run_keeps_which_steps_are_not_in_its_means(digits, tmp_path):
    def run(objective):
        images = DistilledImages.from_real(digits, steps=1)
        model = Distiller("linear", images, objective=objective)
        model.compile(students_per_step=1)
        return model

    first, again = (run(Judged(np.nan, 1.0, 1.0, 1.0)) for _ in range(2))
    fit(first, digits, 3, callbacks=[tfdistill.Backup(tmp_path)])
    tfdistill.Backup(tmp_path).restore(again)
    for model in (first, again):
        counters = model.checkpointed["skipped"]
        assert {int(counter.numpy()) for counter in counters} == {1}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_the_end_of_data_of_unknown_length_is_no_step(steps_per_execution, digits):
    real = digits.train.batch(50, shuffle=False, repeat=False).take(3)

    def learned(data):
        synthesizer = DistilledImages.from_real(digits, steps=1, epochs=1)
        students = tfdistill.LearningStudents(size=2, max_age=3)
        distiller = Distiller("linear", synthesizer, students)
        distiller.compile(steps_per_execution=steps_per_execution)
        distiller.fit(data, epochs=3, verbose=0)
        assert distiller.optimizer.iterations.numpy() == 9
        kept = [v.numpy() for _, w in distiller.population.members for v in w.variables]
        return [distiller.distilled().images, *kept]

    whole, unknown = learned(real), learned(real.filter(lambda *_: True))
    for one, other in zip(whole, unknown, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_every_fit_has_its_patience_and_a_resumed_one_what_is_left(digits, tmp_path):
    def made():
        images = DistilledImages.from_real(digits, steps=1)
        model = Distiller("linear", images, objective=Judged(np.nan))
        model.compile(students_per_step=1)
        return model

    first, again = made(), made()
    fit(first, digits, 4, callbacks=[tfdistill.Backup(tmp_path)])
    tfdistill.Backup(tmp_path).restore(again)
    for model in (first, again):
        for done in (10, 20):
            with pytest.raises(FloatingPointError, match=f"outer step {done};"):
                fit(model, digits, 30)


def test_backup_and_restore_of_keras_works_too(digits, tmp_path):
    callback = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model = distiller(digits)
    fit(model, digits, 2, epochs=2, callbacks=[callback])
    again = distiller(digits)
    fit(again, digits, 2, epochs=2, callbacks=[callback])
    np.testing.assert_array_equal(again.synthesizer.images, model.synthesizer.images)


def test_the_outer_rate_is_annealed(digits):
    anneal = tfdistill.Anneal("cosine", outer_steps=10)
    model = distiller(digits)
    fit(model, digits, 100, callbacks=[anneal])
    assert int(model.optimizer.iterations) == 10
    assert float(model.optimizer.learning_rate) < 0.05 * 0.03
    assert tfdistill.Anneal("halving", outer_steps=10).factor(0.35) == 1 / 8
    with pytest.raises(ValueError, match="cosine"):
        tfdistill.Anneal("linear", outer_steps=10)
    both = tfdistill.Anneal("constant", outer_steps=10, seconds=100)
    both.elapsed = 70
    assert both.progress_at(5) == 0.7 and both.progress_at(9) == 0.9
    assert tfdistill.Anneal(outer_steps=np.int64(10)).counted(4)[:2] == (4, 10)
    assert tfdistill.Anneal(seconds=np.float32(60)).counted(4)[1] == 1


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "Give outer_steps or seconds"),
        ({"outer_steps": 0}, "outer_steps must be an integer of at least 1"),
        ({"outer_steps": 10.5}, "outer_steps must be an integer of at least 1"),
        ({"outer_steps": 5, "seconds": -1}, "seconds must be above 0"),
        ({"seconds": True}, "seconds must be above 0, not True"),
        ({"seconds": "60"}, "seconds must be above 0, not '60'"),
    ],
)
def test_limits_of_a_run_are_checked(limits, says):
    with pytest.raises(ValueError, match=says):
        tfdistill.Anneal(**limits)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tfdistill.inner.learning_rate(True),
        lambda: tfdistill.OrdinaryTraining(learning_rate=True),
        lambda: tfdistill.RandomChanges(shift=True),
        lambda: tfdistill.Attack(True, False),
    ],
)
def test_a_bool_is_no_number(make):
    with pytest.raises(ValueError, match="must .* not .*True"):
        make()


class Rates(keras.callbacks.Callback):
    """Notes the outer learning rates, and stops `fit` after some."""

    def __init__(self, most=None):
        super().__init__()
        self.found, self.most = [], most

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(float(self.model.optimizer.learning_rate))
        if len(self.found) == self.most:
            raise KeyboardInterrupt


def test_annealing_starts_from_the_rate_of_compile(digits):
    def rates(model, anneal, most=None):
        noted = Rates(most)
        with contextlib.suppress(KeyboardInterrupt):
            fit(model, digits, 6, callbacks=[anneal, noted])
        return noted.found

    def expected(rate, steps, of):
        return [rate * tfdistill.Anneal(outer_steps=of).factor(k / of) for k in steps]

    model = distiller(digits)
    optimizer = keras.optimizers.Adam(0.1)
    model.compile(optimizer, students_per_step=1)
    first = rates(model, tfdistill.Anneal(outer_steps=6), 3)
    assert first == pytest.approx(expected(0.1, range(3), 6), rel=1e-5)
    # The same cell again, with an Anneal of its own; then a longer run.
    model.compile(optimizer, students_per_step=1)
    again = rates(model, tfdistill.Anneal(outer_steps=6))
    assert again == pytest.approx(expected(0.1, range(3, 6), 6), rel=1e-5)
    longer = tfdistill.Anneal(outer_steps=12, seconds=1000)
    assert rates(model, longer) == pytest.approx(expected(0.1, range(6, 12), 12), 1e-5)
    # The same Anneal with another distiller.
    other = distiller(digits)
    other.compile(keras.optimizers.Adam(0.2), students_per_step=1)
    longer.elapsed = 900.0
    assert rates(other, longer)[0] == pytest.approx(0.2, rel=1e-3)
    assert longer.elapsed < 900


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("backup_first", [True, False])
def test_annealing_goes_on_from_a_backup(digits, tmp_path, told, backup_first):
    def run(most=None):
        model, anneal = distiller(digits), tfdistill.Anneal(outer_steps=6)
        backup = tfdistill.Backup(tmp_path, anneal if told else None)
        noted = Rates(most)
        own = [backup, anneal] if backup_first else [anneal, backup]
        with contextlib.suppress(KeyboardInterrupt):
            fit(model, digits, 2, epochs=3, callbacks=[*own, noted])
        return noted.found

    factors = [tfdistill.Anneal(outer_steps=6).factor(k / 6) for k in range(6)]
    assert run(5) == pytest.approx([0.05 * factor for factor in factors[:5]], rel=1e-5)
    # Stopped in its last epoch, before which there were four outer steps.
    assert run() == pytest.approx([0.05 * factor for factor in factors[4:]], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"students_per_step": 0}, "students_per_step"),
        ({"validation_students": 1.5}, "validation_students"),
        ({"clip": -1.0}, "clip"),
        ({"back_off": -1.0}, "back_off must be at least 0, not -1.0"),
    ],
)
def test_bad_compile_arguments(digits, arguments, says):
    with pytest.raises(ValueError, match=says):
        distiller(digits, **arguments)


def test_bad_constructor_arguments(digits):
    synthesizer = DistilledImages.from_noise(digits, steps=1)
    with pytest.raises(ValueError, match="objective must be one of classification"):
        Distiller(tfdistill.students.linear, synthesizer, objective="magic")
    with pytest.raises(ValueError, match="judgements must divide the 3 steps"):
        judged_twice = tfdistill.BackGradient(judgements=2)
        Distiller(tfdistill.students.linear, synthesizer, meta_gradient=judged_twice)
    for options in ({"keep_every": 0}, {"judgements": 1.5}):
        with pytest.raises(ValueError, match=next(iter(options))):
            tfdistill.BackGradient(**options)
    with pytest.raises(ValueError, match="classes"):
        Distiller(lambda: tfdistill.students.linear((8, 8, 1), 7), synthesizer)
    with pytest.raises(ValueError, match="8, 8, 1"):
        Distiller(lambda: tfdistill.students.linear((9, 9, 1), 10), synthesizer)


def test_evaluation_of_random_weights(digits):
    data = distiller(digits).distilled()
    results = [
        tfdistill.evaluate(data, "linear", digits.test, 5, seed=seed)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(results[0].confusion, results[1].confusion)
    assert not np.array_equal(results[0].confusion, results[2].confusion)
    result = results[0]
    assert result.num_students == 5 and result.accuracy_std > 0
    assert result.confusion.sum() == 5 * digits.test.num_examples
    counts = np.bincount(digits.test.labels)
    weighted = (result.per_class * counts).sum() / counts.sum()
    assert weighted == pytest.approx(result.accuracy_mean)
    assert "(5 students)" in str(result)


def test_evaluation_of_fixed_weights_is_what_train_does(digits):
    data = distiller(digits, weights=FixedWeights()).distilled()
    result = tfdistill.evaluate(data, "linear", digits.test, 2)
    assert result.accuracy_std == 0
    model = data.train(tfdistill.students.linear(digits.image_shape))
    images = digits.normalization.normalize(digits.test.images)
    said = model.predict(images, verbose=0).argmax(-1)
    assert (said == digits.test.labels).mean() == pytest.approx(result.accuracy_mean)


def test_each_student_has_shuffled_steps_in_an_order_of_its_own(digits, mirrored):
    def alike(image_shape, num_classes):
        """Networks that differ by what they learn alone."""
        outputs = keras.layers.Dense(num_classes, kernel_initializer="zeros")
        return keras.Sequential(
            [keras.Input(image_shape), keras.layers.Flatten(), outputs]
        )

    data = tfdistill.baselines.random_real(digits, steps=10)
    pairs, both, alone = (
        tfdistill.Evaluator(alike, data, side_by_side=count, strategy=strategy)
        for count, strategy in ((2, None), (1, mirrored), (1, None))
    )

    def losses(evaluator, seed=1, shuffle=True):
        kwargs = {"shuffle_steps": shuffle, "seed": seed}
        return evaluator(data, digits.test, 4, **kwargs).losses

    first, other, in_order = losses(pairs), losses(pairs, 2), losses(pairs, 1, False)
    np.testing.assert_allclose(in_order, in_order[0], rtol=1e-6)
    assert len({*np.round([*first, *other, *in_order], 5)}) == 4 + 4 + 1
    np.testing.assert_array_equal(losses(pairs), first)
    for evaluator in (both, alone):
        np.testing.assert_allclose(losses(evaluator), first, rtol=1e-5)


def test_an_order_has_every_step_once(digits):
    data = tfdistill.baselines.random_real(digits, steps=10).replace(
        learning_rates=np.linspace(0.01, 0.3, 30).reshape(3, 10)
    )
    teacher = data.recipe.teacher(data)
    for shuffle in (False, True):
        teacher.assign(data, shuffle)
        steps = teacher.curriculum(tf.constant([1, 2]))
        batches = [steps.batch(t) for t in range(int(steps.num_steps))]
        rates = np.array([batch.learning_rate for batch in batches])
        numbers = rates.argsort() if shuffle else np.arange(30)
        np.testing.assert_array_equal(rates[numbers], data.learning_rates.reshape(-1))
        for k, number in enumerate(numbers):
            np.testing.assert_array_equal(batches[number].images, data.images[k % 10])
    assert not np.array_equal(numbers, np.arange(30))


def test_evaluation_of_others(digits):
    data = distiller(digits).distilled()
    in_order = tfdistill.evaluate(data, "linear", digits.test, 2)
    shuffled = tfdistill.evaluate(data, "linear", digits.test, 2, shuffle_steps=True)
    assert not np.array_equal(in_order.confusion, shuffled.confusion)
    other = data.replace(images=-data.images)
    both = tfdistill.evaluate([data, other], "linear", digits.test, 4)
    assert both.accuracies[:2].min() > both.accuracies[2:].max()
    np.testing.assert_array_equal(both.confusion[:2], in_order.confusion)
    tfdistill.evaluate(data, "mlp", digits.test.batch(100), 1)
    with pytest.raises(ValueError, match="num_students"):
        tfdistill.evaluate(data, "linear", digits.test, 0)
    with pytest.raises(ValueError, match="side_by_side must be .* at least 1, not 0"):
        tfdistill.Evaluator("linear", data, side_by_side=0)
    with pytest.raises(ValueError, match="alexnet"):
        tfdistill.evaluate(data, "alexnet", digits.test, 1)


class TestDistilledImages:
    def test_batches_come_in_order_with_their_rates(self, digits):
        images = DistilledImages.from_noise(digits, steps=2, epochs=2, seed=1)
        images.schedule.raw_rates.assign([[0.0, 1.0], [2.0, 3.0]])
        softplus = np.log1p(np.exp([0.0, 1.0, 2.0, 3.0]))
        for t in range(images.num_steps):
            batch = images.batch(tf.constant(t))
            np.testing.assert_array_equal(batch.images, images.images[t % 2])
            np.testing.assert_array_equal(np.argmax(batch.labels, -1), np.arange(10))
            assert float(batch.learning_rate) == pytest.approx(softplus[t])

    def test_starts(self, digits):
        noise = DistilledImages.from_noise(digits, images_per_class=20, steps=5)
        assert float(tf.math.reduce_std(noise.images)) == pytest.approx(1, abs=0.02)
        np.testing.assert_allclose(noise.learning_rates, 0.02, rtol=1e-4)
        real = DistilledImages.from_real(digits, images_per_class=2, steps=3)
        assert real.images.shape == (3, 20, 8, 8, 1)
        raw = digits.normalization.denormalize(real.images.numpy()) * 255
        train = {image.tobytes() for image in digits.train.images}
        assert all(
            np.round(image).astype("uint8").tobytes() in train
            for image in raw.reshape(-1, 8, 8, 1)
        )

    def test_soft_labels(self, digits):
        soft = DistilledImages.from_noise(
            digits, steps=2, soft_labels=True, label_confidence=0.7
        )
        labels = soft.batch(1).labels.numpy()
        np.testing.assert_allclose(labels[np.arange(10), np.arange(10)], 0.7, rtol=1e-5)
        np.testing.assert_allclose(labels.sum(-1), 1, rtol=1e-5)

    def test_centred_labels(self):
        """As FRePo begins: smaller numbers for more classes."""
        classes = np.array([0, 3, 39])
        images = np.zeros([2, 3, 4, 4, 1])
        centred = DistilledImages(images, classes, 40, centred_labels=True)
        expected = (np.eye(40)[classes] - 1 / 40) / 2
        for t in range(2):
            np.testing.assert_allclose(centred.batch(t).labels, expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"steps": 0}, "steps"),
            ({"epochs": -1}, "epochs"),
            ({"images_per_class": 1.5}, "images_per_class"),
            ({"learning_rate": 0.0}, "learning_rate"),
            ({"label_confidence": 0.05}, "label_confidence"),
            ({"label_confidence": 0.7}, "label_confidence needs soft_labels"),
        ],
    )
    def test_bad_numbers(self, digits, arguments, says):
        with pytest.raises(ValueError, match=says):
            DistilledImages.from_noise(digits, **arguments)

    def test_bad_arrays(self):
        good = np.zeros((1, 2, 4, 4, 1))
        with pytest.raises(ValueError, match="NaN"):
            DistilledImages(good * np.nan, np.arange(2), 2)
        for raw in (np.uint8(good), good > 0):
            with pytest.raises(ValueError, match="normalised, not (uint8|bool): give"):
                DistilledImages(raw, np.arange(2), 2)
        with pytest.raises(ValueError, match="0..1"):
            DistilledImages(good, np.array([0, 2]), 2)
        with pytest.raises(ValueError, match="integers"):
            DistilledImages(good, np.array([0.0, 1.0]), 2)
        with pytest.raises(ValueError, match="shape"):
            DistilledImages(np.zeros((2, 2)), np.arange(2), 2)


class Halved(keras.initializers.Initializer):
    """Holds another initialiser."""

    def __init__(self):
        self.inner = keras.initializers.GlorotUniform()

    def __call__(self, shape, dtype=None):
        return self.inner(shape, dtype) / 2


class Counting(keras.initializers.Initializer):
    """Holds a generator of seeds."""

    def __init__(self):
        self.generator = keras.random.SeedGenerator(1)

    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, dtype=dtype, seed=self.generator)


def drawn_by(initializer):
    dense = keras.layers.Dense(3, kernel_initializer=initializer)
    return keras.Sequential([keras.Input((4,)), dense])


class TestRandomWeights:
    def draws(self, make_model, *seeds):
        weights = RandomWeights()
        weights.build(make_model, make_model())
        sample = tf.function(weights.sample, autograph=False)
        return [sample(tf.constant([seed, 0])) for seed in seeds]

    def test_a_draw_is_a_function_of_its_seed(self):
        (a, _), (b, _), (c, _) = self.draws(tfdistill.students.lenet, 1, 1, 2)
        for x, y, z in zip(a, b, c):
            np.testing.assert_array_equal(x, y)
            if len(x.shape) > 1:
                assert not np.allclose(x, z)

    def test_draws_follow_the_models_own_initialisers(self):
        def make_model():
            inputs = keras.Input((6, 50))
            x = keras.layers.LSTM(40)(inputs)
            x = keras.layers.BatchNormalization()(x)
            x = keras.layers.Dense(300, kernel_initializer="he_normal")(x)
            return keras.Model(inputs, keras.layers.Dropout(0.5)(x))

        model = make_model()
        ((weights, state),) = self.draws(make_model, 5)
        found = dict(zip([v.path for v in model.trainable_variables], weights))
        kernel = next(
            v
            for k, v in found.items()
            if k.endswith("dense/kernel") or "dense" in k and k.endswith("kernel")
        )
        assert np.std(kernel) == pytest.approx(np.sqrt(2 / 40), rel=0.05)
        gamma = next(v for k, v in found.items() if k.endswith("gamma"))
        np.testing.assert_array_equal(gamma, np.ones(40))
        bias = next(v for k, v in found.items() if "lstm" in k and k.endswith("bias"))
        np.testing.assert_array_equal(bias[40:80], 1)  # the forget gate's
        for value, variable in zip(state, model.non_trainable_variables):
            assert value.dtype == variable.dtype and value.shape == variable.shape

    @pytest.mark.parametrize("kind", [RandomWeights, tfdistill.FixedWeights])
    def test_no_mask_of_dropout_is_that_of_another_layer_or_step(self, kind):
        def two_masks():
            ones = keras.Input((200,))
            masks = [keras.layers.Dropout(0.5)(ones) for _ in range(2)]
            return keras.Model(ones, keras.layers.Concatenate()(masks))

        weights, student = kind(), StatelessModel(two_masks())
        weights.build(two_masks, student.model)
        state, masks = weights.sample(tf.constant([1, 0]))[1], []
        for _ in range(3):
            outputs, state, _ = student([], state, tf.ones([1, 200]), training=True)
            masks += np.split(outputs.numpy().ravel() > 0, 2)
        agree = [np.mean(a == b) for a, b in itertools.combinations(masks, 2)]
        assert 0.3 < min(agree) <= max(agree) < 0.7  # by chance, a half

    @pytest.mark.parametrize("kind", [Halved, Counting])
    def test_seeds_that_an_own_initialiser_holds_are_replaced(self, kind):
        (a, _), (b, _), (c, _) = self.draws(lambda: drawn_by(kind()), 1, 1, 2)
        np.testing.assert_array_equal(a[0], b[0])
        assert not np.allclose(a[0], c[0])

    @pytest.mark.parametrize("name", ["numpy", "made in the call", "made before"])
    def test_an_initialiser_that_is_drawn_from_only_once_is_refused(self, name):
        def make_model():
            glorot = keras.initializers.GlorotUniform
            before = glorot()
            functions = {
                "numpy": lambda shape, dtype: np.random.normal(size=shape),
                "made in the call": lambda shape, dtype: glorot()(shape, dtype),
                "made before": lambda shape, dtype: before(shape, dtype),
            }
            return drawn_by(functions[name])

        with pytest.raises(ValueError, match="kernel would give all .*keras.initial"):
            self.draws(make_model, 1)

    def test_an_initialiser_that_no_seed_reaches_is_spoken_of(self):
        def normal(shape, dtype):
            return tf.random.normal(shape, dtype=dtype)

        with pytest.warns(UserWarning, match="no run can be repeated: use objects"):
            self.draws(lambda: drawn_by(normal), 1)

    def test_an_initialiser_that_is_constant_is_taken(self):
        def one_draw(shape, dtype):
            return np.random.default_rng(0).normal(size=shape).astype(dtype)

        (a, _), (b, _) = self.draws(lambda: drawn_by(one_draw), 1, 2)
        np.testing.assert_array_equal(a[0], b[0])

    def test_an_initialiser_that_fails_in_a_graph_is_refused(self):
        class OfNumpy(keras.initializers.Initializer):
            seed = 3

            def __call__(self, shape, dtype=None):
                return np.random.default_rng(self.seed).normal(size=shape)

        with pytest.raises(ValueError, match="kernel fails where students are drawn"):
            self.draws(lambda: drawn_by(OfNumpy()), 1)

    def test_equal_layers_differ(self):
        def make_model():
            inputs = keras.Input((5,))
            dense = [keras.layers.Dense(5, use_bias=False) for _ in range(2)]
            return keras.Model(inputs, dense[1](dense[0](inputs)))

        ((weights, _),) = self.draws(make_model, 1)
        assert not np.allclose(*weights)

    def test_a_loaded_model_is_drawn_afresh(self, tmp_path):
        tfdistill.students.linear((4, 4, 1), 2).save(tmp_path / "m.keras")

        def make_model():
            return keras.models.load_model(tmp_path / "m.keras")

        ((weights, _),) = self.draws(make_model, 1)
        assert not np.allclose(weights[0], make_model().trainable_variables[0])

    def test_an_architecture_that_changes_is_refused(self):
        units = iter(range(2, 9))

        def make_model():
            return tfdistill.students.linear((4, 4, 1), next(units))

        with pytest.raises(ValueError, match="one architecture"):
            self.draws(make_model, 1)


def test_all_classes_are_taught_where_a_step_has_fewer_images(digits):
    """One image a step: which class it is goes on from step to step."""
    images = DistilledImages.from_real(digits, images_per_step=4, steps=5, epochs=4)
    noise = DistilledImages.from_noise(digits, images_per_step=4, steps=5)
    real = [np.arange(20).reshape(5, 4) % 10] * 2
    for made, classes in zip((images, noise), real):
        np.testing.assert_array_equal(np.argmax(made.labels, -1), classes)
        batch = made.batch(tf.constant(8)).labels  # of step 3
        np.testing.assert_array_equal(np.argmax(batch, -1), classes[3])
    norm = digits.normalization
    for step, number in ((0, 3), (2, 1), (4, 3)):
        image, label = images.images[step, number], int(classes[step, number])
        known = norm.normalize(digits.train.images[digits.train.labels == label])
        assert np.abs(known - image).max((1, 2, 3)).min() < 1e-5
    model = Distiller("linear", images, seed=3)
    model.compile(keras.optimizers.Adam(0.05, beta_1=0.5))
    fit(model, digits, steps=30)
    found = tfdistill.evaluate(model.distilled(), "linear", digits.test, 2)
    assert found.per_class.min() > 0.2
    with pytest.raises(ValueError, match="8 images in all cannot teach 10 classes"):
        DistilledImages.from_real(digits, images_per_step=4, steps=2)


def test_a_generator_teaches_all_classes(digits):
    generator = tfdistill.Generator.of(digits, steps=3, batch_size=4)
    labels = generator.curriculum(tf.constant([0, 1])).labels
    np.testing.assert_array_equal(
        np.argmax(labels, -1), np.arange(12).reshape(3, 4) % 10
    )
    with pytest.raises(ValueError, match="6 images in all cannot teach 10 classes"):
        tfdistill.Generator.of(digits, steps=2, batch_size=3)


@pytest.mark.parametrize("kind", ["plain", "soft", "centred", "small"])
def test_learning_goes_on_from_what_was_distilled(digits, kind):
    options = {"soft": {"soft_labels": True}, "small": {"enlarged": 2}}.get(kind, {})
    if kind == "centred":
        recipe = tfdistill.OrdinaryTraining(updates=3)
        options = {"centred_labels": True, "recipe": recipe}
    images = DistilledImages.from_real(digits, steps=2, epochs=2, **options)
    objective = "least_squares" if kind == "centred" else "classification"
    model = Distiller("linear", images, objective=objective)
    model.compile(keras.optimizers.Adam(0.05))
    fit(model, digits, steps=3)
    made = model.distilled()
    again = DistilledImages.from_distilled(made)
    second = Distiller("linear", again, objective=objective).distilled()
    assert second.recipe.kind == made.recipe.kind and second.enlarged == made.enlarged
    for a, b in (
        (made.stored_images, second.stored_images),
        (made.labels, second.labels),
        *zip(made.hyperparameters.values(), second.hyperparameters.values()),
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)
    plain = DistilledImages.from_distilled(
        made, centred_labels=False, soft_labels=False, recipe=None, learning_rate=0.1
    )
    assert set(np.unique(plain.labels)) == {0, 1} and plain.recipe is None
    np.testing.assert_allclose(plain.learning_rates, 0.1, rtol=1e-5)


def labelled(labels, objective):
    """A distilled set of an image for each label."""
    images = np.zeros((1, len(labels), 4, 4, 1))
    outputs = len(labels[0])
    return tfdistill.DistilledDataset(
        images,
        [labels],
        [[0.1]],
        objective=objective,
        normalization=tfdistill.Normalization((0,), (1,), 1),
        class_names=[f"{k}" for k in range(outputs)],
    )


@pytest.mark.parametrize(
    "labels", [[[3, -1], [0.5, 2], [-2, -3]], [[2.5], [-1]], [[0.3, 0.7], [1, 0]]]
)
def test_labels_of_a_regression_go_on_as_they_are(labels):
    def student():
        dense = keras.layers.Dense(len(labels[0]))
        return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), dense])

    images = DistilledImages.from_distilled(labelled(labels, "regression"))
    made = Distiller(student, images, objective="regression").distilled()
    np.testing.assert_allclose(made.labels, [labels], atol=1e-6)


@pytest.mark.parametrize("confidence", [0.6, 0.9])
def test_learned_labels_take_no_confidence(confidence):
    options = {"soft_labels": True, "label_confidence": confidence}
    learned = labelled([[0.7, 0.3], [0.5, 0.5]], "classification")
    with pytest.raises(ValueError, match="as they were learned: leave label_confid"):
        DistilledImages.from_distilled(learned, **options)
    one_hot = labelled([[1, 0], [0, 1]], "classification")
    images = DistilledImages.from_distilled(one_hot, **options)
    np.testing.assert_allclose(images.labels.numpy().max(-1), confidence, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "soft"),
    [("regression", True), ("regression", False), ("least_squares", True)],
)
def test_plain_numbers_are_no_shares_of_classes(objective, soft):
    data = labelled([[3, -1], [0.5, 2]], objective)
    with pytest.raises(ValueError, match="plain numbers.* centred_labels=True"):
        DistilledImages.from_distilled(data, soft_labels=soft, centred_labels=False)


def test_soft_labels_go_on_as_centred_ones():
    data = labelled([[0.9, 0.1], [0.5, 0.5]], "classification")
    images = DistilledImages.from_distilled(
        data, soft_labels=False, centred_labels=True
    )
    expected = np.float32([[[0.4, -0.4], [0, 0]]]) * np.sqrt(5)
    np.testing.assert_allclose(images.labels, expected, atol=1e-6)
    made = Distiller("linear", images, objective="least_squares").distilled()
    np.testing.assert_allclose(made.labels, expected, atol=1e-6)


def test_images_of_another_size_are_the_means_of_their_pixels(digits):
    data = tfdistill.baselines.random_real(digits, steps=2)
    small = DistilledImages.from_distilled(data, enlarged=2)
    assert small.image_shape == data.image_shape == (8, 8, 1)
    corner = data.images[:, :, :2, 6:].mean((2, 3))
    np.testing.assert_allclose(small.images[:, :, 0, 3], corner, atol=1e-6)
    large = small.batch(tf.constant(1)).images
    made = Distiller("linear", small).distilled()
    again = DistilledImages.from_distilled(made, enlarged=1)
    np.testing.assert_allclose(again.images[1], large, atol=1e-5)
    with pytest.raises(ValueError, match="enlarged must divide the sides"):
        DistilledImages.from_distilled(data, enlarged=3)


def test_learned_rates_are_kept_for_other_epochs_alone(digits):
    rates = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    data = tfdistill.baselines.random_real(digits, steps=2)
    data = data.replace(learning_rates=rates)
    for epochs, order in ((2, [0, 1]), (5, [0, 1, 2, 2, 2])):
        going = DistilledImages.from_distilled(data, epochs=epochs)
        np.testing.assert_allclose(going.learning_rates, rates[order], rtol=1e-4)

    class Own(tfdistill.InnerOptimizer):
        hyperparameters = (tfdistill.inner.learning_rate(0.01),)
        name = "own"

        def update(self, t, hyperparameters, gradients, weights, slots):
            return weights, slots

    class Other(Own):
        name = "own"

    of_own = data.replace(inner_optimizer=Own(), learning_rates=rates)
    kept = DistilledImages.from_distilled(of_own).learning_rates
    np.testing.assert_allclose(kept, rates, rtol=1e-4)
    for known, other in ((data, "momentum"), (of_own, Other())):
        with pytest.warns(UserWarning, match="are not taken for (momentum|own)"):
            going = DistilledImages.from_distilled(known, inner_optimizer=other)
        assert np.ptp(going.learning_rates) == 0


def test_another_rate_leaves_the_learned_momenta(digits):
    momenta = np.array([[0.6, 0.7], [0.8, 0.9]])
    data = tfdistill.baselines.random_real(digits, steps=2).replace(
        learning_rates=np.array([[0.1, 0.2], [0.3, 0.4]]),
        inner_optimizer="momentum",
        hyperparameters={"momentum": momenta},
    )
    for rate, expected in ((None, data.learning_rates), (0.05, np.full((2, 2), 0.05))):
        going = DistilledImages.from_distilled(data, learning_rate=rate)
        values = going.schedule.values()
        np.testing.assert_allclose(values["learning_rate"], expected, rtol=1e-4)
        np.testing.assert_allclose(values["momentum"], momenta, rtol=1e-4)
    with warnings.catch_warnings(action="error", category=UserWarning):
        options = {"inner_optimizer": "sgd", "learning_rate": 0.05}
        going = DistilledImages.from_distilled(data, **options)
    np.testing.assert_allclose(going.learning_rates, 0.05, rtol=1e-4)


def test_centroids_start_from_the_given_rate(digits):
    flags = ["--start=k_means", "--learning_rate=0.1", "--epochs=3", "--steps=1"]
    given = main.command("distill").parse([*flags, "--workdir=W"])
    images = synthesizers.make(given, digits)
    np.testing.assert_allclose(images.learning_rates, 0.1, rtol=1e-5)


def test_a_split_is_tested_on_as_it_is(digits):
    model = distiller(digits)
    as_batches = model.evaluate(digits.test.batch(100), return_dict=True)
    as_split = model.evaluate(digits.test, return_dict=True)
    assert as_split == pytest.approx(as_batches, abs=1e-5)
    history = fit(model, digits, steps=2, validation_data=digits.test)
    assert 0 < history["val_accuracy"][0] <= 1
    with pytest.raises(ValueError, match="whole data set: give its part .test"):
        model.evaluate(digits)


def test_a_test_takes_and_refuses_what_an_evaluation_does(digits):
    model = distiller(digits)
    expected = model.evaluate(digits.test, num_students=2)
    assert list(model.test(digits.test, 2).logs().values()) == expected
    images, labels = next(iter(digits.test.batch(10)))
    raw, codes = np.full([10, 8, 8, 1], 200, "uint8"), np.eye(10)[np.asarray(labels)]
    for batches, says in (
        ([(raw, labels)], "normalised"),
        ([(images, codes)], "must be integers"),
        (iter(digits.test.batch(10)), "a generator, which may have no end"),
    ):
        for ask in (model.test, model.evaluate):
            with pytest.raises(ValueError, match=says):
                ask(batches, num_students=2)
    kept = (batch for batch in digits.test.batch(100))
    first = model.evaluate(kept, steps=2, num_students=1)
    assert model.evaluate(kept, steps=2, num_students=1) == first


def test_an_evaluation_needs_no_compile_and_follows_the_last_one(digits, monkeypatch):
    asked = []

    class Noted(FreshStudents):
        def __init__(self, *args, jit_compile, **kwargs):
            asked.append(jit_compile)
            super().__init__(*args, jit_compile=False, **kwargs)

    monkeypatch.setattr(validation, "FreshStudents", Noted)
    monkeypatch.setattr(fresh_students, "accelerated", lambda: True)
    recipe = tfdistill.OrdinaryTraining(updates=2)
    images = DistilledImages.from_real(digits, steps=1, epochs=1, recipe=recipe)
    model = Distiller("linear", images)
    found = [model.evaluate(digits.test, num_students=1)]
    for jit_compile in (True, False):
        model.compile(jit_compile=jit_compile)
        for _ in range(2):
            found.append(model.evaluate(digits.test, num_students=1))
    assert asked == [False, True, False]
    np.testing.assert_array_equal(found, found[:1] * 5)


def test_a_split_is_normalised_as_the_images_are(digits):
    """Whatever its own normalization, students see what they learned from."""
    model, other = distiller(digits), tfdistill.Normalization([0.9], [0.1])
    split = digits.test.normalized_by(other, digits.num_classes)
    model.compile(keras.optimizers.Adam(0.0))
    expected, found = model.evaluate(digits.test), model.evaluate(split)
    assert found == expected
    history = fit(model, digits, 1, validation_data=split)
    assert history["val_loss"] == [pytest.approx(expected[0], rel=1e-5)]
    made = model.distilled()
    results = [
        tfdistill.evaluate(made, "linear", test, num_students=2)
        for test in (digits.test, split)
    ]
    assert results[0].accuracies.tolist() == results[1].accuracies.tolist()
