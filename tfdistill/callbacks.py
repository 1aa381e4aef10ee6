"""What happens around the outer loop: annealing and backups."""

import json
import math
import os
import time
import warnings

import keras
import tensorflow as tf

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
        if not limits or min(limits) <= 0:
            raise ValueError("Give outer_steps or seconds or both, above 0.")
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
        return self.progress_at(int(self.model.optimizer.iterations))

    def progress_at(self, outer_step: int) -> float:
        """The share of the run that is done after so many outer steps, in 0..1."""
        steps, time_used = outer_step / self._outer_steps, self.elapsed / self._seconds
        return min(1.0, max(steps, time_used))

    def factor(self, progress: float) -> float:
        """What the initial outer learning rate is multiplied by."""
        if self._schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        return 0.5 ** int(10 * progress) if self._schedule == "halving" else 1.0

    def on_train_begin(self, logs=None):
        self._last = None
        if self._start_rate is None:
            self._start_rate = float(self.model.optimizer.learning_rate)

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
    newest is damaged, the one before it is taken, with a warning.

    Args:
        folder: Where.
        anneal: The run's `Anneal`, whose state is saved too.
    """

    def __init__(self, folder: str | os.PathLike, anneal: Anneal | None = None):
        super().__init__()
        self._folder, self._anneal = os.fspath(folder), anneal
        #: One dict an epoch: `outer_step` and the epoch's logs.
        self.history = []

    def _manager(self, model):
        model.optimizer.build(model.synthesizer.trainable_variables)
        self._json = tf.Variable("", trainable=False)
        checkpoint = tf.train.Checkpoint(
            synthesizer=model.synthesizer,
            optimizer=model.optimizer,
            norms=[norm.value for norm in model.gradient_norms],
            usual_loss=model.usual_loss.value,
            record=self._json,
        )
        return checkpoint, tf.train.CheckpointManager(
            checkpoint, self._folder, max_to_keep=2
        )

    def restore(self, model: keras.Model) -> int:
        """Gives a compiled `Distiller` the newest state that can be read.

        Returns:
            How many outer steps it has behind it: 0 if there is no state.

        Raises:
            ValueError: If there are states and none can be read.
        """
        checkpoint, manager = self._manager(model)
        failures = []
        for path in reversed(manager.checkpoints):
            try:
                checkpoint.restore(path).assert_consumed()
                record = json.loads(self._json.numpy().decode())
            # What TensorFlow raises depends on which byte is wrong.
            except (
                tf.errors.OpError,
                LookupError,
                ValueError,
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
            return int(model.optimizer.iterations)
        if failures:
            raise ValueError(
                f"No backup in {self._folder} can be read ({failures[0]}); pass "
                "--overwrite to start the run again."
            )
        return 0

    def on_train_begin(self, logs=None):
        _, self._saver = self._manager(self.model)

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations)
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"outer_step": step, **numbers})
        record = {"history": self.history}
        if self._anneal is not None:
            record["anneal"] = self._anneal.state
        self._json.assign(json.dumps(record))
        self._saver.save(checkpoint_number=step)
