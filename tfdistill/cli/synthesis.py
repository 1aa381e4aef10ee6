"""The flags that say what makes the synthetic batches, and what they name."""

from absl import flags

from tfdistill.cli import common

FLAGS = flags.FLAGS


def define_flags() -> list[str]:
    """Defines the flags; returns their names."""
    flags.DEFINE_enum(
        "synthesizer",
        "images",
        ["images", "generator", "real"],
        "What makes the batches: learned images; a network that is learned, with a "
        "curriculum (a generative teaching network); or, to compare with, real images "
        "at random, whose learning rates alone are learned.",
    )
    flags.DEFINE_enum(
        "curriculum",
        "full",
        ["none", "all_shuffled", "shuffled_batch", "full"],
        "What the generator is fed: fresh noise; learned latents, drawn one by one; "
        "learned batches of them, drawn whole; or those in their order.",
    )
    flags.DEFINE_string(
        "generator",
        "gtn_generator",
        "The generator's network: gtn_generator, with latent size, units and channels "
        "after an @ (the paper's are gtn_generator@128-1024-128), or your own as "
        '"package.module:function", from latents and one-hot labels to images.',
    )
    flags.DEFINE_integer(
        "images_per_class", 1, "Images a class in each step.", lower_bound=1
    )
    flags.DEFINE_integer(
        "images_per_step",
        None,
        "Images in each step, the classes in a cycle, in place of --images_per_class.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "steps",
        10,
        "Batches of images: gradient-descent steps an epoch.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "epochs",
        None,
        "How often networks go through the steps: 3 for images, 1 for a generator and "
        "for real images.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "start",
        "real",
        ["real", "noise", "k_means"],
        "What the images are at first: random training images, noise, or the centroids "
        "of each class.",
    )
    flags.DEFINE_boolean("soft_labels", False, "Whether labels are learned too.")
    flags.DEFINE_enum(
        "inner_optimizer",
        None,
        ["sgd", "momentum", "adam"],
        "How networks take a step: if not given, sgd on images, and momentum on those "
        "of a generator and on real ones.",
    )
    flags.DEFINE_float(
        "learning_rate",
        0.02,
        "The networks' learning rate at first; every step learns its own.",
        lower_bound=1e-8,
    )
    flags.DEFINE_float(
        "momentum",
        0.5,
        "With --inner_optimizer=momentum: the momentum at first; every step learns its "
        "own.",
        lower_bound=0.001,
        upper_bound=0.999,
    )
    return [
        *("synthesizer", "curriculum", "generator", "images_per_class"),
        *("images_per_step", "steps", "epochs", "start", "soft_labels"),
        *("inner_optimizer", "learning_rate", "momentum"),
    ]


def set_defaults() -> None:
    """Fills in what depends on --synthesizer.

    Raises:
        InputError: If two flags don't go together.
    """
    images = FLAGS.synthesizer == "images"
    if FLAGS.epochs is None:
        FLAGS.epochs = 3 if images else 1
    if FLAGS.inner_optimizer is None:
        FLAGS.inner_optimizer = "sgd" if images else "momentum"
    if not images and FLAGS.epochs > 1:
        raise common.InputError(
            f"--epochs={FLAGS.epochs} is for --synthesizer=images; with "
            f"{FLAGS.synthesizer} every step is a batch of its own: give more --steps."
        )
    if FLAGS.synthesizer == "real" and FLAGS.soft_labels:
        raise common.InputError(
            "--soft_labels is for --synthesizer=images and generator, not for real."
        )
    if FLAGS.images_per_step and FLAGS.start == "k_means" and images:
        raise common.InputError(
            "--start=k_means needs --images_per_class, not --images_per_step."
        )


def images_per_step(dataset) -> int:
    """How many images a step has."""
    return FLAGS.images_per_step or FLAGS.images_per_class * dataset.num_classes


def make(dataset):
    """The synthesizer that the flags name, as it is at first.

    Raises:
        ValueError: As of its class.
    """
    import tfdistill
    from tfdistill.inner.optimizers import INNER_OPTIMIZERS
    from tfdistill.studies import baselines
    from tfdistill.synthesizers import generator as generators

    starts = {"learning_rate": FLAGS.learning_rate}
    if FLAGS.inner_optimizer == "momentum":
        starts["momentum"] = FLAGS.momentum
    going: dict = {
        "inner_optimizer": INNER_OPTIMIZERS[FLAGS.inner_optimizer](**starts),
    }
    sizes = {"steps": FLAGS.steps, "seed": FLAGS.seed}
    if FLAGS.synthesizer == "real":
        return tfdistill.RealBatches(
            dataset, batch_size=images_per_step(dataset), **sizes, **going
        )
    going["soft_labels"] = FLAGS.soft_labels
    if FLAGS.synthesizer == "generator":
        return tfdistill.Generator.of(
            dataset,
            batch_size=images_per_step(dataset),
            curriculum=FLAGS.curriculum,
            network=generators.network(FLAGS.generator),
            **sizes,
            **going,
        )
    going["epochs"] = FLAGS.epochs
    if FLAGS.start == "k_means":
        centroids = baselines.k_means(
            dataset, images_per_class=FLAGS.images_per_class, **sizes
        )
        return tfdistill.DistilledImages.from_distilled(centroids, **going)
    start = {
        "real": tfdistill.DistilledImages.from_real,
        "noise": tfdistill.DistilledImages.from_noise,
    }[FLAGS.start]
    return start(
        dataset,
        images_per_class=FLAGS.images_per_class,
        images_per_step=FLAGS.images_per_step,
        **sizes,
        **going,
    )
