"""Everything that ships and that a `Distiller` takes, once: the batteries run over it.

Whoever adds a meta-gradient, an inner optimizer, a synthesizer, an objective or initial
weights to the library adds a line here.
"""

import functools

import keras
import numpy as np

import tfdistill
from tfdistill import inner
from tfdistill.studies import linear
from tfdistill.testing import measures

META_GRADIENTS = {
    "back_gradient": inner.BackGradient(),
    "back_gradient, judged on the way": inner.BackGradient(judgements=3),
    "back_gradient, every fourth step kept": inner.BackGradient(keep_every=4),
    "full_unroll": inner.FullUnroll(judgements=2),
    "ridge": inner.RidgeRegression(penalty=1e-2),
    "ridge, mirrored and with a margin": inner.RidgeRegression(
        penalty=1e-1, mirrored=True, margin=0.5
    ),
}

INNER_OPTIMIZERS = {
    "sgd": inner.GradientDescent(learning_rate=0.1),
    "momentum": inner.Momentum(learning_rate=0.1, momentum=0.6),
    "adam": inner.Adam(learning_rate=0.01),
}

OBJECTIVES = {
    "classification": (tfdistill.Classification(), False),
    "attack": (tfdistill.Attack(0, 1), False),
    "least_squares": (tfdistill.LeastSquares(), False),
    "regression": (tfdistill.Regression(), True),
}


def initial_weights(folder):
    """All of them; those of a pool are read from a folder that is made here."""
    paths = []
    for number in range(3):
        paths.append(str(folder / f"{number}.weights.h5"))
        measures.small_student(seed=number).save_weights(paths[-1])
    pool = tfdistill.Pool.of_files(paths[:2], paths[2:])
    return {
        "random": tfdistill.RandomWeights(),
        "learning": tfdistill.LearningStudents(size=3, max_age=4),
        "fixed": tfdistill.FixedWeights(),
        "fixed, of a pool": tfdistill.FixedWeights(pool, 1),
        "pretrained": tfdistill.PretrainedWeights(pool),
        "pretrained, with a new head": tfdistill.PretrainedWeights(pool, new_head=True),
    }


@functools.cache
def digits():
    """The embedded data set, without the examples of most classes."""
    return tfdistill.load_dataset("digits").of_classes([0, 1, 2])


def small_generator(image_shape, num_classes):
    z, labels = keras.Input((4,)), keras.Input((num_classes,))
    x = keras.layers.Concatenate()([z, labels])
    x = keras.layers.Dense(6, "tanh")(x)
    x = keras.layers.Dense(int(np.prod(image_shape)))(x)
    return keras.Model([z, labels], keras.layers.Reshape(image_shape)(x))


def generator(curriculum, **kwargs):
    keras.utils.set_random_seed(1)
    options = {"steps": 3, "batch_size": 6, "network": small_generator, **kwargs}
    return tfdistill.Generator.of(digits(), curriculum=curriculum, **options)


#: Functions that make one, with the objective that students learn by.
SYNTHESIZERS = {
    "images, from real ones": (
        lambda: tfdistill.DistilledImages.from_real(digits(), steps=2, epochs=2),
        tfdistill.Classification(),
    ),
    "images, from noise, with soft labels": (
        lambda: tfdistill.DistilledImages.from_noise(
            digits(), steps=2, epochs=1, soft_labels=True, inner_optimizer="momentum"
        ),
        tfdistill.Classification(),
    ),
    "images, with centred labels": (
        lambda: tfdistill.DistilledImages.from_real(
            digits(), steps=2, epochs=1, centred_labels=True, learned_rates=False
        ),
        tfdistill.LeastSquares(),
    ),
    "images, with a recipe": (
        lambda: tfdistill.DistilledImages.from_real(
            digits(), steps=1, epochs=1, recipe=tfdistill.OrdinaryTraining(updates=3)
        ),
        tfdistill.Classification(),
    ),
    **{
        f"generator, curriculum {name}": (
            functools.partial(generator, name, soft_labels=name != "none"),
            tfdistill.Classification(),
        )
        for name in ("none", "all_shuffled", "shuffled_batch", "full")
    },
    "real batches": (
        lambda: tfdistill.RealBatches(digits(), steps=3, batch_size=6),
        tfdistill.Classification(),
    ),
    "points of the linear case": (
        lambda: linear.DistilledPoints(
            np.random.default_rng(0).standard_normal((4, 5)), np.arange(4.0)
        ),
        tfdistill.Regression(),
    ),
}
