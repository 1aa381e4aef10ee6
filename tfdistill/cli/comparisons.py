"""Fresh networks on distilled data, and on what it is compared with."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from tfdistill.cli import objectives, outer_loop, results, students, synthesizers
from tfdistill.cli.configuration import Configuration

RANDOM = "random real images"
_HELPS = (
    "What usually helps: more --outer_steps or --minutes, another "
    "--outer_learning_rate (0.003 to 0.03), more "
)
# An accuracy from which little is left to gain.
_NEAR_THE_TOP = 0.97
_ORDERED = "--steps or --images_per_class."
_ORDINARY = "--images_per_class or --updates, another --student to distil through."


class Comparisons:
    """Tests distilled data beside what it is compared with.

    Args:
        configuration: Of tfdistill distill.
        distiller: The `Distiller`, before it learns.
        dataset: The real data, with a validation part.
        journal: A `Journal`, so that a test that is killed goes on.
        progress: The `Progress`, which is told what is tested.

    Attributes:
        start: The distilled data before they are learned.
    """

    def __init__(
        self, configuration: Configuration, distiller, dataset, journal, progress
    ):
        self._c, self._distiller, self._dataset = configuration, distiller, dataset
        self._progress = progress
        self._journal, self._student = journal, distiller.population.name
        self.start = distiller.distilled()
        self._real = self._of_real = None
        self._tuned: Any = None  # the real images, at the rates last chosen

    def draw(self) -> str | None:
        """Draws random real images; says why not, if a class has not so many.

        They are as many as take the room of the distilled ones.
        """
        from tfdistill.studies import baselines

        c, dataset = self._c, self._dataset
        size = synthesizers.images_per_step(c, dataset)
        try:
            real = baselines.random_real(
                dataset, images_per_step=size, steps=c.steps, seed=c.seed
            )
        except ValueError as error:
            return f"Nothing is compared with random real images: {error}"
        real = real.replace(initial_weights=self.start.initial_weights)
        recipe = self.start.recipe
        if not recipe.is_ordered:  # the same training, at the rate that suits it best
            real = real.replace(recipe=recipe, objective=self.start.objective)
        if c.centred_labels:
            real = real.replace(labels=real.labels - 1 / real.num_classes)
        self._real = real
        return None

    @property
    def left_out(self) -> str:
        """Says that students are too few for all architectures; else ""."""
        from tfdistill.evaluation import turns

        with self._distiller.distribute_strategy.scope():
            return turns.untested(self._student, self._c.num_students)

    @property
    def tested_at_first(self) -> int:
        """How many networks `tune` trains and tests."""
        from tfdistill.studies import baselines

        if self._real is None:
            return 0
        ordered = self._real.recipe.is_ordered
        rates = baselines.RATES if ordered else baselines.TRAINING_RATES
        return self._judges * len(rates)

    @property
    def _judges(self):
        """How many networks judge each rate of the random real images."""
        return self._count([self._real], outer_loop.most_validated(self._c))

    def _count(self, sets, most=None, **kwargs):
        most = most or self._c.num_students
        return students.num_tested(self._distiller, sets, most, **kwargs)

    @property
    def known_at_last(self) -> int:
        """Of those that `all` counts, how many `tune` has tested."""
        return self.tested_at_first if self.start.recipe.is_ordered else 0

    @property
    def tested_at_last(self) -> int:
        """How many networks `all` trains."""
        return sum(count for count, _ in self.all(self.start).values())

    def tune(self) -> dict[str, float]:
        """Finds rates for the random real images: what can be known before learning.

        Returns:
            Their accuracy on validation images by name; empty if there are none.
        """
        if self._real is None:
            return {}
        self._choose(None)
        return {"random real": self._tuned.provenance["accuracy_on_them"]}

    def _evaluator(self, like):
        from tfdistill.evaluation.evaluator import Evaluator

        return Evaluator(
            self._student,
            like,
            objective=self._distiller.objective,
            initial_weights=students.pretrained_weights(self._c),
            side_by_side=min(2, self._count([like])),
            journal=self._journal,
            strategy=self._distiller.distribute_strategy,
        )

    def _choose(self, learned):
        from tfdistill.studies import baselines

        c = self._c
        # Real images are for plain gradient descent, whatever the distilled ones are.
        self._of_real = self._of_real or self._evaluator(self._real)
        self._progress.about(f"choosing a rate for {RANDOM}", figures=False)
        (self._tuned,) = baselines.tune(
            [self._real],
            self._student,
            self._dataset.validation,
            epochs=(c.epochs,) if self._real.recipe.is_ordered else None,
            learned=learned,
            num_students=self._judges,
            seed=c.seed,
            evaluator=self._of_real,
        )

    def chosen(self, name: str) -> dict[str, Any]:
        """What a test that is done was on, and what validation images chose, as JSON.

        Nothing of tests of the distilled images.
        """
        if name != RANDOM:
            return {}
        rates = {"rates": self._tuned.provenance["rates"]}
        return {**rates, **results.size_json(self._tuned)}

    @property
    def _starts_real(self):
        """Whether the random real images are the distilled ones at the start."""
        import numpy as np

        if self._real is None:
            return False
        start, real = self.start.images, self._real.images
        return start.shape == real.shape and np.allclose(start, real, atol=1e-3)

    def all(self, distilled) -> dict[str, tuple[int, Callable]]:
        """All tests: how many networks each trains, and a function that does it.

        Args:
            distilled: What was learned, a `DistilledDataset`.

        Returns:
            By the names of `reporting.metrics.TESTS`, in the order in which they are
            to be made: that of the distilled images comes first.
        """
        c = self._c
        test, ordered = self._dataset.test.passes(), distilled.recipe.is_ordered
        count, untrained = self._count([distilled]), self._count([])
        few = self._count([distilled], min(8, c.num_students), shuffle_steps=True)

        @functools.cache
        def evaluator():  # not for those who only count
            if self._of_real and self._of_real.takes(distilled):
                return self._of_real  # which is traced already
            return self._evaluator(distilled)

        def tested(data):
            return evaluator()(data, test, count, seed=c.seed)

        def real():
            if ordered:
                self._choose(distilled.learning_rates)
                self._progress.about(RANDOM)
            return self._of_real(self._tuned, test, count, seed=c.seed)

        def shuffled():
            # What was learned for one order is worth less in another.
            return evaluator()(distilled, test, few, shuffle_steps=True, seed=c.seed)

        tests = {"distilled images": (count, lambda: tested(distilled))}
        if c.pool:
            tests["no distilled data"] = (
                untrained,
                lambda: evaluator().untrained(test, untrained, seed=c.seed),
            )
        # In ordinary training, the random real images may be those at the start.
        if ordered or not self._starts_real:
            tests["before"] = count, lambda: tested(self.start)
        if self._real is not None:
            more = 0
            if ordered:
                # The learned rates are tried, too, beside the rates tried at first.
                more = self.tested_at_first + self._judges
            tests[RANDOM] = count + more, real
        if ordered and distilled.num_steps > 1:
            tests["their steps shuffled"] = few, shuffled
        return tests


def lines(distilled, tested: Mapping, dataset, objective) -> list[str]:
    """The result beside what it is compared with.

    Args:
        distilled: What was learned, a `DistilledDataset`.
        tested: An `Evaluation` by each of the names of `reporting.metrics.TESTS` that
            was tested.
        dataset: The real data.
        objective: What was measured.
    """
    found = [
        f"\nTest accuracy of fresh networks ({distilled.student}) trained on "
        f"{distilled.num_images} images of {dataset.name}:"
    ]
    for name, result in tested.items():
        of = small_text(distilled) if name == RANDOM else ""
        found.append(f"  {name:20} {result}{of}")
        if line := objectives.attack_text(objective, result):
            found.append(f"  {'':20} {line}")
    return found


def small_text(distilled) -> str:
    """How many real images take the room of images that are stored small; else ""."""
    count, factor = distilled.num_images, distilled.enlarged
    if factor == 1:
        return ""
    return f", {count // factor**2} in the room of the {count} small ones"


def verdict(
    main: Mapping, others: Mapping[str, Mapping | None], *, is_ordered: bool
) -> list[str]:
    """Says where distilled images are not better than what they are compared with.

    They are better, or worse, by more than the standard error of the difference.

    Args:
        main: `Evaluation.to_json` of the distilled images.
        others: The same of others, by what they are; None is left out.
        is_ordered: Whether they have learned steps: the advice depends on it.

    Returns:
        Sentences; none if the images are better than all others.
    """
    from tfdistill.reporting.measure import Measure

    measure, found, alike = Measure.of(main), [], {}
    for name, other in others.items():
        if not other:
            continue
        gain = measure.mean(main) - measure.mean(other)
        gain = gain if measure.higher_is_better else -gain
        noise = math.sqrt(
            sum(measure.std(x) ** 2 / x.get("num_students", 1) for x in (main, other))
        )
        if gain > noise:
            continue
        how = "worse" if gain < -noise else "not clearly better"
        if how != "worse":
            alike[name] = other
        found.append(
            f"The distilled images are {how} than {name}: {measure.text(main)} against "
            f"{measure.text(other)}."
        )
    if found and measure.name == "accuracy" and measure.mean(main) == 1:
        return [*found, "Nothing is left to gain: fewer images may do as well."]
    if alike and len(alike) == len(found) and measure.name == "accuracy":
        name = max(alike, key=lambda name: measure.mean(alike[name]))
        if measure.mean(alike[name]) >= _NEAR_THE_TOP:
            return [
                *found,
                f"Little is left to gain: {name} teach {measure.text(alike[name])} "
                "already, and fewer images may do as well.",
            ]
    advice = _HELPS + (_ORDERED if is_ordered else _ORDINARY)
    return [*found, advice] if found else []


def compared(metrics: Mapping) -> dict[str, Mapping | None]:
    """What `verdict` compares with, from the content of metrics.json.

    Nothing for an attack, which is to lower the accuracy.
    """
    if "attacked_mean" in metrics:
        return {}
    return {
        RANDOM: metrics.get("random_real"),
        "the images at the start": metrics.get("before"),
    }
