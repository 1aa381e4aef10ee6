"""How networks are trained, chosen, and tested in a comparison."""

import dataclasses

from tfdistill._internal.checks import check_int, check_positive, keep_ints
from tfdistill.data.random_changes import RandomChanges
from tfdistill.evaluation.attacked import PixelAttack


@dataclasses.dataclass(frozen=True)
class Settings:
    """The protocol, which is the same for every set.

    Attributes:
        networks: Fresh networks that are tested in each cell.
        choosing: Other networks that each candidate is judged by, on validation images.
        rates: Candidates for the first rate of Adam.
        updates: Candidates for the number of updates.
        batch_size: Images of an update.
        changes: The random changes that are tried besides none.
        epsilon: Of the attacks, as a share of the pixels' range.
        pgd_steps: Steps of projected gradient descent.
        attack_images: Test images that are attacked, at most; 0 for none.
        teacher_epochs: Passes over the real data of the teacher; 0 for no teacher.
        seed: Of networks and of baselines.

    Raises:
        ValueError: If a number is out of range.
    """

    networks: int = 5
    choosing: int = 2
    rates: tuple[float, ...] = (0.001, 0.003)
    updates: tuple[int, ...] = (300, 1000)
    batch_size: int = 256
    changes: RandomChanges = RandomChanges(shift=0.1, rotation=0.04, zoom=0.1)
    epsilon: float = 8 / 255
    pgd_steps: int = 10
    attack_images: int = 500
    teacher_epochs: int = 5
    seed: int = 0

    @property
    def candidates(self) -> int:
        """How many rates and numbers of updates are tried."""
        return len(self.rates) * len(self.updates)

    def __post_init__(self):
        keep_ints(self, 1, "networks", "choosing", "batch_size", "pgd_steps")
        keep_ints(self, 0, "attack_images", "teacher_epochs", "seed")
        for name in ("rates", "updates"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be at least one number.")
        for rate in self.rates:
            check_positive("rates", rate)
        PixelAttack(self.epsilon, self.pgd_steps)
        # NumPy's numbers become Python's, which JSON takes.
        updates = tuple(check_int("updates", number, 1) for number in self.updates)
        object.__setattr__(self, "updates", updates)
        object.__setattr__(self, "rates", tuple(map(float, self.rates)))
        object.__setattr__(self, "epsilon", float(self.epsilon))
