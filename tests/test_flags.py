"""What the commands declare: flags, defaults, help, and the record of a run."""

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfdistill
from tfdistill import distiller
from tfdistill.cli import help as help_text
from tfdistill.cli import main, outer_loop, run_folder, synthesizers, useless_flags
from tfdistill.cli.command import TITLES, Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.content import Content
from tfdistill.cli.errors import InputError, checking, warnings_in_lines

COMMANDS = [main.command(name) for name in main.COMMANDS]
FLAGS = [
    pytest.param(command, flag, id=f"{command.name}-{flag.name}")
    for command in COMMANDS
    for flag in command.flags.values()
]
# What the command line alone has: in Python these are objects, or always given.
OWN = {
    "distill": {
        *("dataset", "initial_weights", "synthesizer", "objective", "generator"),
        *("start", "batch_size", "outer_learning_rate", "ema", "augment"),
        *("meta_gradient", "recipe", "precision", "stored_as"),
    },
    "baseline": {"dataset", "initial_weights", "kind", "num_sets"},
    "pretrain": {"dataset", "num_students", "side_by_side"},
    "evaluate": set(),
    "audit": {"dataset", "flip", "apply"},
    # Lists, whose numbers are text here.
    "compare": {"dataset", "baselines", "rates", "updates"},
    "search": {
        *("space", "candidates", "real_candidates", "real_epochs"),
        *("keep", "retrain_epochs"),
    },
    "export": set(),
    "report": set(),
}
EVERYWHERE = {"workdir", "overwrite", "threads", "strategy", "seed", "verbose"}


