"""How far long work is: a bar on a terminal, plain lines elsewhere."""

import os
import pty
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfdistill
from tfdistill.cli import run_folder
from tfdistill.runs import progress as module
from tfdistill.runs.journal import Journal
from tfdistill.runs.progress import Progress, duration, in_words


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_lines_come_every_so_often_with_the_time_left_of_all(clock, capsys):
    with Progress() as progress:
        progress.part("working", 100, "things")
        for number in range(100):
            clock(4)
            progress.advance(1, f"at {number}")
    lines = capsys.readouterr().out.splitlines()
    # Of 400 seconds: every 10 at first, and less often as time goes on.
    assert 20 < len(lines) < 40
    # The first thing begins the clock: what comes before is tracing.
    assert lines[0] == "working 3/100 things, 6:28 left, at 2"
    assert lines[-1] == "working 100/100 things, at 99"
    assert not any(c in line for line in lines for c in "\r\x1b")


def test_parts_are_numbered_and_each_begins_and_ends_with_a_line(clock, capsys):
    with Progress(parts=2) as progress:
        progress.part("one", 2, "steps", done=1)
        progress.advance()
        progress.say("A word.")
        progress.part("two", 0.5, "minutes")
        progress.to(0.25, "half")
    assert capsys.readouterr().out.splitlines() == [
        "1/2 one 1/2 steps",
        "A word.",
        "1/2 one 2/2 steps",
        "2/2 two 0:00/0:30 minutes",
        "2/2 two 0:15/0:30 minutes, half",
    ]


def test_no_line_is_told_twice_and_each_says_what_it_is_about(clock, capsys):
    with Progress() as progress:
        progress.part("testing", 2, "networks")
        for name in ("mine", "random"):
            progress.about(name)
            clock(20)
            progress.advance(1, "accuracy 50.0 %")
    assert capsys.readouterr().out.splitlines() == [
        "testing 1/2 networks, accuracy 50.0 % (mine)",
        "testing 2/2 networks, accuracy 50.0 % (random)",
    ]


def test_the_time_left_is_that_of_all_parts_once_it_is_known(clock):
    progress = Progress(parts=3, shown=False)
    last = [(30, "networks")]
    progress.part("one", 11, "networks", then=[(100, "steps"), *last])
    for _ in range(6):
        clock(2)
        progress.advance()
    # Nobody knows yet how long a step takes.
    assert progress.line == "1/3 one 6/11 networks, 0:10 left of this part"
    progress.to(11)
    progress.part("two", 100, "steps", then=last)
    for _ in range(51):
        clock(1)
        progress.advance()
    # 49 steps of 1 s and 30 networks, each of which took 1 s, as ten took 10 s.
    assert progress.line == "2/3 two 51/100 steps, 1:19 left of all"
    progress.to(100)
    progress.part("three", 30, "networks")
    clock(5)
    progress.to(10)
    clock(5)
    progress.to(20)
    assert progress.line == "3/3 three 20/30 networks, 0:05 left of all"


def test_what_was_done_before_is_no_sign_of_how_long_one_takes(clock):
    progress = Progress(parts=2, shown=False)
    last = [(10, "networks")]
    progress.part("one", 8, "networks", then=last)
    progress.advance(1)
    progress.advance(5, found=True)
    assert progress.line == "1/2 one 6/8 networks"
    clock(3)
    progress.advance(1)
    assert progress.line == "1/2 one 7/8 networks, 0:33 left of all"


def test_a_part_that_was_found_whole_says_nothing_of_the_next(clock):
    progress = Progress(parts=2, shown=False)
    progress.part("one", 7, "networks", then=[(10, "steps"), (20, "networks")])
    for _ in range(7):
        clock(1)
        progress.advance(found=True)
    progress.part("two", 10, "steps", then=[(20, "networks")])
    progress.to(3)
    clock(2.1)
    progress.to(4)
    assert progress.line == "2/2 two 4/10 steps, 0:12 left of this part"


def test_minutes_are_known_before_they_have_begun(clock):
    progress = Progress(parts=3, shown=False)
    progress.part("one", 11, "networks", then=[(2, "minutes"), (10, "networks")])
    progress.advance()
    clock(10)
    progress.to(6)
    assert progress.line == "1/3 one 6/11 networks, 2:30 left of all"


def test_the_time_left_of_all_is_not_taken_for_that_of_the_part(clock):
    progress = Progress(parts=2, shown=False)
    progress.part("learning", 1, "minutes", then=[(0.5, "minutes")])
    progress.to(0)
    clock(54)
    progress.to(0.9)
    line = "1/2 learning 0:54/1:00 minutes, 0:36 left of all"
    assert progress.line == line


@pytest.mark.parametrize("seconds", [7, 723, 19200.4])
def test_durations(seconds):
    assert duration(seconds) == {7: "0:07", 723: "12:03"}.get(seconds, "5:20:00")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.8, "1 second"),
        (58, "58 seconds"),
        (59.7, "0:59 minutes"),
        (723, "12:03 minutes"),
        (19200, "5:20:00 hours"),
    ],
)
def test_seconds_in_words(seconds, said):
    assert in_words(seconds) == said


def test_it_is_logged_where_keras_logs(capsys, caplog):
    keras.config.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", "absl"), Progress() as progress:
            progress.part("working", 1, "things")
            progress.advance()
    finally:
        keras.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert "working 1/1 things" in caplog.text


def test_nothing_is_told_where_output_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with Progress() as progress:
        progress.part("working", 1, "things")
        progress.say("A line.")
        progress.advance()


