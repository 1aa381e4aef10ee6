"""How the outer learning rate falls, and when a run ends."""

import math
import time

import keras

from tfdistill._internal import fields, lookup
from tfdistill._internal.checks import check_int, is_number
from tfdistill.runs import strategies

SCHEDULES = ("cosine", "halving", "constant")


class Anneal(keras.callbacks.Callback):
    """Lowers the outer learning rate during the run, and ends the run.

    Progress is the share of the outer steps done, or of the time used, whichever is
    larger. Steps are counted by the distiller's optimizer, over all calls of `fit`, so
    that a run that was stopped goes on where it was. What is lowered is the rate that
    `compile` was given, whatever rate an earlier call of `fit` has ended with.

    Args:
        schedule: "cosine" (to 0), "halving" (at every tenth of the run, as in Wang et
            al. 2018) or "constant".
        outer_steps: Number of outer steps of the run, at least 1.
        seconds: Length of the run in seconds, > 0.

    Raises:
        ValueError: If neither `outer_steps` nor `seconds` is given, or a number is out
            of range.

    Example:
        >>> import tfdistill
        >>> anneal = tfdistill.Anneal("cosine", outer_steps=1000)
        >>> anneal.progress_at(250), round(anneal.factor(0.25), 3)
        (0.25, 0.854)
    """

    def __init__(
        self,
        schedule: str = "cosine",
        *,
        outer_steps: int | None = None,
        seconds: float | None = None,
    ):
        super().__init__()
        lookup.find("schedule", schedule, dict.fromkeys(SCHEDULES))
        if outer_steps is None and seconds is None:
            raise ValueError("Give outer_steps or seconds, or both.")
        self._schedule = schedule
        self._outer_steps: float = math.inf
        if outer_steps is not None:
            self._outer_steps = check_int("outer_steps", outer_steps, 1)
        self._seconds = math.inf
        if seconds is not None:
            if not is_number(seconds) or not seconds > 0:
                raise ValueError(f"seconds must be above 0, not {seconds!r}.")
            self._seconds = float(seconds)
        #: Seconds that the run has taken.
        self.elapsed = 0.0

    @property
    def state(self) -> dict[str, float]:
        """What a resumed run needs, as JSON; assign it to resume."""
        return {"elapsed": self.elapsed}

    @state.setter
    def state(self, state):
        try:
            fields.check(state, {"elapsed": fields.number(0)})
        except ValueError as error:
            raise ValueError(f"This is no state of an Anneal: {error}.") from None
        self.elapsed = state["elapsed"]

    def set_model(self, model):
        """Takes the model of a run; that of another one has taken no time yet."""
        if self._model not in (None, model):
            self.elapsed = 0.0
        super().set_model(model)

    @property
    def progress(self) -> float:
        """The share of the run that is done, in 0..1."""
        return self.progress_at(int(self.model.optimizer.iterations.numpy()))

    def progress_at(self, outer_step: int) -> float:
        """The share of the run that is done after `outer_step` outer steps, in 0..1."""
        steps, time_used = outer_step / self._outer_steps, self.elapsed / self._seconds
        return min(1.0, max(steps, time_used))

    def counted(self, outer_step: int) -> tuple[float, float, str]:
        """What is done of the run, of how much, and in which unit, to be shown.

        Args:
            outer_step: Outer steps that are done.

        Returns:
            Outer steps and "outer steps"; or minutes and "minutes", if the time is what
            ends the run.
        """
        if outer_step / self._outer_steps < self.elapsed / self._seconds:
            done = min(self.elapsed, self._seconds)
            return done / 60, self._seconds / 60, "minutes"
        if self._outer_steps == math.inf:
            return 0.0, self._seconds / 60, "minutes"
        return outer_step, int(self._outer_steps), "outer steps"

    def epochs(self, done: int, every: int) -> dict[str, int]:
        """The arguments by which `fit` runs until the end, in epochs.

        Args:
            done: Outer steps that a resumed run has done already. A run that stopped
                within an epoch continues with the next one.
            every: Outer steps in each epoch.

        Returns:
            Arguments of `fit`: `steps_per_epoch`, `initial_epoch` and `epochs`.

        Raises:
            ValueError: If `done` is no integer of at least 0, or `every` of at least 1.
        """
        done, every = check_int("done", done, 0), check_int("every", every, 1)
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
        """The factor for the initial outer learning rate."""
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
        # A Distiller knows; of any other Keras model it is the rate that it has.
        now = self.model.optimizer.learning_rate
        self._rate = getattr(self.model, "base_rate", None) or float(now.numpy())

    def on_train_batch_begin(self, batch, logs=None):
        self._last = self._last or time.monotonic()
        rate = self._rate * self.factor(self.progress)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self.elapsed, self._last = self.elapsed + now - self._last, now
        if self.progress >= 1:
            self.model.stop_training = True
