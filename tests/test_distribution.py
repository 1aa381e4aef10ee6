"""Students on several devices and machines learn what they learn on one."""

import json
import os
import signal
import socket
import time

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import (
    DistilledDataset,
    DistilledImages,
    Distiller,
    FixedWeights,
    stability,
    students,
)
from tfdistill.cli import machine, pretrain, search
from tfdistill.cli.errors import InputError
from tfdistill.runs import strategies
from tfdistill.studies import pretraining

FLAGS = [
    "--strategy=multi_worker",
    "--student=linear",
    "--outer_steps=60",
    "--report_every=20",
    "--steps=2",
    "--epochs=2",
    "--batch_size=100",
    "--num_students=2",
]


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


def distiller(digits, strategy, student="mlp", weights=None, **kwargs):
    with strategy.scope():
        synthesizer = DistilledImages.from_real(
            digits, steps=2, epochs=2, learning_rate=0.1
        )
        model = Distiller(student, synthesizer, weights, seed=3)
        model.compile(
            keras.optimizers.Adam(0.05, beta_1=0.5, use_ema=True, ema_momentum=0.5),
            **{"students_per_step": 4, "back_off": 5, **kwargs},
        )
    return model


def fit(model, digits, steps):
    """Outer steps in which every replica sees the same batch."""
    images, labels = next(iter(digits.train.batch(64, shuffle=True)))
    replicas = model.distribute_strategy.num_replicas_in_sync
    data = tf.tile(images, [replicas, 1, 1, 1]), tf.tile(labels, [replicas])
    batches = tf.data.Dataset.from_tensors(data).repeat()
    model.fit(batches, steps_per_epoch=steps, verbose=0)


def learned(digits, strategy, **kwargs):
    """Images, rates and usual figures after three outer steps."""
    model = distiller(digits, strategy, **kwargs)
    fit(model, digits, 3)
    numbers = [v.numpy() for v in (*model.gradient_norms, model.usual_loss)]
    data = model.distilled()
    return data.images, data.learning_rates, np.array(numbers)


def assert_alike(found, expected):
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, atol=1e-5)


def batch_norm(image_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(num_classes),
        ]
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"student": batch_norm, "clip": None},
        {"student": "linear", "weights": FixedWeights(), "students_per_step": 2},
    ],
    ids=["sampled", "batch_norm", "fixed"],
)
def test_two_devices_make_the_step_of_one(digits, mirrored, options):
    start = digits.train.sample(2)[0].reshape(2, 10, 8, 8, 1)
    results = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        keras.utils.set_random_seed(5)
        results.append(learned(digits, strategy, **options))
    assert not np.allclose(results[0][0], start, atol=1e-2)  # it has moved
    assert_alike(results[1], results[0])


@pytest.mark.parametrize(
    ("name", "limit"),
    [("clipnorm", 1e-3), ("global_clipnorm", 1e-3), ("clipvalue", 1e-4)],
)
def test_an_optimizer_clips_what_all_replicas_have_together(
    digits, mirrored, name, limit
):
    moved = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        model = distiller(digits, strategy, student="linear")
        with strategy.scope():
            optimizer = keras.optimizers.SGD(1.0, **{name: limit})
            model.compile(optimizer, students_per_step=2)
        variables = model.synthesizer.trainable_variables
        starts = [v.numpy() for v in variables]
        fit(model, digits, 1)
        moves = [v.numpy() - start for v, start in zip(variables, starts)]
        moved.append(np.concatenate([move.ravel() for move in moves]))
    assert np.abs(moved[0]).max() < 1.01 * limit  # it is clipped
    assert np.linalg.norm(moved[0]) > 0.99 * limit
    np.testing.assert_allclose(moved[1], moved[0], atol=1e-6)


def test_replicas_draw_students_of_their_own(digits, mirrored):
    alone = distiller(digits, tf.distribute.get_strategy())
    model = distiller(digits, mirrored)

    def draw():
        seeds = model.student_seeds()
        return seeds, [model.population.members[0][1].sample(s)[0][0] for s in seeds]

    seeds, weights = mirrored.run(tf.function(draw, autograph=False))
    local = mirrored.experimental_local_results
    seeds = [tuple(s.numpy()) for r in (0, 1) for s in (local(x)[r] for x in seeds)]
    kernels = [local(x)[r].numpy() for r in (0, 1) for x in weights]
    assert seeds == [tuple(s.numpy()) for s in alone.student_seeds()]
    for k in range(1, 4):
        assert not np.allclose(kernels[0], kernels[k])


