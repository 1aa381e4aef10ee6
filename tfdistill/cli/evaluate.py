"""tfdistill evaluate: trains fresh networks on distilled images, and tests them.

Reads the distilled images of a run folder, trains networks on them alone, and
tests each on the whole test set. The result is printed and written to the run
folder:

  metrics.json          networks of the kind that the images were distilled for
  metrics-STUDENT.json  networks of another kind
  metrics-20.json       a smaller test, of 20 networks: metrics.json keeps the
                        test of the most networks
  metrics-on-DATA.json  a test on other data, by --dataset

--ordinary trains by Adam, in any order: on images with learned steps, too, or
on others by other settings than their own. Its file is named by the settings.

With --attack, where the images are a distilled attack, it says how exposed
networks are to it: those of a pool, or a --model of your own. Each is trained
on the images as they were meant to be used and with ordinary counter-measures
(lower rates, another order, clipped gradients, clean data afterwards);
exposure.json and images/exposure.png show what is left of the attack.
"""

import functools
import os

from tfdistill._internal import spread
from tfdistill.cli import (
    comparisons,
    data,
    dry_run,
    machine,
    objectives,
    results,
    run_folder,
    students,
    training,
)
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files

_EVALUATE = "evaluation.evaluator:evaluate"
_WHO_LEARNS = [
    students.one_student(None, "whom the images were made for"),
    Flag(
        "pool",
        str,
        None,
        "The pretrained networks to start from, of which the held-out ones are tested.",
        value="FOLDER",
        shown="the run's, if there is one",
    ),
    Flag(
        "model",
        str,
        None,
        "With --attack: the network in question, a .keras file, a SavedModel or a "
        ".weights.h5 file of --student, for normalised images.",
        value="FILE",
    ),
]
_WHAT_IS_LEARNED = [
    Flag(
        "shuffle_steps",
        bool,
        False,
        "Give each network the steps in another order than they were distilled for.",
        library="evaluation.evaluator:Evaluator.__call__.shuffle_steps",
    ),
    *training.INSTEAD,
    Flag(
        "attack",
        bool,
        False,
        "Say how exposed networks are to a distilled attack.",
    ),
]
_RESULT = [
    run_folder.workdir_flag("run", "The run folder of tfdistill distill."),
    Flag(
        "num_students",
        int,
        20,
        "Fresh networks; the paper takes 200.",
        lowest=1,
        library=f"{_EVALUATE}.num_students",
    ),
    Flag("seed", int, 0, "Random seed of the networks' initial weights.", lowest=0),
]


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if c.model and not c.attack:
        raise InputError("--model needs --attack.")
    for name in ("attack", "shuffle_steps"):
        if c.ordinary and getattr(c, name):
            raise InputError(f"--{name} is not for --ordinary, which has no steps.")
    if c.attack and c.dry_run:
        raise InputError("--dry_run is not for --attack, which is short.")
    if c.attack and c.strategy != "none":
        raise InputError(
            f"--strategy={c.strategy} is not for --attack, which takes one device."
        )
    return c


def run(configuration: Configuration) -> None:
    """Runs the command."""
    machine.set_threads(configuration)
    with machine.strategy(configuration).scope():
        _run(configuration)


def _run(c):
    run_folder.check_run(c.workdir)
    distilled = run_folder.load_distilled(
        os.path.join(c.workdir, "distilled"), f"--workdir={c.workdir}"
    )
    if c.attack and not distilled.provenance.get("attack"):
        raise InputError(
            f"--attack needs a distilled attack, but --workdir={c.workdir} was not "
            "made with tfdistill distill --objective=attack."
        )
    if c.shuffle_steps and not distilled.recipe.is_ordered:
        raise InputError(
            "--shuffle_steps is for images with steps in an order; those in "
            f"--workdir={c.workdir} are for any order."
        )
    student = c.student or students.recorded(distilled.student, c.workdir)
    c = c.replace(student=student)
    given, known = c.model or c.pool, distilled.provenance.get("load", {})
    c = data.as_recorded(c, distilled.provenance)
    if c.pool is None:
        c = c.replace(pool=known.get("pool"))
    dataset = data.load(c)
    if not c.dry_run:
        run_folder.lock(c.workdir)
    with checking():
        distilled.check_fits(dataset)
    _compare_names(distilled, dataset)
    if c.attack:
        _expose(c, distilled, dataset, given)
    else:
        if c.ordinary:
            recipe = training.ordinary(c, distilled.image_shape[-1])
            distilled = distilled.replace(recipe=recipe)
        other_pool = given if _differ(given, known.get("pool")) else None
        _test(c, distilled, dataset, known.get("new_head", False), other_pool)


