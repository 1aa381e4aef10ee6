"""What training by Keras's `fit` would do, and the steps of a data set do not.

A student is a pure function of its weights, its state and images: its optimizer alone
changes the weights, and random numbers come from the seeds in its state. Whatever else
`fit` does would be missing where the student is tested.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfdistill.inner.second_order.guard import layer_of
from tfdistill.inner.second_order.paths import everything
from tfdistill.inner.stateless import SEED_STATE

# Operations that assign to a `tf.Variable`; those of Keras are noted elsewhere.
_ASSIGN = ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp")
# Operations that draw from a `tf.random.Generator`.
_GENERATORS = (
    "RngReadAndSkip",
    "StatefulRandom",
    "StatefulStandard",
    "StatefulTruncated",
    "StatefulUniform",
)


def check_training(model: keras.Model, image_shape: Sequence[int], name: str) -> None:
    """Refuses a student that would be trained as another one than by `fit`.

    Args:
        model: A built model.
        image_shape: (height, width, channels).
        name: What sentences call the student.

    Raises:
        ValueError: If it has weight constraints, training steps or losses of its own,
            assigns to weights or to variables that it doesn't track, or draws random
            numbers that no seed of it decides.
    """
    _check_constraints(model, name)
    _check_steps(model, name)
    traced = _traced(model, image_shape)
    if traced is None:
        return
    graph, assigned = traced
    _check_assigned(model, name, assigned)
    _check_kept(model, name, graph, assigned)
    _check_draws(model, name, graph, assigned)


def check_draws(model: keras.Model, image_shape: Sequence[int], name: str) -> None:
    """Refuses a student that no seed lets repeat what it draws in training.

    Args:
        model, image_shape, name: Same as for `check_training`.

    Raises:
        ValueError: If it draws random numbers that no seed of it decides.
    """
    if traced := _traced(model, image_shape):
        _check_draws(model, name, *traced)


def has_values(model: keras.Model) -> bool:
    """Whether it does; not in a stateless scope, where initialisers are looked for."""
    return all(v._initializer is None for v in model.variables)


def _check_constraints(model, name):
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            raise ValueError(
                f"student {name} has the constraint "
                f"{type(variable.constraint).__name__} on {variable.path!r}, which the "
                "steps of a distilled data set do not keep; build it without."
            )


def _check_steps(model, name):
    for method in ("train_step", "compute_loss"):
        own = getattr(getattr(model, method), "__func__", None)
        if own is not getattr(keras.Model, method):
            raise ValueError(
                f"student {name} has a {method} of its own, which the steps of a "
                "distilled data set do not call: build it without, and give penalties "
                "by add_loss."
            )


def _check_assigned(model, name, assigned):
    weights = {id(v) for v in model.trainable_variables}
    for variable, path in assigned:
        if id(variable) in weights:
            raise ValueError(
                f"student {name}: {layer_of(model, [path])} assigns to the weight "
                f"{variable.path!r} in training, which the steps of a distilled data "
                "set do not keep; build it without."
            )


def _check_kept(model, name, graph, assigned):
    tracked = {id(v) for v in [*model.variables, *model.metrics_variables]}
    paths = [
        path for v, path in assigned if v.name != SEED_STATE and id(v) not in tracked
    ] + [path for operation, path in everything(graph) if operation.type in _ASSIGN]
    if paths:
        raise ValueError(
            f"student {name}: {layer_of(model, paths[:1])} assigns to a variable that "
            "is none of the student's, so that nothing would keep its value: make it "
            "by add_weight(..., trainable=False)."
        )


def _check_draws(model, name, graph, assigned):
    own = {id(v) for v in model.non_trainable_variables}
    paths = [
        path for v, path in assigned if v.name == SEED_STATE and id(v) not in own
    ] + [path for operation, path in everything(graph) if _is_drawn(operation)]
    if paths:
        raise ValueError(
            f"student {name}: {layer_of(model, paths[:1])} draws random numbers that "
            "no seed of the student decides: give the layer an attribute that is a "
            "keras.random.SeedGenerator, and pass it as seed= to the functions of "
            "keras.random."
        )


def _is_drawn(operation):
    """Whether an operation draws anew each time, even where a step is done again."""
    kind = operation.op_def
    if kind.name.startswith("Cudnn"):  # without dropout
        return False
    seeded = kind.is_stateful and any(a.name == "seed" for a in kind.attr)
    return seeded or kind.name.startswith(_GENERATORS)


def _traced(model, image_shape):
    """The graph of a call in training, and what it assigns: variables and paths.

    None if there is none.
    """
    if not has_values(model):
        return None
    kinds = model.trainable_variables, model.non_trainable_variables
    assigned: list = []

    @tf.function(autograph=False)
    def call(images, *values):
        pairs = [pair for k, v in zip(kinds, values) for pair in zip(k, v)]
        with _Noting(pairs, collect_losses=True) as scope:
            model(images, training=True)
        assigned.extend(scope.assigned)

    try:
        traced = call.get_concrete_function(
            tf.TensorSpec([None, *image_shape], keras.config.floatx()),
            *([tf.TensorSpec(v.shape, v.dtype) for v in kind] for kind in kinds),
        )
    except Exception:
        return None  # not a check's concern: the real trace fails in the same way
    return traced.graph, assigned


class _Noting(keras.StatelessScope):
    """A scope that notes what is assigned, and in which scope of names."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.assigned: list = []

    def add_update(self, update):
        scope = tf.compat.v1.get_default_graph().get_name_scope()
        self.assigned.append((update[0], f"{scope}/"))
        super().add_update(update)