def in_library(place):
    """An object of the library: "module:name.name"."""
    module, _, path = place.partition(":")
    found = importlib.import_module(f"tfdistill.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    return found


def default_of(place):
    """A default of the library: "module:function.argument", or of a class."""
    function, _, argument = place.rpartition(".")
    found = inspect.signature(in_library(function)).parameters[argument].default
    assert found is not inspect.Parameter.empty, place
    return found


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_defaults_and_choices_are_the_librarys(command, flag):
    if flag.library:
        assert flag.default == default_of(flag.library)
        assert type(flag.default) is type(default_of(flag.library))
    elif flag.default not in (None, False):
        assert flag.name in OWN[command.name] | EVERYWHERE
    if flag.table:
        assert flag.choices == tuple(in_library(flag.table))


def test_defaults_that_depend_on_other_flags_are_the_librarys():
    from tfdistill.studies.pretraining import FEWEST_UPDATES, Recipe

    distill, pretrain = main.command("distill"), main.command("pretrain")
    images = distill.parse(["--workdir=w", "--method=unrolled"])
    of_images = "synthesizers.images:DistilledImages.from_real"
    schedule = "synthesizers.schedule:Schedule"
    assert images.epochs == default_of(f"{of_images}.epochs") == 3
    assert images.inner_optimizer == default_of(f"{schedule}.inner_optimizer")
    for kind, home in (("generator", "Generator"), ("real", "RealBatches")):
        other = distill.parse(["--workdir=w", f"--synthesizer={kind}"])
        place = f"synthesizers.{kind}:{home}.inner_optimizer"
        assert other.epochs == 1
        assert other.inner_optimizer == default_of(place) == "momentum"
    assert (images.outer_steps, images.back_off) == (1000, distiller.BACK_OFF)
    fixed = distill.parse(["--workdir=w", "--initial_weights=fixed", "--minutes=1"])
    assert (fixed.outer_steps, fixed.back_off) == (None, 0)
    recipe, epochs = Recipe(), pretrain.flags["epochs"].shown
    assert f"else {recipe.epochs}, or" in epochs
    assert f"more for {FEWEST_UPDATES} updates" in epochs
    halved = pretrain.flags["halve_every"].shown
    assert f"else {recipe.halve_every}, or half" in halved
    rate = pretrain.flags["learning_rate"].shown.rpartition(" ")[2]
    assert float(rate) == recipe.learning_rate


def test_the_outer_optimizer_is_the_librarys():
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
    distiller = tfdistill.Distiller("linear", synthesizer)
    distiller.compile()
    assert isinstance(distiller.optimizer, keras.optimizers.Adam)
    rate = main.command("distill").flags["outer_learning_rate"].default
    assert float(distiller.optimizer.learning_rate) == pytest.approx(rate)


def test_images_are_averaged_over_the_last_tenth_of_a_run():
    digits = tfdistill.load_dataset("digits")
    distill = main.command("distill")

    def optimizer(*flags):
        given = ["--workdir=w", "--method=unrolled", "--student=linear", *flags]
        return outer_loop.distiller(distill.parse(given), digits).optimizer

    assert optimizer("--outer_steps=200").ema_momentum == pytest.approx(0.95)
    assert optimizer("--outer_steps=9000").ema_momentum == 0.99
    for limit in ("--minutes=1", "--minutes=1 --outer_steps=9000"):
        adam = optimizer(*limit.split())
        adam.iterations.assign(190)
        assert float(adam.ema_momentum) == pytest.approx(0.95)
        adam.iterations.assign(9000)
        assert float(adam.ema_momentum) == pytest.approx(0.99)
    assert not optimizer("--minutes=1", "--ema=0").use_ema


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", "float32"), ("mixed_bfloat16", "bfloat16")]
)
def test_precision_is_that_of_the_networks_alone(precision, dtype):
    digits = tfdistill.load_dataset("digits")
    flags = ["--workdir=w", "--method=unrolled", "--student=mlp", "--steps=1"]
    c = main.command("distill").parse([*flags, f"--precision={precision}"])
    distiller = outer_loop.distiller(c, digits)
    ((student, _),) = distiller.population.members
    assert student.model.layers[-1].compute_dtype == dtype
    assert student.model.layers[-1].variable_dtype == "float32"
    assert {v.dtype for v in distiller.synthesizer.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    distiller.fit(digits.train.batch(64), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_help_takes_two_lines(command, flag):
    assert 1 <= len(help_text.about(flag)) <= 2
    assert flag.help[0].isupper() and flag.help.endswith(("?", ".", ")."))


@pytest.mark.parametrize("command", COMMANDS, ids=main.COMMANDS)
def test_the_defaults_that_help_shows_are_true(command):
    """Of each flag, and as they are once a command has filled in the others."""
    needed = [f"--{name}=x.npz" for name, flag in command.flags.items() if flag.missing]
    configuration = command.parse(needed)
    for name, flag in command.flags.items():
        said, value = help_text.default(flag), getattr(configuration, name)
        assert said, name
        if flag.missing:
            assert said == "required"
        elif isinstance(value, bool):
            assert said.partition(";")[0] == ("yes" if value else "no"), name
        elif value is not None and name not in ("threads", "output"):
            text = ",".join(value) if isinstance(value, list) else str(value)
            assert re.search(rf"(^|\W){re.escape(text)}(\W|$)", said) or (
                isinstance(value, float) and f"{value:g}" in said
            ), (name, said, value)


def test_defaults_of_the_data_are_those_of_an_earlier_run():
    for name in ("evaluate", "search"):
        flags = main.command(name).flags
        for flag in ("dataset", "data_dir", "image_size", "classes"):
            assert help_text.default(flags[flag]) == "the run's"
    assert help_text.default(main.command("audit").flags["in_memory"]) == "yes"


@pytest.mark.parametrize("command", COMMANDS, ids=main.COMMANDS)
def test_help_of_a_command(command):
    text = help_text.text(command)
    lines = text.splitlines()
    assert max(map(len, lines)) <= help_text.WIDTH
    assert text.startswith(f"tfdistill {command.name}: ")
    titles = [group.title for group in command.groups]
    assert titles == [title for title in TITLES if title in titles]
    assert all(f"{title}:" in lines for title in titles)
    names = [flag.name for group in command.groups for flag in group.flags]
    assert len(names) == len(set(names))
    for name in names:
        assert f"--{name}=" in text or f"--[no]{name}" in text
    assert 1 <= len(command.examples) <= 3
    for example in command.examples:
        program, name, *arguments = example.split()
        assert program == "tfdistill" and name in main.COMMANDS
        if not any("--flagfile" in argument for argument in arguments):
            main.command(name).parse(arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["distill", "--help"]])
def test_help_imports_no_tensorflow(arguments):
    program = (
        "import sys; from tfdistill.cli import main\n"
        "try: main.run()\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "tfdistill" in process.stdout


def test_a_configuration_is_frozen():
    first = Configuration({"steps": 3, "seed": 0})
    second = first.replace(steps=4)
    assert (first.steps, second.steps, second.seed) == (3, 4, 0)
    assert "steps" in first and "epochs" not in first
    with pytest.raises(AttributeError, match="cannot be set"):
        first.steps = 5
    with pytest.raises(AttributeError, match="--epochs"):
        first.epochs  # noqa: B018
    with pytest.raises(AttributeError, match="--epochs"):
        first.replace(epochs=1)


@pytest.fixture
def command():
    flags = [
        *run_folder.flags("run"),
        Flag("steps", int, 10, "Steps.", lowest=1),
        Flag("rate", float, None, "Rate.", shown="0.1 a step"),
        Flag("soft", bool, False, "Soft."),
        Flag("widths", list, None, "Widths."),
    ]

    def resolve(configuration):
        if configuration.rate is None:
            return configuration.replace(rate=0.1 * configuration.steps)
        return configuration

    return Command(
        name="try",
        about="tfdistill try: tries.",
        groups=(Group("result", flags),),
        run=lambda configuration: None,
        resolve=resolve,
        examples=("tfdistill try --workdir=w",),
    )


def test_what_is_recorded_is_a_flagfile(command, tmp_path):
    arguments = ["--workdir=w", "--soft", "--widths=1-2,3-4", "--steps=5"]
    configuration = command.parse(arguments)
    text = command.record(configuration)
    assert text == "--steps=5\n--rate=0.5\n--soft\n--widths=1-2,3-4\n"
    path = tmp_path / "flags.txt"
    path.write_text(text)
    again = command.parse([f"--flagfile={path}", "--workdir=other"])
    assert command.record(again) == text
    assert "--nosoft" in command.record(command.parse(["--workdir=w", "--nosoft"]))


@pytest.mark.parametrize(
    "arguments",
    [
        "--steps=3 --flagfile=A --workdir=w",
        "--workdir=w --flagfile=A --steps 3",
        "--steps 3 --soft -flagfile A --workdir=w",
        "--nosoft --flagfile B --steps=3 --flagfile=A --soft --workdir=w",
    ],
)
def test_what_is_typed_wins_over_flagfiles(arguments, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A").write_text("--steps=7\n--rate=0.5\n--nosoft\n")
    (tmp_path / "B").write_text("--rate=0.25\n--widths=1-2\n")
    asked = command.parse(arguments.split())
    assert (asked.steps, asked.rate, asked.workdir) == (3, 0.5, "w")  # of A, the last
    assert asked.soft == ("--soft" in arguments)
    assert asked.widths == (["1-2"] if "B" in arguments else None)


def test_a_list_is_recorded_as_it_is_read_again(command, tmp_path):
    configuration = command.parse(["--workdir=w", '--widths="big, dog",cat,5" up'])
    assert configuration.widths == ["big, dog", "cat", '5" up']
    text = command.record(configuration)
    assert '--widths="big, dog",cat,' in text
    path = tmp_path / "flags.txt"
    path.write_text(text)
    again = command.parse([f"--flagfile={path}", "--workdir=w"])
    assert again.widths == configuration.widths
    assert command.differences(configuration, text) == []


def test_a_record_is_compared_by_what_it_says(command):
    configuration = command.parse(["--workdir=w", "--steps=5"])

    def differences(text):
        return command.differences(configuration, text)

    assert differences(command.record(configuration)) == []
    # Another order, no end of line, and flags that an older version did not have.
    assert differences("--rate=0.5\n--nosoft\n--steps=5") == []
    assert differences("--steps=5\n") == []
    assert differences("--steps=5\n--rate=0.50\n") == []
    # As many steps as the default is another run.
    assert differences("--nosoft\n--rate=0.5\n") == ["--steps=10", "--steps=5"]
    found = differences("--steps=7\n--nosoft\n")
    assert found == [
        "--rate=0.5",
        "--rate=0.7000000000000001",
        "--steps=5",
        "--steps=7",
    ]
    assert differences("--steps=5\n--gone=1\n") == ["--gone=1"]
    assert "--steps=none" in differences("--steps=none\n")
    assert differences("--flagfile=/etc/passwd\n--steps=5\n") == [
        "--flagfile=/etc/passwd"
    ]


def test_how_to_resume_a_folder_is_said_as_it_is_typed(tmp_path):
    distill, folder = main.command("distill"), tmp_path / "my runs"
    given = [f"--workdir={folder}", "--student=mynets:small"]
    run_folder.claim(distill, distill.parse(given), ["flags.txt"])
    run_folder._held.pop().close()
    with pytest.raises(InputError) as refused:
        run_folder.claim(distill, distill.parse(given[:1]), ["flags.txt"])
    said = re.search("pass (.*) to resume it", str(refused.value))[1]
    typed = [f"--workdir={folder}", *shlex.split(said)]
    run_folder.claim(distill, distill.parse(typed), ["flags.txt"])
    run_folder._held.pop().close()


def test_a_folder_of_an_older_version_is_resumed(command, tmp_path):
    arguments = [f"--workdir={tmp_path / 'w'}", "--steps=5"]
    configuration = command.parse(arguments)
    run_folder.claim(command, configuration, ["flags.txt"])
    path = tmp_path / "w" / "flags.txt"
    heading = f"# command: {command.name}\n"
    assert path.read_text() == heading + command.record(configuration)
    path.write_text("--nosoft\n--steps=5\n")
    run_folder._held.pop().close()
    run_folder.claim(command, configuration, ["flags.txt"])
    assert path.read_text() == heading + command.record(configuration)
    run_folder._held.pop().close()
    other = command.parse([*arguments, "--soft"])
    with pytest.raises(
        InputError, match=r"another run \(there: --nosoft; here: --soft\)"
    ):
        run_folder.claim(command, other, ["flags.txt"])
    run_folder.claim(command, other.replace(overwrite=True), ["flags.txt"])
    assert path.read_text() == heading + command.record(other)
    run_folder._held.pop().close()


@pytest.mark.parametrize(
    ("name", "precious"),
    [
        ("audit", "images/0/1.png"),
        ("distill", "distilled/mine"),
        ("baseline", "metrics.json"),
        ("search", "architecture-1.keras"),
        ("pretrain", "student-0001.weights.h5"),
        ("compare", "teacher/mine"),
        ("audit", "flags.txt"),
    ],
)
def test_only_what_a_run_wrote_is_overwritten(name, precious, tmp_path):
    """Whether or not there are flags, which anybody may write; other names stay."""
    command, path = main.command(name), tmp_path / "w" / precious
    owned = ["images", "distilled", "metrics*.json", "architecture-*.keras"]
    owned += ["student-*.weights.h5", "teacher"]
    needed = {"search": ["--distilled=x"], "compare": ["--sets=x"]}
    flags = [f"--workdir={tmp_path / 'w'}", "--overwrite", *needed.get(name, [])]
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    (tmp_path / "w" / "notes").touch()

    def claim():
        try:
            run_folder.claim(command, command.parse(flags), owned)
        finally:
            while run_folder._held:
                run_folder._held.pop().close()

    top = precious.partition("/")[0]
    with pytest.raises(InputError, match=f"would remove {top} .* tfdistill {name}"):
        claim()
    assert path.read_text() == "precious"
    (tmp_path / "w" / top).rename(tmp_path / "elsewhere")
    claim()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    claim()
    assert path.exists() == (top == "flags.txt") and (tmp_path / "w" / "notes").exists()


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("audit", "--dataset=w/images/set"),
        ("audit", "--model=w/images/set"),
        ("distill", "--dataset=link"),
        ("baseline", "--student=w/images/set"),
        ("compare", "--sets=a=none+w/images/set"),
    ],
)
def test_what_a_run_reads_is_not_overwritten(name, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w" / "images" / "set").mkdir(parents=True)
    (tmp_path / "link").symlink_to("w/images/set")
    (tmp_path / "w" / "flags.txt").write_text(f"# command: {name}\n")
    command = main.command(name)
    configuration = command.parse(["--workdir=w", "--overwrite", flag])
    with pytest.raises(InputError, match=f"{flag.partition('=')[0]} leads to "):
        run_folder.claim(command, configuration, ["images"])
    assert (tmp_path / "w" / "images" / "set").exists() and not run_folder._held


@pytest.mark.parametrize("command", COMMANDS, ids=main.COMMANDS)
def test_the_machine_is_no_part_of_a_run(command):
    """What is grouped under "machine", and where things lie, may change on the way."""
    own = {*command.unrecorded, *command.uncompared}
    for group in command.groups:
        for flag in group.flags:
            if group.title == "machine" or flag.name in ("data_dir", "report_every"):
                assert flag.name in own, flag.name


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("--dataset=/a/mine.npz", "--dataset=/b/c/mine.npz", None),
        ("--dataset=mine.npz", "--dataset=data/mine.npz", None),
        ("--pool=/a/pool", "--pool=pools/mine", None),
        ("--threads=1", "--threads=7", None),
        ("--report_every=5", "--report_every=6", None),
        ("--seed=1", "--seed=2", "--seed=2"),
    ],
)
def test_only_what_changes_the_result_refuses(before, after, refused, tmp_path):
    command = main.command("distill")
    fixed = [f"--workdir={tmp_path / 'w'}", "--initial_weights=pretrained"]

    def claim(line, content):
        pool = [] if line.startswith("--pool") else ["--pool=/a/pool"]
        configuration = command.parse([*fixed, *pool, line])
        try:
            run_folder.claim(command, configuration, ["flags.txt"], Content(content))
        finally:
            while run_folder._held:
                run_folder._held.pop().close()

    claim(before, "hash")
    if refused:
        with pytest.raises(InputError, match=f"another run .*{refused}"):
            claim(after, "hash")
        return
    claim(after, "hash")
    claim(before, "hash")
    with pytest.raises(InputError, match="different: what --dataset or --pool holds"):
        claim(before, "other")
    again = command.parse(
        [f"--flagfile={tmp_path}/w/flags.txt", f"--workdir={tmp_path}"]
    )
    assert command.record(again) == command.record(
        command.parse(
            [
                *fixed,
                before,
                *([] if before.startswith("--pool") else ["--pool=/a/pool"]),
            ]
        )
    )


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("steps must be at least 1.", "--steps must be at least 1."),
        ("steps and soft need x.", "--steps and --soft need x."),
        ("steps and seeds need x.", "--steps and seeds need x."),
        ("images must be finite.", "images must be finite."),
        ("The steps must be whole.", "The steps must be whole."),
        ("steps.json is damaged.", "steps.json is damaged."),
        ("--steps must be whole.", "--steps must be whole."),
        ("Use FixedWeights().", "Use --initial_weights=fixed of tfdistill distill."),
    ],
)
def test_the_librarys_arguments_are_called_flags(command, sentence, said):
    assert command.in_flags(sentence) == said


