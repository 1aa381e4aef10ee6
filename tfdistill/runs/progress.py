"""How far long work is: one bar for the whole of it, or a plain line now and then."""

import math
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping

import keras
from absl import logging

from tfdistill.runs import strategies
from tfdistill.runs.annealing import Anneal

# Seconds between two plain lines; more in work that takes long.
_EVERY = 10.0
_BLINK = 0.1


class Progress:
    """One bar for the whole of some work, which has one part or several in turn.

    On a terminal it is a bar on standard error, in a notebook a bar below the cell.
    Elsewhere it is a plain line every so often, without control characters: printed,
    or, after `keras.config.disable_interactive_logging()`, logged by absl.

    Args:
        parts: Number of parts that will come.
        shown: Whether anything is shown at all.
    """

    def __init__(self, parts: int = 1, *, shown: bool = True):
        self._parts, self._number, self._shown = parts, 0, shown
        self._bar = None
        self._title = self._unit = self._text = self._about = ""
        self._told: tuple | None = None
        self._done = self._total = 0.0
        self._then: list[tuple[float, str]] = []
        # Seconds that one of each unit took in an earlier part.
        self._each = {"minutes": 60.0}
        self._started = self._line = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self.close(finished=error[0] is None)

    def part(
        self,
        title: str,
        total: float,
        unit: str,
        done: float = 0,
        *,
        then: Iterable[tuple[float, str]] = (),
    ) -> None:
        """Begins the next part.

        Args:
            title: What is done in it.
            total, unit: How much there is to do, and of what.
            done: How much of it was done before.
            then: Totals and units of all parts that follow, for the time that is left
                of the whole.
        """
        self._end_part()
        self._number += 1
        if self._parts > 1:
            title = f"{self._number}/{self._parts} {title}"
        self._title, self._total, self._unit, self._done = title, total, unit, done
        self.about("")
        self._first, self._then = None, list(then)
        self._bar = self._bar or (_bar() if self._shown else None)
        # The first part may be long, and is then the only sign of life.
        self._refresh(at_once=True, told=self._parts > 1)

    def about(self, what: str, *, figures: bool = True) -> None:
        """Says what all texts are about, until the next one or the next part.

        Args:
            what: In a few words.
            figures: Whether texts are shown. Those of candidates are no result.
        """
        self._about, self._text, self._has_figures = what, "", figures

    def advance(
        self, count: float = 1, text: str | None = None, *, found: bool = False
    ) -> None:
        """Says that so many more are done; `text` is about the last one.

        Those that were found, done before, are no sign of how long one takes.
        """
        if found and self._first is not None:
            since, share = self._first
            self._first = since, share + count / max(self._total, 1e-9)
        self.to(self._done + count, text)

    def to(
        self,
        done: float,
        text: str | None = None,
        *,
        total: float | None = None,
        unit: str | None = None,
    ) -> None:
        """Says how much is done of the part.

        Args:
            done: How much.
            text: Something about it; what was said last, if it is None.
            total, unit: In place of those of the part.
        """
        self._total, self._unit = total or self._total, unit or self._unit
        self._done = min(done, self._total)
        if text is not None:
            self._text = text
        if self._first is None:
            # Whatever comes before is tracing, which is not repeated.
            self._first = time.monotonic(), self._share
        self._refresh()

    @property
    def done(self) -> float:
        """How much of the part is done."""
        return self._done

    @property
    def _share(self):
        return self._done / max(self._total, 1e-9)

    @property
    def _seconds_each(self):
        """Seconds that one of the part's unit takes; None if nobody knows."""
        if self._first is None:
            return None
        since, at = self._first
        if self._share - at < 1e-9:  # nothing but those that were found, rounded
            return None
        return (time.monotonic() - since) / ((self._share - at) * self._total)

    @property
    def left(self) -> tuple[float | None, bool]:
        """Seconds that are left, None if nobody knows; and whether they are all.

        They are those of the part alone, if it is not known how long later ones take.
        """
        if self._seconds_each is None:
            return None, False
        left = (self._total - self._done) * self._seconds_each
        each = {**self._each, self._unit: self._seconds_each}
        if self._number + len(self._then) < self._parts or not all(
            unit in each for _, unit in self._then
        ):
            return left, False
        return left + sum(total * each[unit] for total, unit in self._then), True

    @property
    def line(self) -> str:
        """All of it in a line."""
        clock = self._unit == "minutes"
        done, total = (
            duration(60 * count) if clock else f"{math.floor(count + 1e-6):,}"
            for count in (self._done, self._total)
        )
        words = [f"{self._title} {done}/{total} {self._unit}"]
        left, of_all = self.left
        if left is not None and (self._share < 1 or self._then and of_all):
            of = f" of {'all' if of_all else 'this part'}" if self._parts > 1 else ""
            words.append(f"{duration(left)} left{of}")
        if not self._has_figures:
            words.append(self._about)
        elif self._text:
            # What a narrow terminal cuts off is what it is about, not the figure.
            words.append(f"{self._text} ({self._about})" if self._about else self._text)
        return ", ".join(words)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is None and self._shown:
            tell(text)
        elif self._bar is not None and sys.stdout is not None:
            self._bar.write(text, file=sys.stdout)

    def close(self, finished: bool = True) -> None:
        """Ends the last part; what was shown stays."""
        if finished:
            self._end_part()
        if self._bar is not None:
            self._bar.close()
        self._bar, self._title = None, ""

    def _end_part(self):
        if self._title:
            if self._seconds_each is not None:
                self._each[self._unit] = self._seconds_each
            self._refresh(at_once=True, told=True)

    def _refresh(self, at_once=False, told=False):
        now = time.monotonic()
        if not self._shown:
            return
        if self._bar is not None:
            if at_once or now - self._line >= _BLINK:
                self._line = now
                self._bar.total, self._bar.n = self._total, self._done
                text = self.line.replace("{", "{{").replace("}", "}}")
                # A notebook's bar has a width of its own.
                bar = "{bar}" if hasattr(self._bar, "container") else "{bar:12}"
                self._bar.bar_format = f"{{percentage:3.0f}}% |{bar}| {text}"
                self._bar.refresh()
            return
        wait = max(_EVERY, (now - self._started) / 20)
        # The last line of a part may have been told as it came.
        news = self._title, self._done, self._text
        due = told or (not at_once and now - self._line >= wait)
        if due and news != self._told:
            self._line, self._told = now, news
            tell(self.line)


