"""How distilled data, and who learns them, show themselves."""

import base64

import numpy as np

from tfdistill._internal.faces import Face, lines, size, table
from tfdistill.distilled import pictures
from tfdistill.runs import progress

_STEPS, _IMAGES, _SIDE = 3, 10, 64


class DistilledFace(Face):
    """What a `DistilledDataset` says of itself."""

    def _facts(self):
        facts = {
            "images": f"{self.num_images:,}",
            "shape": size(self.image_shape),
            "classes": str(self.num_classes),
            "of": self.provenance.get("dataset"),
            "training": self.recipe.describe(self.images.shape),
            "optimizer": self.inner_optimizer.name,
            "student": self.student,
        }
        return {name: value for name, value in facts.items() if value}

    def __repr__(self):
        of = f" of {self.provenance['dataset']}" if "dataset" in self.provenance else ""
        student = f", for {self.student}" if self.student else ""
        return (
            f"DistilledDataset({self.num_images:,} images{of} of "
            f"{size(self.image_shape)}: {self.recipe.describe(self.images.shape)}, "
            f"{self.inner_optimizer.name}{student})"
        )

    def _repr_html_(self):
        return table(type(self).__name__, self._facts(), _pictures(self))


class DistillerFace(Face):
    """What a `Distiller` says of itself."""

    def _facts(self):
        variables = self.synthesizer.trainable_variables
        return {
            "student": self.population.name,
            "synthesizer": self.synthesizer,
            "initial weights": self.population.members[0][1],
            "meta-gradient": self.meta_gradient,
            "objective": self.objective,
            "outer optimizer": getattr(self, "optimizer", None),
            "learned numbers": f"{sum(int(np.prod(v.shape)) for v in variables):,}",
        }

    def __repr__(self):
        return f"Distiller({self.population.name}, {self.synthesizer!r})"

    def summary(self, *, print_fn=progress.tell, **kwargs):
        """Prints what it is made of: its choices, its outer optimizer, its sizes.

        Args:
            print_fn: What prints it.
            **kwargs: Other arguments of `keras.Model.summary` are ignored.
        """
        print_fn(lines("Distiller", self._facts()))


def _pictures(distilled):
    """The first images of the first steps, a row each, as one picture in HTML."""
    shown = distilled.normalization.displayable(distilled.images[:_STEPS, :_IMAGES])
    count = shown.shape[1]
    flat = shown.reshape(-1, *distilled.image_shape)
    picture = pictures.png(pictures.grid(flat, count, _SIDE))
    data = base64.b64encode(picture).decode()
    return (
        f"<img src='data:image/png;base64,{data}' alt='distilled images' "
        f"style='image-rendering:pixelated;width:{40 * count}px'>"
    )