def test_each_replica_has_its_share_of_the_real_batch(digits, mirrored):
    seen = []

    class Counts(tfdistill.Classification):
        def meta_loss(self, labels, outputs):
            seen.append(labels.shape[0])
            return super().meta_loss(labels, outputs)

    with mirrored.scope():
        images = DistilledImages.from_noise(digits, steps=1, epochs=1)
        model = Distiller("linear", images, objective=Counts())
        model.compile(students_per_step=2)
    batches = digits.train.batch(100, repeat=True)
    model.fit(batches, steps_per_epoch=2, verbose=0)
    assert set(seen) == {50}


def test_evaluations_are_spread_too(digits, mirrored):
    data = tfdistill.baselines.random_real(digits, steps=2)
    test = digits.test.batch(200)
    results = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        evaluator = tfdistill.Evaluator("linear", data, strategy=strategy)
        results.append(evaluator(data, test, 7))
        results.append(distiller(digits, strategy).test(test, 3))
    for alone, spread in zip(results[:2], results[2:]):
        assert alone.num_students == spread.num_students > 2
        np.testing.assert_array_equal(spread.confusion, alone.confusion)
        np.testing.assert_allclose(spread.losses, alone.losses, rtol=1e-5)


def test_replicas_share_the_batches_of_a_pretraining(digits, mirrored):
    def make_model():
        return students.build("mlp", digits.image_shape, 10)

    results = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            trained = pretraining.pretrain(
                make_model,
                digits,
                [0, 1],
                pretraining.Recipe(2, 1, 1e-3),
                batch_size=100,
                verbose=0,
            )
            results.append([w for model in trained for w in model.get_weights()])
            found = pretraining.accuracies(trained, digits.test)
            assert min(found) > 0.5
    for alone, shared in zip(*results):
        np.testing.assert_allclose(shared, alone, atol=1e-4)


class Descent(tfdistill.InnerOptimizer):
    """Gradient descent of somebody's own, which `to_keras` knows nothing of."""

    def __init__(self):
        self.hyperparameters = (tfdistill.inner.learning_rate(),)

    def update(self, t, hyperparameters, gradients, weights, slots):
        rate = hyperparameters["learning_rate"]
        return [w - rate * g for w, g in zip(weights, gradients)], slots


def test_replicas_share_the_batches_of_training_on_distilled_data(digits, mirrored):
    data = tfdistill.baselines.random_real(digits, steps=2)
    recipe = tfdistill.OrdinaryTraining(updates=5, learning_rate=0.01)
    rates = {"learning_rate": np.full((3, 2), 0.1)}
    own = tfdistill.LearnedSchedule(Descent(), rates)
    alone = tf.distribute.get_strategy()
    for kind in (data, data.replace(recipe=recipe), data.replace(recipe=own)):
        results = []
        for strategy, outside in ((alone, False), (mirrored, False), (mirrored, True)):
            with strategy.scope():
                model = students.linear(digits.image_shape, 10)
                model.set_weights([np.zeros(w.shape) for w in model.get_weights()])
                if not outside:
                    kind.train(model)
            if outside:
                kind.train(model)
            results.append(model.get_weights())
        assert np.abs(results[0][0]).max() > 1e-3
        for expected, *shared in zip(*results):
            for found in shared:
                np.testing.assert_allclose(found, expected, atol=1e-3)


