"""A run that dies goes on as if nothing had happened."""

import contextlib
import dataclasses
import functools
import itertools
import json
import math
import os
import signal
import time

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import DistilledDataset
from tfdistill._internal import identity
from tfdistill.cli import main, own_names
from tfdistill.distilled import learned_schedule
from tfdistill.evaluation.ordinarily_trained import Architecture
from tfdistill.runs import backup, files
from tfdistill.runs.averaging import AveragingAdam
from tfdistill.runs.clock import Clock
from tfdistill.runs.journal import Journal
from tfdistill.runs.state import RunState
from tfdistill.studies import pretraining
from tfdistill.synthesizers import generator as generators

FLAGS = [
    "--student=mlp",
    "--outer_steps=60",
    "--report_every=10",
    "--steps=3",
    "--epochs=2",
    "--batch_size=100",
    "--num_students=2",
]


def start(workdir, command="distill", flags=FLAGS):
    return commands.start(command, f"--workdir={workdir}", *flags, together=True)


def wait_for(path, process):
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path):
    undisturbed = start(tmp_path / "whole")
    output, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, output

    process = start(tmp_path / "killed")
    wait_for(tmp_path / "killed" / "backup" / "checkpoint", process)
    process.send_signal(signal.SIGSTOP)
    refused = start(tmp_path / "killed")
    output, _ = refused.communicate(timeout=300)
    assert refused.returncode == 2 and "is in use" in output, output
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "metrics.json").exists()

    resumed = start(tmp_path / "killed")
    lines = iter(resumed.stdout.readline, "")
    told = []
    for line in lines:
        told.append(line)
        if "Going on after outer step" in line:
            break
    assert told[-1].startswith("Going on") and not any("1/3" in line for line in told)
    resumed.send_signal(signal.SIGTERM)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 143, output

    resumed = start(tmp_path / "killed")
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    assert "Going on after outer step" in output
    assert not list((tmp_path / "killed").glob("*tmp*"))
    assert not (tmp_path / "killed" / "journal").exists()

    whole = DistilledDataset.load(tmp_path / "whole" / "distilled")
    killed = DistilledDataset.load(tmp_path / "killed" / "distilled")
    # Every draw is a function of the seed and the outer step. What is left is the
    # order in which a sum is taken by several threads.
    np.testing.assert_allclose(killed.images, whole.images, atol=1e-5)
    np.testing.assert_allclose(killed.learning_rates, whole.learning_rates, rtol=1e-5)


def test_a_damaged_backup_falls_back_to_the_one_before(tmp_path):
    digits = tfdistill.load_dataset("digits")

    def distiller():
        synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
        distiller = tfdistill.Distiller(tfdistill.students.linear, synthesizer)
        distiller.compile(keras.optimizers.Adam(0.01))
        return distiller

    model = distiller()
    model.fit(
        digits.train.batch(64, repeat=True),
        steps_per_epoch=2,
        epochs=3,
        verbose=0,
        callbacks=[tfdistill.Backup(tmp_path)],
    )
    newest = tmp_path / "ckpt-6.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:-200])
    with pytest.warns(UserWarning, match="damaged"):
        assert tfdistill.Backup(tmp_path).restore(distiller()) == 4
    for name in tmp_path.glob("ckpt-*"):
        name.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(ValueError, match="No backup"),
    ):
        tfdistill.Backup(tmp_path).restore(distiller())


@pytest.mark.parametrize("name", ["rate [0.1]", "rate *", "rate ?", r"rate\0.1"])
def test_names_of_folders_are_no_patterns(tmp_path, name):
    model, batches = small_model()
    beside = tmp_path / "rate 1"  # "rate *" and "rate ?" as patterns lead there, too
    beside.mkdir()
    (beside / "ckpt-2.index").touch()
    for epochs in (3, 4):
        backup = tfdistill.Backup(tmp_path / name)
        model.fit(
            batches, steps_per_epoch=2, epochs=epochs, verbose=0, callbacks=[backup]
        )
        model = small_model()[0]
    kept = {path.stem for path in (tmp_path / name).glob("ckpt-*")}
    assert kept == {"ckpt-6", "ckpt-8"}
    assert tfdistill.Backup(tmp_path / name).restore(model) == 8
    assert (beside / "ckpt-2.index").exists()


def test_a_damaged_list_of_backups_is_not_needed(tmp_path):
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
    model = tfdistill.Distiller(tfdistill.students.linear, synthesizer)
    model.compile()
    batches = digits.train.batch(64, repeat=True)
    backup = tfdistill.Backup(tmp_path)
    model.fit(batches, steps_per_epoch=2, epochs=2, verbose=0, callbacks=[backup])
    (tmp_path / "checkpoint").write_bytes(b"\x00\xff{")
    assert tfdistill.Backup(tmp_path).restore(model) == 4


class Raises(keras.callbacks.Callback):
    """Sends a signal in an outer step of an epoch, by default in the third."""

    def __init__(self, number, batch=2):
        super().__init__()
        self.number, self.batch = number, batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            signal.raise_signal(self.number)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"history": 5},
        {"history": [{}]},
        {"history": [{"outer_step": 4, "loss": "x"}]},
        {"history": [], "start": "x"},
        {"history": [], "run": [1]},
        {"history": [], "anneal": {"elapsed": None}},
        {"history": [], "anneal": 5},
    ],
    ids=repr,
)
def test_a_backup_with_a_damaged_record_is_damaged(tmp_path, record):
    model, batches = small_model()
    saved = tfdistill.Backup(tmp_path)
    model.fit(batches, steps_per_epoch=2, verbose=0, callbacks=[saved])
    saved._json.assign(json.dumps(record))
    backup._write(saved._state, str(tmp_path), 4)
    found = tfdistill.Backup(tmp_path)
    with pytest.warns(UserWarning, match="ckpt-4 is damaged"):
        assert found.restore(small_model()[0]) == 2
    assert [epoch["outer_step"] for epoch in found.history] == [2]


def small_model():
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
    model = tfdistill.Distiller(tfdistill.students.linear, synthesizer)
    model.compile()
    return model, digits.train.batch(64, repeat=True)


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
def test_a_signal_saves_within_an_epoch(tmp_path, number, error):
    model, batches = small_model()
    before = signal.getsignal(number)
    with pytest.raises(error) as exit:
        model.fit(
            batches,
            steps_per_epoch=100,
            verbose=0,
            callbacks=[Raises(number), tfdistill.Backup(tmp_path)],
        )
    assert signal.getsignal(number) is before
    if error is SystemExit:
        assert exit.value.code == 143
    assert tfdistill.Backup(tmp_path).restore(model) == 3
    # As after a notebook's stop button: the same object goes on.
    model.fit(batches, steps_per_epoch=2, verbose=0)
    assert int(model.optimizer.iterations) == 5


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
def test_several_backups_all_save_on_a_signal(tmp_path, number, error):
    model, batches = small_model()
    run = {"steps_per_epoch": 4, "verbose": 0}
    numbers = signal.SIGTERM, signal.SIGINT
    before = [signal.getsignal(number) for number in numbers]
    backups = [tfdistill.Backup(tmp_path / name) for name in "abc"]
    model.fit(batches, callbacks=backups, **run)
    assert [signal.getsignal(number) for number in numbers] == before
    sends = Raises(number)
    # The first of them sees the signal one outer step later.
    callbacks = [backups[0], sends, *backups[1:]]
    with pytest.raises(error):
        model.fit(batches, callbacks=callbacks, **run)
    assert [signal.getsignal(number) for number in numbers] == before
    assert [backup.newest for backup in backups] == [8, 7, 7]


