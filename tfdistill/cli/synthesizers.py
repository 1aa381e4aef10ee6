"""The flags that say what makes the synthetic batches, and what they name."""

from tfdistill._internal import code
from tfdistill.cli import training
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

_IMAGES = "synthesizers.images:DistilledImages"
_GENERATOR = "synthesizers.generator:Generator"
_GRADIENT_DESCENT = "inner.optimizers.gradient_descent:GradientDescent"
_MOMENTUM = "inner.optimizers.momentum:Momentum"

IMAGES_PER_CLASS = Flag(
    "images_per_class",
    int,
    1,
    "Images of each class in each step.",
    lowest=1,
    library=f"{_IMAGES}.from_real.images_per_class",
)
STEPS = Flag(
    "steps",
    int,
    10,
    "Batches of images; a network takes one step on each in an epoch.",
    lowest=1,
    library=f"{_IMAGES}.from_real.steps",
)
FLAGS = [
    Flag(
        "synthesizer",
        str,
        "images",
        "What makes the batches: learned images; a network that learns to make them; "
        "or real images at random, of which only the rates are learned.",
        choices=("images", "generator", "real"),
    ),
    Flag(
        "curriculum",
        str,
        "full",
        "What a generator is fed: fresh noise; learned latents, drawn one by one; "
        "learned batches, drawn whole; or learned batches in their order.",
        choices=("none", "all_shuffled", "shuffled_batch", "full"),
        library=f"{_GENERATOR}.curriculum",
        table="synthesizers.generator:CURRICULA",
    ),
    Flag(
        "generator",
        str,
        "gtn_generator",
        "The generator's network, also with sizes (gtn_generator@64-256-32), or your "
        "own package.module:function.",
        value="NAME",
        names_code=code.is_named,
    ),
    IMAGES_PER_CLASS,
    Flag(
        "images_per_step",
        int,
        None,
        "Images in each step, its classes in turn; instead of --images_per_class.",
        lowest=1,
        shown="by --images_per_class",
        library=f"{_IMAGES}.from_real.images_per_step",
    ),
    STEPS,
    Flag(
        "epochs",
        int,
        None,
        "Times that a network goes through all steps.",
        lowest=1,
        shown="3; 1 with a generator or real images",
    ),
    Flag(
        "start",
        str,
        "real",
        "Images start as random training images, as noise, or as the centroids of each "
        "class.",
        choices=("real", "noise", "k_means"),
    ),
    Flag(
        "soft_labels",
        bool,
        False,
        "Learn the labels, too.",
        library=f"{_IMAGES}.soft_labels",
    ),
    Flag(
        "centred_labels",
        bool,
        False,
        "Learn the labels as plain numbers, for --objective=least_squares.",
        library=f"{_IMAGES}.centred_labels",
    ),
    Flag(
        "enlarged",
        int,
        1,
        "Store N x N times as many images in the same room, each N times lower and "
        "narrower; networks see them enlarged.",
        lowest=1,
        highest=16,
        library=f"{_IMAGES}.enlarged",
    ),
    Flag(
        "inner_optimizer",
        str,
        None,
        "How a network takes a step.",
        choices=("sgd", "momentum", "adam"),
        shown="sgd for images, else momentum",
        table="inner.optimizers:INNER_OPTIMIZERS",
    ),
    Flag(
        "learning_rate",
        float,
        0.02,
        "Learning rate of each step at first; every step learns its own.",
        lowest=1e-8,
        library=f"{_GRADIENT_DESCENT}.learning_rate",
    ),
    Flag(
        "learned_rates",
        bool,
        True,
        "Learn those rates.",
        library=f"{_IMAGES}.learned_rates",
    ),
    Flag(
        "momentum",
        float,
        0.5,
        "Momentum at first, with --inner_optimizer=momentum; every step learns its "
        "own.",
        lowest=0.001,
        highest=0.999,
        library=f"{_MOMENTUM}.momentum",
    ),
]