def test_what_the_library_warns_of_is_a_line_in_the_words_of_flags(capsys):
    digits = tfdistill.load_dataset("digits")
    saved = tfdistill.students.linear(digits.image_shape)

    def student():
        model = tfdistill.students.linear(digits.image_shape)
        model.set_weights(saved.get_weights())
        return model

    images = tfdistill.DistilledImages.from_noise(digits, steps=1)
    with warnings_in_lines(main.command("distill").in_flags):
        for _ in range(2):
            tfdistill.Distiller(student, images)
    (line,) = capsys.readouterr().err.splitlines()
    assert "are not used" in line and ": --initial_weights=fixed keeps them" in line


def test_missing_and_foolish_flags_are_refused(command, tmp_path):
    (tmp_path / "flags.txt").write_bytes(b"--steps=3\n\xff\xfe")
    for arguments, says in (
        ([], "--workdir is missing: name a folder, e.g. --workdir=run."),
        (["--workdir=w", "--rate=inf"], "--rate must be a finite number, not inf."),
        (["--workdir=w", "more"], "'more' is not a flag"),
        (
            ["--workdir=w", "--stepz=3"],
            f"--stepz is not a flag of tfdistill {command.name}; did you mean --steps?",
        ),
        (["--steps=0"], "--steps=0 must be a whole number of at least 1."),
        (["--steps=1.5"], "--steps=1.5 must be a whole number of at least 1."),
        (["--rate=a: b"], "--rate=a: b must be a number."),
        (["--soft=maybe"], "--soft=maybe must be true or false."),
        (["--steps"], "--steps needs a value: a whole number of at least 1."),
        (["--workdir=w", "--flagfile"], "--flagfile with no argument"),
        (["--workdir=w", "steps", "--flagfile=absent"], "--flagfile=absent cannot be"),
        (["--workdir=w", "--", "--flagfile=absent"], "'--flagfile=absent' is not a"),
        (["--flagfile=absent"], "--flagfile=absent cannot be read: No such file or"),
        ([f"--flagfile={tmp_path}/flags.txt"], "--flagfile must name a text in UTF-8"),
    ):
        with pytest.raises(InputError) as error:
            command.parse(arguments)
        assert says in str(error.value) and "\n" not in str(error.value)