def test_batches_that_replicas_cannot_share_evenly_are_refused(digits, mirrored):
    few = digits.of_classes([0, 1, 2])
    data = tfdistill.baselines.random_real(few, steps=2)  # of 3 images
    ordinary = data.replace(recipe=tfdistill.OrdinaryTraining(2, batch_size=5))

    def make_model():
        return students.linear(few.image_shape, 3)

    def pretrain(batch_size):
        recipe = pretraining.Recipe(1, 1)
        return pretraining.pretrain(
            make_model, few, [0], recipe, batch_size=batch_size, verbose=0
        )

    says = "2 replicas cannot share batches of {} images evenly: make the model outside"
    batches = "batch_size must be a multiple of the strategy's 2 replicas, and at most"
    with mirrored.scope():
        with pytest.raises(ValueError, match=says.format(3)):
            data.train(make_model())
        with pytest.raises(ValueError, match=says.format(5)):
            ordinary.train(make_model())
        with pytest.raises(ValueError, match=rf"{batches} \d+, .* not 7\."):
            pretrain(7)
    data.train(make_model())


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("command", ["search", "pretrain"])
def test_batches_of_real_images_are_looked_at_before_any_work(
    digits, mirrored, tmp_path, monkeypatch, command, dry_run
):
    asked = {"search": search, "pretrain": pretrain}[command].COMMAND
    run, workdir = tmp_path / "run", tmp_path / "made"
    data = tfdistill.baselines.random_real(digits, steps=1)
    data.replace(provenance={"dataset": "digits"}).save(run / "distilled")
    monkeypatch.setattr(machine, "set_threads", lambda *_, **__: None)
    monkeypatch.setattr(machine, "strategy", lambda _: mirrored)
    given = {"search": f"--distilled={run}", "pretrain": "--student=linear"}
    flags = [given[command], f"--workdir={workdir}", "--batch_size=127"]
    if dry_run:
        flags.append("--dry_run")
    with pytest.raises(InputError) as caught:
        asked.run(asked.parse(flags))
    says = "--batch_size must be a multiple of the strategy's 2 replicas"
    assert asked.in_flags(str(caught.value)).startswith(says)
    assert not workdir.exists()


def test_a_search_is_spread_too(digits, mirrored, tmp_path):
    pytest.importorskip("keras_tuner")
    from tfdistill.studies.architecture_search.search import Search

    data = digits.hold_out(0.1)
    real = tfdistill.baselines.random_real(data, steps=2)
    found = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        folder = tmp_path / type(strategy).__name__
        search = Search(
            "small_convnets",
            real,
            data,
            folder,
            num_students=2,
            passes=2,
            strategy=strategy,
        )
        search.explore(1)
        search.compare(1, 1)
        compared = search.ranking[0].real_accuracy
        found.append([*search.candidates[0].accuracies, compared])
        assert compared > 0.3
    np.testing.assert_allclose(*found, atol=0.01)


def test_a_diverging_student_counts_for_all_replicas(digits, mirrored):
    model = distiller(digits, mirrored)
    model.usual_loss.assign(1.0)
    with mirrored.scope():
        usual = stability.RunningMean(model.usual_loss)

    def back_off():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        losses = tf.stack([1.0, tf.where(replica == 0, 1.0, 9.0)])
        back_off = stability.BackOff(5, usual)
        factor = back_off.factor(losses, tf.constant([True, True]), 0, 0.05)
        model.synthesizer.scale_rates(factor)

    mirrored.run(back_off)
    rates = mirrored.experimental_local_results(
        model.synthesizer.schedule.raw_rates.value
    )
    np.testing.assert_array_equal(*[r.numpy() for r in rates])
    shrunk = 0.1 * np.exp(-5 * 0.05)
    np.testing.assert_allclose(model.synthesizer.learning_rates, shrunk, rtol=1e-4)
    assert float(usual.variable.numpy()) == pytest.approx(1.25)
    assert int(usual.skipped.numpy()) == 0


def test_a_replica_without_an_example_raises_no_alarm(digits, mirrored):
    model = distiller(digits, mirrored, "linear")
    images, labels = next(iter(digits.train.batch(1)))
    history = model.fit(images.numpy(), labels.numpy(), verbose=0).history
    assert np.isfinite([history["loss"], history["accuracy"]]).all()
    rates = model.synthesizer.learning_rates.numpy()
    assert rates.min() > 0.1 * np.exp(-5 * 0.05)


def test_what_does_not_fit_a_strategy_is_refused(digits, mirrored, monkeypatch):
    with pytest.raises(ValueError, match="multiple of the strategy's 2 replicas, not"):
        distiller(digits, mirrored, students_per_step=3)
    outside = DistilledImages.from_noise(digits, steps=1)
    with mirrored.scope(), pytest.raises(ValueError, match="synthesizer must be made"):
        Distiller("linear", outside)
    outside = keras.optimizers.SGD(0.1)
    with mirrored.scope():
        images = DistilledImages.from_noise(digits, steps=1)
        model = Distiller("linear", images)
        with pytest.raises(ValueError, match="optimizer must be made in the scope"):
            model.compile(outside, students_per_step=2)
    with pytest.raises(ValueError, match="strategy must be one of none, mirrored"):
        strategies.make("several")
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match="TF_CONFIG cannot be used"):
        strategies.make("multi_worker")


