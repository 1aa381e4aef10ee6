"""tfdistill evaluate: trains fresh networks on distilled images, and tests them.

Reads the distilled images of a run folder, trains networks on them alone, and tests
each on the whole test set. The result is printed and written to the run folder, as
metrics.json (the student that the images were distilled for) or as
metrics-STUDENT.json (another one).

With --attack, where the images are a distilled attack, it says how exposed networks are
to it: those of a pool, or a --model of your own. Each is trained on the images as they
were meant to be used and with ordinary counter-measures (lower rates, another order,
clipped gradients, clean data afterwards); exposure.json and images/exposure.png show
what is left of the attack.
"""

import json
import os

from absl import flags

from tfdistill.cli import common
from tfdistill.runs import files

FLAGS = flags.FLAGS
_names = []


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("workdir", None, "The run folder of tfdistill distill.")
    flags.DEFINE_string(
        "student",
        None,
        "Who learns: lenet, alex_cifar_net, alexnet, convnet, mlp, linear, or your own "
        'as "package.module:function". By default whom the images were made for.',
    )
    flags.DEFINE_integer(
        "num_students", 20, "Fresh networks; the paper takes 200.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "Of the networks' initial weights.")
    flags.DEFINE_string(
        "pool",
        None,
        "The pretrained networks to start from, whose held-out ones are tested; by "
        "default the run's, if there is one.",
    )
    flags.DEFINE_boolean(
        "shuffle_steps",
        False,
        "Whether each network meets the steps in another order than they were "
        "distilled for.",
    )
    flags.DEFINE_boolean(
        "attack",
        False,
        "Whether to say how exposed networks are to a distilled attack.",
    )
    flags.DEFINE_string(
        "model",
        None,
        "With --attack: the network in question, a .keras file, a SavedModel or a "
        ".weights.h5 file of --student; it takes images normalised as distilled ones.",
    )
    _names.extend(
        ["workdir", "student", "num_students", "seed", "pool", "shuffle_steps"]
        + ["attack", "model"]
        + common.define_data_flags(None)
        + common.define_strategy_flag(machines=False)
        + common.define_machine_flags()
    )


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    common.set_threads()
    with common.strategy().scope():
        _run()


def _run():
    import tfdistill

    with common.input_errors():
        distilled = tfdistill.DistilledDataset.load(
            os.path.join(FLAGS.workdir, "distilled")
        )
    if FLAGS.model and not FLAGS.attack:
        raise common.InputError("--model needs --attack.")
    if FLAGS.attack and FLAGS.strategy != "none":
        raise common.InputError(
            f"--strategy={FLAGS.strategy} is not for --attack, which takes one device."
        )
    if FLAGS.attack and not distilled.provenance.get("attack"):
        raise common.InputError(
            f"--attack needs a distilled attack, but --workdir={FLAGS.workdir} was not "
            "made with tfdistill distill --objective=attack."
        )
    given_pool, made_of = FLAGS.pool, distilled.provenance.get("load", {})
    common.take_load_flags(made_of)
    dataset = common.load_dataset()
    common.lock_workdir(FLAGS.workdir)
    with common.input_errors():
        distilled.check_fits(dataset)
    if FLAGS.attack:
        _expose(distilled, dataset, FLAGS.model or given_pool)
        return
    with common.input_errors():
        student = tfdistill.students.name_of(FLAGS.student or distilled.student)
        result = tfdistill.evaluate(
            distilled,
            student,
            dataset.test,
            FLAGS.num_students,
            initial_weights=tfdistill.PretrainedWeights(
                FLAGS.pool, new_head=made_of.get("new_head", False)
            )
            if FLAGS.pool
            else None,
            shuffle_steps=FLAGS.shuffle_steps,
            seed=FLAGS.seed,
            journal=common.journal(),
        )
    order = "in another order" if FLAGS.shuffle_steps else "in order"
    print(f"{student} on {dataset.name}, steps {order}: {result}")
    for name, share in zip(distilled.class_names, result.per_class):
        print(f"  {name}: {100 * share:.1f} %")
    name = "metrics"
    if student != distilled.student:
        name += "-" + _plain(student)
    if FLAGS.shuffle_steps:
        name += "-shuffled"
    path = os.path.join(FLAGS.workdir, f"{name}.json")
    known = {}
    if os.path.isfile(path):
        with common.input_errors(), open(path, encoding="utf-8") as file:
            known = json.load(file)
    with common.input_errors():
        files.write_json(
            path,
            {
                **known,
                **common.metrics(result, student, dataset.name),
                "confusion": result.confusion.sum(0).tolist(),
                "shuffle_steps": FLAGS.shuffle_steps,
                "seed": FLAGS.seed,
            },
        )
    common.journal().forget()


def _expose(distilled, dataset, given):
    """Measures networks' exposure; shows it and writes it.

    Args:
        given: The path of what is measured, if it is not whom the attack is for.
    """
    import tfdistill
    from tfdistill.reporting import plots
    from tfdistill.studies import exposure

    with common.input_errors():
        attack = tfdistill.Attack(*distilled.provenance["attack"])
        model, starts = _networks(distilled)
        results = exposure.measure(model, starts, distilled, dataset, seed=FLAGS.seed)
        found = exposure.figures(results, attack)
    names = [
        distilled.class_names[c] for c in (attack.attack_class, attack.target_class)
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
            f"{100 * content[f'{key}_mean']:.2f} ± {100 * content[f'{key}_std']:.2f}"
            for key in titles
        ]
        print(" ".join([f"{name:24}", *(f"{cell:>23}" for cell in cells)]))
    name = "exposure"
    if given:
        name += "-" + _plain(os.path.basename(os.path.normpath(given)))
    with common.input_errors():
        plots.save(
            plots.exposure(found, *names),
            os.path.join(FLAGS.workdir, "images", f"{name}.png"),
        )
        files.write_json(
            os.path.join(FLAGS.workdir, f"{name}.json"),
            {
                "networks": of,
                "num_networks": len(starts),
                "dataset": dataset.name,
                "seed": FLAGS.seed,
                "trainings": found,
            },
        )


def _networks(distilled):
    """A model, and the weights of each network whose exposure is measured."""
    import tfdistill
    from tfdistill import students

    form = distilled.image_shape, distilled.num_classes
    student = FLAGS.student or distilled.student
    if FLAGS.model:
        model = common.given_model(FLAGS.model, student, *form)
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        return model, [[variable.numpy() for variable in variables]]

    def make_model():
        return students.build(student, *form)

    model = make_model()
    if FLAGS.pool:
        pool = tfdistill.Pool.load(FLAGS.pool)
        members = pool.held_out[: FLAGS.num_students] or pool.training
        new_head = distilled.provenance["load"].get("new_head", False)
        return model, pool.values(members, make_model, new_head=new_head)
    if distilled.initial_weights is not None:
        return model, [distilled.initial_weights]
    raise ValueError("--attack needs a --model or a --pool: whose exposure is it?")


def _plain(name):
    return "".join(c if c.isalnum() or c in "_." else "-" for c in name)