def test_what_a_flag_takes_is_said():
    distill = main.command("distill")
    for given, says in (
        ("--ema=2", "--ema=2 must be a number from 0 to 0.99999."),
        ("--minutes=abc", "--minutes=abc must be a number of at least 0.01."),
        ("--method=rigde", "--method=rigde must be one of unrolled, teaching, windows"),
    ):
        with pytest.raises(InputError) as error:
            distill.parse(["--workdir=w", given])
        assert str(error.value).startswith(says)


def test_only_checks_make_mistakes_the_users(command, monkeypatch, capsys):
    """A ValueError of a computation is ours: it is not made a sentence."""

    def refuse(configuration):
        with checking():
            raise ValueError("steps must be even,\nnot 10.")

    def fail(configuration):
        raise ValueError("steps must be even, not 10.")

    def attempt(function):
        configuration = command.parse(["--workdir=w"])
        monkeypatch.setitem(command.__dict__, "run", function)
        main._run(command, configuration)

    with pytest.raises(SystemExit) as end:
        attempt(refuse)
    assert end.value.code == 2
    # After the lines of the code that refused it, which is not ours here.
    *where, said = capsys.readouterr().err.splitlines()
    assert (
        said == "tfdistill: --steps must be even, not 10." and "in refuse" in where[0]
    )
    with pytest.raises(ValueError, match="even"):
        attempt(fail)
    assert capsys.readouterr().err == ""