def _differ(given, recorded):
    """Whether a pool is another than the recorded one, which may have moved."""
    if not given or (recorded and not os.path.exists(recorded)):
        return False
    return not recorded or os.path.realpath(given) != os.path.realpath(recorded)


def _compare_names(distilled, dataset):
    """Says so if the real data's classes have other names than the images'."""
    own, theirs = map(tuple, (distilled.class_names, dataset.class_names))
    if own == theirs:
        return
    listed, of_images = (", ".join(map(str, names[:5])) for names in (theirs, own))
    print(
        f"The classes of {dataset.name} ({listed}, ...) have other names than those of "
        f"the images ({of_images}, ...): each is taken for the one in its place."
    )


def _test(c, distilled, dataset, new_head, other_pool):
    """Tests fresh networks; shows the result and writes it."""
    from tfdistill.evaluation.evaluator import Evaluator
    from tfdistill.runs.progress import Progress
    from tfdistill.students import names
    from tfdistill.weights.pretrained import PretrainedWeights

    progress = Progress()
    journal = run_folder.journal(c.workdir, progress=progress)
    with checking():
        student = names.name_of(c.student)
        evaluator = Evaluator(
            student,
            distilled,
            initial_weights=PretrainedWeights(c.pool, new_head=new_head)
            if c.pool
            else None,
            # Networks that learn side by side have the steps in one order.
            side_by_side=1 if c.num_students == 1 or c.shuffle_steps else 2,
            journal=None if c.dry_run else journal,
        )
    if c.dry_run:
        each, _ = dry_run.a_network(evaluator, distilled, dataset.test)
        dry_run.show(COMMAND, c, [("networks", c.num_students, each)])
        return
    with progress:
        progress.part("testing", c.num_students, "networks")
        result = evaluator(
            distilled,
            dataset.test,
            c.num_students,
            shuffle_steps=c.shuffle_steps,
            seed=c.seed,
        )
    order = "steps in another order" if c.shuffle_steps else "steps in order"
    if not distilled.recipe.is_ordered:
        order = distilled.recipe.describe(distilled.images.shape)
    print(f"{student} on {dataset.name}, {order}: {result}")
    print("\n".join(results.class_lines(distilled.class_names, result.per_class)))
    content = {
        **results.evaluation_json(result, student, dataset.name),
        "shuffle_steps": c.shuffle_steps,
        "seed": c.seed,
    }
    name = "metrics"
    # The run itself writes metrics.json, which says that it is finished.
    unfinished = run_folder.is_unfinished(c.workdir)
    if student != distilled.student or unfinished:
        name += "-" + _plain(student)
    if c.shuffle_steps:
        name += "-shuffled"
    if c.ordinary:
        content |= training.recorded(c, distilled.recipe, distilled.image_shape[-1])
        name += f"-{c.updates}-updates-{c.training_rate:g}"
        name += f"-batch-{c.training_batch}" * ("training_batch" in content)
        name += _plain("-".join(["", *c.changes])) if "changes" in content else ""
    of_run = _known(os.path.join(c.workdir, "metrics.json")).get("dataset")
    of_run = of_run or distilled.provenance.get("dataset")
    if of_run not in (None, dataset.name):
        name += "-on-" + _plain(dataset.name)
    if other_pool:
        content["other_pool"] = os.path.basename(os.path.normpath(other_pool))
        name += "-pool-" + _plain(content["other_pool"])
    known = _write(c, name, content)
    if unfinished:
        print(
            f"The run in {c.workdir} is not finished, so this went to {name}.json; the "
            "run's own command finishes it."
        )
        return
    if name == "metrics":
        beside, ordered = comparisons.compared(known), distilled.recipe.is_ordered
        for sentence in comparisons.verdict(content, beside, is_ordered=ordered):
            print(sentence)
    journal.forget()


def _known(path):
    """What a file of results holds; nothing if there is none."""
    with checking():
        return files.read_json(path) if os.path.isfile(path) else {}


