"""The state of a run on disk: saved after every epoch, restored after a crash."""

import contextlib
import dataclasses
import glob
import json
import os
import warnings
import weakref

import keras
import tensorflow as tf
from absl import logging

from tfdistill.runs import files, preemption, records, strategies
from tfdistill.runs.annealing import Anneal
from tfdistill.runs.state import StateError

# What states of earlier versions lack.
_LATER = ("start", "skipped", "failures")


@dataclasses.dataclass
class _Place:
    """Where a model is among the calls of `fit` that save to one folder.

    Attributes:
        step: The outer steps of the model in the state last read or written.
        start: Those that it had done before the first of these calls.
        next: Those after which the next of them begins: fewer than `step` where a
            state is one of a later call than the program, started again, has come to.
        history: The `history` of that state.
    """

    step: int
    start: int
    next: int
    history: list


# Of each model, by folder.
_PLACES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Backup(keras.callbacks.Callback):
    """Saves the state of a run after every epoch, and restores it.

    The newest two states are kept; each appears complete or not at all. If the newest
    is damaged, the one before it is restored, with a warning. On SIGTERM, the state is
    saved after the current outer step, and the process exits with the status 143
    (`preemption.EXIT_STATUS`). On Ctrl-C, or a notebook's stop button, it is saved
    likewise, and `fit` raises KeyboardInterrupt.

    `fit` starts from the newest state if that is ahead of the model, as with
    `keras.callbacks.BackupAndRestore`, and ends after `epochs * steps_per_epoch` steps
    in all, also if the run was stopped within an epoch. A program may call `fit` again
    and again, with a folder for each call or, in a row, with the same: started again,
    it does nothing in the calls that were done. Call `restore` before `fit` to know how
    many steps are done, so that the real batches go on, too.

    The attribute `checkpointed` of the model, a dict of trackable objects, holds its
    state besides the optimizer's; the property `identity`, if there is one, tells its
    run from another.

    Args:
        folder: Folder for the states, on a file system that all workers see.
        anneal: The run's `Anneal`, whose state is saved too.
        within_epochs: Whether to save on SIGTERM or Ctrl-C in the middle of an epoch;
            if not, the process exits at once, and the run resumes from the last epoch.
        check_run: Whether states of another run are refused; not needed where it is
            known that the folder holds only those of this one.

    Example:
        >>> import tempfile, tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=1)
        >>> distiller = tfdistill.Distiller("linear", images)
        >>> distiller.compile()
        >>> backup = tfdistill.Backup(tempfile.mkdtemp())
        >>> backup.restore(distiller)  # the outer steps that are done
        0
        >>> history = distiller.fit(
        ...     digits.train.batch(100, repeat=True), steps_per_epoch=2, verbose=0,
        ...     callbacks=[backup],
        ... )
        >>> backup.restore(distiller)
        2
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        anneal: Anneal | None = None,
        *,
        within_epochs: bool = True,
        check_run: bool = True,
    ):
        super().__init__()
        self._folder, self._anneal = files.local(folder), anneal
        #: One dict for each epoch: `outer_step`, with an `Anneal` the `seconds` that
        #: the run has taken, and the epoch's logs.
        self.history = []
        self._within_epochs, self._check_run = within_epochs, check_run
        self._watch = preemption.Watch()
        # Of which model the state is what `restore` has found.
        self._restored: keras.Model | None = None
        # The step after which a call of `fit` that went on from a state ends.
        self._last_step: int | None = None

    def restore(self, model: keras.Model) -> int:
        """Restores the newest state that can be read into a compiled model.

        Returns:
            Number of steps that the state has done; 0 if there is no state.

        Raises:
            ValueError: If there are states and none can be read, or they are those of
                another run: of data of another name, classes or normalization, another
                student, seed, objective, outer optimizer or outer learning rate, of
                other labels, other rates that are not learned, or other numbers to be
                learned. Which images are the training part is not compared.
        """
        record = _newest(self._folder, model, self._check_run)
        if record is None:
            return 0
        self.history, done = record["history"], _steps(model)
        self._restored = model
        # Those of earlier versions began with a new model.
        start = record.get("start", 0)
        places = _PLACES.setdefault(model, {})
        places[self._folder] = _Place(done, start, done, self.history)
        if self._anneal is not None:
            self._anneal.set_model(model)
            if record.get("anneal"):
                self._anneal.state = record["anneal"]
        return done

    def on_train_begin(self, logs=None):
        self._last_step = None
        # What `restore` has found counts for the next call of `fit` alone.
        restored, self._restored = self._restored is self.model, None
        begin = self._begin(restored)
        if begin is not None:
            self._go_on(begin)
        elif restored and (self.model._initial_epoch or 0) >= self.params["epochs"]:
            _say_done(self._folder, _steps(self.model))
        _drop_damaged_list(self._folder)
        self._json = tf.Variable("", trainable=False)
        self._state = _checkpoint(
            self.model.optimizer, self._json, self.model.checkpointed
        )
        if self._within_epochs:
            self._watch.start()

    def _begin(self, restored):
        """After which step this call of `fit` had begun, if it goes on; else None."""
        own, places = _steps(self.model), _PLACES.setdefault(self.model, {})
        place = places.get(self._folder)
        if restored:
            # `Anneal.epochs` says what is left.
            return place.start if self._anneal is None else None
        skipped = _whole(self.model._initial_epoch) * _whole(self.params.get("steps"))
        known = place is not None and place.step == own
        if known and place.next < own:
            # Again: in the calls before, Keras has put averages in the images' place.
            self._read()
            return place.next - skipped
        if not known and self.newest > own:
            self._read()
            return places[self._folder].start
        if known:
            self.history = place.history
        elif place is None:
            places[self._folder] = _Place(own, own - skipped, own, self.history)
        return None

    def _read(self):
        done, self._restored = self.restore(self.model), None
        logging.info("Going on after step %d, from %s.", done, self._folder)

    def _go_on(self, begin):
        """Says where `fit` goes on, as Keras's own `BackupAndRestore` does."""
        done, steps = _steps(self.model), _whole(self.params.get("steps"))
        epochs = _whole(self.params["epochs"])
        if steps:
            # An epoch that was stopped begins again, and the last one is that much
            # shorter.
            self.model._initial_epoch = (done - begin) // steps
            last = self._last_step = begin + steps * epochs
        else:
            ends = _ends(self.history, begin)
            self.model._initial_epoch = len(ends) - 1
            last = ends[epochs] if epochs < len(ends) else None
        if last is not None and done >= last:
            _PLACES[self.model][self._folder].next = last
            _say_done(self._folder, done)

    @property
    def newest(self) -> int:
        """Number of steps that the newest state has done; 0 if there is no state."""
        return max(_states(self._folder).values(), default=0)

    def on_epoch_begin(self, epoch, logs=None):
        self.model._initial_epoch = None  # of this call of `fit` alone

    def on_train_end(self, logs=None):
        self.stop()
        self._watch.exit_if_asked()

    def stop(self) -> None:
        """Leaves signals and the model as they were; `Distiller.fit` ends with it."""
        self.model._initial_epoch = None
        self._watch.stop()

    def on_train_batch_end(self, batch, logs=None):
        if self._watch.asked:
            self._save()
            self._watch.exit_if_asked()
        if self._last_step and _steps(self.model) >= self._last_step:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        if self._anneal is not None:
            numbers["seconds"] = self._anneal.elapsed
        self.history.append({"outer_step": _steps(self.model), **numbers})
        self._save()
        self._watch.exit_if_asked()

    def _save(self):
        place, step = _PLACES[self.model][self._folder], _steps(self.model)
        place.step, place.next, place.history = step, step, self.history
        record = {"history": self.history, "start": place.start}
        if identity := records.identity(self.model):
            record["run"] = identity
        if self._anneal is not None:
            record["anneal"] = self._anneal.state
        if not strategies.is_chief(self.model.distribute_strategy):
            return
        self._json.assign(json.dumps(record))
        _write(self._state, self._folder, step)


