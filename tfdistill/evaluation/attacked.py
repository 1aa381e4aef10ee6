"""Networks under attack: accuracy on images that were changed to mislead them."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfdistill.data.dataset import Dataset
from tfdistill.data.ends import black_and_white


@dataclasses.dataclass(frozen=True)
class PixelAttack:
    """Changes each pixel by a little, along the gradient of the network's loss.

    One step of the whole size is the fast gradient sign method, FGSM (Goodfellow et
    al. 2015); more steps, from a random start, are projected gradient descent, PGD
    (Madry et al. 2018).

    Attributes:
        epsilon: The most that a pixel may change, as a share of its range.
        steps: Number of steps, at least 1.

    Raises:
        ValueError: If a number is out of range.
    """

    epsilon: float = 8 / 255
    steps: int = 1

    def __post_init__(self):
        if not 0 <= self.epsilon <= 1 or self.steps < 1:
            raise ValueError(
                "epsilon must lie in 0..1 and steps be at least 1, not "
                f"{self.epsilon!r} and {self.steps!r}."
            )

    def __call__(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        ends: np.ndarray,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Changes images so that a network mistakes them.

        Args:
            logits: The network.
            images: float `[batch, H, W, C]`, normalised.
            labels: int `[batch]`, the true classes.
            ends: What `pixel_ends` found; no pixel is changed beyond them.
            seed: Of the random start of several steps, int32 `[2]`.

        Returns:
            Changed images, normalised.
        """
        black, white = tf.unstack(tf.cast(ends, images.dtype))
        size = self.epsilon * (white - black)
        # Test images may hold numbers beyond those of the training images.
        low = tf.minimum(images, tf.maximum(images - size, black))
        high = tf.maximum(images, tf.minimum(images + size, white))
        changed, rate = images, size
        if self.steps > 1:
            start = tf.random.stateless_uniform(tf.shape(images), seed, -1.0, 1.0)
            changed = tf.clip_by_value(images + start * size, low, high)
            rate = 2.5 * size / self.steps
        for _ in range(self.steps):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(changed)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels, logits(changed)
                )
            # Of a network that rounds its images there is none.
            gradient = tape.gradient(losses, changed, unconnected_gradients="zero")
            moved = changed + rate * tf.sign(gradient)
            changed = tf.clip_by_value(moved, low, high)
        return changed


def pixel_ends(dataset: Dataset) -> np.ndarray:
    """What black and white are in the real images, as networks see them.

    Args:
        dataset: The real data.

    Returns:
        float32 `[2, C]`, normalised.
    """
    normalization = dataset.normalization
    mean, std = np.float32(normalization.mean), np.float32(normalization.std)
    return (black_and_white(dataset) - mean) / std


def robustness_ratio(clean: float, attacked, worst: float) -> float | None:
    """BEARD's ratio, 1 - (clean - mean attacked) / (clean - worst).

    Args:
        clean: Accuracy without attack.
        attacked: Accuracies under each attack.
        worst: The lowest accuracy under any attack, of all that are compared.

    Returns:
        1 if attacks do nothing, 0 if they all do the worst; None if there is no worst.
    """
    if not clean > worst:
        return None
    return float(1 - (clean - np.mean(attacked)) / (clean - worst))
