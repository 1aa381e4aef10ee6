"""Data made by a network: the synthesizer of Such et al. 2019."""

import dataclasses
import functools
from collections.abc import Callable
from typing import final

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import Draw, fold_in, key_of
from tfdistill.inner import stateless
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.students.teaching_networks import gtn_generator
from tfdistill.synthesizers import classes
from tfdistill.synthesizers.base import DataSource, Synthesizer, check_penalties
from tfdistill.synthesizers.schedule import Schedule

#: What the generator is fed (Such et al. 2019, section 4): fresh noise and random
#: labels; learned latents, drawn one by one; learned batches of them, drawn whole;
#: learned batches in a learned order.
CURRICULA = ("none", "all_shuffled", "shuffled_batch", "full")


def network(name: str) -> Callable[..., keras.Model]:
    """Finds a generator's network.

    Args:
        name: "gtn_generator", with latent size, units and channels after an "@" if they
            are not the paper's ("gtn_generator@64-256-32"), or
            "package.module:function".

    Raises:
        ValueError: If the name is unknown.
    """
    if ":" in name:
        return students.get(name)
    kind, _, sizes = name.partition("@")
    numbers = sizes.split("-") if sizes else ["128", "1024", "128"]
    decimal = [n for n in numbers if n.isdecimal()]
    if kind != "gtn_generator" or len(numbers) != 3 or decimal != numbers:
        raise ValueError(
            "generator must be gtn_generator, gtn_generator@64-256-32 (latent size, "
            f"units, channels) or package.module:function, not {name!r}."
        )
    latent_size, units, channels = map(int, numbers)
    return functools.partial(
        gtn_generator, latent_size=latent_size, units=units, channels=channels
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Generated(Curriculum):
    """A curriculum of images that a network makes.

    Attributes:
        images: float `[T, batch, *image_shape]`.
        labels: float `[T, batch, classes]`.
        schedule: The `Schedule` of the steps.
    """

    images: tf.Tensor
    labels: tf.Tensor
    schedule: Schedule

    @property
    def num_steps(self) -> int:  # type: ignore[override]
        return self.images.shape[0]

    @property
    def inner_optimizer(self) -> InnerOptimizer:  # type: ignore[override]
        return self.schedule.inner_optimizer

    @property
    def sources(self) -> list:
        """Images, labels, and the variables of the schedule."""
        variables = [v.value for v in self.schedule.trainable_variables]
        return [self.images, self.labels, *variables]

    def batch(self, t) -> Batch:
        """The batch of inner step t."""
        return Batch(
            tf.gather(self.images, t),
            tf.gather(self.labels, t),
            self.schedule.at(t),
        )


@final
class Generator(Synthesizer):
    """A network that makes the batches, with a learned curriculum.

    Every step has its own batch. The labels of a batch cycle through the classes,
    unless they are learned or the curriculum draws them.

    Args:
        image_shape: (height, width, channels).
        num_classes: At least 2.
        steps: T, at least 1.
        batch_size: Images in each step, at least 1.
        curriculum: One of `CURRICULA`. "full" is the paper's best.
        network: A callable that returns a `keras.Model` from `[z, labels]` to images,
            called with `image_shape` and `num_classes`. It always runs in training
            mode: batch norm takes the statistics of the batch, and dropout draws by the
            student's seed and the step; with "full" by `seed` and the step, so that a
            step drops the same units in every outer step.
        inner_optimizer, learning_rate: Same as for `Schedule`.
        soft_labels: Whether labels are learned, too; not with the curriculum "none".
        learned_rates: Whether the rates are learned; otherwise they stay.
        seed: Seed of the latents and, with "full", of stochastic layers.
        source: The `DataSource` of the images.

    Raises:
        ValueError: If a number is out of range, there is no such curriculum, or the
            network doesn't fit.

    Example:
        >>> import tfdistill
        >>> from tfdistill.synthesizers.generator import network
        >>> generator = tfdistill.Generator.of(
        ...     tfdistill.load_dataset("digits"),
        ...     steps=2,
        ...     batch_size=10,
        ...     network=network("gtn_generator@8-16-4"),
        ... )
        >>> generator.images.shape
        TensorShape([2, 10, 8, 8, 1])
    """

    def __init__(
        self,
        image_shape,
        num_classes: int,
        *,
        steps: int = 32,
        batch_size: int = 128,
        curriculum: str = "full",
        network: Callable[..., keras.Model] = gtn_generator,
        inner_optimizer: InnerOptimizer | str = "momentum",
        learning_rate: float | None = None,
        soft_labels: bool = False,
        learned_rates: bool = True,
        seed: int = 0,
        source: DataSource | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if curriculum not in CURRICULA:
            raise ValueError(
                f"curriculum must be one of {', '.join(CURRICULA)}, not {curriculum!r}."
            )
        if soft_labels and curriculum == "none":
            raise ValueError(
                'soft_labels need a curriculum other than "none", whose labels are '
                "drawn at random."
            )
        steps = check_int("steps", steps, 1)
        batch_size = check_int("batch_size", batch_size, 1)
        seed = check_int("seed", seed, 0)
        self.image_shape, self.num_classes = tuple(image_shape), num_classes
        self.num_steps, self.batch_size = steps, batch_size
        self.source, self._seed = source, seed
        self.kind = curriculum
        self.is_random = curriculum != "full"
        self.schedule = Schedule(
            1,
            steps,
            inner_optimizer=inner_optimizer,
            learning_rate=learning_rate,
            learned=learned_rates,
            dtype=self.dtype_policy,
        )
        self.network = network(image_shape=self.image_shape, num_classes=num_classes)
        self.latent_size = self._check_network()
        self._exported = key_of(seed, 0)
        self.latents = self.label_logits = None
        if curriculum != "none":
            numbers = classes.in_turn(steps, batch_size, num_classes)
            self._one_hot = np.eye(num_classes)[numbers]
            start = np.random.default_rng(seed).standard_normal(
                (steps, batch_size, self.latent_size)
            )
            self.latents = self._learned(start, "latents")
        if soft_labels:
            # 0.9 for the given class, as distilled images start.
            logits = np.log(9 * (num_classes - 1)) * self._one_hot
            self.label_logits = self._learned(logits, "label_logits")

    @classmethod
    def of(cls, dataset, **kwargs) -> "Generator":
        """A generator of images like those of a `tfdistill.Dataset`.

        Args:
            dataset: Gives image shape, classes and normalisation.
            **kwargs: Other arguments of the constructor.
        """
        source = DataSource.of(dataset)
        return cls(dataset.image_shape, dataset.num_classes, source=source, **kwargs)

    def _check_network(self):
        network = self.network
        shapes = [tuple(x.shape) for x in getattr(network, "inputs", [])]
        if len(shapes) != 2 or shapes[1] != (None, self.num_classes):
            raise ValueError(
                "The generator's network must have two inputs, [z, labels], with "
                f"labels of shape (None, {self.num_classes}), not {shapes}."
            )
        if tuple(network.output_shape) != (None, *self.image_shape):
            raise ValueError(
                "The generator's network must make images of shape "
                f"{self.image_shape}, not {tuple(network.output_shape[1:])}."
            )
        return shapes[0][1]

    def curriculum(self, seed):
        """Makes the images of all steps, once."""
        latents, labels = self._fed(seed)
        seed = seed if self.is_random else self._exported
        images = self._made(latents, labels, fold_in(seed, Draw.CURRICULUM))
        return Generated(images, labels, self.schedule)

    def _fed(self, seed):
        """Latents and labels of all steps, `[T, batch, ...]`."""
        steps, size = self.num_steps, self.batch_size
        seed = fold_in(seed, Draw.CURRICULUM)
        if self.kind == "none":
            shape = (steps, size, self.latent_size)
            seeds = tf.random.experimental.stateless_split(seed, 2)
            latents = tf.random.stateless_normal(shape, seeds[0], dtype=self.dtype)
            drawn = tf.random.stateless_uniform(
                shape[:2], seeds[1], 0, self.num_classes, tf.int32
            )
            return latents, tf.one_hot(drawn, self.num_classes, dtype=self.dtype)
        labels = tf.constant(self._one_hot, self.dtype)
        if self.label_logits is not None:
            labels = tf.nn.softmax(self.label_logits.value)
        if self.kind == "full":
            return tf.convert_to_tensor(self.latents.value), labels
        if self.kind == "shuffled_batch":
            drawn = tf.random.stateless_uniform([steps], seed, 0, steps, tf.int32)
            return tf.gather(self.latents.value, drawn), tf.gather(labels, drawn)
        drawn = tf.random.stateless_uniform(
            [steps, size], seed, 0, steps * size, tf.int32
        )
        return tuple(
            tf.gather(tf.reshape(x, [-1, x.shape[-1]]), drawn)
            for x in (self.latents.value, labels)
        )

    def _made(self, latents, labels, seed):
        """The images of all steps, differentiable with the memory of one step."""
        network = self.network
        state = [tf.convert_to_tensor(v.value) for v in network.non_trainable_variables]

        def make(t, latents, labels, weights):
            fed = [tf.gather(latents, t), tf.gather(labels, t)]
            drawn = stateless.reseeded(network, state, fold_in(seed, t))
            images, _, penalties = stateless.call(network, weights, drawn, fed, True)
            check_penalties("the generator's network", penalties)
            return tf.cast(images, self.dtype)  # a network of mixed precision's, too

        # A plain tape around the loop would keep the network's activations of every
        # step; this one makes each step's images again.
        @tf.custom_gradient
        def made(latents, labels, *weights):
            images = tf.map_fn(
                lambda t: make(t, latents, labels, weights),
                tf.range(self.num_steps),
                fn_output_signature=tf.TensorSpec(
                    (self.batch_size, *self.image_shape), self.dtype
                ),
                parallel_iterations=1,
            )

            def gradient(upstream):
                sources = [latents, labels, *weights]

                def add(t, totals):
                    with tf.GradientTape(watch_accessed_variables=False) as tape:
                        tape.watch(sources)
                        again = make(t, latents, labels, weights)
                    shares = tape.gradient(
                        again,
                        sources,
                        output_gradients=tf.gather(upstream, t),
                        unconnected_gradients="zero",
                    )
                    return t + 1, [
                        total + tf.convert_to_tensor(share)
                        for total, share in zip(totals, shares)
                    ]

                _, totals = tf.while_loop(
                    lambda t, _: t < self.num_steps,
                    add,
                    (0, [tf.zeros_like(source) for source in sources]),
                    parallel_iterations=1,
                )
                return totals

            return images, gradient

        weights = [tf.convert_to_tensor(v.value) for v in network.trainable_variables]
        return made(latents, labels, *weights)

    def exported_seed(self):
        return self._exported

    @property
    def learning_rates(self) -> tf.Tensor:
        """The rates, float `[1, T]`."""
        return self.schedule.learning_rates

    @property
    def images(self) -> tf.Tensor:
        """The images, float `[T, batch, *image_shape]`; one draw, if random."""
        return self.curriculum(self._exported).images

    @property
    def labels(self) -> tf.Tensor:
        """The labels of `images`, float `[T, batch, classes]`."""
        return self._fed(self._exported)[1]
