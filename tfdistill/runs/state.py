"""What a run's state holds, and what tells the run from another one."""

import numpy as np

from tfdistill._internal import identity

# What earlier versions compare, too; of names that they lack they know nothing.
_PLAIN = bool, int, float, str


class StateError(ValueError):
    """A folder's states are no use to this run: one sentence, for people."""


class RunState:
    """What `Backup` saves of a `Distiller`, and compares before it restores that."""

    @property
    def checkpointed(self):
        """What `Backup` saves besides the optimizer, a dict of trackable objects."""
        return {
            "synthesizer": self.synthesizer,
            "norms": [norm.value for norm in self.gradient_norms],
            "usual_loss": self.usual_loss.value,
            "skipped": [mean.skipped for mean in self._means],
            **self.population.checkpointed(self.distribute_strategy),
        }

    @property
    def identity(self):
        """What tells its run from another one, by name, as JSON.

        What may change while a run goes on, such as `students_per_step`, and where
        `BackGradient` saves memory, is not in it. Nor is what cannot be told from
        another, such as a lambda of a custom objective: else no run of it could go on.
        """
        synthesizer, source = self.synthesizer, self.synthesizer.source
        inner = getattr(synthesizer, "inner_optimizer", None)
        recipe = synthesizer.recipe
        measured, _ = identity.settings(self.objective)
        taken, _ = identity.settings(inner, ["hyperparameters"]) if inner else ({}, [])
        return {
            "student": self.population.name,
            "classes": list(map(str, source.class_names)) if source else None,
            "seed": self.seed,
            "data": source and source.name,
            "normalization": source and _rounded(source.normalization.to_config()),
            "objective": {
                "class": type(self.objective).__name__,
                **{n: v for n, v in measured.items() if isinstance(v, _PLAIN)},
            },
            **{
                f"objective's {name}": repr(value)
                for name, value in measured.items()
                if not isinstance(value, _PLAIN)
            },
            "meta-gradient": type(self.meta_gradient).__name__,
            "initial weights": type(self.population.members[0][1]).__name__,
            "synthesizer": type(synthesizer).__name__,
            "epochs": synthesizer.epochs,
            "inner optimizer": inner and inner.name,
            **{f"inner optimizer's {n}": repr(value) for n, value in taken.items()},
            "learned arrays": [list(v.shape) for v in synthesizer.trainable_variables],
            "recipe": recipe and recipe.to_config(),
            "outer optimizer": type(self.optimizer).__name__,
            "outer learning rate": self.base_rate,
        }


def _rounded(config):
    """Measured numbers, whose last digits depend on the machine."""
    return {
        name: [float(f"{x:.6g}") for x in np.ravel(value)]
        for name, value in config.items()
    }
