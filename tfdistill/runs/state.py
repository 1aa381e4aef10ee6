"""What a run's state holds, and what tells the run from another one."""


class RunState:
    """What `Backup` saves of a `Distiller`, and compares before it restores that."""

    @property
    def checkpointed(self):
        """What `Backup` saves besides the optimizer, a dict of trackable objects."""
        return {
            "synthesizer": self.synthesizer,
            "norms": [norm.value for norm in self.gradient_norms],
            "usual_loss": self.usual_loss.value,
            **self.population.checkpointed(self.distribute_strategy),
        }

    @property
    def identity(self):
        """What tells its run from another one, by name, as JSON."""
        source = self.synthesizer.source
        return {
            "student": self.population.name,
            "classes": list(map(str, source.class_names)) if source else None,
            "seed": self.seed,
        }
