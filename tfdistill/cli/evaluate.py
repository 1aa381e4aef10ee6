"""tfdistill evaluate: trains fresh networks on distilled images, and tests them.

Reads the distilled images of a run folder, trains networks on them alone, and
tests each on the whole test set. The result is printed and written to the run
folder:

  metrics.json          networks of the kind that the images were distilled for
  metrics-STUDENT.json  networks of another kind
  metrics-20.json       a smaller test, of 20 networks: metrics.json keeps the
                        test of the most networks
  metrics-on-DATA.json  a test on other data, by --dataset
  metrics-one-set.json  of a baseline of several sets, the one in the folder

--ordinary trains by Adam, in any order: on images with learned steps, too, or
on others by other settings than their own. Its file is named by the settings.

With --attack, where the images are a distilled attack, it says how exposed
networks are to it: those of a pool, or a --model of your own. Each is trained
on the images as they were meant to be used and with ordinary counter-measures
(lower rates, another order, clipped gradients, clean data afterwards);
exposure.json and images/exposure.png show what is left of the attack; others
of another model, pool, number or data have names of their own, as above.
"""

import dataclasses
import os

from tfdistill._internal import code
from tfdistill.cli import (
    comparisons,
    content,
    data,
    dry_run,
    evaluation_files,
    exposed,
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
from tfdistill.reporting.metrics import SET

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
        names_code=code.is_saved_model,
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
    dataclasses.replace(
        results.SEED, help="Random seed of the networks' initial weights."
    ),
]


def _resolve(configuration: Configuration) -> Configuration:
    c = configuration
    if c.model and not c.attack:
        raise InputError("--model needs --attack.")
    for name in ("attack", "shuffle_steps"):
        if c.ordinary and getattr(c, name):
            raise InputError(f"--{name} is not for --ordinary, which has no steps.")
    if c.attack and c.shuffle_steps:
        raise InputError(
            "--shuffle_steps is not for --attack, which orders them itself."
        )
    if c.model and c.pool:
        raise InputError("--model and --pool exclude each other: whose exposure is it?")
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
    if not (c.student or distilled.student):
        raise InputError(
            f"--student is missing: the images in --workdir={c.workdir} are for no "
            "network in particular; name one, such as --student=lenet."
        )
    student = c.student or students.recorded(distilled.student, c.workdir)
    c = c.replace(student=student)
    known = distilled.provenance.get("load", {})
    c = data.as_recorded(c, distilled.provenance)
    if c.pool is None:
        c = c.replace(pool=known.get("pool"))
    with checking():
        own = results.of_data(c.workdir)
    dataset = data.load(c)
    if not c.dry_run:
        run_folder.lock(c.workdir, evaluation_files.WRITTEN)
        evaluation_files.tidy(c.workdir)
        evaluation_files.check(c.workdir)
    with checking():
        distilled.check_fits(dataset)
    _compare_names(distilled, dataset)
    if c.attack:
        exposed.expose(c, distilled, dataset, own)
    else:
        if c.ordinary:
            recipe = training.ordinary(c, distilled.image_shape[-1])
            distilled = distilled.replace(recipe=recipe)
        _test(c, distilled, dataset, own, known.get("new_head", False))


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


def _one_if_alike(c, evaluator, distilled, own):
    """A configuration with one network, if each would be the same."""
    of_two = evaluator.dealt([distilled], 2, shuffle_steps=c.shuffle_steps)
    if c.pool or len(of_two) == 2:
        return c
    if c.num_students > 1:
        print("One network is tested: all would start from the images' own weights.")
    # Nor does the seed make it another one.
    seed = evaluation_files.main(c.workdir, own).get("seed", c.seed)
    return c.replace(num_students=1, seed=seed)


def _test(c, distilled, dataset, own, new_head):
    """Tests fresh networks; shows the result and writes it."""
    from tfdistill.evaluation import turns
    from tfdistill.evaluation.evaluator import Evaluator
    from tfdistill.runs.progress import Progress
    from tfdistill.students import names
    from tfdistill.weights.pretrained import PretrainedWeights

    progress = Progress()
    journal = run_folder.journal(c.workdir, progress=progress)
    with checking():
        student = names.name_of(c.student)
        attack = objectives.recorded(distilled.provenance)
        evaluator = Evaluator(
            student,
            distilled,
            objective=attack,
            initial_weights=PretrainedWeights(c.pool, new_head=new_head)
            if c.pool
            else None,
            side_by_side=1 if c.num_students == 1 else 2,
            journal=None if c.dry_run else journal,
        )
    c = _one_if_alike(c, evaluator, distilled, own)
    count = len(
        evaluator.dealt([distilled], c.num_students, shuffle_steps=c.shuffle_steps)
    )
    if c.dry_run:
        each, _ = dry_run.a_network(evaluator, distilled, dataset.test)
        dry_run.show(COMMAND, c, [("networks", count, each)])
        return
    if left_out := turns.untested(student, c.num_students):
        print(left_out)
    with progress:
        progress.part("testing", count, "networks")
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
    if line := attack and objectives.attack_text(attack, result):
        print(f"  {line}")
    print("\n".join(results.class_lines(distilled.class_names, result.per_class)))
    found = {
        **results.evaluation_json(result, student, dataset.name),
        evaluation_files.TEST: content.of_part(dataset.test),
        SET: own,
        "shuffle_steps": c.shuffle_steps,
        "seed": c.seed,
    }
    name = "metrics"
    # The run itself writes metrics.json, which says that it is finished.
    unfinished = run_folder.is_unfinished(c.workdir)
    if student != distilled.student or unfinished:
        name += "-" + evaluation_files.plain(student)
    if c.shuffle_steps:
        name += "-shuffled"
    if c.ordinary:
        found |= training.recorded(c, distilled.recipe, distilled.image_shape[-1])
        name += f"-{c.updates}-updates-{c.training_rate:g}"
        name += f"-batch-{c.training_batch}" * ("training_batch" in found)
        if "changes" in found:
            name += evaluation_files.plain("-".join(["", *(c.changes or ["none"])]))
    if evaluation_files.of_other_data(
        c.workdir, distilled.provenance, dataset, c.dataset, own
    ):
        found["other_data"] = True
        name += "-on-" + evaluation_files.plain(dataset.name)
    if c.pool:
        start = content.of_path(students.pool_list(c))
        if evaluation_files.of_other_pool(distilled.provenance, c.pool, start):
            found["other_pool"] = os.path.basename(os.path.normpath(c.pool))
            found["start"] = start
            name += "-pool-" + evaluation_files.base(c.pool)
    sets = evaluation_files.main(c.workdir, own).get("num_sets", 1)
    if sets > 1:
        found["num_sets"] = 1
        if name == "metrics":
            name += "-one-set"
            print(
                f"metrics.json keeps the result of all {sets} sets; the one that is in "
                f"the folder has {name}.json."
            )
    written, known = evaluation_files.write(c.workdir, name, found)
    if unfinished:
        print(
            f"The run in {c.workdir} is not finished, so this went to {written}.json; "
            "the run's own command finishes it."
        )
        return
    if name == "metrics":
        beside, ordered = comparisons.compared(known), distilled.recipe.is_ordered
        for sentence in comparisons.verdict(found, beside, is_ordered=ordered):
            print(sentence)
    journal.forget()


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
