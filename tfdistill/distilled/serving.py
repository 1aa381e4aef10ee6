"""The layer by which an exported network normalises raw images."""

import keras

from tfdistill.data.normalization import Normalization


@keras.saving.register_keras_serializable("tfdistill", "_Normalize")
class Normalize(keras.layers.Layer):
    """Normalises raw images.

    Args:
        normalization: A `Normalization`, or its config.
    """

    def __init__(self, normalization, **kwargs):
        super().__init__(**kwargs)
        if isinstance(normalization, dict):
            normalization = Normalization.from_config(normalization)
        self.normalization = normalization

    def call(self, images):
        return self.normalization.normalize(images)

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, "float32")

    def get_config(self):
        config = {"normalization": self.normalization.to_config()}
        return {**super().get_config(), **config}