def test_signals_are_obeyed_after_a_fit_that_failed(tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("mine")

    model, batches = small_model()
    numbers = signal.SIGTERM, signal.SIGINT
    before = [signal.getsignal(number) for number in numbers]
    backup = tfdistill.Backup(tmp_path)
    for callbacks in (
        [backup, Fails()],
        keras.callbacks.CallbackList([backup, Fails()], model=model),
    ):
        with pytest.raises(RuntimeError, match="mine"):
            model.fit(batches, steps_per_epoch=2, verbose=0, callbacks=callbacks)
        assert [signal.getsignal(number) for number in numbers] == before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_fit_goes_on_from_a_backup_that_is_ahead(tmp_path):
    model, batches = small_model()
    run = {"steps_per_epoch": 2, "verbose": 0}
    model.fit(batches, epochs=2, callbacks=[tfdistill.Backup(tmp_path)], **run)

    again, _ = small_model()
    history = again.fit(
        batches, epochs=3, callbacks=[tfdistill.Backup(tmp_path)], **run
    )
    assert history.epoch == [2] and int(again.optimizer.iterations) == 6
    assert sorted(path.name for path in tmp_path.glob("*.index")) == [
        "ckpt-4.index",
        "ckpt-6.index",
    ]
    # A model that is ahead of the states stays as it is.
    again.fit(batches, steps_per_epoch=1, verbose=0)
    again.fit(batches, callbacks=[tfdistill.Backup(tmp_path)], **run)
    assert int(again.optimizer.iterations) == 9


def test_the_state_of_another_run_is_refused(tmp_path):
    digits = tfdistill.load_dataset("digits")
    images, labels = digits.train.images, digits.train.labels
    inverted = tfdistill.from_arrays((255 - images, labels), name="digits")
    renamed = dataclasses.replace(digits, name="other")
    other = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    sgd, faster = keras.optimizers.SGD, keras.optimizers.SGD(0.2)

    def made(dataset=digits, student="linear", optimizer=None, options=None, **kwargs):
        options = {"steps": 1, **(options or {})}
        images = tfdistill.DistilledImages.from_real(dataset, **options)
        model = tfdistill.Distiller(student, images, **kwargs)
        model.compile(optimizer or sgd(0.1))
        return model

    batches, backup = digits.train.batch(100), tfdistill.Backup(tmp_path)
    made().fit(batches, steps_per_epoch=2, callbacks=[backup])
    recipe = tfdistill.OrdinaryTraining(updates=10)
    for model, difference in (
        (made(other), "classes: "),
        (made(renamed), "data: digits; here: other"),
        (made(inverted), "normalization: "),
        (made(student="mlp"), "student: linear; here: mlp"),
        (made(seed=7), "seed: 0; here: 7"),
        (made(objective=tfdistill.Attack(0, 1)), "objective: "),
        (made(initial_weights=tfdistill.FixedWeights()), "initial weights: "),
        (made(meta_gradient=tfdistill.FullUnroll()), "meta-gradient: "),
        (made(options={"steps": 2}), "learned arrays: "),
        (made(options={"epochs": 2}), "epochs: 3; here: 2"),
        (made(options={"inner_optimizer": "momentum"}), "inner optimizer: "),
        (made(options={"recipe": recipe}), "recipe: None"),
        (made(optimizer=keras.optimizers.Adam(0.1)), "outer optimizer: SGD; here: Ad"),
        (made(optimizer=faster), "outer learning rate: "),
    ):
        before = model.synthesizer.images.numpy()
        with pytest.raises(ValueError, match=f"another run .its {difference}"):
            tfdistill.Backup(tmp_path).restore(model)
        np.testing.assert_array_equal(model.synthesizer.images, before)
    assert tfdistill.Backup(tmp_path).restore(made()) == 2
    # Own objects are told by all that they hold, but for what cannot be told.
    own = tmp_path / "own"
    made(objective=Weighted()).fit(
        batches, steps_per_epoch=1, callbacks=[tfdistill.Backup(own)]
    )
    weights = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"its objective's weights: .*; here: "):
        tfdistill.Backup(own).restore(made(objective=Weighted(weights)))
    assert tfdistill.Backup(own).restore(made(objective=Weighted(f=lambda x: x))) == 1
    # A folder of which it is known whose states it holds.
    assert tfdistill.Backup(tmp_path, check_run=False).restore(made(renamed)) == 2
    # The rate of a run that goes on is that of `compile`, not the one it has come to.
    model = made()
    anneal = tfdistill.Anneal(outer_steps=6)
    run = {"steps_per_epoch": 2, "epochs": 2, "callbacks": [backup, anneal]}
    model.fit(batches, **run)
    model.fit(batches, **run)
    assert tfdistill.Backup(tmp_path).restore(made()) == 6


def test_the_state_of_a_run_with_other_options_is_refused(tmp_path, monkeypatch):
    digits = tfdistill.load_dataset("digits")
    small = generators.network("gtn_generator@5-8-4")

    def pooled(gradient=None, **changes):
        options = {"size": 3, "changes": tfdistill.RandomChanges(shift=0.1), **changes}
        images = tfdistill.DistilledImages.from_real(
            digits,
            steps=1,
            epochs=1,
            centred_labels=True,
            recipe=tfdistill.OrdinaryTraining(),
        )
        gradient = {"meta_gradient": tfdistill.RidgeRegression(**(gradient or {}))}
        weights = tfdistill.LearningStudents(**options)
        return compiled(images, weights, "least_squares", **gradient)

    def generated(gradient=None, **changes):
        options = {"steps": 4, "batch_size": 10, "network": small, **changes}
        images = tfdistill.Generator.of(digits, **options)
        gradient = tfdistill.BackGradient(**(gradient or {}))
        return compiled(images, tfdistill.RandomWeights(), meta_gradient=gradient)

    def compiled(*parts, **kwargs):
        model = tfdistill.Distiller("linear", *parts, **kwargs)
        model.compile(keras.optimizers.SGD(0.1))
        return model

    adam, changes = tfdistill.inner.Adam, tfdistill.RandomChanges
    nested = tfdistill.RandomWeights()
    cases = {
        pooled: [
            ({"gradient": {"penalty": 1.0}}, "meta-gradient's penalty: 1e-06; here: 1"),
            ({"gradient": {"margin": 0.5}}, "meta-gradient's margin"),
            ({"max_age": 3}, "initial weights' max_age: 100; here: 3"),
            ({"batch_size": 5}, "initial weights' batch_size: None; here: 5"),
            ({"changes": changes(flip=True)}, "initial weights' changes"),
            ({"optimizer": "sgd"}, "initial weights' optimizer: adam; here: sgd"),
            ({"optimizer": adam(0.1, epsilon=1e-7)}, ".*optimizer's learning_rate"),
            ({"optimizer": adam(3e-4)}, "initial weights' optimizer's _epsilon"),
        ],
        generated: [
            ({"gradient": {"judgements": 2}}, "meta-gradient's judgements"),
            ({"curriculum": "all_shuffled"}, "curriculum: full; here: all_shuffled"),
            ({"seed": 2**32}, "synthesizer's seed"),
        ],
    }
    alike = {pooled: {"start": nested}, generated: {"gradient": {"keep_every": 2}}}
    for made, others in cases.items():
        backup = tfdistill.Backup(tmp_path / made.__name__)
        made().fit(digits.train.batch(50), steps_per_epoch=1, callbacks=[backup])
        for options, difference in others:
            with pytest.raises(ValueError, match=f"another run .its {difference}"):
                backup.restore(made(**options))
        again = made(**alike[made])
        assert backup.restore(again) == 1
    # Of what a state of an earlier version lacks, nothing is known.
    told = RunState.identity.fget
    earlier = [
        n
        for n in told(pooled())
        if n.startswith(("meta-gradient'", "initial weights'"))
    ]
    monkeypatch.setattr(
        RunState,
        "identity",
        property(lambda of: {n: v for n, v in told(of).items() if n not in earlier}),
    )
    backup = tfdistill.Backup(tmp_path / "earlier")
    pooled().fit(digits.train.batch(50), steps_per_epoch=1, callbacks=[backup])
    monkeypatch.undo()
    assert backup.restore(pooled({"penalty": 1.0}, max_age=3)) == 1