def test_paths_are_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    home = main.command("report").parse(["--workdir=~/a,~/b", "--output=~/c.html"])
    assert home.workdir == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert home.output == f"{tmp_path}/c.html"
    for command, flag in (("distill", "workdir"), ("evaluate", "pool")):
        with pytest.raises(InputError, match=f"--{flag}=s3://x/y is a URL"):
            main.command(command).parse(["--workdir=w", f"--{flag}=s3://x/y"])
    # TFDS reads its data from buckets.
    given = ["--workdir=w", "--data_dir=gs://tfds-data/datasets"]
    found = main.command("distill").parse(given)
    assert found.data_dir == "gs://tfds-data/datasets"
    for function in (tfdistill.Backup, tfdistill.Pool.load, tfdistill.RunSummary):
        with pytest.raises(ValueError, match="gs://b/f is a URL"):
            function("gs://b/f")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        tfdistill.DistilledDataset.load("~/nothing")


@pytest.mark.parametrize("name", ["unrolled", "teaching", "windows", "ridge"])
def test_a_method_sets_the_flags_that_are_not_given(name):
    from tfdistill.cli.methods import METHODS

    distill = main.command("distill")
    given = distill.parse(["--workdir=w", f"--method={name}"])
    for flag, value in METHODS[name].items():
        assert flag in distill.flags and getattr(given, flag) == value, flag
        assert distill.flags[flag].shown
    other = distill.parse(["--workdir=w", f"--method={name}", "--images_per_class=3"])
    assert other.images_per_class == 3


