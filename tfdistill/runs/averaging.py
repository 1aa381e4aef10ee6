"""The outer optimizer of a run of which only the time is known."""

import keras


class AveragingAdam(keras.optimizers.Adam):
    """Adam, with a moving average over about the last tenth of the steps so far.

    After n steps the average keeps n / (n + 10) of itself, at most `ema_momentum`: as
    much as 1 - 10 / n, which suits a run of n steps, without n being known beforehand.

    Args:
        learning_rate: Of Adam.
        beta_1: Of Adam, in 0..1.
        ema_momentum: The largest share that the average keeps in a step, in 0..1.

    Raises:
        ValueError: If `ema_momentum` is out of range.

    Example:
        >>> import numpy as np
        >>> adam = AveragingAdam(0.01, beta_1=0.5, ema_momentum=0.99)
        >>> _ = adam.iterations.assign(90)
        >>> np.asarray(adam.ema_momentum).round(2)
        np.float32(0.9)
    """

    def __init__(self, learning_rate: float, *, beta_1: float, ema_momentum: float):
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            use_ema=True,
            ema_momentum=ema_momentum,
            name="adam",  # backups hold the same, whichever of the two it is
        )

    @property
    def ema_momentum(self):
        """float32 scalar: the share that the average keeps in the next step."""
        steps = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(steps / (steps + 10), self._most)

    @ema_momentum.setter
    def ema_momentum(self, most):
        self._most = most

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        config = super().get_config()
        rate, beta_1 = config["learning_rate"], config["beta_1"]
        return {"learning_rate": rate, "beta_1": beta_1, "ema_momentum": self._most}
