"""Class-incremental learning: what a small memory of earlier classes is worth.

A network meets the classes of a data set a few at a time. While it learns the new ones
it forgets the old ones, unless a few images of these are replayed. `compare` tells
which images are worth their bytes: distilled ones, or real ones, chosen in several
ways.

Example:
    >>> import tfdistill
    >>> digits = tfdistill.load_dataset("digits").of_classes([0, 1, 2, 3])
    >>> found = tfdistill.replay.compare(
    ...     digits, {"herding": tfdistill.replay.Herding()}, bytes_per_class=130,
    ...     student="linear", updates=20, seeds=[0], bounds=False,
    ... )
    >>> found.memories["herding"]["images_per_class"]
    2
"""

from tfdistill.studies.replay.compare import compare as compare
from tfdistill.studies.replay.distilling import Distillation as Distillation
from tfdistill.studies.replay.distilling import Distilled as Distilled
from tfdistill.studies.replay.distilling import SoftLabels as SoftLabels
from tfdistill.studies.replay.memories import Everything as Everything
from tfdistill.studies.replay.memories import Herding as Herding
from tfdistill.studies.replay.memories import Kept as Kept
from tfdistill.studies.replay.memories import Memory as Memory
from tfdistill.studies.replay.memories import Nothing as Nothing
from tfdistill.studies.replay.memories import Reservoir as Reservoir
from tfdistill.studies.replay.result import Replay as Replay