def test_the_state_of_a_run_with_other_rates_that_stay_is_refused(
    tmp_path, monkeypatch
):
    digits = tfdistill.load_dataset("digits")
    small = generators.network("gtn_generator@5-8-4")
    momentum = tfdistill.inner.Momentum

    def images(**options):
        return tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1, **options)

    def generated(**options):
        options = {"steps": 2, "batch_size": 10, "network": small, **options}
        return tfdistill.Generator.of(digits, **options)

    def compiled(make, **options):
        model = tfdistill.Distiller("linear", make(**options))
        model.compile(students_per_step=1)
        return model

    def saved(folder, make, **options):
        backup = tfdistill.Backup(tmp_path / folder)
        run = {"steps_per_epoch": 1, "verbose": 0, "callbacks": [backup]}
        compiled(make, **options).fit(digits.train.batch(50), **run)
        return backup

    for make in (images, generated):
        stay = {"inner_optimizer": momentum(0.1, 0.5), "learned_rates": False}
        backup = saved(make.__name__, make, **stay)
        for other, difference in (
            ({"learning_rate": 0.5}, r"learning_rate, not learned: .*0\.1.*; here: "),
            ({"inner_optimizer": momentum(0.1, 0.9)}, "momentum, not learned: "),
        ):
            with pytest.raises(ValueError, match=f"another run .its {difference}"):
                backup.restore(compiled(make, **{**stay, **other}))
        assert backup.restore(compiled(make, **stay)) == 1
    # Those that are learned are restored.
    backup = saved("learned", images, learning_rate=0.1)
    model = compiled(images, learning_rate=0.5)
    assert backup.restore(model) == 1
    assert model.synthesizer.learning_rates.numpy() < 0.2
    # States of earlier versions say less.
    told = RunState.identity.fget
    kept = property(
        lambda of: {n: v for n, v in told(of).items() if "not learned" not in n}
    )
    monkeypatch.setattr(RunState, "identity", kept)
    backup = saved("earlier", images, learning_rate=0.1, learned_rates=False)
    monkeypatch.undo()
    model = compiled(images, learning_rate=0.5, learned_rates=False)
    assert backup.restore(model) == 1


class Labelled(tfdistill.Synthesizer, tfdistill.Curriculum):
    """Images of own labels, which stay."""

    num_steps, num_classes, image_shape = 1, 10, (8, 8, 1)

    def __init__(self, labels):
        super().__init__()
        self.labels = labels
        self.schedule = tfdistill.Schedule(1, 1)
        self.inner_optimizer = self.schedule.inner_optimizer
        self.images = self.add_weight(shape=(10, 8, 8, 1), initializer="normal")

    def curriculum(self, seed):
        return self

    def batch(self, t):
        labels = tf.one_hot(self.labels, 10)
        return tfdistill.Batch(self.images.value, labels, self.schedule.at(t))


def test_the_state_of_other_labels_is_refused(tmp_path):
    digits = tfdistill.load_dataset("digits")
    batches = digits.train.batch(50)
    images = np.zeros((1, 10, 8, 8, 1), "float32")
    source = tfdistill.DataSource.of(digits)

    def given(labels, **options):
        options = {"epochs": 1, "source": source, **options}
        return tfdistill.DistilledImages(images, labels, 10, **options)

    def gone_on_with(labels, **options):
        distilled = tfdistill.Distiller("linear", given(labels)).distilled()
        return tfdistill.DistilledImages.from_distilled(distilled, **options)

    def learned(labels):
        return given(labels, soft_labels=True)

    def restored(folder, synthesizer):
        model = tfdistill.Distiller("linear", synthesizer)
        model.compile()
        backup = tfdistill.Backup(tmp_path / folder)
        if not backup.restore(model):
            model.fit(batches, steps_per_epoch=1, verbose=0, callbacks=[backup])
        return model

    in_turn = np.arange(10)
    for made in (given, gone_on_with, Labelled):
        restored(made.__name__, made(in_turn))
        with pytest.raises(ValueError, match="another run .its synthesizer's labels: "):
            restored(made.__name__, made(in_turn[::-1].copy()))
    # The same ones for every step, or for each.
    restored("given", given(in_turn[None].astype("uint8")))
    # Those that are learned are restored.
    before = restored("learned", learned(in_turn)).synthesizer.labels
    after = restored("learned", learned(in_turn[::-1])).synthesizer.labels
    np.testing.assert_array_equal(after, before)


def test_the_state_of_another_outer_optimizer_is_refused(tmp_path, monkeypatch):
    """Its variables are restored by their numbers: others would be taken for them."""
    digits = tfdistill.load_dataset("digits")
    batches = digits.train.batch(50)
    adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
    cosine = keras.optimizers.schedules.CosineDecay

    class Own(sgd):
        def __init__(self, size, **kwargs):
            super().__init__(functools.partial(float, 0.01), **kwargs)
            self.size, self.sizes = size, np.ones(2)

    def averaging(beta_1=0.5):
        return AveragingAdam(0.01, beta_1=beta_1, ema_momentum=0.9)

    def model(optimizer):
        images = tfdistill.DistilledImages.from_real(
            digits, steps=1, epochs=1, learned_rates=False
        )
        made = tfdistill.Distiller("linear", images)
        made.compile(optimizer)
        return made

    def saved(optimizer, folder, epochs=1):
        backup, anneal = tfdistill.Backup(folder), tfdistill.Anneal(outer_steps=9)
        callbacks = [backup] if callable(optimizer._learning_rate) else [backup, anneal]
        run = {"steps_per_epoch": 1, "verbose": 0, "callbacks": callbacks}
        model(optimizer).fit(batches, epochs=epochs, **run)

    cases = [
        (
            lambda: adam(0.01, use_ema=True),
            [
                (adam(0.01), "outer optimizer's use_ema: True; here: False"),
                (adam(0.01, 0.5, use_ema=True), "outer optimizer's beta_1: 0.9; here"),
                (adam(0.1, use_ema=True), "outer learning rate: "),
            ],
        ),
        (
            lambda: sgd(0.01),
            [
                (sgd(0.01, momentum=0.9), "outer optimizer's momentum: 0.0; here: 0.9"),
                (sgd(0.01, weight_decay=0.1), "outer optimizer's weight_decay"),
                (sgd(cosine(0.01, 9)), "outer learning rate's kind: number; here: sch"),
            ],
        ),
        (lambda: sgd(cosine(0.01, 9)), [(sgd(0.01), "outer learning rate's kind")]),
        (averaging, [(averaging(0.9), "outer optimizer's beta_1")]),
        (
            lambda: Own(1),
            [
                (Own(1, use_ema=True), "outer optimizer's use_ema"),
                (Own(2), "outer optimizer's size: 1; here: 2"),
            ],
        ),
    ]
    for k, (made, others) in enumerate(cases):
        folder = tmp_path / str(k)
        for done in (1, 2):  # the second time, from the state of the first
            saved(made(), folder, epochs=done)
            assert tfdistill.Backup(folder).restore(model(made())) == done
        for other, difference in others:
            with pytest.raises(ValueError, match=f"another run .its {difference}"):
                tfdistill.Backup(folder).restore(model(other))
    # States of earlier versions say less.
    told = RunState.identity.fget
    kept = property(
        lambda of: {n: v for n, v in told(of).items() if "outer optimizer'" not in n}
    )
    monkeypatch.setattr(RunState, "identity", kept)
    saved(sgd(0.01), tmp_path / "earlier")
    monkeypatch.undo()
    again = model(sgd(0.01, weight_decay=0.1))
    assert tfdistill.Backup(tmp_path / "earlier").restore(again) == 1