@pytest.mark.parametrize("own", ["unrolled", "teaching", "windows", "ridge"])
@pytest.mark.parametrize("asked", ["unrolled", "teaching", "windows", "ridge"])
def test_a_method_beside_the_flags_of_a_run_is_that_of_the_run(asked, own, tmp_path):
    distill, path = main.command("distill"), tmp_path / "flags.txt"
    run = distill.parse(["--workdir=w", f"--method={own}", "--num_students=3"])
    path.write_text(distill.record(run))
    again = [f"--flagfile={path}", "--workdir=v", f"--method={asked}"]
    if asked == own:
        assert distill.parse([*again, "--seed=1"]).method == own
        return
    with pytest.raises(InputError, match=f"{asked} does not go with .* by .*{own},"):
        distill.parse(again)
    # A file of a few flags leaves the others to the method.
    path.write_text(f"--method={own}\n--images_per_class=3\n")
    found = distill.parse(again)
    alone = distill.parse(["--workdir=v", f"--method={asked}", "--images_per_class=3"])
    assert distill.record(found) == distill.record(alone)


@pytest.mark.parametrize("asked", ["unrolled", "teaching", "windows", "ridge"])
def test_a_method_beside_the_flags_of_an_earlier_version(asked):
    distill, versions = main.command("distill"), Path(__file__).parent
    path = versions / "earlier_versions" / "momentum" / "flags.txt"
    again = [f"--flagfile={path}", "--workdir=v", f"--method={asked}"]
    if asked == "unrolled":  # which it was, without a name
        assert distill.parse(again).steps == 2
        return
    with pytest.raises(InputError, match=f"{asked} does not go with .* by .*unrolled,"):
        distill.parse(again)


def test_unknown_flags_of_a_file_that_may_be_there(tmp_path):
    distill, path = main.command("distill"), tmp_path / "flags.txt"
    path.write_text("--method=unrolled\n--steps=4\n--later=1\n")
    given = [f"--flagfile={path}", "--workdir=v"]
    with pytest.raises(InputError, match="--later is not a flag"):
        distill.parse(given)
    for allowed in (["--undefok=later"], ["--undefok", "later"]):
        assert distill.parse([*allowed, *given]).steps == 4
        assert distill.parse([*given, *allowed]).steps == 4


