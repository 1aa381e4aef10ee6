"""The end of tfdistill distill: what came out is tested, and written."""

import time

from absl import flags

from tfdistill.cli import common, synthesis

FLAGS = flags.FLAGS
# In metrics.json.
_KEYS = {
    "distilled images": "distilled",
    "random real images": "random_real",
    "their steps shuffled": "shuffled",
    "no distilled data": "no_distilled_data",
}


def num_students(most: int | None = None) -> int:
    """How many fresh networks test: --num_students, or fewer; one, if all are alike."""
    if are_fixed():
        return 1
    return min(FLAGS.num_students, most or FLAGS.num_students)


def are_fixed() -> bool:
    """Whether all networks start from the same weights."""
    return FLAGS.initial_weights.endswith("fixed")


def write(distiller, dataset, anneal, history, summary, recorded: str) -> None:
    """Tests the result beside what it is compared with, and writes the run folder.

    Args:
        distiller: A `Distiller` that has learned.
        dataset: The real data, with a validation part.
        anneal: The run's `Anneal`, which knows how long it took.
        history: For each report, the outer step and what was measured.
        summary: A `RunSummary`, for the end of TensorBoard's curves.
        recorded: The run's flagfile.
    """
    import tfdistill
    from tfdistill.reporting import plots
    from tfdistill.runs import strategies
    from tfdistill.studies import baselines

    started = time.monotonic()
    distilled = distiller.distilled(
        load=common.load_flags(),
        **({"attack": _attack()} if FLAGS.objective == "attack" else {}),
        outer_steps=int(distiller.optimizer.iterations.numpy()),
        seconds=anneal.elapsed,
        flags=recorded,
    )
    weights = distilled.initial_weights
    is_chief = strategies.is_chief(distiller.distribute_strategy)
    # All workers go on with the same student; the chief notes what they have done.
    journal = common.journal(writes=is_chief)
    before = tfdistill.DistilledDataset.from_synthesizer(
        synthesis.make(dataset), initial_weights=weights
    )
    size = synthesis.images_per_step(dataset)
    real = baselines.random_real(
        dataset,
        images_per_class=-(-size // dataset.num_classes),
        steps=FLAGS.steps,
        seed=FLAGS.seed,
    )
    real = real.replace(
        images=real.images[:, :size],
        labels=real.labels[:, :size],
        initial_weights=weights,
    )
    student = distiller.population.name
    (real,) = baselines.tune(
        [real],
        student,
        dataset.validation,
        epochs=(FLAGS.epochs,),
        learned=distilled.learning_rates,
        num_students=num_students(4),
        initial_weights=common.pretrained_weights(),
        seed=FLAGS.seed,
        journal=journal,
    )
    evaluator = tfdistill.Evaluator(
        student,
        distilled,
        objective=distiller.objective,
        initial_weights=common.pretrained_weights(),
        side_by_side=min(2, num_students()),
        journal=journal,
        strategy=distiller.distribute_strategy,
    )
    test = dataset.test.passes()
    results = {
        name: evaluator(data, test, num_students(), seed=FLAGS.seed)
        for name, data in (
            ("before", before),
            ("random real images", real),
            ("distilled images", distilled),
        )
    }
    if distilled.num_steps > 1:
        # What was learned for one order is worth less in another.
        results["their steps shuffled"] = evaluator(
            distilled, test, num_students(8), shuffle_steps=True, seed=FLAGS.seed
        )
    if FLAGS.pool:
        untrained = evaluator.untrained(test, num_students(), seed=FLAGS.seed)
        results = {"no distilled data": untrained, **results}
    if not is_chief:
        return
    tested = {
        _KEYS.get(name, name): _metrics(result, distiller, dataset)
        for name, result in results.items()
    }
    summary.add_tests(results, int(distiller.optimizer.iterations.numpy()))
    figures = {
        "distilled": plots.distilled_images(distilled),
        "accuracy": plots.accuracy_curve(
            [h["outer_step"] for h in history],
            [h["val_accuracy"] for h in history],
            [h["val_accuracy_std"] for h in history],
        ),
    }
    costs = common.write_result(
        FLAGS.workdir,
        distilled,
        common.trained_student(distilled),
        figures,
        {
            **tested.pop("distilled"),
            **tested,
            "confusion": results["distilled images"].confusion.sum(0).tolist(),
            "initial_weights": FLAGS.initial_weights,
            "seed": FLAGS.seed,
            "outer_steps": int(distiller.optimizer.iterations.numpy()),
            "seconds": anneal.elapsed + time.monotonic() - started,
            "seconds_learning": anneal.elapsed,
            "selection": "nothing on test images; the last outer step; the rate of "
            "the random real images on held-out training images",
            "history": history,
        },
    )
    print(
        f"\nTest accuracy of fresh networks ({distiller.population.name}) trained on "
        f"{distilled.num_images} images of {dataset.name}:"
    )
    for name, result in results.items():
        print(f"  {name:20} {result}")
        if FLAGS.objective == "attack":
            print(f"  {'':20} {_attacked(result, distiller.objective)}")
    print(f"{costs}\nEverything is in {FLAGS.workdir}.")


def _metrics(result, distiller, dataset):
    return common.metrics(result, distiller.population.name, dataset.name)


def _attacked(result, objective):
    return (
        f"call {result.summary('attacked')} of class {objective.attack_class} a "
        f"{objective.target_class}; {result.summary('modified_accuracy')} against the "
        "modified labels"
    )


def _attack():
    return [FLAGS.attack_class, FLAGS.target_class]