def test_fit_that_was_stopped_within_an_epoch_ends_where_it_would_have(
    tmp_path, caplog
):
    model, batches = small_model()
    run = {"steps_per_epoch": 4, "epochs": 3, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        callbacks = [Raises(signal.SIGINT), tfdistill.Backup(tmp_path)]
        model.fit(batches, callbacks=callbacks, **run)
    assert int(model.optimizer.iterations) == 3

    for said in (False, True):  # the second time, nothing is left to be done
        again, _ = small_model()
        backup = tfdistill.Backup(tmp_path)
        again.fit(batches, callbacks=[backup], **run)
        assert int(again.optimizer.iterations) == 12
        assert [h["outer_step"] for h in backup.history] == [7, 11, 12]
        assert ("Nothing is left to learn" in caplog.text) == said
    # The same object does all that another call asks for.
    again.fit(batches, callbacks=[backup], **run)
    assert int(again.optimizer.iterations) == 24


def test_whole_numbers_of_numpy_are_saved_and_gone_on_with(tmp_path):
    for epochs in 1, 3:
        model, batches = small_model()
        backup = tfdistill.Backup(tmp_path)
        # Bytes, which products overflow, too.
        run = {"steps_per_epoch": np.uint8(100), "epochs": np.uint8(epochs)}
        model.fit(batches, **run, verbose=0, callbacks=[backup])
        assert int(model.optimizer.iterations) == 100 * epochs
    model.fit(
        batches,
        steps_per_epoch=np.int64(1),
        initial_epoch=np.int64(300),
        epochs=301,
        verbose=0,
        callbacks=[tfdistill.Backup(tmp_path / "later")],
    )
    assert tfdistill.Backup(tmp_path / "later").restore(small_model()[0]) == 301

    left = tfdistill.Anneal(outer_steps=500).epochs(np.uint8(200), np.uint8(100))
    assert left == {"steps_per_epoch": 100, "initial_epoch": 2, "epochs": 5}
    assert {type(number) for number in left.values()} == {int}
    with pytest.raises(ValueError, match="every must be an integer of at least 1"):
        tfdistill.Anneal(outer_steps=4).epochs(0, every=0)


class Counting(tfdistill.Anneal):
    """Keeps another number than the seconds."""

    mine = 1.0

    @property
    def state(self):
        return {"mine": self.mine}

    @state.setter
    def state(self, state):
        self.mine = state["mine"]


def test_an_own_anneal_keeps_a_state_of_its_own(tmp_path):
    model, batches = small_model()
    anneal = Counting(outer_steps=4)
    anneal.mine = 7.0
    callbacks = [anneal, tfdistill.Backup(tmp_path, anneal)]
    model.fit(batches, steps_per_epoch=2, verbose=0, callbacks=callbacks)
    again = Counting(outer_steps=4)
    assert tfdistill.Backup(tmp_path, again).restore(small_model()[0]) == 2
    assert again.mine == 7.0
    with pytest.raises(ValueError, match="no state of an Anneal: elapsed is miss"):
        other = tfdistill.Anneal(outer_steps=4)
        tfdistill.Backup(tmp_path, other).restore(small_model()[0])


@pytest.mark.parametrize("elapsed", ["1", None, math.nan, -1])
def test_an_anneal_refuses_what_is_no_state(elapsed):
    with pytest.raises(ValueError, match="no state of an Anneal: elapsed must be"):
        tfdistill.Anneal(outer_steps=4).state = {"elapsed": elapsed}


def test_a_run_that_anneal_has_ended_says_that_nothing_is_left(tmp_path, caplog):
    """By the second program of docs/resuming.md, for a run of 4 outer steps, then 6."""
    for steps, said in ((4, False), (4, True), (6, False)):
        caplog.clear()
        model, batches = small_model()
        anneal = tfdistill.Anneal(outer_steps=steps)
        backup = tfdistill.Backup(tmp_path, anneal)
        left = anneal.epochs(backup.restore(model), every=2)
        model.fit(batches, **left, verbose=0, callbacks=[anneal, backup])
        assert int(model.optimizer.iterations) == steps
        assert ("Nothing is left to learn" in caplog.text) == said


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("steps", [4, None])
def test_fit_ends_after_its_epochs_in_all_however_it_goes_on(tmp_path, asks, steps):
    """Also if `restore` was called first, and for data of unknown length."""
    ended = []
    for epochs in (2, 3, 3):
        model, batches = small_model()
        batches = batches.take(4) if steps is None else batches
        batches = batches.filter(lambda *_: True) if steps is None else batches
        backup = tfdistill.Backup(tmp_path)
        if asks:
            backup.restore(model)
        model.fit(
            batches,
            steps_per_epoch=steps,
            epochs=epochs,
            verbose=0,
            callbacks=[backup],
        )
        ended.append(len(backup.history))
    assert ended == [2, 3, 3]
    if steps:
        assert int(model.optimizer.iterations) == 12


def test_fit_that_found_no_state_does_all_its_steps(tmp_path):
    model, batches = small_model()
    run = {"steps_per_epoch": 2, "epochs": 2, "verbose": 0}
    model.fit(batches, **run)
    backup = tfdistill.Backup(tmp_path)
    assert backup.restore(model) == 0
    model.fit(batches, callbacks=[backup], **run)
    assert [epoch["outer_step"] for epoch in backup.history] == [6, 8]
    # A new process, which has not what came before the folder.
    for epochs, ended in ((2, 8), (3, 10)):
        again, _ = small_model()
        backup = tfdistill.Backup(tmp_path)
        again.fit(batches, callbacks=[backup], **{**run, "epochs": epochs})
        assert int(again.optimizer.iterations) == ended


@pytest.mark.parametrize(
    ("folders", "steps", "first"),
    [("aaa", 3, False), ("aaa", None, False), ("abc", 3, False), ("aaa", 3, True)],
    ids=["one folder", "of unknown length", "a folder each", "initial_epoch"],
)
def test_a_program_of_several_fits_ends_as_an_undisturbed_one(
    tmp_path, folders, steps, first
):
    """Crashed within its last call, of three; the outer optimizer takes averages."""

    class Crashes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) >= 16:
                raise RuntimeError("mine")

    def program(folder, *others):
        digits = tfdistill.load_dataset("digits")
        images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
        model = tfdistill.Distiller("linear", images)
        model.compile(keras.optimizers.Adam(0.01, use_ema=True), students_per_step=1)
        batches, before = digits.train.batch(500, shuffle=False).take(3), 0
        batches = batches.repeat() if steps else batches.filter(lambda *_: True)
        for name, epochs in zip(folders, (2, 1, 3)):
            backup = tfdistill.Backup(tmp_path / folder / name)
            model.fit(
                batches,
                steps_per_epoch=steps,
                initial_epoch=before,
                epochs=before + epochs,
                verbose=0,
                callbacks=[backup, *others],
            )
            before += epochs if first else 0
        return model

    whole = program("whole")
    ended = int(whole.optimizer.iterations)
    assert ended == 18 or steps is None
    with pytest.raises(RuntimeError, match="mine"):
        program("crashed", Crashes())
    for _ in range(2):  # the second time, nothing is left to be done
        again = program("crashed")
        assert int(again.optimizer.iterations) == ended
        np.testing.assert_allclose(
            again.synthesizer.images, whole.synthesizer.images, atol=1e-5
        )


