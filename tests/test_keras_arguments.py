"""What Keras users bring: kinds of numbers, pipelines, arguments and callbacks."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import DistilledDataset, baselines, students
from tfdistill.evaluation import batches as evaluation_batches
from tfdistill.runs import files, fitting
from tfdistill.studies import pretraining


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


@pytest.fixture(scope="module")
def made(digits):
    """A compiled distiller; what it has learned by now is of no account."""
    images = tfdistill.DistilledImages.from_real(digits, steps=1)
    distiller = tfdistill.Distiller("linear", images, seed=np.int64(3))
    distiller.compile(
        keras.optimizers.Adam(0.01),
        students_per_step=np.int32(1),
        validation_students=np.int64(1),
    )
    return distiller


def fit(distiller, digits, **kwargs):
    batches = digits.train.batch(64, repeat=True)
    kwargs = {"steps_per_epoch": 1, "verbose": 0, **kwargs}
    return distiller.fit(kwargs.pop("x", batches), **kwargs)


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_whole_numbers_of_any_kind(digits, tmp_path, kind):
    images = tfdistill.DistilledImages.from_real(
        digits, images_per_class=kind(1), steps=kind(2), epochs=kind(2), seed=kind(3)
    )
    distiller = tfdistill.Distiller("linear", images, seed=kind(3))
    data = distiller.distilled(outer_steps=kind(5), rates=np.float32([0.5]))
    data.save(tmp_path / "d")
    found = DistilledDataset.load(tmp_path / "d").provenance
    assert (found["seed"], found["outer_steps"], found["rates"]) == (3, 5, [0.5])
    for number, make in enumerate(
        (baselines.random_real, baselines.k_means, baselines.average_real)
    ):
        options = {} if make is baselines.average_real else {"seed": kind(3)}
        data = make(digits, images_per_class=kind(1), steps=kind(1), **options)
        data.save(tmp_path / f"{number}")
        data = tfdistill.DistilledDataset.load(tmp_path / f"{number}")
    result = tfdistill.evaluate(data, "linear", digits.test, kind(1), seed=kind(1))
    assert result.num_students == 1
    files.write_json(tmp_path / "m.json", {"a": kind(1), "b": np.array([[kind(2)]])})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 1, "b": [[2]]}


def test_short_whole_numbers_do_not_overflow(digits):
    data = baselines.random_real(digits, steps=2)
    assert data.by_adam(np.uint8(200)).learning_rates.shape == (200, 2)
    with pytest.raises(ValueError, match="needs 300 images of each class"):
        baselines.k_means(digits, images_per_class=np.uint8(20), steps=np.uint8(15))
    split = tfdistill.Split(
        digits.train.images, digits.train.labels, num_classes=np.uint8(10)
    )
    generator = tfdistill.Generator.of(digits, batch_size=np.uint8(30), steps=2)
    records = [
        tfdistill.audit.Recipe(rounds=np.uint8(3), seed=np.uint8(4)),
        tfdistill.exposure.Training(clean_steps=np.uint8(5)),
        tfdistill.replay.Distillation("linear", pool=np.uint8(6)),
        pretraining.Recipe(np.uint8(7), halve_every=np.uint8(8)),
    ]
    found = [split.num_classes, generator.batch_size]
    found += [value for record in records for value in vars(record).values()]
    assert not any(isinstance(value, np.integer) for value in found)


def test_students_take_whole_numbers_of_any_kind():
    two, ten = np.int64([2, 10])
    for make, options in (
        (students.mlp, {"hidden": (two,)}),
        (students.convnet, {"width": two, "depth": np.uint8(2)}),
        (students.gtn_learner, {"widths": (two, two, two)}),
    ):
        assert make((8, 8, 1), ten, **options).output_shape == (None, 10)


@pytest.mark.parametrize("value", [object(), {1, "a"}, lambda: 0])
def test_provenance_that_json_cannot_hold_is_refused_at_once(made, value):
    with pytest.raises(ValueError, match="provenance must hold values of JSON"):
        made.distilled(of=value)


def batches_of(digits):
    images, labels = next(iter(digits.validation.batch(100)))
    return np.asarray(images), np.asarray(labels)


class Seen(tfdistill.Distiller):
    """Notes the labels of the first batch."""

    def train_step(self, data):
        self.seen = np.asarray(data[1]) if not hasattr(self, "seen") else self.seen
        return super().train_step(data)


@pytest.mark.parametrize("kind", ["arrays", "pipeline"])
def test_arrays_are_shuffled_and_pipelines_keep_their_order(kind, digits):
    images, labels = batches_of(digits)
    labels = np.sort(labels)  # as in a file that is sorted by class
    made = Seen("linear", tfdistill.DistilledImages.from_real(digits, steps=1))
    made.compile(run_eagerly=True)
    if kind == "arrays":
        made.fit(images, labels, batch_size=50, verbose=0)
        assert len(set(made.seen)) == 10
    else:
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(50)
        made.fit(batches, verbose=0)
        assert np.array_equal(made.seen, labels[:50])


class Endless(keras.utils.PyDataset):
    def __init__(self, pair, number):
        super().__init__()
        self.pair, self.number = pair, number

    def __getitem__(self, index):
        return self.pair

    @property
    def num_batches(self):
        return self.number


def forever(pair):
    while True:
        yield pair


@pytest.mark.parametrize("kind", ["repeated", "generator", "py_dataset", "from_py"])
def test_validation_that_repeats_has_an_end(made, digits, kind):
    pair = batches_of(digits)
    endless = {
        "repeated": lambda: tf.data.Dataset.from_tensors(pair).repeat(),
        "generator": lambda: forever(pair),
        "py_dataset": lambda: Endless(pair, None),
        "from_py": lambda: iter(tf.data.Dataset.from_tensors(pair).repeat()),
    }[kind]
    found = fit(
        made, digits, validation_data=endless(), validation_steps=2, epochs=2
    ).history
    assert len(found["val_accuracy"]) == 2
    once = made.evaluate(*pair, return_dict=True)
    assert found["val_accuracy"][-1] == pytest.approx(once["accuracy"])
    assert made.evaluate(endless(), steps=3, return_dict=True) == pytest.approx(once)
    says = "repeat without end|are a generator"
    with pytest.raises(ValueError, match=says):
        fit(made, digits, validation_data=endless())
    with pytest.raises(ValueError, match=says):
        made.evaluate(endless())


def test_tests_have_an_end_too(made, digits):
    pair = batches_of(digits)
    data = made.distilled()
    with pytest.raises(ValueError, match="repeat without end"):
        tfdistill.evaluate(
            data, "linear", tf.data.Dataset.from_tensors(pair).repeat(), 1
        )
    lists = tfdistill.evaluate(data, "linear", [pair, pair], 1)
    assert lists.num_examples == 2 * len(pair[1])
    with pytest.raises(ValueError, match="no batches to test on"):
        tfdistill.evaluate(data, "linear", [], 1)


def unsaid(kind, digits):
    """Batches of unknown length that never end."""
    pair = batches_of(digits)
    if kind == "filtered":
        endless = tf.data.Dataset.from_tensors(pair).repeat()
        return endless.filter(lambda images, labels: tf.size(labels) > 0)
    if kind == "from_generator":
        spec = tf.data.Dataset.from_tensors(pair).element_spec
        return tf.data.Dataset.from_generator(
            lambda: forever(pair), output_signature=spec
        )

    class Forever:
        def __iter__(self):
            return forever(pair)

    return Forever()


@pytest.mark.parametrize("kind", ["filtered", "from_generator", "iterable"])
def test_what_does_not_say_its_length_is_not_waited_for(
    made, digits, kind, monkeypatch
):
    monkeypatch.setattr(evaluation_batches, "MOST", 20)
    data, endless = made.distilled(), unsaid(kind, digits)
    with pytest.raises(ValueError, match=r"and 20 were not all: .*validation_steps"):
        made.evaluate(endless)
    with pytest.raises(ValueError, match="do not say how many they are"):
        tfdistill.evaluate(data, "linear", endless, 1)
    with pytest.raises(ValueError, match="do not say how many they are"):
        tfdistill.evaluate_model(tfdistill.students.linear((8, 8, 1)), endless)
    if kind != "iterable":
        with pytest.raises(ValueError, match="do not say how many they are"):
            fit(made, digits, validation_data=endless)
        fit(made, digits, validation_data=endless, validation_steps=30)
    # Data that say that they are many may be many.
    many = tf.data.Dataset.from_tensors(batches_of(digits)).repeat(30)
    for known in (many, list(many)):
        assert tfdistill.evaluate(data, "linear", known, 1).num_examples == 3000


@pytest.mark.parametrize("kind", ["filtered", "from_generator"])
def test_an_epoch_that_goes_on_is_spoken_of(made, digits, kind, monkeypatch):
    monkeypatch.setattr(fitting, "LONG_EPOCH", 3)
    batches = unsaid(kind, digits)
    with pytest.warns(UserWarning, match="3 outer steps.*pass steps_per_epoch"):
        fit(made, digits, x=batches.take(4), steps_per_epoch=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(made, digits, x=batches, steps_per_epoch=4)
        fit(made, digits, steps_per_epoch=4)


def test_training_that_repeats_needs_its_steps(made, digits):
    with pytest.raises(ValueError, match="pass steps_per_epoch"):
        fit(made, digits, steps_per_epoch=None)


@pytest.mark.parametrize("draws", [{"shuffle": True}, {"augment": lambda x, _: x}])
def test_epochs_that_would_be_copies_are_spoken_of(made, digits, draws):
    batches = digits.train.batch(500, **draws)  # 3 of them
    for epochs in ({"epochs": 2}, {"epochs": 2, "steps_per_epoch": 3}):
        with pytest.warns(UserWarning, match="same order.*give batch.*repeat=True"):
            fit(made, digits, **{"x": batches, "steps_per_epoch": None, **epochs})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(made, digits, x=batches, steps_per_epoch=None)
        fit(made, digits, x=batches, steps_per_epoch=1, epochs=2)
        fit(made, digits, x=batches, steps_per_epoch=None, epochs=3, initial_epoch=2)
        plain, endless = (digits.train.batch(700, **k) for k in ({}, {"repeat": True}))
        fit(made, digits, x=plain, steps_per_epoch=None, epochs=2)
        fit(made, digits, x=endless, epochs=2)


@pytest.mark.parametrize("name", ["class_weight", "sample_weight"])
def test_weights_are_refused(made, digits, name):
    with pytest.raises(ValueError, match=rf"fit\({name}=\) has no effect here"):
        fit(made, digits, **{name: {0: 1.0}})


def test_weights_in_the_batches_are_refused(made, digits):
    images, labels = batches_of(digits)
    weighted = tf.data.Dataset.from_tensors((images, labels, np.ones(len(labels))))
    with pytest.raises(ValueError, match="sample weights are not for a Distiller"):
        fit(made, digits, x=weighted)
    with pytest.raises(ValueError, match="sample weights are not for a Distiller"):
        fit(made, digits, validation_data=weighted)
    with pytest.raises(ValueError, match="must be a pair"):
        made.evaluate(tf.data.Dataset.from_tensors((images,)))


@pytest.mark.parametrize(
    "arguments",
    [{"loss": "mse"}, {"metrics": ["accuracy"]}, {"weighted_metrics": ["mse"]}],
)
def test_losses_and_metrics_are_the_objectives(made, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"compile\({name}=\) has no effect.*objecti"):
        made.compile(**arguments)


@pytest.mark.parametrize("name", ["a.keras", "folder"])
def test_saving_says_what_to_use_instead(made, tmp_path, name):
    with pytest.raises(NotImplementedError, match=r"distilled\(\)\.save.*Backup"):
        made.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("monitor", ["val_accuracy", "accuracy", "val_loss"])
def test_callbacks_know_the_direction(made, digits, tmp_path, monitor):
    path = str(tmp_path / "best.weights.h5")
    watched = {
        "verbose": 0,
        "monitor": monitor,
    }
    callbacks = [
        keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True, **watched),
        keras.callbacks.ReduceLROnPlateau(patience=9, **watched),
        keras.callbacks.ModelCheckpoint(
            path, save_best_only=True, save_weights_only=True, **watched
        ),
    ]
    fit(
        made,
        digits,
        epochs=2,
        validation_data=digits.validation.batch(100),
        callbacks=callbacks,
    )
    up = "max" if monitor.endswith("accuracy") else "min"
    assert [callback.mode for callback in callbacks] == [up] * 3
    before = made.distilled().images
    made.synthesizer.trainable_variables[0].assign_add(
        tf.ones_like(made.synthesizer.trainable_variables[0])
    )
    made.load_weights(path)
    np.testing.assert_array_equal(made.distilled().images, before)


def test_a_given_direction_stays_and_errors_go_down():
    stop = keras.callbacks.EarlyStopping("val_accuracy", mode="min")
    assert fitting.prepared(stop, tfdistill.Classification())[0].mode == "min"
    down = keras.callbacks.EarlyStopping("val_accuracy_std")
    assert fitting.prepared([down], tfdistill.Classification())[0].mode == "min"
    regression = tfdistill.Regression()
    error = keras.callbacks.EarlyStopping(f"val_{regression.headline}")
    assert fitting.prepared([error], regression)[0].mode == "min"


def test_a_checkpoint_of_the_whole_model_is_refused_before_work(made, digits, tmp_path):
    before = int(made.optimizer.iterations.numpy())
    whole = keras.callbacks.ModelCheckpoint(str(tmp_path / "a.keras"))
    with pytest.raises(ValueError, match="save_weights_only=True"):
        fit(made, digits, callbacks=whole)
    assert int(made.optimizer.iterations.numpy()) == before


def rows(change_images=lambda x: x, change_labels=lambda y: y, number=60):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((number, 8, 8, 1)).astype("float32")
    return change_images(images), change_labels(np.arange(number) % 10)


OTHER = {
    "one-hot": (rows(change_labels=lambda y: np.eye(10)[y]), r"labels.argmax\(1\)"),
    "a column": (rows(change_labels=lambda y: y[:, None]), r"labels\[:, 0\]"),
    "floats": (rows(change_labels=lambda y: y / 1), "float64 .*astype"),
    "names": (rows(change_labels=lambda y: y.astype(str)), "from 0 to 9, not .*shape"),
    "1..10": (rows(change_labels=lambda y: y + 1), "from 0 to 9, not 10"),
    "-1": (rows(change_labels=lambda y: y - 1), "from 0 to 9, not -1"),
    "few": (rows(change_labels=lambda y: y[:50]), "50 labels of 60 images"),
    "size": (rows(lambda x: x[:, 1:]), r"\(7, 8, 1\), but .* \(8, 8, 1\)"),
    "raw": (rows(lambda x: np.uint8(100 * abs(x))), "normalised, not uint8"),
}


@pytest.mark.parametrize("kind", OTHER)
def test_real_data_of_another_kind_are_refused(made, digits, kind):
    pair, says = OTHER[kind]
    if kind != "few":  # Keras refuses arrays of two lengths itself
        batches = tf.data.Dataset.from_tensors(pair)
        with pytest.raises(ValueError, match=says):
            made.evaluate(batches)
        with pytest.raises(ValueError, match=says):
            fit(made, digits, x=batches, steps_per_epoch=None)
        with pytest.raises(ValueError, match=says):
            fit(made, digits, validation_data=batches)
    for batches in (Parts(pair), (batch for batch in [pair])):
        with pytest.raises(ValueError, match=says):
            fit(made, digits, x=batches)
    with pytest.raises(ValueError, match=says) as error:
        fit(made, digits, x=pair[0], y=pair[1], steps_per_epoch=None)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=says):
        made.train_on_batch(*pair)
    with pytest.raises(ValueError, match=says):
        tfdistill.evaluate(made.distilled(), "linear", [pair], 1)
    if kind not in ("size", "raw"):  # a model of one's own may take raw images
        model = tfdistill.students.linear((8, 8, 1))
        with pytest.raises(ValueError, match=says):
            tfdistill.evaluate_model(model, [pair])


class Parts(keras.utils.PyDataset):
    """Batches that can be told only as they come."""

    def __init__(self, *pairs):
        super().__init__()
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


def test_the_batch_of_a_generator_that_was_looked_at_is_trained_on(digits):
    seen = Seen("linear", tfdistill.DistilledImages.from_real(digits, steps=1))
    seen.compile(students_per_step=1, run_eagerly=True)
    images, labels = rows()
    thirds = [(images[k::3], labels[k::3]) for k in range(3)]
    seen.fit((third for third in thirds), steps_per_epoch=1, verbose=0)
    assert np.array_equal(seen.seen, thirds[0][1])
    for nothing in (Parts(), (third for third in [])):
        with pytest.raises(ValueError, match="holds no batches"):
            seen.fit(nothing, steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("label", [-1, 10])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_labels_of_no_class_are_refused_wherever_they_are(digits, label, jit_compile):
    images = tfdistill.DistilledImages.from_real(digits, steps=1, centred_labels=True)
    made = tfdistill.Distiller("linear", images, objective="least_squares")
    made.compile(students_per_step=1, jit_compile=jit_compile)
    good = rows(number=300)
    bad = good[0], np.append(good[1][:-1], label)
    with pytest.raises(ValueError, match=f"from 0 to 9, not {label}"):
        made.fit(*bad, verbose=0)
    assert not int(made.optimizer.iterations.numpy())
    stream = tf.data.Dataset.from_tensor_slices(bad).batch(100)
    for batches in (stream, Parts(good, bad)):
        with pytest.raises(
            ValueError, match="from 0 to 9, which 1 of a batch"
        ) as error:
            made.fit(batches, verbose=0)
        assert "\n" not in str(error.value)
    made.fit(Parts(good), verbose=0)  # what was wrong is forgotten


def test_labels_of_no_class_are_refused_beside_a_callback_list(made):
    images, labels = rows()
    wrong = tf.data.Dataset.from_tensor_slices((images, labels)).batch(len(labels))
    wrong = wrong.concatenate(wrong.map(lambda x, y: (x, y + 77)))
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=made)
    for _ in range(2):
        with pytest.raises(ValueError, match="from 0 to 9, which .* of a batch"):
            made.fit(wrong, verbose=0, callbacks=callbacks)
    rates = made.synthesizer.schedule.trainable_variables[0]
    before = rates.numpy()
    rates.assign(before * np.nan)
    with pytest.raises(FloatingPointError, match="became NaN"):
        made.fit(wrong.take(1).repeat(), steps_per_epoch=12, callbacks=callbacks)
    rates.assign(before)
    assert len(callbacks.callbacks) == 1  # it is as it was given


def test_labels_that_an_own_loop_has_trained_on_are_forgotten(made, digits):
    images, labels = rows()
    step = made.make_train_function()
    step(iter([(images, np.full_like(labels, 77))]))
    fit(made, digits)
    assert np.isfinite(made.train_on_batch(images, labels)).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "uint64", "int64"])
def test_labels_of_any_whole_numbers(made, digits, kind):
    images, labels = rows(change_labels=lambda y: y.astype(kind))
    fit(made, digits, x=images, y=labels, steps_per_epoch=None)
    wide = made.evaluate(images, labels.astype("int32"), return_dict=True)
    assert made.evaluate(images, labels, return_dict=True) == wide
    model = tfdistill.students.linear((8, 8, 1))
    found = tfdistill.evaluate_model(model, [(images, labels)])
    assert found.num_examples == 60


@pytest.mark.parametrize(
    "objective", [tfdistill.LeastSquares(), tfdistill.Attack(0, 1)]
)
def test_all_classifications_want_numbers(objective):
    for kind in ("one-hot", "-1"):
        with pytest.raises(ValueError, match=OTHER[kind][1]):
            objective.check_real(OTHER[kind][0][1], 10)

    class Imitation(tfdistill.Classification):
        def meta_loss(self, labels, outputs):
            return self.inner_loss(labels, outputs)

    Imitation().check_real(OTHER["one-hot"][0][1], 10)


@pytest.mark.parametrize("name", ["predict", "predict_on_batch", "test_on_batch"])
def test_a_distiller_predicts_nothing(made, name):
    with pytest.raises(NotImplementedError, match=r"distilled\(\).train\(model\)"):
        getattr(made, name)(rows()[0])
    with pytest.raises(NotImplementedError, match="is no network"):
        made(rows()[0])


@pytest.mark.parametrize(
    "callback, says",
    [
        (None, "instances of keras.callbacks.Callback, not None"),
        (keras.callbacks.TerminateOnNaN, "instances .* not <class"),
        (keras.callbacks.EarlyStopping("val_acc"), "did you mean val_accuracy"),
        (keras.callbacks.ReduceLROnPlateau("lost"), "did you mean loss"),
        (keras.callbacks.EarlyStopping("regret"), 'give it mode="min"'),
    ],
)
def test_callbacks_that_could_do_nothing_are_refused(made, digits, callback, says):
    before = int(made.optimizer.iterations.numpy())
    with pytest.raises(ValueError, match=says):
        fit(made, digits, callbacks=[callback])
    assert int(made.optimizer.iterations.numpy()) == before


def test_callbacks_of_keras_do_what_they_do_for_a_network(made, digits, tmp_path):
    """Each is asked for what it leaves behind."""
    seen, callbacks = [], keras.callbacks
    start = float(made.optimizer.learning_rate.numpy())
    given = [
        callbacks.TerminateOnNaN(),
        callbacks.CSVLogger(str(tmp_path / "log.csv")),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs)),
        callbacks.TensorBoard(str(tmp_path / "logs"), histogram_freq=1),
        callbacks.ModelCheckpoint(
            str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True
        ),
        callbacks.BackupAndRestore(
            str(tmp_path / "backup"), delete_checkpoint=False, save_freq=1
        ),
    ]
    validation = digits.validation.batch(100)
    found = fit(
        made, digits, epochs=2, validation_data=validation, callbacks=given
    ).history
    assert float(made.optimizer.learning_rate.numpy()) == pytest.approx(start / 4)
    assert [logs["val_accuracy"] for logs in seen] == found["val_accuracy"]
    head, *lines = (tmp_path / "log.csv").read_text().split()
    assert len(lines) == 2 and "val_accuracy_std" in head
    assert sorted(p.name for p in tmp_path.glob("*.h5")) == [
        "1.weights.h5",
        "2.weights.h5",
    ]
    assert list((tmp_path / "logs" / "train").iterdir())
    assert list((tmp_path / "backup").iterdir())
    # Rates fall, and fit ends, by what the validation says.
    given = [
        callbacks.ReduceLROnPlateau(
            "val_accuracy", factor=0.5, patience=1, min_delta=1
        ),
        callbacks.EarlyStopping("val_accuracy", patience=2, min_delta=1),
    ]
    found = fit(
        made, digits, epochs=9, validation_data=validation, callbacks=given
    ).history
    assert len(found["val_accuracy"]) == 3
    assert float(made.optimizer.learning_rate.numpy()) < start / 4


NO_SEED = [-1, 1.5, "3", 2**63]


@pytest.mark.parametrize("seed", NO_SEED)
def test_what_is_no_seed_is_refused(made, digits, seed):
    data, kinds = made.distilled(), tfdistill.DistilledImages
    for attempt in (
        lambda: tfdistill.Distiller("linear", made.synthesizer, seed=seed),
        lambda: tfdistill.evaluate(data, "linear", digits.test, 1, seed=seed),
        lambda: kinds.from_noise(digits, steps=1, seed=seed),
        lambda: kinds.from_real(digits, steps=1, seed=seed),
        lambda: tfdistill.RealBatches(digits, seed=seed),
        lambda: tfdistill.Generator.of(digits, seed=seed),
        lambda: digits.train.split(0.5, seed),
    ):
        with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
            attempt()


def test_large_seeds_are_seeds(digits):
    images = tfdistill.DistilledImages.from_noise(digits, steps=1, seed=2**62)
    tfdistill.Distiller("linear", images, seed=2**62)
    tfdistill.RealBatches(digits, seed=2**62).curriculum(tf.constant([1, 2]))


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", np.float64(2)])
def test_what_is_no_number_of_students_is_refused(made, digits, number):
    data, says = made.distilled(), "num_students must be an integer of at least 1"
    with pytest.raises(ValueError, match=says):
        tfdistill.evaluate(data, "linear", digits.test, number)
    with pytest.raises(ValueError, match=says):
        made.test(digits.test.batch(100), number)
    with pytest.raises(ValueError, match=says):
        made.evaluate(digits.test, num_students=number)


def test_parts_and_classes_of_other_kinds(digits):
    for fraction in ("2", None, 1, 0, 1.5, True):
        with pytest.raises(ValueError, match="between 0 and 1"):
            digits.train.split(fraction)
    assert digits.of_classes([np.int64(2), np.int8(1)]).class_names == ("2", "1")
    for classes in ([np.float64(2), 1], ["2", 1], [2.5, 1], [2, 2], [], [10, 1]):
        with pytest.raises(ValueError):
            digits.of_classes(classes)


def test_a_file_in_place_of_a_folder_is_said(made, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "data", tmp_path / "file" / "deeper" / "data"):
        with pytest.raises(NotADirectoryError, match="is not a folder"):
            made.distilled().save(path)


def test_a_folder_in_place_of_distilled_data_is_said(tmp_path):
    digits = tfdistill.load_dataset("digits")
    with pytest.raises(ValueError, match=r"not a str: DistilledDataset.load"):
        tfdistill.evaluate(str(tmp_path), "linear", digits.test, 1)