def resolve(configuration: Configuration) -> Configuration:
    """Fills in what depends on --synthesizer.

    Raises:
        InputError: If two flags don't go together.
    """
    c = configuration
    images = c.synthesizer == "images"
    if c.epochs is None:
        c = c.replace(epochs=3 if images else 1)
    if c.inner_optimizer is None:
        c = c.replace(inner_optimizer="sgd" if images else "momentum")
    if not images and c.epochs > 1:
        raise InputError(
            f"--epochs={c.epochs} is for --synthesizer=images; with {c.synthesizer} "
            "every step is a batch of its own: give more --steps."
        )
    if c.synthesizer == "real" and c.soft_labels:
        raise InputError(
            "--soft_labels is for --synthesizer=images and generator, not for real."
        )
    if c.synthesizer == "real" and not c.learned_rates:
        raise InputError(
            "--nolearned_rates is for --synthesizer=images and generator: of real "
            "images only the rates are learned; leave it out."
        )
    if not images and (c.centred_labels or c.recipe == "ordinary"):
        flag = "--centred_labels" if c.centred_labels else "--recipe=ordinary"
        raise InputError(f"{flag} is for --synthesizer=images, not {c.synthesizer}.")
    if c.centred_labels and c.soft_labels:
        raise InputError("Labels are either --soft_labels or --centred_labels.")
    if c.centred_labels != (c.objective == "least_squares"):
        raise InputError(
            "--centred_labels and --objective=least_squares need each other."
        )
    if c.enlarged > 1 and not images:
        raise InputError(
            f"--enlarged is for --synthesizer=images, not {c.synthesizer}."
        )
    if c.enlarged > 1 and c.start == "k_means":
        raise InputError("--enlarged is for --start=real and --start=noise.")
    if c.images_per_step and c.start == "k_means" and images:
        raise InputError(
            "--start=k_means needs --images_per_class, not --images_per_step."
        )
    return c


def images_per_step(configuration: Configuration, dataset) -> int:
    """How many images a step has."""
    c = configuration
    return c.images_per_step or c.images_per_class * dataset.num_classes


def make(configuration: Configuration, dataset):
    """The synthesizer of the flags, as it is at first.

    Raises:
        ValueError: If its class refuses the numbers.
    """
    from tfdistill.studies import baselines
    from tfdistill.synthesizers import generator
    from tfdistill.synthesizers.images import DistilledImages
    from tfdistill.synthesizers.real import RealBatches

    c = configuration
    going: dict = {"inner_optimizer": _inner_optimizer(c)}
    sizes = {"steps": c.steps, "seed": c.seed}
    if c.synthesizer == "real":
        return RealBatches(
            dataset, batch_size=images_per_step(c, dataset), **sizes, **going
        )
    going |= {"soft_labels": c.soft_labels, "learned_rates": c.learned_rates}
    if c.synthesizer == "generator":
        return generator.Generator.of(
            dataset,
            batch_size=images_per_step(c, dataset),
            curriculum=c.curriculum,
            network=generator.network(c.generator),
            **sizes,
            **going,
        )
    going |= {
        "epochs": c.epochs,
        "centred_labels": c.centred_labels,
        "enlarged": c.enlarged,
        "recipe": training.recipe(c, dataset.image_shape[-1]),
    }
    if c.start == "k_means":
        centroids = baselines.k_means(
            dataset, images_per_class=c.images_per_class, **sizes
        )
        return DistilledImages.from_distilled(
            centroids, learning_rate=c.learning_rate, **going
        )
    start = DistilledImages.from_real
    if c.start == "noise":
        start = DistilledImages.from_noise
    return start(
        dataset,
        images_per_class=c.images_per_class,
        images_per_step=c.images_per_step,
        **sizes,
        **going,
    )


def _inner_optimizer(configuration):
    """How students take a step, with the hyperparameters that it starts from."""
    from tfdistill.inner.optimizers import INNER_OPTIMIZERS

    kind = INNER_OPTIMIZERS[configuration.inner_optimizer]
    if configuration.inner_optimizer == "momentum":
        return kind(configuration.learning_rate, configuration.momentum)
    return kind(configuration.learning_rate)