class ProgressBar(keras.callbacks.Callback):
    """Shows how far `fit` is, by one bar for all its epochs.

    `Distiller.fit` adds it itself, unless `verbose` is 0 or 2.

    Args:
        anneal: The run's `Anneal`, which knows when the run ends; without one, it ends
            with the last epoch.
        progress: Where it is shown, in a part that has begun; by default a bar of its
            own.
        beside: Figures to compare the validation's headline with, by name, such as
            {"random real": 0.8}.
        before: What `progress` counts before this call of `fit`.
        each: How much of it this call is.

    Example:
        >>> import keras, numpy as np, tfdistill
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> bar = tfdistill.ProgressBar()
        >>> x = np.zeros((4, 2))
        >>> history = model.fit(x, x[:, :1], 2, epochs=3, verbose=0, callbacks=[bar])
        learning 6/6 steps, loss 0
    """

    def __init__(
        self,
        anneal: Anneal | None = None,
        progress: Progress | None = None,
        *,
        beside: Mapping[str, float] | None = None,
        before: float = 0,
        each: float = 1,
    ):
        super().__init__()
        self._anneal, self._given = anneal, progress
        self._beside, self._before, self._each = dict(beside or {}), before, each
        self._progress = progress or Progress()

    @classmethod
    def among(cls, callbacks) -> "ProgressBar":
        """A bar that knows the `Anneal` among some callbacks, if there is one."""
        anneals = [each for each in callbacks if isinstance(each, Anneal)]
        return cls(*anneals[:1])

    def on_train_begin(self, logs=None):
        self._epoch = self._validated = None
        if self._given is None:
            chief = strategies.is_chief(self.model.distribute_strategy)
            self._progress = Progress(shown=chief)
            self._progress.part("learning", self._total or 1, "steps")

    @property
    def _total(self):
        return (self.params.get("steps") or 0) * self.params.get("epochs", 1)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        text = self._text(logs)
        if self._anneal is not None:
            step = int(self.model.optimizer.iterations.numpy())
            done, total, unit = self._anneal.counted(step)
            self._progress.to(done, self._in_time(text), total=total, unit=unit)
        elif self._given is not None:
            steps = self.params.get("steps") or math.inf
            share = (self._epoch + (batch + 1) / steps) / self.params["epochs"]
            self._progress.to(self._before + self._each * share, text)
        elif self._total:
            done = self._epoch * self.params["steps"] + batch + 1
            self._progress.to(done, text, total=self._total)
        else:  # the first epoch of data of unknown length
            epochs = self.params["epochs"]
            self._progress.to(self._epoch, text, total=epochs, unit="epochs")

    def on_epoch_end(self, epoch, logs=None):
        name = self._headline(logs or {})
        if name in (logs or {}):
            self._validated = name, float(logs[name])
            self._progress.advance(0, self._in_time(self._text({})))

    def on_train_end(self, logs=None):
        if self._given is None:
            self._progress.close()

    def stop(self) -> None:
        """Leaves what was shown as it is; `Distiller.fit` ends with it."""
        if self._given is None:
            self._progress.close(finished=False)

    def _in_time(self, text):
        """A text, after the outer step where minutes are counted."""
        if self._anneal is None:
            return text
        step = int(self.model.optimizer.iterations.numpy())
        by_step = self._anneal.counted(step)[2] == "outer steps"
        return text if by_step else f"outer step {step}, {text}"

    def _headline(self, logs):
        objective = getattr(self.model, "objective", None)
        own = [f"val_{objective.headline}"] if objective is not None else []
        return next((n for n in (*own, "val_accuracy", "val_loss") if n in logs), "")

    def _text(self, logs):
        objective = getattr(self.model, "objective", None)
        shares = getattr(objective, "shares", ("accuracy",))
        if self._validated is None:
            name = next(iter(logs or {}), None)
            if not name:
                return ""
            # Not to be taken for that of the validation.
            on = " on the real batch" if objective is not None else ""
            return f"{name}{on} {_figure(float(logs[name]), name in shares)}"
        name, value = self._validated
        share = name.removeprefix("val_") in shares
        text = f"{name.removeprefix('val_').replace('_', ' ')} {_figure(value, share)}"
        beside = [f"{n} {_figure(v, share)}" for n, v in self._beside.items()]
        return text + (f" ({', '.join(beside)})" if beside else "")