@pytest.mark.slow
def test_xla_compiles_the_students_of_a_replica(digits, mirrored):
    model = distiller(digits, mirrored, student="linear", jit_compile=True)
    history = model.fit(
        digits.train.batch(64, repeat=True), steps_per_epoch=2, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
    real = tfdistill.baselines.random_real(digits, steps=1)
    real = real.replace(recipe=tfdistill.OrdinaryTraining(updates=20))
    alone, spread = (
        tfdistill.Evaluator("linear", real, jit_compile=True, strategy=strategy)(
            real, digits.test.batch(200), 3
        )
        for strategy in (None, mirrored)
    )
    np.testing.assert_allclose(spread.losses, alone.losses, rtol=1e-4)


def two_workers(*command):
    """Starts a command as both workers; a function that starts one of them again."""
    ports = []
    for _ in range(2):
        with socket.socket() as s:
            s.bind(("localhost", 0))
            ports.append(s.getsockname()[1])

    def start(index):
        task = {"type": "worker", "index": index}
        cluster = {"worker": [f"localhost:{port}" for port in ports]}
        return commands.start_python(
            *command,
            together=True,
            PYTHONPATH=os.pathsep.join([os.getcwd(), os.path.dirname(__file__)]),
            TF_CONFIG=json.dumps({"cluster": cluster, "task": task}),
        )

    return start


def finish(*processes):
    outputs = [p.communicate(timeout=400)[0] for p in processes]
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output
    return outputs


def worker(path):
    """What `test_two_workers_make_the_step_of_one` runs."""
    strategy = strategies.make("multi_worker")
    assert strategy.num_replicas_in_sync == strategies.num_workers(strategy) == 2
    digits = tfdistill.load_dataset("digits")
    result = learned(digits, strategy)
    if strategies.is_chief(strategy):
        np.savez(path, *result)
    # Each worker reads examples of its own from a stream.
    rows = np.arange(digits.train.num_examples)
    numbered = tf.data.Dataset.from_tensor_slices((digits.train.images, rows))
    stream = tfdistill.Split.streamed(numbered, len(rows), digits.image_shape)

    def own(count, start=0):
        batches = strategies.batches(
            strategy, stream, 100, shuffle=True, repeat=True, start=start
        )
        batches = (strategy.experimental_local_results(b[1])[0] for b in batches)
        return np.concatenate([next(batches).numpy() for _ in range(count)])

    seen = own(14)
    np.testing.assert_array_equal(own(1, start=13), seen[-50:])
    with pytest.raises(ValueError, match="multiple of the strategy's 2 replicas"):
        strategies.batches(strategy, stream, 99)
    index = strategy.cluster_resolver.task_id
    assert len(np.unique(seen)) == 700 and set(seen % 2) == {index}


@pytest.mark.slow
def test_two_workers_make_the_step_of_one(digits, tmp_path):
    path = tmp_path / "chief.npz"
    code = f"import test_distribution as t; t.worker({str(path)!r})"
    start = two_workers("-c", code)
    finish(start(0), start(1))
    with np.load(path) as found:
        expected = learned(digits, tf.distribute.get_strategy())
        assert_alike([found[name] for name in found.files], expected)


@pytest.mark.slow
def test_a_killed_worker_is_waited_for(tmp_path):
    def command(name):
        return "-m", "tfdistill", "distill", f"--workdir={tmp_path / name}", *FLAGS

    start = two_workers(*command("whole"))
    chief, other = finish(start(0), start(1))
    assert "Everything is in" in chief and "Everything is in" not in other

    start = two_workers(*command("killed"))
    chief, other = start(0), start(1)
    backup, deadline = tmp_path / "killed" / "backup" / "checkpoint", time.time() + 200
    while not backup.exists():
        assert time.time() < deadline and chief.poll() is other.poll() is None
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    output, _ = finish(chief, start(1))
    assert "A worker is lost; starting again." in output
    assert "Going on after outer step" in output

    whole, killed = (
        DistilledDataset.load(tmp_path / name / "distilled")
        for name in ("whole", "killed")
    )
    # Every draw is a function of the seed and the outer step; sums over workers are
    # taken in the order in which they come.
    np.testing.assert_allclose(killed.images, whole.images, atol=1e-5)
    np.testing.assert_allclose(killed.learning_rates, whole.learning_rates, rtol=1e-5)
