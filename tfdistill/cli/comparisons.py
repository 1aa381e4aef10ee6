"""Fresh networks on distilled data, and on what it is compared with."""

from tfdistill.cli import outer_loop, students, synthesizers
from tfdistill.cli.configuration import Configuration

#: What students learned from, as it is shown, and its key in metrics.json.
KEYS = {
    "no distilled data": "no_distilled_data",
    "before": "before",
    "random real images": "random_real",
    "distilled images": "distilled",
    "their steps shuffled": "shuffled",
}


def measure(configuration: Configuration, distiller, distilled, dataset, journal):
    """Tests distilled data beside what it is compared with.

    Args:
        configuration: Of tfdistill distill.
        distiller: The `Distiller` that has learned.
        distilled: What it has learned, a `DistilledDataset`.
        dataset: The real data, with a validation part.
        journal: A `Journal`, so that a test that is killed goes on.

    Returns:
        An `Evaluation` for each of `KEYS` that there is, in their order.
    """
    from tfdistill.distilled.dataset import DistilledDataset
    from tfdistill.evaluation.evaluator import Evaluator

    c = configuration
    before = None
    # In ordinary training, real images at the start are the random real images.
    if distilled.recipe.is_ordered or c.start != "real":
        before = DistilledDataset.from_synthesizer(
            synthesizers.make(c, dataset),
            initial_weights=distilled.initial_weights,
            objective=distilled.objective,
        )
    real = _random_real(c, distiller.population.name, distilled, dataset, journal)
    evaluator = Evaluator(
        distiller.population.name,
        distilled,
        objective=distiller.objective,
        initial_weights=students.pretrained_weights(c),
        side_by_side=min(2, students.num_tested(c)),
        journal=journal,
        strategy=distiller.distribute_strategy,
    )
    test = dataset.test.passes()
    results = {
        name: evaluator(data, test, students.num_tested(c), seed=c.seed)
        for name, data in (
            ("before", before),
            ("random real images", real),
            ("distilled images", distilled),
        )
        if data is not None
    }
    if distilled.recipe.is_ordered and distilled.num_steps > 1:
        # What was learned for one order is worth less in another.
        results["their steps shuffled"] = evaluator(
            distilled, test, students.num_tested(c, 8), shuffle_steps=True, seed=c.seed
        )
    if c.pool:
        untrained = evaluator.untrained(test, students.num_tested(c), seed=c.seed)
        results = {"no distilled data": untrained, **results}
    return results


def _random_real(c, student, distilled, dataset, journal):
    """As many random real images, at the rates that suit them best.

    None if a class has not so many: what was distilled is tested all the same.
    """
    from tfdistill.studies import baselines

    size = synthesizers.images_per_step(c, dataset)
    try:
        real = baselines.random_real(
            dataset,
            images_per_class=-(-size // dataset.num_classes),
            steps=c.steps,
            seed=c.seed,
        )
    except ValueError as error:
        print(f"Nothing is compared with random real images: {error}", flush=True)
        return None
    real = real.replace(
        images=real.images[:, :size],
        labels=real.labels[:, :size],
        initial_weights=distilled.initial_weights,
    )
    if not distilled.recipe.is_ordered:
        # The same training; the best rate is chosen below.
        real = real.replace(recipe=distilled.recipe, objective=distilled.objective)
        if c.centred_labels:
            real = real.replace(labels=real.labels - 1 / real.num_classes)
    (real,) = baselines.tune(
        [real],
        student,
        dataset.validation,
        epochs=(c.epochs,),
        learned=distilled.learning_rates,
        num_students=outer_loop.num_validated(c),
        initial_weights=students.pretrained_weights(c),
        seed=c.seed,
        journal=journal,
    )
    return real
