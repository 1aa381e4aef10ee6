"""What a run's state holds, and what tells the run from another one."""

import inspect

import numpy as np

from tfdistill._internal import identity

# What earlier versions compare, too; of names that they lack they know nothing.
_PLAIN = bool, int, float, str
# Arguments that are compared by themselves, or that Keras gives to each object anew.
_ELSEWHERE = "inner_optimizer", "recipe", "name"


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
            "failures": [self.failures.value],
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
        schedule = getattr(synthesizer, "schedule", None)
        taker = inner or getattr(schedule, "inner_optimizer", None)
        weights, recipe = self.population.members[0][1], synthesizer.recipe
        measured, _ = identity.settings(self.objective)
        options, _ = identity.settings(self.meta_gradient, ["keep_every"])
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
            "initial weights": type(weights).__name__,
            "synthesizer": type(synthesizer).__name__,
            "epochs": synthesizer.epochs,
            "inner optimizer": inner and inner.name,
            **(_settings("inner optimizer's", taker) if taker else {}),
            "learned arrays": [list(v.shape) for v in synthesizer.trainable_variables],
            "recipe": recipe and recipe.to_config(),
            "outer optimizer": type(self.optimizer).__name__,
            "outer learning rate": self.base_rate,
            **_outer(self.optimizer),
            **{f"meta-gradient's {n}": repr(value) for n, value in options.items()},
            **_options("initial weights'", weights),
            "steps": taker and taker.name,
            "curriculum": getattr(synthesizer, "kind", None),
            **_options("synthesizer's", synthesizer),
            **_unlearned(synthesizer),
        }


def _outer(optimizer):
    """The settings of an outer optimizer, on which depends which variables it has.

    Of its rate, which `Anneal` changes, only whether it is one of them. Its
    `get_config` fails for some rates that are functions.
    """
    fixed = hasattr(optimizer.learning_rate, "assign")
    return {
        "outer learning rate's kind": "number" if fixed else "schedule",
        **{
            f"outer optimizer's {name}": value
            for name, value in vars(optimizer).items()
            if (value is None or isinstance(value, _PLAIN))
            and not (name.startswith("_") or name in ("name", "built"))
        },
    }


def _settings(whose, optimizer):
    """What an inner optimizer holds besides what is learned."""
    found, _ = identity.settings(optimizer, ["hyperparameters"])
    return {f"{whose} {n}": repr(value) for n, value in found.items()}


def _unlearned(synthesizer):
    """The hyperparameters of a synthesizer's steps that stay, by name.

    They are in the state all the same, which would replace what was asked for.
    """
    found: dict = {}
    for part in synthesizer._flatten_layers(include_self=False):
        if hasattr(part, "scale_rates"):  # a schedule
            for name, values in _rounded(part.values()).items():
                if not part.raw(name).trainable:
                    found.setdefault(f"{name}, not learned", []).append(values)
    return found


def _options(whose, of):
    """What an object keeps of the arguments of its constructor.

    Pools, data and networks are left out: they may have moved when a run goes on. Of
    arrays, whole numbers are compared, such as labels; others are most often learned,
    and their last digits depend on the machine.
    """
    found = {}
    for argument in inspect.signature(type(of).__init__).parameters:
        kept = [vars(of)[n] for n in (argument, f"_{argument}") if n in vars(of)]
        if not kept or argument in _ELSEWHERE:
            continue
        name, value = f"{whose} {argument}", kept[0]
        if value is None or isinstance(value, _PLAIN):
            found[name] = repr(value)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "iu":
            found[name] = repr(identity.told(value))
        elif hasattr(value, "sample"):  # initial weights
            found |= {name: type(value).__name__, **_options(f"{name}'s", value)}
        elif hasattr(value, "hyperparameters"):  # an inner optimizer, not learned
            found |= {name: value.name, **_settings(f"{name}'s", value)}
            found |= {f"{name}'s {h.name}": h.start for h in value.hyperparameters}
        elif callable(value) and hasattr(value, "to_config"):  # random changes
            found[name] = value.to_config()
    return found


def _rounded(config):
    """Computed numbers, whose last digits depend on the machine."""
    return {
        name: [float(f"{x:.6g}") for x in np.ravel(value)]
        for name, value in config.items()
    }
