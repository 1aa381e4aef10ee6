"""Adapts a model of your own to new images, by ten of them that are distilled.

    python examples/own_model.py

The model is plain Keras with batch norm, trained elsewhere and saved as `.keras`; here
it knows the built-in digits, and meets them moved by a pixel. It takes normalised
images and gives logits.
"""

import numpy as np

import tfdistill  # before keras and tensorflow: it sets flags for speed

import keras  # isort: skip

# What happened elsewhere.
digits = tfdistill.load_dataset("digits")
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
batches = digits.train.batch(64, shuffle=True, repeat=True)
model.fit(batches, steps_per_epoch=22, epochs=10, shuffle=False, verbose=2)
model.save("mine.keras")

# The new images: any arrays, of which a fifth is kept for the test.
images = np.concatenate([digits.train.images, digits.test.images])
labels = np.concatenate([digits.train.labels, digits.test.labels])
moved = tfdistill.from_arrays((np.roll(images, 1, axis=2), labels))
_, before = keras.models.load_model("mine.keras").evaluate(moved.test.batch(1000))

# One image a class, in one step that is taken three times.
distiller = tfdistill.Distiller(
    student="mine.keras",
    synthesizer=tfdistill.DistilledImages.from_real(moved, steps=1, epochs=3),
    initial_weights=tfdistill.FixedWeights(),
)
distiller.compile(keras.optimizers.Adam(0.02, beta_1=0.5))
batches = moved.train.batch(256, shuffle=True, repeat=True)
distiller.fit(batches, steps_per_epoch=50, epochs=4, verbose=2)

# The images, the rates, and how to train on them: model.fit, that is all.
distilled = distiller.distilled()
distilled.save("distilled", overwrite=True)
adapted = distilled.train(keras.models.load_model("mine.keras"))
adapted.compile(loss=loss, metrics=["accuracy"])
_, after = adapted.evaluate(moved.test.batch(1000))
print(f"Accuracy on the moved digits: {before:.3f} before, {after:.3f} after.")