_PROGRAM = """
from tfdistill.cli import quiet
quiet.start()
import os, time
from tfdistill.runs.progress import Progress
os.write(2, b"I0000 00:00:1795664876 note of TensorFlow\\n")
with Progress() as progress:
    progress.part("working", 3, "{things}")
    for _ in range(3):
        time.sleep(0.15)
        progress.advance()
        progress.say("A line.")
"""


def test_errors_that_are_filtered_tell_of_any_path():
    program = "import sys; from tfdistill.cli import quiet; quiet.start()"
    program += "; print('\\udcff', file=sys.stderr)"
    process = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(tfdistill.__path__[0])},
    )
    assert process.stderr == b"\\udcff\n"


def test_a_terminal_has_one_bar_though_its_errors_are_filtered():
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": os.path.dirname(tfdistill.__path__[0])},
    )
    os.close(theirs)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    seen = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        seen += more
    os.close(ours)
    screen = seen.decode()
    assert "note of TensorFlow" not in screen
    assert "100% |" in screen and "working 3/3 {things}" in screen
    assert screen.rstrip().count("\n") == 0  # one line, drawn again and again
    assert output.decode().splitlines() == ["A line."] * 3


@pytest.fixture(scope="module")
def distiller():
    digits = tfdistill.load_dataset("digits").hold_out(0.1)
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    model = tfdistill.Distiller("linear", images)
    model.compile(students_per_step=1, validation_students=1)
    real = digits.train.batch(64, repeat=True)
    return model, real, digits.validation.batch(256)


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_fit_is_as_loud_as_keras_users_expect(distiller, verbose, capsys):
    model, real, validation = distiller
    model.fit(
        real,
        steps_per_epoch=2,
        epochs=3,
        validation_data=validation,
        verbose=verbose,
    )
    text = capsys.readouterr().out
    if verbose == 0:
        assert text == ""
    elif verbose == 2:
        assert text.count("Epoch ") == 3
    else:
        (line,) = text.splitlines()  # one for the whole, not one for each epoch
        assert line.startswith("learning 6/6 steps, accuracy ") and "%" in line


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ({"outer_steps": 5}, "learning 5/5 outer steps, "),
        ({"seconds": 0.5}, "learning 0:00/0:00 minutes, outer step "),
        ({"outer_steps": 4, "seconds": 600}, "learning 4/4 outer steps, "),
    ],
)
def test_the_end_of_a_run_is_that_of_its_anneal(distiller, limits, shown, capsys):
    model, real, _ = distiller
    anneal = tfdistill.Anneal("constant", **limits)
    model.optimizer.iterations.assign(0)
    epochs = anneal.epochs(0, 100 if "seconds" in limits else 2)
    model.fit(real, **epochs, callbacks=[anneal])
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(shown) and "0000" not in line


def test_what_a_figure_is_compared_with_stands_beside_it(distiller, capsys):
    model, real, validation = distiller
    bar = tfdistill.ProgressBar(beside={"random real": 0.5, "mine": 0.25})
    going = {"steps_per_epoch": 1, "epochs": 1, "verbose": 0, "callbacks": [bar]}
    model.fit(real, validation_data=validation, **going)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.endswith("% (random real 50.0 %, mine 25.0 %)")


def test_only_the_validation_is_called_accuracy_alone(distiller, capsys):
    model, real, validation = distiller
    for data, said in ((None, "on the real batch "), (validation, "")):
        with Progress() as progress:
            progress.part("learning", 1, "runs")
            bar = tfdistill.ProgressBar(progress=progress)
            going = {"steps_per_epoch": 1, "verbose": 0, "callbacks": [bar]}
            history = model.fit(real, validation_data=data, **going).history
        share = history["val_accuracy" if data else "accuracy"][-1]
        line = capsys.readouterr().out.splitlines()[-1]
        assert line.endswith(f"1/1 runs, accuracy {said}{100 * share:.1f} %")


def test_networks_are_counted_as_their_results_are_kept(tmp_path):
    told = []
    for _ in range(2):  # the second time they are found
        journal = Journal(tmp_path, tell=lambda more, _, found: told.append(more))
        entry = journal.entry([np.zeros(2)], "a")
        found = list(entry.read().get("loss", []))
        while len(found) < 4:
            found += [0.0, 0.0]
            entry.write(loss=np.array(found))
    assert told == [2, 2, 4]


@pytest.mark.parametrize("known", [0, 2, 3, 4])
def test_the_last_figure_is_that_of_the_result(known, tmp_path, capsys):
    """Networks are trained in pairs; of the last pair one may not be wanted."""
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    if known:
        going = {"journal": run_folder.journal(tmp_path)}
        tfdistill.evaluate(data, "linear", digits.test, known, **going)
    with Progress() as progress:
        journal = run_folder.journal(tmp_path, progress=progress)
        evaluator = tfdistill.Evaluator("linear", data, journal=journal)
        progress.part("testing", 3, "networks")
        result = evaluator(data, digits.test, 3)
    assert result.num_students == 3
    mean, std = 100 * result.mean(), 100 * result.std()
    line = f"testing 3/3 networks, accuracy {mean:.1f} ± {std:.1f} %"
    assert capsys.readouterr().out.splitlines()[-1] == line
    again = tfdistill.evaluate(data, "linear", digits.test, 3)
    np.testing.assert_array_equal(again.confusion, result.confusion)


def test_figures_of_candidates_are_not_shown_as_a_result(clock, capsys):
    with Progress() as progress:
        progress.part("testing", 2, "networks")
        progress.about("choosing a rate", figures=False)
        clock(20)
        progress.advance(1, "accuracy 10.0 %")
        progress.about("mine")
        progress.advance(1, "accuracy 90.0 %")
    assert capsys.readouterr().out.splitlines() == [
        "testing 1/2 networks, choosing a rate",
        "testing 2/2 networks, accuracy 90.0 % (mine)",
    ]