def _whole(number):
    """An argument of `fit`, or 0 for None; JSON does not take NumPy's integers."""
    return int(number or 0)


def _ends(history, begin):
    """The steps after which epochs ended, from that on after which the first began."""
    ends = [epoch["outer_step"] for epoch in history]
    return [begin, *(end for end in ends if end > begin)]


def _say_done(folder, done):
    """Says that a call of `fit` does nothing."""
    logging.warning(
        "Nothing is left to learn in this call of fit: %s has a state of %d steps. For "
        "a longer run give more epochs or a longer Anneal, for another one another "
        "folder.",
        *(folder, done),
    )


def _drop_damaged_list(folder):
    """Removes TensorFlow's list of states if damaged: the next state rewrites it."""
    try:
        tf.train.get_checkpoint_state(folder)
    except ValueError:
        os.remove(os.path.join(folder, "checkpoint"))


def _newest(folder, model, check_run):
    """Restores the newest state that can be read: its record; None without states."""
    failures = []
    for path in _states(folder):
        try:
            with _literal(path) as prefix:
                record = records.read(prefix)
                difference = check_run and records.difference(record, model)
                if not difference:
                    _restore(prefix, model)
        # What TensorFlow raises depends on which byte is wrong.
        except (
            tf.errors.OpError,
            LookupError,
            ValueError,
            TypeError,
            AssertionError,
        ) as error:
            failures.append(" ".join(str(error).split())[:200])
            warnings.warn(
                f"The backup {path} is damaged; trying the one before.", stacklevel=3
            )
            continue
        if difference:
            raise StateError(
                f"{folder} holds the state of another run ({difference}): choose "
                "another folder."
            )
        return record
    if failures:
        raise StateError(
            f"No backup in {folder} can be read ({failures[0]}): choose another "
            "folder, or remove this one to start the run again."
        )
    return None


