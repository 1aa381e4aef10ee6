"""Images that are stored small and seen large."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import inner, testing
from tfdistill.distilled import untrusted
from tfdistill.inner import enlarging
from tfdistill.testing import measures


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


def made(digits, **options):
    return tfdistill.DistilledImages.from_real(
        digits,
        **{"images_per_class": 2, "steps": 1, "epochs": 1, "enlarged": 2, **options},
    )


def test_four_small_images_take_the_room_of_one(digits):
    small, usual = made(digits), made(digits, enlarged=1)
    assert tuple(small.images.shape) == (1, 80, 4, 4, 1)
    assert small.image_shape == usual.image_shape == (8, 8, 1)
    assert np.prod(small.images.shape) == np.prod(usual.images.shape)
    assert small.batch(0).images.shape == (80, 8, 8, 1)
    noise = tfdistill.DistilledImages.from_noise(digits, steps=2, enlarged=4)
    assert tuple(noise.images.shape) == (2, 160, 2, 2, 1)


def test_enlarging_is_keras_s_bilinear(digits):
    images = tf.random.normal([2, 3, 5, 4, 2])
    found = enlarging.enlarged(images, 3)
    for part, expected in zip(found, images):
        np.testing.assert_allclose(part, tf.image.resize(expected, [15, 12]), atol=1e-5)


def test_meta_gradients_go_through():
    with measures.double_precision():
        rng = np.random.default_rng(0)
        images = tfdistill.DistilledImages(
            rng.standard_normal((2, 6, 2, 2, 1)),
            np.arange(6) % 3,
            3,
            epochs=2,
            enlarged=2,
            learning_rate=0.1,
        )
        problem = measures.problem(images)
        judge = tf.function(lambda: inner.BackGradient()(problem), autograph=False)
        measures.check_derivatives(
            lambda: judge().loss, images.trainable_variables, judge().gradients
        )


def test_small_images_read_for_other_training_images_stay_small(digits, tmp_path):
    """Those have another mean."""
    distilled = tfdistill.Distiller("linear", made(digits)).distilled()
    distilled.save(tmp_path / "mine")
    others = tfdistill.load_dataset("digits").hold_out(0.3)
    read = tfdistill.read_distilled(tmp_path / "mine", others)
    found = tfdistill.compare(
        *({"mine": read}, others),
        **{"architectures": ["linear"], "updates": [1], "rates": [0.01]},
        **{"networks": 2, "choosing": 1, "teacher_epochs": 0, "baselines": []},
    )
    judged = found.sets["mine"]
    assert judged["bytes"] == 4 * 80 * 16 + 80 and judged["images"] == 80
    raw = distilled.normalization.denormalize(distilled.images)
    np.testing.assert_allclose(
        others.normalization.denormalize(read.images), raw, atol=1e-5 * 16
    )


def test_files_hold_the_small_images_and_say_so(digits, tmp_path):
    distilled = tfdistill.Distiller("linear", made(digits)).distilled()
    assert distilled.images.shape == (1, 80, 8, 8, 1)
    assert distilled.num_bytes == 4 * 80 * (16 + 10)
    distilled.save(tmp_path / "data")
    again = tfdistill.DistilledDataset.load(tmp_path / "data")
    assert again.enlarged == 2 and again.image_shape == (8, 8, 1)
    np.testing.assert_array_equal(again.stored_images, distilled.stored_images)
    np.testing.assert_array_equal(again.images, distilled.images)
    changed = again.replace(labels=again.labels[:, ::-1])
    assert changed.enlarged == 2
    card = (tmp_path / "data" / "README.md").read_text()
    assert "80 of 8 x 8 x 1, stored as 4 x 4 x 1" in card
    found: dict = {}
    program = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    reading, _, _ = program.partition("\nbatch = ")
    exec(reading.replace("FOLDER", str(tmp_path / "data")), found)
    np.testing.assert_allclose(found["images"], again.images[0], atol=1e-6)
    distilled.to_npz(tmp_path / "data.npz")
    assert np.load(tmp_path / "data.npz")["images"].shape == (1, 80, 8, 8, 1)
    model = again.train(tfdistill.students.linear(digits.image_shape))
    assert model.output_shape == (None, 10)


def test_it_is_a_synthesizer_like_any_other(digits):
    three = digits.of_classes([0, 1, 2])
    testing.check_synthesizer(lambda: made(three, images_per_class=1))


@pytest.mark.parametrize("factor", [0, 3, 1.5])
def test_factors_must_divide_the_sides(digits, factor):
    with pytest.raises(ValueError, match="enlarged must"):
        made(digits, enlarged=factor)


def test_a_small_file_does_not_ask_for_any_memory(tmp_path):
    digits = tfdistill.load_dataset("digits")
    tfdistill.baselines.random_real(digits, steps=1).save(tmp_path / "distilled")
    content = json.loads((tmp_path / "distilled" / "tfdistill.json").read_text())
    untrusted.check_fields(content)
    with pytest.raises(ValueError, match="enlarged"):
        untrusted.check_fields(content | {"enlarged": 20_000})
    with pytest.raises(ValueError, match="enlarged must be at most 16"):
        tfdistill.DistilledImages.from_real(digits, enlarged=17)
