"""How data show themselves in a notebook."""

from tfdistill._internal.faces import Face, size


class SplitFace(Face):
    """What a `Split` says of itself."""

    def _facts(self):
        where = "in memory" if self.is_held else "read again and again"
        return {
            "examples": f"{self.num_examples:,}",
            "shape": size(self.image_shape),
            "classes": str(self.num_classes),
            "held": where,
        }

    def __repr__(self):
        facts = self._facts()
        return (
            f"Split({facts['examples']} examples of {facts['shape']}, "
            f"{facts['classes']} classes, {facts['held']})"
        )


class DatasetFace(Face):
    """What a `Dataset` says of itself."""

    def _facts(self):
        parts = {
            name: f"{part.num_examples:,} examples"
            for name in ("train", "validation", "test")
            if (part := getattr(self, name)) is not None
        }
        names = ", ".join(self.class_names[:10])
        more = ", ..." if len(self.class_names) > 10 else ""
        return {
            "name": self.name,
            "shape": size(self.image_shape),
            "classes": f"{len(self.class_names)} ({names}{more})",
            **parts,
        }

    def __repr__(self):
        facts = self._facts()
        parts = ", ".join(
            f"{name} {facts[name].split()[0]}"
            for name in ("train", "validation", "test")
            if name in facts
        )
        return (
            f"Dataset({self.name!r}, {len(self.class_names)} classes of "
            f"{facts['shape']}: {parts})"
        )