def _write(state, folder, step):
    """Writes a state, of which nothing remains if there is no room for it."""
    try:
        os.makedirs(folder, exist_ok=True)
        with files.literal(folder) as plain:
            saver = tf.train.CheckpointManager(state, plain, max_to_keep=2)
            saver.save(checkpoint_number=step)
    except (tf.errors.OpError, OSError) as error:
        # Earlier states are whole.
        for path in glob.glob(f"{glob.escape(folder)}/ckpt-{step}*"):
            files.remove(path)
        reason = getattr(error, "message", error)
        raise OSError(f"No backup can be written: {reason}") from error


def _steps(model):
    """Number of steps that a model has done."""
    return int(model.optimizer.iterations.numpy())


def _states(folder):
    """The states in a folder and their steps, the newest first."""
    # By name: TensorFlow's list of them may be damaged.
    indices = glob.glob(f"{glob.escape(folder)}/ckpt-*.index")
    paths = [path.removesuffix(".index") for path in indices]
    numbers = {path: path.rpartition("-")[2] for path in paths}
    steps = {path: int(n) for path, n in numbers.items() if n.isdecimal()}
    return dict(sorted(steps.items(), key=lambda item: -item[1]))


def _checkpoint(optimizer, record, kept):
    return tf.train.Checkpoint(optimizer=optimizer, record=record, **kept)


@contextlib.contextmanager
def _literal(path):
    """The path of a state as TensorFlow reads it."""
    folder, name = os.path.split(path)
    with files.literal(folder) as plain:
        yield os.path.join(plain, name)


def _restore(path, model):
    """Reads one state, in which students' variables may be of another type."""
    kept = model.checkpointed
    students = list(kept.get("students", ()))
    types = tf.train.load_checkpoint(path).get_variable_to_dtype_map()
    read = []
    for k, variable in enumerate(students):
        saved = types.get(f"students/{k}/.ATTRIBUTES/VARIABLE_VALUE")
        same = saved in (None, variable.dtype)
        read.append(variable if same else tf.Variable(tf.zeros(variable.shape, saved)))
    if read:
        kept["students"] = read
    known = {name.partition("/")[0] for name in types}
    lacking = {name: kept.pop(name, ()) for name in _LATER if name not in known}
    record = tf.Variable("", trainable=False)
    _checkpoint(model.optimizer, record, kept).restore(path).assert_consumed()
    for variable, value in zip(students, read):
        if value is not variable:
            variable.assign(tf.cast(value, variable.dtype))
    for counter in [*lacking.get("skipped", ()), *lacking.get("failures", ())]:
        counter.assign(tf.zeros_like(counter))