@pytest.mark.parametrize(
    ("saving", "ended"),
    [
        (tfdistill.Backup, 120),
        (lambda path: keras.callbacks.BackupAndRestore(path, save_freq=10), 140),
    ],
    ids=["backup", "keras"],
)
def test_where_a_stopped_fit_ends_is_as_said(tmp_path, saving, ended):
    """In docs/resuming.md."""
    run = {"steps_per_epoch": 40, "epochs": 3, "verbose": 0}
    model, batches = small_model()
    with pytest.raises(KeyboardInterrupt):
        callbacks = [Raises(signal.SIGINT, 25), saving(tmp_path)]
        model.fit(batches, callbacks=callbacks, **run)
    assert int(model.optimizer.iterations) == 26
    again, _ = small_model()
    again.fit(batches, callbacks=[saving(tmp_path)], **run)
    assert int(again.optimizer.iterations) == ended


def test_ctrl_c_without_a_backup_leaves_the_distiller_usable():
    model, batches = small_model()
    run = {"steps_per_epoch": 4, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(batches, callbacks=[Raises(signal.SIGINT)], **run)
    assert np.isfinite(model.distilled().images).all()
    model.fit(batches, **run)
    assert int(model.optimizer.iterations) == 7


def test_ctrl_c_says_the_same_whenever_it_comes():
    lines = "from tfdistill.cli import machine; machine.exit_when_asked()"
    lines += "\nimport os, signal\nos.kill(os.getpid(), signal.SIGINT)"
    process = commands.run_python("-c", lines)
    said = "tfdistill: Stopped; the same command goes on from here."
    assert process.returncode == 130 and process.stderr.strip() == said


@pytest.mark.slow
def test_ctrl_c_stops_a_command_and_it_goes_on(tmp_path):
    process = commands.start("distill", f"--workdir={tmp_path / 'run'}", *FLAGS)
    wait_for(tmp_path / "run" / "backup" / "checkpoint", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.strip() == "tfdistill: Stopped; the same command goes on from here."
    process = commands.start("distill", f"--workdir={tmp_path / 'run'}", *FLAGS)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and "Going on after outer step" in output, errors


def test_a_backup_on_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
    model = tfdistill.Distiller(tfdistill.students.linear, synthesizer)
    model.compile()
    batches = digits.train.batch(64, repeat=True)
    backup = tfdistill.Backup(tmp_path)
    model.fit(batches, steps_per_epoch=2, verbose=0, callbacks=[backup])
    names = sorted(path.name for path in tmp_path.iterdir())

    def save(self, checkpoint_number):
        (tmp_path / f"ckpt-{checkpoint_number}.index").write_bytes(b"half")
        message = f"{tmp_path}; No space left on device"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    monkeypatch.setattr(tf.train.CheckpointManager, "save", save)
    with pytest.raises(OSError, match="No space left on device") as error:
        model.fit(batches, steps_per_epoch=2, verbose=0, callbacks=[backup])
    assert files.is_disk_full(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert tfdistill.Backup(tmp_path).restore(model) == 2


def test_a_killed_evaluation_goes_on(tmp_path, monkeypatch):
    digits = tfdistill.load_dataset("digits")
    data = [
        tfdistill.baselines.random_real(digits, steps=2, seed=seed) for seed in (0, 1)
    ]

    def evaluate(count, journal=None):
        return tfdistill.evaluate(
            data, "linear", digits.test, count, journal=journal, shuffle_steps=True
        )

    whole, journal = evaluate(5), Journal(tmp_path / "journal")
    evaluate(3, journal)
    (path,) = (tmp_path / "journal").iterdir()
    trained = []
    deal = learned_schedule._StepByStep.assign

    def assign(self, *arguments):
        trained.append(arguments)
        deal(self, *arguments)

    monkeypatch.setattr(learned_schedule._StepByStep, "assign", assign)
    result = evaluate(5, journal)
    assert len(trained) == 2
    np.testing.assert_array_equal(result.confusion, whole.confusion)
    np.testing.assert_allclose(result.losses, whole.losses, rtol=1e-6)

    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(UserWarning, match="damaged"):
        result = evaluate(5, journal)
    np.testing.assert_array_equal(result.confusion, whole.confusion)
    journal.forget()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("command", "backup"), [("pretrain", "backup/0000"), ("audit", "parts/part-0")]
)
def test_backups_that_cannot_be_read_are_a_sentence(tmp_path, command, backup):
    flags = ["--dataset=digits", "--student=linear", f"--workdir={tmp_path}"]
    asked = main.command(command)
    (tmp_path / "flags.txt").write_text(asked.record(asked.parse(flags)))
    (tmp_path / backup).mkdir(parents=True)
    (tmp_path / backup / "ckpt-1.index").touch()
    process = commands.run(command, *flags)
    assert process.returncode == 2, process.stderr
    said = f"tfdistill: No backup in {tmp_path / backup} can be read ("
    assert process.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in process.stderr


def test_a_killed_pretraining_goes_on(tmp_path):
    digits = tfdistill.load_dataset("digits")

    def make_model():
        return tfdistill.students.build("mlp", (8, 8, 1), 10)

    def train(epochs, backup=None):
        recipe = pretraining.Recipe(epochs, 2, 1e-3)
        models = pretraining.pretrain(
            make_model, digits, [0, 1], recipe, batch_size=300, backup=backup, verbose=0
        )
        return [w for model in models for w in model.get_weights()]

    whole = train(3)
    train(2, tfdistill.Backup(tmp_path))
    resumed = train(3, tfdistill.Backup(tmp_path))
    for a, b in zip(resumed, whole):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_pretraining_does_not_go_on_from_another(tmp_path, monkeypatch):
    digits = tfdistill.load_dataset("digits").hold_out(0.1)

    def train(folder, epochs=1, data=digits, rate=1e-3, dropped=0.2, **options):
        def make_model():
            layers = [keras.layers.Dropout(dropped), keras.layers.Dense(10)]
            inputs = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
            return keras.Sequential([*inputs, *layers])

        backup, recipe = tfdistill.Backup(tmp_path / folder), pretraining.Recipe
        given = {"numbers": [0], "batch_size": 500, **options, "verbose": 0}
        recipe = recipe(epochs, learning_rate=rate)
        pretraining.pretrain(make_model, data, recipe=recipe, backup=backup, **given)
        return backup.newest

    steps = train("run")
    for other, difference in [
        ({"numbers": [1]}, "students: .0.; here: .1."),
        ({"seed": 1}, "seed: 0; here: 1"),
        ({"batch_size": 600}, "batch size: 500; here: 600"),
        ({"rate": 0.01}, "learning rate: 0.001; here: 0.01"),
        ({"data": tfdistill.load_dataset("digits").hold_out(0.1, 1)}, "images: "),
        ({"dropped": 0.5}, "network: "),
    ]:
        with pytest.raises(ValueError, match=f"another run .its {difference}"):
            train("run", **other)
    assert train("run", epochs=2) == 2 * steps
    # Earlier versions noted nothing of the kind.
    monkeypatch.setattr(pretraining.Cohort, "identity", {})
    train("earlier")
    monkeypatch.undo()
    assert train("earlier", epochs=2) == 2 * steps


def test_a_pretraining_that_nothing_repeats_is_refused(tmp_path):
    class Noise(keras.layers.Layer):
        def call(self, x, training=None):
            return x + keras.random.normal(keras.ops.shape(x)) if training else x

    def make_model():
        layers = [keras.layers.Flatten(), Noise(), keras.layers.Dense(10)]
        return keras.Sequential([keras.Input((8, 8, 1)), *layers])

    recipe, backup = pretraining.Recipe(1), tfdistill.Backup(tmp_path)
    digits = tfdistill.load_dataset("digits")
    with pytest.raises(ValueError, match="random numbers that no seed .* decides"):
        pretraining.pretrain(make_model, digits, [0], recipe, backup=backup)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_commands_go_on(tmp_path):
    flags = ["--student=linear", "--steps=2", "--num_sets=2", "--num_students=400"]
    process = start(tmp_path / "run", "baseline", flags)
    wait_for(tmp_path / "run" / "journal" / "seconds.json", process)
    process.kill()
    process.communicate()
    flags[-1] = "--num_students=4"  # another run
    process = start(tmp_path / "run", "baseline", flags)
    assert process.communicate()[0].count("holds another run") == 1
    process = start(tmp_path / "run", "baseline", [*flags, "--overwrite"])
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert not (tmp_path / "run" / "journal").exists()

    process = start(tmp_path / "run", "evaluate", ["--num_students=2000"])
    wait_for(tmp_path / "run" / "journal", process)
    while not list((tmp_path / "run" / "journal").glob(f"{32 * '?'}.npz")):
        assert process.poll() is None
    process.terminate()
    output, _ = process.communicate()
    assert process.returncode == 143, output
    tested = list((tmp_path / "run" / "journal").glob("*.npz"))
    assert len(tested) == 1 and not list(tmp_path.rglob("*.tmp"))
    process = start(tmp_path / "run", "evaluate", ["--num_students=4"])
    output, _ = process.communicate()
    assert process.returncode == 0 and "(4 students)" in output, output


def test_a_clock_counts_the_seconds_of_all_processes(tmp_path):
    path = tmp_path / "seconds.json"
    files.write_json(path, {"seconds": 1000, "cpu_seconds": 2000})
    os.utime(path, (0, 0))  # a pause is not counted
    clock = Clock(path)
    clock.keep()
    kept = files.read_json(path)
    assert 1000 < kept["seconds"] <= clock.seconds < 1900
    assert 2000 < kept["cpu_seconds"] <= clock.cpu_seconds < 2900
    for damaged in [
        "{",
        "[]",
        '{"seconds": -1, "cpu_seconds": 0}',
        '{"seconds": 1000}',
    ]:
        path.write_text(damaged)
        assert Clock(path).seconds < 900


def test_a_run_that_replaces_another_has_its_own_seconds(tmp_path):
    flags = ["--dataset=digits", "--num_sets=1", "--steps=1"]
    flags += ["--nearest_neighbours", f"--workdir={tmp_path / 'run'}"]
    commands.succeed("baseline", *flags)
    left = {"seconds": 50_000, "cpu_seconds": 90_000}
    files.write_json(tmp_path / "run" / "journal" / "seconds.json", left)
    commands.succeed("baseline", *flags, "--overwrite")
    metrics = files.read_json(tmp_path / "run" / "metrics.json")
    assert metrics["seconds"] < 1000


def test_what_a_killed_run_left_is_tidied_up(tmp_path):
    left = [
        *("flags.0123abcd.tmp.txt", "distilled.0123abcd.tmp"),
        *("distilled.0123abcd.tmp.old", "student-0001.0123abcd.tmp.weights.h5"),
    ]
    others = [
        *("mine.0123abcd.tmp", "notes.tmp.txt", "results.tmp", "flags.tmp.txt"),
        *("student-0001.tmp.weights.h5", "mine.0123abcd.tmp.weights.h5", "distilled"),
    ]
    for name in (*left, *others):
        (tmp_path / name).mkdir()
    own_names.tidy(tmp_path, ["flags.txt", "distilled", "student-*.weights.h5"])
    assert sorted(os.listdir(tmp_path)) == sorted(others)


def test_what_a_killed_run_left_in_its_folders_is_tidied_up(tmp_path):
    """Not what others have there, nor what a link leads to."""
    exposure, chart = "exposure-b.0123abcd.tmp.png", "accuracy.0123abcd.tmp.png"
    parts = tmp_path / "parts" / "0"
    for folder in (parts, tmp_path / "mine", tmp_path / "images"):
        folder.mkdir(parents=True)
        for name in (exposure, chart, "accuracy.png"):
            (folder / name).touch()
    (tmp_path / "logs").symlink_to("mine")
    own_names.tidy(tmp_path, ["metrics*.json", "images/exposure*.png"])
    assert sorted(os.listdir(tmp_path / "images")) == [chart, "accuracy.png"]
    assert len(os.listdir(parts)) == 3
    own_names.tidy(tmp_path, ["images", "parts", "logs"])
    assert os.listdir(parts) == os.listdir(tmp_path / "images") == ["accuracy.png"]
    assert len(os.listdir(tmp_path / "mine")) == 3


def test_what_stepped_aside_is_put_back(tmp_path, monkeypatch):
    """Whether the process goes on, or was killed and another one tidies up."""
    rename = os.rename
    for number in (1, 2, 3):  # aside, into place, and none
        target = tmp_path / f"run{number}.d"
        target.mkdir()
        (target / "precious").touch()
        calls = itertools.count(1)

        def interrupted(source, to, calls=calls, number=number):
            if next(calls) == number:
                raise KeyboardInterrupt
            rename(source, to)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(os, "rename", interrupted)
            with files.replacing(target) as temporary:
                os.mkdir(temporary)
        assert os.listdir(target) == ["precious"][: number < 3]
    assert len(os.listdir(tmp_path)) == 3
    (tmp_path / "run1.d").rename(tmp_path / "run1.0123abcd.tmp.d.old")
    (tmp_path / "run1.0123abcd.tmp.d").mkdir()
    own_names.tidy(tmp_path, ["run1.d"])
    assert len(os.listdir(tmp_path)) == 3
    assert os.listdir(tmp_path / "run1.d") == ["precious"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_link_leads_to_is_not_touched(tmp_path, folder):
    """A stranger's run folder may hold links to files of ours."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir() if folder else real.touch()
    (real / "ours" if folder else real).write_text("ours")
    link.symlink_to(real)
    with files.replacing(link) as temporary:
        os.mkdir(temporary) if folder else open(temporary, "w").close()
    assert not link.is_symlink() and link.is_dir() == folder
    assert (real / "ours" if folder else real).read_text() == "ours"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_journal_tells_inner_optimizers_apart(tmp_path):
    """Adam's updates at the rates of SGD are other updates."""
    digits = tfdistill.load_dataset("digits")
    sgd = tfdistill.baselines.random_real(digits, steps=2)
    adam = sgd.replace(inner_optimizer="adam")
    journal = Journal(tmp_path)
    found = [
        tfdistill.evaluate(data, "linear", digits.test, 1, journal=journal)
        for data in (sgd, adam)
    ]
    alone = tfdistill.evaluate(adam, "linear", digits.test, 1)
    assert found[1].accuracy_mean == pytest.approx(alone.accuracy_mean, abs=1e-3)
    assert found[0].accuracy_mean != found[1].accuracy_mean


class Scaled(tfdistill.InnerOptimizer):
    """Gradient descent by a rate times the first of `betas`."""

    name = "scaled"

    def __init__(self, betas):
        self.betas = betas
        self.hyperparameters = (tfdistill.inner.learning_rate(),)

    def update(self, t, hyperparameters, gradients, weights, slots):
        rate = hyperparameters["learning_rate"] * self.betas[0]
        return [w - rate * g for w, g in zip(weights, gradients)], slots


class Weighted(tfdistill.Classification):
    """Classification whose setting is an array, and a function if it has one."""

    name = "weighted"

    def __init__(self, weights=(1.0, 1.0), f=None):
        self.weights, self.f = np.array(weights), f


def test_a_journal_tells_own_objects_apart_by_all_they_hold(tmp_path):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    journal = Journal(tmp_path)

    def evaluate(betas=(1.0,), objective=None):
        rates = data.learning_rates
        one = data.replace(inner_optimizer=Scaled(betas), learning_rates=rates)
        result = tfdistill.evaluate(
            one, "linear", digits.test, 1, objective=objective, journal=journal
        )
        return result.accuracy_mean, len(list(tmp_path.iterdir()))

    up, _ = evaluate((1.0,))
    down, _ = evaluate((-1.0,))
    assert up > down
    assert evaluate((1.0,)) == (up, 2)
    assert evaluate(np.array([1.0]))[1] == 3
    assert evaluate(tf.constant([1.0]))[1] == 4
    array = np.ones(2000)
    array[1000] = 2
    for number, betas in enumerate((np.ones(2000), array, array.astype("float32"))):
        assert evaluate(betas)[1] == evaluate(betas.copy())[1] == 5 + number
    assert evaluate(objective=Weighted(f=tf.nn.relu))[1] == 8
    # What may be another one the next time is not kept, and that is said.
    with pytest.warns(UserWarning, match="keeps no results, since Scaled.betas cannot"):
        assert evaluate((1.0, lambda x: x))[1] == 8


def test_an_evaluator_refuses_inner_optimizers_that_hold_something_else(tmp_path):
    """Its graph has the settings of the one that it was made for."""
    digits = tfdistill.load_dataset("digits")
    up, again, down = (
        tfdistill.baselines.random_real(digits, steps=1, seed=number).replace(
            inner_optimizer=Scaled(betas), learning_rates=np.full((1, 1), 0.02)
        )
        for number, betas in enumerate(([1.0], [1.0], [-1.0]))
    )
    journal = Journal(tmp_path)
    evaluator = tfdistill.Evaluator("linear", up, journal=journal)
    assert evaluator.takes(again) and not evaluator.takes(down)
    for refused in (
        lambda: evaluator(down, digits.test, 1),
        lambda: tfdistill.evaluate(
            [up, down], "linear", digits.test, 2, journal=journal
        ),
    ):
        with pytest.raises(ValueError, match="have the same inner optimizer as the"):
            refused()
    assert not list(tmp_path.iterdir())
    assert evaluator([up, again], digits.test, 3).num_students == 3


def test_a_journal_tells_whether_xla_trained(tmp_path, monkeypatch):
    """It draws other random changes: a test would go on as another one."""
    digits = tfdistill.load_dataset("digits")
    changes = tfdistill.RandomChanges(shift=0.1)
    recipe = tfdistill.OrdinaryTraining(updates=5, batch_size=5, changes=changes)
    data = tfdistill.baselines.random_real(digits, steps=1).replace(recipe=recipe)
    journal, entry, keys = Journal(tmp_path), Journal.entry, []

    def kept(self, arrays, *settings):
        keys.append(settings)
        return entry(self, arrays, *settings)

    monkeypatch.setattr(Journal, "entry", kept)
    without, with_xla = (
        tfdistill.evaluate(
            data, "linear", digits.test, 2, journal=journal, jit_compile=by_xla
        )
        for by_xla in (False, True)
    )
    assert not np.array_equal(without.losses, with_xla.losses)
    assert len(list(tmp_path.iterdir())) == 2
    # Without XLA, what tells results from others is as it was in earlier versions.
    assert keys[0][-1] == recipe.to_config() and keys[1] == (*keys[0], "XLA")


def test_a_journal_tells_how_many_take_a_set_at_once(tmp_path):
    """Which of several sets, or networks, is a student's depends on that."""
    digits = tfdistill.load_dataset("digits")
    sets = [tfdistill.baselines.random_real(digits, steps=1, seed=n) for n in (0, 1)]

    def losses(taken, student="linear", **options):
        evaluator = tfdistill.Evaluator(student, sets[0], **options)
        return evaluator(taken, digits.test, 4).losses

    journal = Journal(tmp_path)
    two = "linear,mlp"  # architectures are never side by side
    for options in ({"taken": sets}, {"taken": sets[0], "student": two}):
        for side_by_side in (1, 2):
            options = {**options, "side_by_side": side_by_side}
            found, expected = losses(**options, journal=journal), losses(**options)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(list(tmp_path.iterdir())) == 3
    for side_by_side in (1, 2):  # of one set and network it is the same
        losses(sets[0], side_by_side=side_by_side, journal=journal)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_journal_tells_long_arrays_apart(tmp_path):
    """NumPy prints neither their middle nor all of their digits."""
    middle, digits = np.zeros(2000), np.full(2000, 1e-9)
    middle[1000] = 1
    journal, arrays = Journal(tmp_path), (np.zeros(2000), middle, digits)
    entries = [journal.entry([], [("weights", array)]) for array in arrays]
    assert len({entry._path for entry in entries}) == 3


def test_what_tells_objects_apart():
    told = identity.told
    assert told((1, [2.5, None], "a", np.float64(0.5))) == (1, [2.5, None], "a", 0.5)
    assert told({"a": {3, 1}, "b": 2}) == told({"b": 2, "a": {1, 3}})
    assert told(np.zeros(2)) != told(np.zeros((2, 1))) != told(np.zeros((2, 1), ">f8"))
    assert told(tf.constant([1.0])) == told(np.ones(1, "float32"))
    assert told(np.array(["a", None])) != told(np.array(["b", None]))
    assert told(Weighted) != told(Scaled) != told(tf.nn.relu) != told(tf.nn.elu)
    for value in (
        lambda: 0,
        object(),
        tf.Variable(1.0),
        keras.losses.Huber(),
        [].append,
    ):
        with pytest.raises(identity.UntoldError):
            told(value)
    objective = Weighted()
    assert identity.alike(objective, Weighted())
    assert not identity.alike(objective, Weighted((1.0, 2.0)))
    assert not identity.alike(objective, Weighted(f=tf.nn.relu))


def test_journals_of_earlier_versions_are_still_known(tmp_path):
    """What shipped objects hold, and how it is a key, is as it was."""
    of, learned = identity.settings, ["hyperparameters"]
    assert of(tfdistill.inner.Adam(), learned) == ({"_epsilon": 1e-4}, [])
    for plain in (tfdistill.inner.Momentum(), tfdistill.inner.GradientDescent()):
        assert of(plain, learned) == ({}, [])
    for objective in (
        *(tfdistill.Classification(), tfdistill.Regression(), tfdistill.Attack(0, 1)),
        *(tfdistill.LeastSquares(), tfdistill.Attack(np.int64(0), np.int64(1))),
    ):
        settings, untold = of(objective)
        assert repr(settings) == repr(vars(objective)) and not untold
    adam = {"name": "adam", "_epsilon": 0.0001}
    settings = "linear", "ab", 0, False, 1, ("Classification", []), adam, None, 0.5
    path = Journal(tmp_path).entry([], *settings, [1, (2,)])._path
    assert os.path.basename(path) == "99c47b3fddb4e7e1e33d05b4a1823cde.npz"
    training = tfdistill.OrdinaryTraining()
    assert repr(identity.told((training,), lenient=True)) == repr((training,))


def network(activation="relu", dropout=0.0, penalty=0.0):
    def own(image_shape, num_classes):
        layers = keras.layers
        regularizer = keras.regularizers.L2(penalty)
        return keras.Sequential(
            [
                keras.Input(image_shape),
                layers.Flatten(),
                layers.Dense(16, activation, kernel_regularizer=regularizer),
                layers.Dropout(dropout),
                layers.Dense(num_classes),
            ]
        )

    return own


def test_a_journal_tells_networks_and_tests_apart(tmp_path):
    """They have the same weights and name, or begin with the same images."""
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    count = len(digits.test.labels)
    first = digits.test.subset(np.arange(count) < 300)
    other = tfdistill.from_arrays(
        (digits.train.images, digits.train.labels),
        (digits.test.images, np.sort(digits.test.labels)),
        normalization=digits.normalization,
    ).test
    journal = Journal(tmp_path)

    def evaluate(student, test):
        tfdistill.evaluate(data, student, test, 1, journal=journal, batch_size=100)
        return len(list(tmp_path.iterdir()))

    for number, student in enumerate(
        [network(), network("tanh"), network(dropout=0.5), network(penalty=0.1)]
    ):
        assert evaluate(student, digits.test) == number + 1
    assert evaluate(network(), first) == 5
    assert evaluate(network(), other) == 6
    # All of these are known again, the test in batches of any size.
    assert evaluate(network("tanh"), digits.test.batch(50)) == 6
    assert evaluate(network(dropout=0.5), digits.test.batch(50)) == 6


def test_architectures_of_a_comparison_share_no_results():
    digits = tfdistill.load_dataset("digits")
    images = digits.test.batch(4).take(1).get_single_element()[0]

    def depends(activation):
        made = Architecture(network(activation), digits)
        return np.concatenate([x.ravel() for x in made.depends(0, images)])

    np.testing.assert_array_equal(depends("relu"), depends("relu"))
    assert not np.array_equal(depends("relu"), depends("tanh"))


def with_fixed_start(seed=0):
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    model = tfdistill.Distiller("linear", images, tfdistill.FixedWeights(), seed=seed)
    model.compile()
    return model, digits.train.batch(64, repeat=True)


def assert_same_start(model, other, same=True):
    (first, _), (second, _) = model.population.saved(), other.population.saved()
    assert np.array_equal(first, second) == same


def test_a_backup_holds_the_fixed_start(tmp_path):
    """A student that its own function draws is another one in another process."""
    keras.utils.set_random_seed(0)  # and goes on from there: no two are the same
    model, batches = with_fixed_start()
    run = {"steps_per_epoch": 2, "verbose": 0}
    model.fit(batches, callbacks=[tfdistill.Backup(tmp_path)], **run)
    again, _ = with_fixed_start()
    assert_same_start(model, again, same=False)
    again.fit(batches, epochs=2, callbacks=[tfdistill.Backup(tmp_path)], **run)
    assert_same_start(model, again)


def test_a_backup_without_the_fixed_start_goes_on(tmp_path):
    """As earlier versions wrote it."""
    model, _ = with_fixed_start()
    later = "start", "skipped", "failures"
    kept = {key: v for key, v in model.checkpointed.items() if key not in later}
    record = tf.Variable('{"history": []}')
    state = tf.train.Checkpoint(optimizer=model.optimizer, record=record, **kept)
    model.optimizer.iterations.assign(5)
    tf.train.CheckpointManager(state, tmp_path, 2).save(5)
    again, _ = with_fixed_start()
    again.failures.assign(3)
    assert tfdistill.Backup(tmp_path).restore(again) == 5
    assert int(again.failures.numpy()) == 0


def test_a_fixed_start_is_drawn_from_the_seed():
    code = (
        "import sys, random, keras, numpy as np, tfdistill\n"
        "digits = tfdistill.load_dataset('digits')\n"
        "images = tfdistill.DistilledImages.from_real(digits, steps=1)\n"
        "fixed = tfdistill.FixedWeights\n"
        "def drawn(seed):\n"
        "    made = tfdistill.Distiller('linear', images, fixed(), seed=seed)\n"
        "    return float(np.sum(made.population.saved()[0]))\n"
        "state = random.getstate()\n"
        "found = [drawn(1), drawn(1), drawn(2)]\n"
        "assert random.getstate() == state\n"
        "keras.utils.set_random_seed(1)\n"
        "set_before = [drawn(0), drawn(0)]\n"
        "keras.utils.set_random_seed(1)\n"
        "print(*found, *set_before, drawn(2))\n"
    )
    process = commands.run_python("-c", code)
    assert process.returncode == 0, process.stderr
    one, same, other, first, second, again = map(float, process.stdout.split())
    assert one == same != other
    # Where Keras's seed is set, as by the commands, that one decides.
    assert first == again != second


def test_an_evaluation_draws_its_fixed_start_the_same_again(tmp_path):
    code = (
        "import os, tfdistill\n"
        "from tfdistill.evaluation import networks\n"
        "from tfdistill.runs.journal import Journal\n"
        "digits = tfdistill.load_dataset('digits')\n"
        "data = tfdistill.baselines.random_real(digits, steps=2)\n"
        "def tested(weights):\n"
        "    key = networks.key('mlp', digits, weights)\n"
        "    found = tfdistill.evaluate(data, 'mlp', digits.test, 2,\n"
        "        initial_weights=weights, journal=Journal('journal'))\n"
        "    return key, found.losses.tolist(), found.num_students\n"
        "class Own(tfdistill.InitialWeights):\n"
        "    def sample(self, seed):\n"
        "        weights = [w + 0.01 for w in self.student.weights]\n"
        "        return weights, self.student.state\n"
        "for number, kind in enumerate([tfdistill.FixedWeights, Own], 1):\n"
        "    assert tested(kind()) == tested(kind())\n"
        "    assert len(os.listdir('journal')) == number\n"
    )
    process = commands.run_python("-c", code, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
