"""Is my own class right? A check for each kind that a `Distiller` takes.

Each check tries what the library will ask of an object, and raises an `AssertionError`
whose sentence says what to mend. All that ships passes the same checks.
"""

from tfdistill.testing.distillation import check_distillation as check_distillation
from tfdistill.testing.initial_weights import (
    check_initial_weights as check_initial_weights,
)
from tfdistill.testing.inner_optimizers import (
    check_inner_optimizer as check_inner_optimizer,
)
from tfdistill.testing.meta_gradients import check_meta_gradient as check_meta_gradient
from tfdistill.testing.objectives import check_objective as check_objective
from tfdistill.testing.synthesizers import check_synthesizer as check_synthesizer