def duration(seconds: float) -> str:
    """Seconds as a clock shows them: "0:07", "12:03", "5:20:00"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def in_words(seconds: float) -> str:
    """Seconds with their unit: "1 second", "58 seconds", "12:03 minutes"."""
    if round(seconds) < 60:
        count = round(seconds)
        return f"{count} second{'' if count == 1 else 's'}"
    return f"{duration(seconds)} {'hours' if seconds >= 3600 else 'minutes'}"


def _figure(value, is_share):
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def _bar():
    """An empty bar of tqdm; None where there is neither a terminal nor a notebook."""
    from tqdm import TqdmWarning, std

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # of notebooks without widgets
        from tqdm import autonotebook
    if autonotebook.tqdm is not std.tqdm:
        return autonotebook.tqdm(total=1, bar_format=" ")
    if _in_notebook():
        return std.tqdm(total=1, file=sys.stdout, ncols=100, bar_format=" ")
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    # Some terminals do not say how wide they are.
    wide = {"dynamic_ncols": True} if _columns() else {"ncols": 80, "nrows": 20}
    return std.tqdm(total=1, file=sys.stderr, bar_format=" ", **wide)


def _columns():
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


def _in_notebook():
    shell = sys.modules.get("IPython")
    shell = shell and shell.get_ipython()
    return bool(shell) and "IPKernelApp" in shell.config


def tell(text: str) -> None:
    """Prints a line, or logs it if Keras's interactive logging is off."""
    if keras.config.is_interactive_logging_enabled():
        print(text, flush=True)
    else:
        logging.info("%s", text)
