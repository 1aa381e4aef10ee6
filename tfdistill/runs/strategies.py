"""Where students run: one device, several, or several machines (`tf.distribute`).

Strategies are TensorFlow's own; a `Distiller` that is made in the scope of one shares
its students out over the replicas.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
from absl import logging

from tfdistill.runs import cluster


def make(
    name: str,
    about: Sequence[str] = (),
    tell: Callable[[str], None] = logging.warning,
) -> tf.distribute.Strategy:
    """A strategy of TensorFlow by its name.

    Args:
        name: "none" (one device), "mirrored" (all GPUs of this machine, or its CPU),
            "multi_worker" (the machines that the environment variable TF_CONFIG
            names) or "tpu" (the TPU that TPU_NAME names, or this machine's).
        about: For several machines, the lines in which they must agree, such as flags.
        tell: Gets a sentence on which machines are waited for.

    Raises:
        ValueError: If there is no such strategy, or nothing for it to run on; if a
            machine does not come, or is about to do something else.
    """
    if name == "multi_worker":
        cluster.gather(about, tell)
    if name not in _STRATEGIES:
        raise ValueError(
            f"strategy must be one of {', '.join(_STRATEGIES)}, not {name!r}."
        )
    try:
        return _STRATEGIES[name]()
    except (LookupError, TypeError, ValueError, AttributeError, tf.errors.OpError) as e:
        reason = " ".join(str(e).split())
        raise ValueError(f"The strategy {name!r} cannot start: {reason}") from e


def _tpu():
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


_STRATEGIES = {
    "none": tf.distribute.get_strategy,
    "mirrored": tf.distribute.MirroredStrategy,
    "multi_worker": tf.distribute.MultiWorkerMirroredStrategy,
    "tpu": _tpu,
}


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """The number of machines."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes; always, if there is only one."""
    if num_workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def share(what: str, number: int, strategy: tf.distribute.Strategy) -> int:
    """Each replica's part of a number that all replicas share evenly.

    Args:
        what: What the number is, for the error.
        number: The total over all replicas.
        strategy: Their strategy.

    Raises:
        ValueError: If it is not a multiple of the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if number % replicas:
        raise ValueError(
            f"{what} must be a multiple of the strategy's {replicas} replicas, not "
            f"{number}."
        )
    return number // replicas


def check_batches(model, size: int) -> None:
    """Refuses batches of which a model's replicas would have unequal parts.

    Keras's `fit` fails on them, and would weight the images of small parts more.

    Args:
        model: A `keras.Model` that is to be trained by `fit`.
        size: Images of a batch, over all replicas.

    Raises:
        ValueError: If it is not a multiple of the number of replicas.
    """
    replicas = model.distribute_strategy.num_replicas_in_sync
    if size % replicas:
        raise ValueError(
            f"The strategy's {replicas} replicas cannot share batches of {size} images "
            f"evenly: make the model outside its scope and train it there, or train in "
            f"batches of a multiple of {replicas}."
        )


def batches(strategy: tf.distribute.Strategy, split, batch_size: int, **kwargs):
    """Batches for `fit`, over all replicas.

    Several workers share a stream: each reads its own examples and shuffles them.
    Images in memory come in the same order as on one device.

    Args:
        strategy: The model's strategy.
        split: A `Split`.
        batch_size: Total over all replicas, a multiple of their number.
        **kwargs: Other arguments of `Split.batch`.

    Returns:
        The same as `Split.batch`; for several workers and a stream, a distributed data
        set of the strategy.

    Raises:
        ValueError: If the batch size is not such a multiple; and the same as for
            `Split.batch`.
    """
    if num_workers(strategy) == 1 or split.is_held:
        return split.batch(batch_size, **kwargs)
    share("batch_size", batch_size, strategy)
    start = kwargs.pop("start", 0)

    def of_worker(context):
        workers = context.num_input_pipelines
        own = split.shard(workers, context.input_pipeline_id)
        size = context.get_per_replica_batch_size(batch_size)
        devices = context.num_replicas_in_sync // workers
        return own.batch(size, start=start * devices, **kwargs)

    return strategy.distribute_datasets_from_function(of_worker)


def total(values):
    """The sum over all replicas of a tensor, or of each tensor of a list.

    Must be called in a replica's context.
    """
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def logs(strategy: tf.distribute.Strategy, figures: dict) -> dict:
    """The figures of a step, scalar tensors, as Keras's `fit` takes them."""
    if num_workers(strategy) == 1:
        return figures
    # Keras averages those of workers along an axis, which scalars lack.
    return {name: value[None] for name, value in figures.items()}


def meet(strategy: tf.distribute.Strategy) -> None:
    """Waits until every worker is here."""
    check_alike(strategy, "meeting", 0)


def check_alike(strategy: tf.distribute.Strategy, what: str, number: int) -> None:
    """Refuses workers that do not agree on a number.

    Args:
        strategy: The strategy of all workers.
        what: What the number is, for the error.
        number: This worker's number, a small integer.

    Raises:
        ValueError: In all workers, if two differ.
    """
    if num_workers(strategy) == 1:
        return

    # All are equal if the mean of the squares is the square of the mean.
    numbers = strategy.run(lambda: tf.constant([number, number**2], tf.float64))
    first, squares = strategy.reduce("SUM", numbers, axis=None).numpy()
    if strategy.num_replicas_in_sync * squares != first**2:
        raise ValueError(
            f"The workers do not agree on the {what} (this one's is {number}); they "
            "need a folder that all of them see."
        )


def check_made_here(
    what: str, variables: Sequence, strategy: tf.distribute.Strategy
) -> None:
    """Refuses Keras variables that the strategy does not hold.

    Args:
        what: The owner of the variables, for the error.
        variables: The variables to check.
        strategy: The strategy of the Distiller.

    Raises:
        ValueError: If one was made outside the strategy's scope.
    """
    made_in_scope = strategy.extended.variable_created_in_scope
    if not all(made_in_scope(variable.value) for variable in variables):
        raise ValueError(
            f"The {what} must be made in the scope of the Distiller's strategy "
            "(with strategy.scope(): ...)."
        )