@pytest.mark.parametrize(
    ("arguments", "shown", "left_out"),
    [
        (
            "--method=ridge --learning_rate=0.5",
            "method penalty learning_students max_age updates start",
            "learning_rate learned_rates inner_optimizer momentum back_off generator "
            "curriculum architectures judgements pool_student new_head",
        ),
        (
            "--method=windows",
            "inner_optimizer learning_rate max_age updates",
            "penalty margin mirrored features momentum back_off generator "
            "architectures",
        ),
        (
            "--method=unrolled",
            "inner_optimizer learning_rate back_off",
            "max_age learning_students learning_batch updates training_rate penalty "
            "momentum",
        ),
        (
            "--method=unrolled --meta_gradient=ridge",
            "inner_optimizer learning_rate penalty back_off",
            "judgements",
        ),
        (
            "--method=teaching",
            "generator curriculum momentum images_per_step",
            "start enlarged images_per_class",
        ),
        ("--synthesizer=real --widths=8-16", "architectures", "generator start"),
        (
            "--initial_weights=pretrained_fixed --pool=p",
            "pool pool_student new_head",
            "max_age",
        ),
    ],
)
def test_flags_without_use_are_recorded_and_not_shown(arguments, shown, left_out):
    distill = main.command("distill")
    asked = distill.parse(["--workdir=w", *arguments.split()])
    named = distill.shown_values(asked)
    assert set(shown.split()) <= set(named)
    assert not set(left_out.split()) & set(named)
    assert set(left_out.split()) <= set(distill.recorded_values(asked))
    # What is shown means the same run.
    again = distill.parse([*distill.shown(asked).split(), "--workdir=w"])
    assert distill.shown(again) == distill.shown(asked)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "--steps=10 --updates=2000",
            "--updates has no effect with --recipe=learned, which --method=unrolled "
            "sets: leave --updates out, or change --recipe",
        ),
        ("--method=unrolled --changes=flip", "--changes has no effect with --recipe"),
        ("--method=windows --penalty=0.1", "--penalty has no effect with --meta_grad"),
        ("--synthesizer=generator --start=noise", "--start has no effect .*generator:"),
        ("--method=unrolled --max_age=5", "--max_age has no effect with --initial_wei"),
        (
            "--initial_weights=random --learning_students 5",
            "--learning_students has no effect with --initial_weights=random: leave",
        ),
        ("--architectures=3", "--architectures has no effect without --widths"),
        ("--method=ridge --momentum=0.9", "ridge and with --recipe=ordinary"),
        ("--images_per_step=7 --images_per_class=3", "effect with --images_per_step=7"),
        (
            "baseline --nearest_neighbours --student=linear",
            "--student has no effect with --nearest_neighbours: leave",
        ),
        ("baseline --nearest_neighbours --num_students=2", "effect with --nearest"),
        ("baseline --kind=herding --num_sets=2", "--num_sets .* with --kind=herding:"),
        (
            "baseline --kind=none --initial_weights=pretrained --pool=p --steps=2",
            "--steps has no effect with --kind=none",
        ),
        ("baseline --pool_student=1", "--pool_student has no effect without --pool"),
        ("baseline --nearest_neighbours --learned_rates=r", "--learned_rates is for"),
        (
            "baseline --kind=none --initial_weights=pretrained --pool=p "
            "--learned_rates=r",
            "--learned_rates is for",
        ),
    ],
)
def test_flags_that_would_do_nothing_are_refused(arguments, says, tmp_path):
    command, given = main.command("distill"), arguments.split()
    if not given[0].startswith("-"):
        command, given = main.command(given[0]), given[1:]
    given.append("--workdir=w")

    def check(given):
        useless_flags.check(command, command.parse(given), given)

    with pytest.raises(InputError, match=says):
        check(given)
    if not says.startswith("--") or "effect" not in says:
        return
    # A record holds all flags: it is no mistake.
    asked = command.parse(given)
    path = tmp_path / "flags.txt"
    path.write_text(command.record(asked))
    check([f"--flagfile={path}", "--workdir=w"])
    # Without them it is the same run, which goes on.
    name = re.match("--([a-z_]+)", says)[1]
    kept = [each for each in given if f"--{name}" not in each and each != "5"]
    assert command.differences(command.parse(kept), command.record(asked)) == []


