"""What happens around the outer loop: annealing and backups."""

import glob
import json
import math
import os
import shutil
import time
import warnings

import keras
import tensorflow as tf

from tfdistill.runs import preemption, strategies

SCHEDULES = ("cosine", "halving", "constant")


class Anneal(keras.callbacks.Callback):
    """Lowers the outer learning rate as the run goes on, and ends the run.

    Progress is the share of the outer steps done, or of the time used, whichever is
    larger.

    Args:
        schedule: "cosine" (to 0), "halving" (at every tenth of the run, as in Wang et
            al. 2018) or "constant".
        outer_steps: How many outer steps the run has.
        seconds: How long the run takes.

    Raises:
        ValueError: If neither `outer_steps` nor `seconds` is given, or one is not > 0.
    """

    def __init__(
        self,
        schedule: str = "cosine",
        *,
        outer_steps: int | None = None,
        seconds: float | None = None,
    ):
        super().__init__()
        if schedule not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}, not {schedule!r}."
            )
        limits = [limit for limit in (outer_steps, seconds) if limit is not None]
        numbers = all(isinstance(limit, (int, float)) for limit in limits)
        if not limits or not numbers or not all(limit > 0 for limit in limits):
            raise ValueError(
                "Give outer_steps or seconds or both, above 0, not "
                f"{outer_steps!r} and {seconds!r}."
            )
        self._schedule = schedule
        self._outer_steps = outer_steps or math.inf
        self._seconds = seconds or math.inf
        self.elapsed = 0.0
        self._start_rate = None

    @property
    def state(self) -> dict[str, float | None]:
        """What a resumed run needs: JSON; set it to go on."""
        return {"elapsed": self.elapsed, "start_rate": self._start_rate}

    @state.setter
    def state(self, state):
        self.elapsed, self._start_rate = state["elapsed"], state["start_rate"]

    @property
    def progress(self) -> float:
        """The share of the run that is done, in 0..1."""
        return self.progress_at(int(self.model.optimizer.iterations.numpy()))

    def progress_at(self, outer_step: int) -> float:
        """The share of the run that is done after so many outer steps, in 0..1."""
        steps, time_used = outer_step / self._outer_steps, self.elapsed / self._seconds
        return min(1.0, max(steps, time_used))

    def epochs(self, done: int, every: int) -> dict[str, int]:
        """What `fit` is to do, in epochs, until the run ends.

        Args:
            done: Outer steps that a run which goes on has behind it. One that was
                stopped between two epochs goes on to the next from there.
            every: Outer steps of an epoch.

        Returns:
            Arguments of `fit`: `steps_per_epoch`, `initial_epoch` and `epochs`.
        """
        first = -(-done // every)
        left = 0
        if self.progress_at(done) < 1:
            left = int(min(self._outer_steps, 10**9)) - done
        return {
            "steps_per_epoch": every,
            "initial_epoch": first,
            "epochs": first + -(-left // every),
        }

    def factor(self, progress: float) -> float:
        """What the initial outer learning rate is multiplied by."""
        if self._schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        return 0.5 ** int(10 * progress) if self._schedule == "halving" else 1.0

    def on_train_begin(self, logs=None):
        several = strategies.num_workers(self.model.distribute_strategy) > 1
        if several and self._seconds < math.inf:
            raise ValueError(
                "Several workers have clocks of their own: give outer_steps, not "
                "seconds."
            )
        self._last = None
        if self._start_rate is None:
            self._start_rate = float(self.model.optimizer.learning_rate.numpy())

    def on_train_batch_begin(self, batch, logs=None):
        self._last = self._last or time.monotonic()
        rate = self._start_rate * self.factor(self.progress)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self.elapsed, self._last = self.elapsed + now - self._last, now
        if self.progress >= 1:
            self.model.stop_training = True


class Backup(keras.callbacks.Callback):
    """Saves the state of a run after every epoch, and restores it.

    The newest two states are kept; each appears complete or not at all. When the
    newest is damaged, the one before it is taken, with a warning. On SIGTERM the state
    is saved after the outer step that is under way, and the process ends with the
    status 143 (`preemption.EXIT_STATUS`).

    The model tells by `checkpointed` what its state is beside the optimizer's.

    Args:
        folder: Where, on a file system that all workers see.
        anneal: The run's `Anneal`, whose state is saved too.
        within_epochs: Whether to save on SIGTERM in the middle of an epoch; if not,
            the process ends at once, and the run goes on from the last epoch.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        anneal: Anneal | None = None,
        *,
        within_epochs: bool = True,
    ):
        super().__init__()
        self._folder, self._anneal = os.fspath(folder), anneal
        #: One dict an epoch: `outer_step` and the epoch's logs.
        self.history = []
        self._within_epochs = within_epochs
        self._sigterm = preemption.Watch()

    def _checkpoint(self, model):
        self._json = tf.Variable("", trainable=False)
        return tf.train.Checkpoint(
            optimizer=model.optimizer, record=self._json, **model.checkpointed
        )

    def restore(self, model: keras.Model) -> int:
        """Gives a compiled model the newest state that can be read.

        Returns:
            How many steps it has behind it: 0 if there is no state.

        Raises:
            ValueError: If there are states and none can be read.
        """
        checkpoint = self._checkpoint(model)
        failures = []
        for path in self._saved():
            try:
                checkpoint.restore(path).assert_consumed()
                record = json.loads(self._json.numpy().decode())
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
                    f"The backup {path} is damaged; trying the one before.",
                    stacklevel=2,
                )
                continue
            self.history = record["history"]
            if self._anneal is not None:
                self._anneal.state = record["anneal"]
            return int(model.optimizer.iterations.numpy())
        if failures:
            raise ValueError(
                f"No backup in {self._folder} can be read ({failures[0]}); pass "
                "--overwrite to start the run again."
            )
        return 0

    def _saved(self):
        # By their names, the newest first: TensorFlow's list of them may be damaged.
        indices = glob.glob(f"{glob.escape(self._folder)}/ckpt-*.index")
        paths = [path.removesuffix(".index") for path in indices]
        numbers = {path: path.rpartition("-")[2] for path in paths}
        numbers = {path: int(n) for path, n in numbers.items() if n.isdecimal()}
        return sorted(numbers, key=numbers.get, reverse=True)

    def on_train_begin(self, logs=None):
        try:
            tf.train.get_checkpoint_state(self._folder)
        except ValueError:  # the list is damaged, and made anew with the next state
            os.remove(os.path.join(self._folder, "checkpoint"))
        self._saver = tf.train.CheckpointManager(
            self._checkpoint(self.model), self._folder, max_to_keep=2
        )
        if self._within_epochs:
            self._sigterm.start()

    def on_train_end(self, logs=None):
        self._sigterm.stop()
        self._sigterm.exit_if_asked()

    def on_train_batch_end(self, batch, logs=None):
        if self._sigterm.asked:
            self._save()
            self._sigterm.exit_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"outer_step": step, **numbers})
        self._save()
        self._sigterm.exit_if_asked()

    def _save(self):
        record = {"history": self.history}
        if self._anneal is not None:
            record["anneal"] = self._anneal.state
        if not strategies.is_chief(self.model.distribute_strategy):
            return
        self._json.assign(json.dumps(record))
        step = int(self.model.optimizer.iterations.numpy())
        try:
            self._saver.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            # The states before are whole; of this one nothing shall be left.
            for path in glob.glob(f"{glob.escape(self._folder)}/ckpt-{step}*"):
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
            reason = getattr(error, "message", error)
            raise OSError(f"No backup can be written: {reason}") from error
