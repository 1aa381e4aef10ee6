"""One cell of the table: choose on validation images, then test once."""

import dataclasses
import itertools
import time
from collections.abc import Sequence

import numpy as np

from tfdistill._internal import identity
from tfdistill.data.dataset import Dataset
from tfdistill.data.random_changes import RandomChanges
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.foreign.labels import hard
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.evaluation import statistics
from tfdistill.evaluation.attacked import PixelAttack, pixel_ends
from tfdistill.evaluation.batches import content
from tfdistill.evaluation.fresh_students import by_xla
from tfdistill.evaluation.ordinarily_trained import Architecture, Trainer
from tfdistill.inner.objectives import OBJECTIVES
from tfdistill.inner.objectives.classification import Classification
from tfdistill.runs.journal import Journal, can_tell, held
from tfdistill.studies.comparison.competitors import Competitor, is_hard
from tfdistill.studies.comparison.settings import Settings

# Numbers of the networks that choose: none of those that test.
_CHOOSING = 10_000
_REHEARSED_UPDATES = 10


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was chosen on validation images.

    Attributes:
        rate, updates: Of Adam.
        factor: What outputs are multiplied by before the softmax: for calibration.
        accuracy: Mean accuracy on validation images, in 0..1.
    """

    rate: float
    updates: int
    factor: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Cell:
    """Networks of one architecture that learned from one set in one way.

    Attributes:
        name: Of the set.
        architecture: Name of the networks.
        labels: "own", "hard" or "teacher".
        changed: Whether images were randomly changed in training.
        choice: What was chosen on validation images.
        accuracies: On test images, float `[networks]`, in the order of their initial
            weights.
        confusion: int `[networks, classes, classes]`, rows are true classes.
        calibration: ECE on test images, float `[networks]`.
        clean, fgsm, pgd: Accuracies on the images that are attacked, float
            `[networks]`; empty if none are.
        seconds: Of each network's training, float `[networks]`.
    """

    name: str
    architecture: str
    labels: str
    changed: bool
    choice: Choice
    accuracies: np.ndarray
    confusion: np.ndarray
    calibration: np.ndarray
    clean: np.ndarray
    fgsm: np.ndarray
    pgd: np.ndarray
    seconds: np.ndarray

    @property
    def key(self) -> tuple[str, str, str, bool]:
        """What it is the cell of: set, architecture, labels, changed."""
        return self.name, self.architecture, self.labels, self.changed


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds that a network takes.

    Attributes:
        update: For each update, with random changes.
        judged: On the validation images.
        tested: On the test images, attacks included.
    """

    update: float
    judged: float
    tested: float


def label_kinds(competitor: Competitor, teacher) -> list[str]:
    """The kinds of labels that a set is tried with."""
    own = [] if is_hard(competitor.draws[0]) else ["own"]
    return [*own, "hard", *(["teacher"] if teacher else [])]


