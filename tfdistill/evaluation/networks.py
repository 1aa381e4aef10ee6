"""What tells the networks of a callable from those of another one of its name."""

from tfdistill._internal import identity
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.data.dataset import Dataset
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.population import Population


def key(student, dataset: Dataset, weights: InitialWeights | None = None) -> str:
    """A hash of how networks start, and of what they compute.

    Args:
        student: Same as for `students.get`.
        dataset: The real data.
        weights: How networks start; by default `RandomWeights()`. Of others, the same
            must come in every process.

    Raises:
        ValueError: If the student doesn't fit the data.
    """
    images = next(iter(dataset.train.batch(4)))[0]
    population = Population(student, dataset.image_shape, dataset.num_classes, weights)
    found = population.depends(student_seed(0, Stream.EVALUATION, 0), images)
    return identity.key(found)