def _write(c, name, content):
    """Writes an evaluation beside others of other numbers of networks.

    The one of the most networks has the plain name. Returns what was under that name.
    """
    path = os.path.join(c.workdir, f"{name}.json")
    known = _known(path)

    def write(path, content):
        with run_folder.writing(c.workdir):
            files.write_json(path, content)

    def beside(of):
        seed = f"-seed{of['seed']}" if of.get("seed") else ""
        return os.path.join(c.workdir, f"{name}-{of['num_students']}{seed}.json")

    count, most = content["num_students"], known.get("num_students", 0)
    if count < most or (count == most and content["seed"] != known.get("seed", 0)):
        write(beside(content), content)
        print(
            f"{os.path.basename(path)} keeps the result of {most} network"
            f"{'s' if most > 1 else ''}; this one, of {count}, is in "
            f"{os.path.basename(beside(content))}."
        )
        return known
    if most and count > most:
        write(beside(known), {key: known[key] for key in content if key in known})
    write(path, {**known, **content})
    return known


def _expose(c, distilled, dataset, given):
    """Measures networks' exposure; shows it and writes it.

    Args:
        given: The path of what is measured, if it is not whom the attack is for.
    """
    from tfdistill.reporting import plots
    from tfdistill.runs.progress import Progress
    from tfdistill.studies import exposure

    with checking():
        attack = objectives.recorded(distilled.provenance)
        model, starts = _networks(c, distilled)
    with Progress() as progress:
        progress.part("testing", len(starts), "networks")

        def counted():
            for start in starts:
                yield start
                progress.advance()

        found = exposure.figures(
            exposure.measure(model, counted(), distilled, dataset, seed=c.seed), attack
        )
    names = [
        distilled.class_names[k] for k in (attack.attack_class, attack.target_class)
    ]
    of = given or distilled.student
    print(
        f"{len(starts)} networks ({of}), after {distilled.num_steps} steps on "
        f"{distilled.num_images} images that are to make them call {names[0]} "
        f"{names[1]}; % of the test images of {dataset.name}:"
    )
    titles = {
        "attacked": f"{names[0]} called {names[1]}",
        "accuracy": "accuracy",
        "modified_accuracy": "against modified labels",
    }
    print(" ".join([f"{'':24}", *(f"{title:>23}" for title in titles.values())]))
    for name, content in found.items():
        cells = [
            spread.percent(content[f"{key}_mean"], content[f"{key}_std"], len(starts))
            for key in titles
        ]
        print(" ".join([f"{name:24}", *(f"{cell:>23}" for cell in cells)]))
    name = "exposure"
    if given:
        name += "-" + _plain(os.path.basename(os.path.normpath(given)))
    content = {
        "networks": of,
        "num_networks": len(starts),
        "dataset": dataset.name,
        "seed": c.seed,
        "trainings": found,
    }
    with run_folder.writing(c.workdir):
        files.write_json(os.path.join(c.workdir, f"{name}.json"), content)
        results.draw(c.workdir, name, lambda: plots.exposure(found, *names))


def _networks(c, distilled):
    """A model, and the weights of each network whose exposure is measured."""
    from tfdistill.weights.pool import Pool

    if distilled.inner_optimizer.name != "sgd" or not distilled.recipe.is_ordered:
        raise ValueError(
            "--attack needs images for --inner_optimizer=sgd and its learned steps, "
            f"not for {distilled.recipe.describe(distilled.images.shape)}."
        )
    student = c.student
    if c.model:
        model = students.given_model(c.model, student, distilled)
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        return model, [[variable.numpy() for variable in variables]]

    make_model = functools.partial(students.build, student, distilled)
    model = make_model()
    if c.pool:
        pool = Pool.load(c.pool)
        members = pool.held_out[: c.num_students] or pool.training
        new_head = distilled.provenance["load"].get("new_head", False)
        return model, pool.values(members, make_model, new_head=new_head)
    if distilled.initial_weights is not None:
        return model, [distilled.initial_weights]
    raise ValueError("--attack needs a --model or a --pool: whose exposure is it?")


def _plain(name):
    return "".join(c if c.isalnum() or c in "_." else "-" for c in name)


COMMAND = Command(
    name="evaluate",
    about=__doc__,
    groups=(
        Group("data", data.flags(None)),
        Group("who learns", _WHO_LEARNS),
        Group("what is learned", _WHAT_IS_LEARNED),
        Group("result", _RESULT),
        Group("machine", [machine.strategy_flag(), *machine.LONG]),
    ),
    run=run,
    resolve=_resolve,
    preset=training.instead,
    examples=(
        "tfdistill evaluate --workdir=run --num_students=200 --student=convnet",
        "tfdistill evaluate --workdir=steps --shuffle_steps",
        "tfdistill evaluate --workdir=attack --attack --model=mine.keras",
    ),
)
