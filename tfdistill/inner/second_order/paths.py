"""The operations between some tensors of a graph and others, in called functions, too.

A tensor is on a path if it depends on the sources, and the targets depend on it,
through real numbers. Integers, comparisons and whatever is constant almost everywhere
carry no derivative.
"""

from collections.abc import Iterator, Sequence

import tensorflow as tf
from tensorflow.python.framework import function_def_to_graph

#: Their outputs have no derivative, rightly.
_CONSTANT = {
    "Ceil",
    "Floor",
    "FloorDiv",
    "OnesLike",
    "Rint",
    "Round",
    "Sign",
    "StatelessRandomBinomial",
    "StatelessRandomPoisson",
    "TruncateDiv",
    "ZerosLike",
}
_CALLS = {"PartitionedCall": "f", "StatefulPartitionedCall": "f"}
_LOOPS = {"While": "body", "StatelessWhile": "body"}
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}


def on_paths(
    graph: tf.Graph, sources: Sequence[tf.Tensor], targets: Sequence[tf.Tensor]
) -> Iterator[tuple[tf.Operation, str]]:
    """The operations on paths from sources to targets, of a graph and its functions.

    Calls, loops and branches are not among them, but what is in them is. With each
    comes its name, behind the names of the operations that call it.
    """
    yield from _between(
        graph, {x.name for x in sources}, {x.name for x in targets if _is_real(x)}
    )


def is_reached(
    graph: tf.Graph, sources: Sequence[tf.Tensor], target: tf.Tensor
) -> bool:
    """Whether a target depends on sources through what is not stopped."""
    return target.name in _reached(graph, {x.name for x in sources})


def everything(
    graph: tf.Graph, callers: str = ""
) -> Iterator[tuple[tf.Operation, str]]:
    """The operations of a graph and its functions, with their names as in `on_paths`.

    What functions are called by is among them, and so is what no path leads through.
    """
    for operation in graph.get_operations():
        name = callers + operation.name
        yield operation, name
        for function in _functions(operation):
            yield from everything(function, f"{name}/")


def _between(graph, sources, targets, callers=""):
    reached, needed = _reached(graph, sources), _needed(graph, targets)
    for operation in graph.get_operations():
        given = [x.name in reached for x in _arguments(operation)]
        wanted = [x.name in needed for x in operation.outputs]
        if operation.type in _CONSTANT or not (any(given) and any(wanted)):
            continue
        functions = _functions(operation)
        if not functions:
            yield operation, callers + operation.name
        elif operation.type in _LOOPS:
            # What is carried reaches and is needed as it is after any iteration.
            outputs = [x.name in reached for x in operation.outputs]
            inputs = [x.name in needed for x in operation.inputs]
            given = [a or b for a, b in zip(given, outputs)]
            wanted = [a or b for a, b in zip(wanted, inputs)]
        for function in functions:
            yield from _between(
                function,
                _chosen(function.inputs, given),
                _chosen(function.outputs, wanted),
                f"{callers}{operation.name}/",
            )


def _reached(graph, sources):
    """The names of the tensors that depend on sources."""
    reached = set(sources)
    operations = graph.get_operations()
    before = -1
    while before != len(reached):  # loops are given accumulators made after them
        before = len(reached)
        for operation in operations:
            given = [x.name in reached for x in _arguments(operation)]
            if any(given):
                reached |= _outputs(operation, given)
    return reached


def _outputs(operation, given):
    """The names of an operation's outputs that depend on the given arguments."""
    if operation.type in _CONSTANT or operation.type == "StopGradient":
        return set()
    functions = _functions(operation)
    if not functions:
        return {x.name for x in operation.outputs if _is_real(x)}
    while True:
        found = [False] * len(operation.outputs)
        for function in functions:
            reached = _reached(function, _chosen(function.inputs, given))
            found = [f or x.name in reached for f, x in zip(found, function.outputs)]
        more = [g or f for g, f in zip(given, found)]
        if operation.type not in _LOOPS or more == given:
            return _chosen(operation.outputs, found)
        given = more


def _needed(graph, targets):
    """The names of the tensors that targets depend on."""
    needed = set(targets)
    operations = graph.get_operations()[::-1]
    before = -1
    while before != len(needed):
        before = len(needed)
        for operation in operations:
            wanted = [x.name in needed for x in operation.outputs]
            if any(wanted):
                needed |= _inputs(operation, wanted)
    return needed


def _inputs(operation, wanted):
    """The names of an operation's arguments that the wanted outputs depend on."""
    if operation.type in _CONSTANT:
        return set()
    arguments, functions = _arguments(operation), _functions(operation)
    if not functions:
        return {x.name for x in arguments if _is_real(x)}
    while True:
        found = [False] * len(arguments)
        for function in functions:
            needed = _needed(function, _chosen(function.outputs, wanted))
            found = [f or x.name in needed for f, x in zip(found, function.inputs)]
        more = [w or f for w, f in zip(wanted, found)]
        if operation.type not in _LOOPS or more == wanted:
            return _chosen(arguments, found)
        wanted = more


def _arguments(operation):
    """The inputs that matter to an operation's derivative."""
    inputs = list(operation.inputs)
    if operation.type in _BRANCHES:
        return inputs[1:]
    if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
        # A function with a gradient of its own: its results, then its arguments. What
        # is inside of it is not differentiated. Only its results are used.
        used = [i for i, x in enumerate(operation.outputs) if _is_used(x)]
        return inputs[max(used, default=-1) + 1 :]
    return inputs


def _is_used(tensor):
    return any(op.type != "ZerosLike" for op in tensor.consumers())


def _functions(operation):
    """The graphs of the functions that an operation calls and passes derivatives to."""
    if operation.type in _CALLS:
        names = [operation.get_attr(_CALLS[operation.type]).name]
    elif operation.type in _LOOPS:
        names = [operation.get_attr(_LOOPS[operation.type]).name]
    elif operation.type in ("If", "StatelessIf"):
        names = [operation.get_attr(a).name for a in ("then_branch", "else_branch")]
    elif operation.type in _BRANCHES:
        names = [f.name for f in operation.get_attr("branches")]
    else:
        return []
    return [_graph(operation.graph, name) for name in names]


def _graph(graph, name):
    function = graph._get_function(name)
    inside = getattr(function, "graph", None)
    if inside is None:
        inside = function_def_to_graph.function_def_to_graph(function.function_def)
    return inside


def _chosen(tensors, mask):
    return {x.name for x, chosen in zip(tensors, mask) if chosen and _is_real(x)}


def _is_real(tensor):
    """Whether a tensor may carry a derivative; lists of tensors are variants."""
    dtype = tensor.dtype.base_dtype
    return dtype.is_floating or dtype.is_complex or dtype == tf.variant
