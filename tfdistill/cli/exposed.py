"""`tfdistill evaluate --attack`: how exposed networks are to a distilled attack."""

import functools

from tfdistill._internal import spread
from tfdistill.cli import content, evaluation_files, objectives, results, students
from tfdistill.cli.errors import checking
from tfdistill.reporting.metrics import SET


def expose(c, distilled, dataset, own: str | None) -> None:
    """Measures networks' exposure; shows it and writes it.

    Args:
        c: The command's `Configuration`.
        distilled: The attack, a `DistilledDataset`.
        dataset: The real data.
        own: The hash of the attack, as it is saved.
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
    name, start, of = "exposure", {}, distilled.student
    if whose := c.model or c.pool:
        held = content.of_path(c.model or students.pool_list(c)) or ""
        start["start"] = held
        known = distilled.provenance
        if c.model or evaluation_files.of_other_pool(known, whose, held):
            of = whose
            name += f"-{evaluation_files.base(whose)}"
    print(
        f"{len(starts)} networks ({of}), after {distilled.num_steps} steps on "
        f"{distilled.num_images} images that are to make them call {names[0]} "
        f"{names[1]}; % of the test images of {dataset.name}:"
    )
    _show(found, len(starts), *names)
    if evaluation_files.of_other_data(
        c.workdir, distilled.provenance, dataset, c.dataset, own
    ):
        name += "-on-" + evaluation_files.plain(dataset.name)
    written, _ = evaluation_files.write(
        c.workdir,
        name,
        {
            "networks": of,
            "num_networks": len(starts),
            "dataset": dataset.name,
            evaluation_files.TEST: content.of_part(dataset.test),
            **start,
            SET: own,
            "seed": c.seed,
            "trainings": found,
        },
        "num_networks",
    )
    results.draw(c.workdir, written, lambda: plots.exposure(found, *names))


def _show(found, count, attacked, target):
    titles = {
        "attacked": f"{attacked} called {target}",
        "accuracy": "accuracy",
        "modified_accuracy": "against modified labels",
    }
    print(" ".join([f"{'':24}", *(f"{title:>23}" for title in titles.values())]))
    for name, figures in found.items():
        cells = [
            spread.percent(figures[f"{key}_mean"], figures[f"{key}_std"], count)
            for key in titles
        ]
        print(" ".join([f"{name:24}", *(f"{cell:>23}" for cell in cells)]))


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
        members = (pool.held_out or pool.training)[: c.num_students]
        new_head = distilled.provenance.get("load", {}).get("new_head", False)
        return model, pool.values(members, make_model, new_head=new_head)
    if distilled.assign_initial_weights(model):
        return model, [distilled.initial_weights]
    raise ValueError("--attack needs a --model or a --pool: whose exposure is it?")