@pytest.mark.parametrize("synthesizer", ["images", "generator", "real"])
def test_rates_are_learned_as_the_flag_says(synthesizer):
    digits, distill = tfdistill.load_dataset("digits"), main.command("distill")

    def parse(*flags):
        return distill.parse(
            ["--workdir=w", "--method=unrolled", f"--synthesizer={synthesizer}", *flags]
            + ["--inner_optimizer=momentum", "--generator=gtn_generator@4-8-2"]
        )

    def learned(c):
        made = synthesizers.make(c, digits)
        return {"raw_rates", "raw_momenta"} & {v.name for v in made.trainable_variables}

    assert len(learned(parse())) == 2
    if synthesizer == "real":
        with pytest.raises(InputError, match="of real images only the rates are learn"):
            parse("--nolearned_rates")
        return
    c = parse("--nolearned_rates")
    assert not learned(c) and "back_off" in distill.unused(c)


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ("", "ridge"),
        ("--images_per_class=5 --minutes=2 --student=convnet", "ridge"),
        ("--steps=1 --initial_weights=learning", "ridge"),
        ("--steps=5", "unrolled"),
        ("--initial_weights=fixed", "unrolled"),
        ("--soft_labels", "unrolled"),
        ("--objective=attack --attack_class=0 --target_class=1", "unrolled"),
        ("--synthesizer=generator", "teaching"),
        ("--synthesizer=real --steps=4", "teaching"),
        ("--method=windows --epochs=5", "windows"),
    ],
)
def test_flags_say_which_method_is_meant(arguments, method):
    distill = main.command("distill")
    assert distill.parse(["--workdir=w", *arguments.split()]).method == method


@pytest.mark.parametrize("synthesizer", ["generator.Generator", "real.RealBatches"])
def test_what_makes_images_has_the_librarys_sizes(synthesizer):
    distill = main.command("distill")
    name = "generator" if "Generator" in synthesizer else "real"
    asked = distill.parse(["--workdir=w", f"--synthesizer={name}"])
    place = f"synthesizers.{synthesizer.replace('.', ':')}"
    assert asked.steps == default_of(f"{place}.steps")
    assert asked.images_per_step == default_of(f"{place}.batch_size")
    # The size is given in other words; a record of it means the same again.
    other = ["--workdir=w", f"--synthesizer={name}", "--images_per_class=3"]
    for asked in (
        distill.parse(other),
        distill.parse([*distill.record(distill.parse(other)).split(), "--workdir=w"]),
    ):
        assert asked.images_per_step is None and asked.images_per_class == 3


def test_a_record_without_a_method_is_of_learned_steps(tmp_path):
    distill = main.command("distill")
    asked = distill.parse(["--workdir=w", "--method=unrolled", "--seed=3"])
    new = {"--method", "--meta_gradient", "--recipe", "--penalty", "--updates"}
    lines = distill.record(asked).splitlines()
    lines = [line for line in lines if line.partition("=")[0] not in new]
    assert distill.differences(asked, "\n".join(lines)) == []
    path = tmp_path / "flags.txt"
    path.write_text("\n".join(lines))
    again = distill.parse([f"--flagfile={path}", "--workdir=w"])
    assert (again.method, again.seed, again.epochs) == ("unrolled", 3, 3)


@pytest.mark.parametrize("command", main.COMMANDS)
def test_a_seed_is_from_0_to_what_the_library_takes(command):
    found = main.command(command)
    if "seed" not in found.flags:
        return
    for seed in -1, 2**63:
        says = f"--seed={seed} must be a whole number from 0 to {2**63 - 1}."
        with pytest.raises(InputError, match=says):
            found.parse(["--workdir=w", f"--seed={seed}"])
    assert found.flags["seed"].check_recorded(2**63 - 1) is None


@pytest.mark.parametrize(
    ("typed", "meant"), [("destil", "distill"), ("evalute", "evaluate"), ("zzz", None)]
)
def test_a_command_that_is_mistyped(typed, meant, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tfdistill", typed, "--workdir=w"])
    with pytest.raises(SystemExit):
        main.run()
    said = capsys.readouterr().err
    assert (f"did you mean {meant}?" in said) == (meant is not None)
    assert "is not a command" in said and "There are" in said.replace("there", "There")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("distilled", ["--name=digits/10", "--workdir=cp\udcff"]),
        ("report", ["--workdir=a,cp\udcff"]),
        ("report", ["--workdir=a", "--output=cp\udcff"]),
        ("export", ["--workdir=a", "--output=cp\udcff.npz"]),
    ],
)
def test_folders_that_are_not_utf8_are_refused_before_any_work(name, arguments):
    with pytest.raises(InputError, match=r"^'cp\\udcff.*' is not UTF-8.*: rename it"):
        main.command(name).parse(arguments)
