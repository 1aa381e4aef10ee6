"""Two devices for every test session: the CPU, twice."""

import tfdistill  # noqa: F401  (before TensorFlow: it turns on oneDNN)

import tensorflow as tf  # isort: skip

_CPUS = [tf.config.LogicalDeviceConfiguration()] * 2
# Only possible before TensorFlow has used a device.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], _CPUS
)