class Bench:
    """Fills cells of one architecture.

    Args:
        architecture: The `Architecture`.
        dataset: The real data, with validation images.
        settings: The protocol.
        teacher: A `Teacher`; None for none.
        journal: Where results are kept; None for nowhere.
    """

    def __init__(
        self,
        architecture: Architecture,
        dataset: Dataset,
        settings: Settings,
        teacher=None,
        journal: Journal | None = None,
    ):
        self._architecture, self._settings = architecture, settings
        self._dataset, self._teacher, self._journal = dataset, teacher, journal
        self._trainers: list[Trainer] = []
        self._depends: dict[str, tuple[list[np.ndarray], str]] = {}
        assert dataset.validation is not None  # `compare` says so
        self._validation = dataset.validation.passes()
        self._validation_labels = dataset.validation.read_labels()
        self._test, self._test_labels = (
            dataset.test.passes(),
            dataset.test.read_labels(),
        )
        attacked = min(settings.attack_images, dataset.test.num_examples)
        self._attacked = self._ends = None
        if attacked:
            self._ends = pixel_ends(dataset)
            # Spread over the test images, which may be sorted by class.
            mask = np.zeros(dataset.test.num_examples, bool)
            mask[np.linspace(0, len(mask) - 1, attacked).astype(int)] = True
            self._attacked = dataset.test.subset(mask).batch(250).cache()

    def fill(self, competitor: Competitor, labels: str, changed: bool) -> Cell:
        """Chooses and tests.

        Args:
            competitor: The set.
            labels: One of `label_kinds`.
            changed: Whether images are randomly changed.
        """
        draws = [self._with_labels(data, labels) for data in competitor.draws]
        choice = self._choose(draws, changed)
        arrays = self._tested(draws, changed, choice)
        name = self._architecture.name
        return Cell(competitor.name, name, labels, changed, choice, **arrays)

    def rehearse(self, competitor: Competitor) -> Times:
        """Measures what a network of the comparison takes, after what is traced."""
        data = self._with_labels(competitor.draws[0], "hard")
        recipe = self._recipe(True, self._settings.rates[0], _REHEARSED_UPDATES)
        (network, *_), seconds = self._trained(data.replace(recipe=recipe), 0, 2)
        validation = self._validation
        return Times(
            seconds / _REHEARSED_UPDATES,
            _second_time(lambda: self._architecture.logits(network, validation)),
            _second_time(lambda: self._figures(network, factor=1.0)),
        )

    def _with_labels(self, data, labels):
        plain = {"objective": Classification()}
        if labels == "hard":
            return data.replace(labels=hard(data.labels), **plain)
        if labels == "teacher":
            return data.replace(labels=self._teacher.labels(data.images), **plain)
        return data

    def _recipe(self, changed, rate, updates):
        s = self._settings
        changes = s.changes if changed else RandomChanges()
        return OrdinaryTraining(updates, rate, s.batch_size, changes)

    def _trained(self, data, first, together):
        for trainer in self._trainers:
            if trainer.side_by_side == together and trainer.takes(data):
                break
        else:
            trainer = Trainer(self._architecture, data, together)
            self._trainers.append(trainer)
        return trainer(data, first, self._settings.seed)

    def _choose(self, draws, changed) -> Choice:
        s, found = self._settings, []
        for rate, updates in itertools.product(s.rates, s.updates):
            recipe = self._recipe(changed, rate, updates)
            sets = [data.replace(recipe=recipe) for data in draws]
            entry = self._entry(sets, "validation", s.choosing)
            kept = entry.read() if entry else {}
            if "accuracy" not in kept:
                kept = self._judged(sets)
                if entry:
                    entry.write(**kept)
            accuracy, factor = float(kept["accuracy"]), float(kept["factor"])
            found.append(Choice(rate, updates, factor, accuracy))
        # Of equals the first: the lowest rate, the fewest updates.
        return max(found, key=lambda choice: choice.accuracy)

    def _judged(self, sets):
        labels, every = self._validation_labels, []
        count = self._settings.choosing
        for trained, _ in self._groups(sets, count, offset=_CHOOSING):
            every += [
                self._architecture.logits(one, self._validation) for one in trained
            ]
        accuracy = np.mean([(logits.argmax(1) == labels).mean() for logits in every])
        repeated = np.tile(labels, len(every))
        factor = statistics.best_factor(np.concatenate(every), repeated)
        return {"accuracy": accuracy, "factor": factor}

    def _groups(self, sets, count, done=0, offset=0):
        """Trained networks in groups, which take the sets in turn, and their seconds.

        Those that are done are left out.
        """
        together = 2 if count > 1 else 1
        for first in range(done, count, together):
            data = sets[first // together % len(sets)]
            trained, seconds = self._trained(data, offset + first, together)
            yield trained[: count - first], seconds

    def _tested(self, draws, changed, choice):
        s = self._settings
        recipe = self._recipe(changed, choice.rate, choice.updates)
        sets = [data.replace(recipe=recipe) for data in draws]
        entry = self._entry(sets, "test", choice.factor)
        kept = entry.read() if entry else {}
        # Whole groups alone: of the last one, a network may be left out.
        done = len(kept.get("accuracies", ()))
        done = s.networks if done >= s.networks else done // 2 * 2
        found = {name: list(values[:done]) for name, values in kept.items()}
        for trained, seconds in self._groups(sets, s.networks, done):
            for one in trained:
                figures = {**self._figures(one, choice.factor), "seconds": seconds}
                for name, value in figures.items():
                    found.setdefault(name, []).append(value)
            if entry:
                entry.write(**{name: np.asarray(v) for name, v in found.items()})
        empty = np.zeros(0)
        attacks = {name: empty for name in ("clean", "fgsm", "pgd")}
        return {**attacks, **{name: np.asarray(v) for name, v in found.items()}}

    def _figures(self, trained, factor):
        logits = self._architecture.logits(trained, self._test)
        said, classes = logits.argmax(1), logits.shape[1]
        confusion = np.zeros((classes, classes), "int64")
        np.add.at(confusion, (self._test_labels, said), 1)
        found = {
            "accuracies": np.mean(said == self._test_labels),
            "confusion": confusion,
            "calibration": statistics.calibration_error(
                logits, self._test_labels, factor
            ),
        }
        if self._attacked is not None:
            s, under = self._settings, self._architecture.accuracy_under
            attacks = {
                "clean": PixelAttack(0.0),
                "fgsm": PixelAttack(s.epsilon),
                "pgd": PixelAttack(s.epsilon, s.pgd_steps),
            }
            for name, attack in attacks.items():
                found[name] = under(attack, trained, self._attacked, self._ends)
        return found

    def _entry(self, sets: Sequence[DistilledDataset], part, *settings):
        objective = sets[0].objective
        if self._journal is None or not can_tell([objective]):
            return None
        s = self._settings
        if part not in self._depends:
            images, judges = content(self._test if part == "test" else self._validation)
            # What every cell depends on: the networks, and the real images.
            networks = self._architecture.depends(s.seed, images[:100])
            self._depends[part] = networks, judges
        networks, judges = self._depends[part]
        arrays = [*networks, *(x for data in sets for x in (data.images, data.labels))]
        if part == "test":
            settings += (s.epsilon, s.pgd_steps, s.attack_images)
            if self._ends is not None and self._dataset.normalization.scale != 255:
                arrays.append(self._ends)
        recipe = sets[0].recipe
        who = self._architecture.name, part, judges, s.seed, recipe.to_config()
        settings += ("XLA",) * by_xla(recipe)  # which draws other batches
        return self._journal.entry(arrays, *who, _taught(objective), *settings)


def _taught(objective):
    """What tells how networks are taught: a name alone, if it stands for all of it."""
    ships = OBJECTIVES.get(objective.name)
    if ships and identity.alike(objective, ships()):
        return objective.name
    return type(objective).__name__, sorted(held(objective).items())


def _second_time(do):
    """Seconds of something that is traced when it is done first."""
    do()
    started = time.monotonic()
    do()
    return time.monotonic() - started
