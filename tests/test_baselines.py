"""Real images to compare with: what they are, and how their use is tuned."""

import numpy as np
import pytest

import tfdistill
from tfdistill import baselines
from tfdistill.cli import baseline
from tfdistill.data.normalization import Normalization


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


@pytest.fixture(scope="module")
def tiny():
    """Two classes that a threshold tells apart, three and nine images of them."""
    labels = np.repeat([0, 1], [3, 9])
    images = np.random.default_rng(0).normal(labels[:, None, None], 0.1, (12, 4, 4))
    return tfdistill.from_arrays((images, labels), (images, labels))


def raw(dataset, images):
    return dataset.normalization.denormalize(images)


def test_held_out_images_are_not_trained_on(digits):
    whole = tfdistill.load_dataset("digits")
    parts = [digits.train.num_examples, digits.validation.num_examples]
    assert sum(parts) == whole.train.num_examples
    assert parts[1] / sum(parts) == pytest.approx(0.1, abs=0.01)
    seen = {image.tobytes() for image in digits.train.images}
    assert not any(image.tobytes() in seen for image in digits.validation.images)
    assert digits.validation.normalization == digits.train.normalization
    with pytest.raises(ValueError, match="validation split already"):
        digits.hold_out()


def test_random_real_images_are_training_images_of_their_class(digits):
    data = baselines.random_real(digits, images_per_class=2, steps=3, seed=1)
    assert data.images.shape == (3, 20, 8, 8, 1)
    known = {
        np.round(raw(digits, digits.normalization.normalize(image)), 4).tobytes(): label
        for image, label in zip(digits.train.images, digits.train.labels)
    }
    images = np.round(raw(digits, data.images.reshape(-1, 8, 8, 1)), 4)
    labels = data.labels.argmax(-1).reshape(-1)
    assert [known[image.tobytes()] for image in images] == list(labels)
    assert len({image.tobytes() for image in images}) == 60
    other = baselines.random_real(digits, images_per_class=2, steps=3, seed=2)
    assert not np.array_equal(other.images, data.images)


@pytest.mark.parametrize("kind", ["random_real", "k_means"])
def test_sets_of_neighbouring_seeds_are_others(digits, kind):
    weights = tfdistill.RandomWeights()
    flags = ["--workdir=w", f"--kind={kind}", "--steps=3", "--num_sets=3"]
    drawn = []
    for seed in (0, 1):
        c = baseline.COMMAND.parse([*flags, f"--seed={seed}"])
        drawn.append(baseline._draw(c, digits, weights))
    assert len({one.images.tobytes() for sets in drawn for one in sets}) == 6
    alone = getattr(baselines, kind)(digits, steps=3, seed=1)
    np.testing.assert_array_equal(drawn[1][0].images, alone.images)


@pytest.mark.parametrize("kind", ["random_real", "k_means"])
def test_all_bits_of_a_seed_count(tiny, kind):
    draw = getattr(baselines, kind)
    sets = [draw(tiny, steps=2, seed=seed).images for seed in (1, 2**32 + 1)]
    assert not np.array_equal(*sets)


def test_random_real_images_are_those_that_distilled_ones_start_from(digits):
    for size in (4, 10, 13):  # which go on from step to step, or begin anew
        sizes = {"images_per_step": size, "steps": 5, "seed": 3}
        data = baselines.random_real(digits, **sizes)
        start = tfdistill.DistilledImages.from_real(digits, **sizes)
        np.testing.assert_array_equal(data.images, start.images)
        np.testing.assert_array_equal(data.labels, start.labels)
    with pytest.raises(ValueError, match="8 images in all cannot teach 10 classes"):
        baselines.random_real(digits, images_per_step=4, steps=2)


def test_average_real_images_are_class_means(tiny):
    data = baselines.average_real(tiny, images_per_class=2, steps=3)
    assert data.images.shape == (3, 4, 4, 4, 1)
    np.testing.assert_array_equal(data.labels[1].argmax(-1), [0, 1, 0, 1])
    for label in (0, 1):
        mean = tiny.train.images[tiny.train.labels == label].mean(0)
        for step in range(3):
            for image in data.images[step, label::2]:
                np.testing.assert_allclose(raw(tiny, image), mean, atol=1e-5)


def test_herded_images_follow_the_mean_of_their_class(tiny, digits):
    data = baselines.herding(digits, images_per_class=2, steps=3)
    assert data.images.shape == (3, 20, 8, 8, 1)
    for label in range(10):
        rows = digits.train.of_class(label).reshape(-1, 64)
        mine = data.images[:, label::10].reshape(-1, 64)
        left = list(rows)
        for number in range(6):
            # The definition, in full: the mean with each of the images that are left.
            means = [np.mean([*mine[:number], row], 0) for row in left]
            best = int(np.argmin(np.linalg.norm(means - rows.mean(0), axis=1)))
            np.testing.assert_allclose(mine[number], left.pop(best), atol=1e-6)
    with pytest.raises(ValueError, match="needs 4 images of each class"):
        baselines.herding(tiny, steps=4)


def test_herding_follows_features_that_are_given(tiny):
    def brightest(images):
        return images.max((1, 2))

    of = tiny.train.of_class(1)
    light = brightest(of)[:, 0]
    (first, *_) = baselines.herding(tiny, steps=1, features=brightest).images[0, 1:]
    nearest = of[np.abs(light - light.mean()).argmin()]
    np.testing.assert_array_equal(first, nearest)
    for wrong in (lambda images: images[:2], lambda images: np.nan * images):
        with pytest.raises(ValueError, match="a finite row for each of 3 images"):
            baselines.herding(tiny, steps=1, features=wrong)


def test_k_means_of_as_many_centroids_as_images_are_the_images(tiny):
    data = baselines.k_means(tiny, steps=3)
    found = raw(tiny, data.images[:, 0])
    images = tiny.train.images[:3]
    distances = np.abs(found[:, None] - images).max((2, 3, 4))
    np.testing.assert_allclose(distances.min(0), 0, atol=1e-5)
    np.testing.assert_allclose(distances.min(1), 0, atol=1e-5)


def test_centroids_are_nearer_to_their_class_than_random_images(digits):
    def distance(data):
        total = 0
        for label in range(10):
            real = digits.train.of_class(label).reshape(-1, 1, 64)
            total += (
                np.linalg.norm(real - data.images[:, label].reshape(1, -1, 64), axis=-1)
                .min(1)
                .mean()
            )
        return total

    means, random = (
        f(digits, steps=5) for f in (baselines.k_means, baselines.random_real)
    )
    assert distance(means) < 0.9 * distance(random)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (baselines.k_means, "class 0 has 3"),
        (baselines.random_real, "class 0 has only 3"),
    ],
)
def test_more_images_than_a_class_has_are_refused(tiny, make, says):
    with pytest.raises(ValueError, match=says):
        make(tiny, images_per_class=2, steps=2)


@pytest.mark.parametrize(
    "make",
    [
        baselines.k_means,
        baselines.random_real,
        baselines.herding,
        baselines.average_real,
    ],
)
def test_an_absent_class_and_bad_counts_are_refused(tiny, make):
    train = tiny.train
    absent = tfdistill.from_arrays(
        (train.images, train.labels), (train.images, train.labels), class_names="abc"
    )
    with pytest.raises(ValueError, match="class c has"):
        make(absent, steps=1)
    with pytest.raises(ValueError, match="steps"):
        make(tiny, steps=0)


def test_tuning_finds_the_rate_and_the_epochs_that_teach(digits):
    sets = [baselines.random_real(digits, steps=3, seed=seed) for seed in range(2)]

    def tuned(**kwargs):
        return baselines.tune(sets, "linear", digits.validation, **kwargs)

    for data in tuned(rates=(1e-7, 0.1), epochs=(1, 4)):
        np.testing.assert_allclose(data.learning_rates, np.full((4, 3), 0.1), rtol=1e-6)
        assert data.provenance["rates"] == "0.1 x 4 epochs"
    learned = np.full((2, 3), 0.05)
    (first, _) = tuned(rates=(1e-7,), epochs=(1,), learned=learned)
    np.testing.assert_allclose(first.learning_rates, learned)
    assert first.provenance["rates"] == "learned"
    np.testing.assert_array_equal(first.images, sets[0].images)
    with pytest.raises(ValueError, match="3"):
        tuned(learned=np.ones((2, 4)))


def test_tuning_keeps_other_hyperparameters_at_any_number_of_epochs(digits):
    momenta = np.array([[0.1, 0.2], [0.3, 0.4]])
    data = baselines.random_real(digits, steps=2).replace(
        learning_rates=np.full((2, 2), 0.1),
        inner_optimizer="momentum",
        hyperparameters={"momentum": momenta},
    )

    def tuned(**kwargs):
        kwargs = {"rates": (1e-7,), "num_students": 1, **kwargs}
        return baselines.tune([data], "linear", digits.validation, **kwargs)[0]

    longer, shorter = tuned(epochs=(3,)), tuned(epochs=(1,))
    np.testing.assert_allclose(longer.momenta, momenta[[0, 1, 1]])
    np.testing.assert_allclose(shorter.momenta, momenta[:1])
    learned = tuned(epochs=(1,), learned=np.full((4, 2), 0.1))
    assert learned.provenance["rates"] == "learned"
    np.testing.assert_allclose(learned.momenta, momenta[[0, 1, 1, 1]])


def test_sets_for_other_fixed_weights_are_not_tested_together(digits):
    first = baselines.random_real(digits, steps=1)
    start = tfdistill.students.linear(digits.image_shape, 10).get_weights()
    fixed = first.replace(initial_weights=start)
    other = first.replace(initial_weights=[2 * weights + 1 for weights in start])
    for sets in ([first, fixed], [fixed, first], [fixed, other]):
        for tested, images in (
            (tfdistill.evaluate, digits.test),
            (baselines.tune, digits.validation),
            (baselines.optimized_real, digits.train),
        ):
            with pytest.raises(ValueError, match="same fixed initial weights, or all"):
                tested(sets, "linear", images)
    again = fixed.replace(initial_weights=[np.array(w) for w in start])
    assert tfdistill.evaluate([fixed, again], "linear", digits.test, 2).num_students
    few = {"num_images": 50, "keep": 1, "initial_weights": tfdistill.RandomWeights()}
    sets = [first, fixed]
    assert len(baselines.optimized_real(sets, "linear", digits.train, **few)) == 2


def test_optimized_real_keeps_what_teaches_best(digits):
    good = [
        baselines.random_real(digits, steps=3, seed=seed).replace(
            learning_rates=np.full((4, 3), 0.1)
        )
        for seed in range(2)
    ]
    # Their labels are wrong: nobody learns digits from them.
    bad = [data.replace(labels=np.roll(data.labels, 1, -1)) for data in good * 2]
    kept = baselines.optimized_real(
        [*bad, *good],
        "linear",
        digits.train,
        keep=1 / 3,
        num_students=2,
        num_images=500,
    )
    assert len(kept) == 2
    assert all(np.array_equal(data.labels, good[0].labels) for data in kept)
    assert kept[0].provenance["score"] >= kept[1].provenance["score"] > 0.5
    with pytest.raises(ValueError, match="keep"):
        baselines.optimized_real(good, "linear", digits.train, keep=0)
    with pytest.raises(ValueError, match="num_images"):
        baselines.optimized_real(good, "linear", digits.train, num_images=0)


def test_optimized_real_tests_on_each_of_so_many_images_once(tiny, monkeypatch):
    tested, evaluate = [], tfdistill.Evaluator.__call__

    def noted(self, data, test, *args, **kwargs):
        tested.append(np.concatenate([images for images, _ in test]))
        return evaluate(self, data, test, *args, **kwargs)

    monkeypatch.setattr(tfdistill.Evaluator, "__call__", noted)
    sets = [baselines.random_real(tiny, steps=1)]
    for count in (5, 100):
        baselines.optimized_real(
            sets, "linear", tiny.train, num_students=1, num_images=count
        )
    assert [len(np.unique(images, axis=0)) for images in tested] == [5, 12]
    assert [len(images) for images in tested] == [5, 12]


def test_sets_are_chosen_on_images_that_are_normalised_as_theirs(digits):
    def split(part):
        return part.images // 3, part.labels

    dim = tfdistill.from_arrays(split(digits.train), split(digits.test)).hold_out(0.1)
    assert dim.normalization != digits.normalization
    data = baselines.random_real(digits, steps=3)
    few = {"num_students": 2, "seed": 3}
    only = {"rates": [0.1], "epochs": [3], **few}
    (tuned,) = baselines.tune([data], "linear", dim.validation, **only)
    result = tfdistill.evaluate(tuned, "linear", dim.validation, **few)
    assert tuned.provenance["accuracy_on_them"] == result.accuracy_mean
    (best,) = baselines.optimized_real([tuned], "linear", dim.train, **few)
    result = tfdistill.evaluate(tuned, "linear", dim.train, **few)
    assert best.provenance["score"] == result.accuracy_mean


def test_nearest_neighbours(digits, tiny):
    sets = [baselines.k_means(digits, steps=5, seed=seed) for seed in range(2)]
    best = baselines.NearestNeighbours.tuned(sets, digits.validation)
    result = best.evaluate(sets, digits.test)
    assert result.num_students == 2 and result.accuracy_mean > 0.95
    np.testing.assert_allclose(result.losses, 1 - result.accuracies)
    data = baselines.random_real(tiny, steps=1)
    perfect = baselines.NearestNeighbours(1).evaluate([data], tiny.test)
    assert perfect.accuracy_mean == 1
    with pytest.raises(ValueError, match="between 1 and the 2 images"):
        baselines.NearestNeighbours(3).evaluate([data], tiny.test)
    with pytest.raises(ValueError, match="between 1 and the 2 images"):
        baselines.NearestNeighbours.tuned([data], tiny.test, ks=(3, 5))


def test_neighbours_in_sets_of_other_normalisations_are_refused(tiny):
    other = Normalization((0.0,), (3.0,), tiny.normalization.scale)
    data = baselines.random_real(tiny, steps=1)
    sets = [data, data.replace(normalization=other)]
    with pytest.raises(ValueError, match="have the same normalization"):
        baselines.NearestNeighbours().evaluate(sets, tiny.test)
    with pytest.raises(ValueError, match="have the same normalization"):
        baselines.NearestNeighbours.tuned(sets, tiny.test, ks=(1,))


@pytest.mark.parametrize(
    ("k", "metric", "found"), [(1, "l1", 1), (1, "l2", 0), (3, "l1", 1), (3, "l2", 1)]
)
def test_neighbours_vote_by_their_distance(k, metric, found):
    """Of (0, 0) another image is the nearest for each distance; most are of class 1."""
    known = np.array([[3, 3], [5, 0], [0, 6]], "float32").reshape(1, 3, 1, 2, 1)
    plain = Normalization((0.0,), (1.0,), 1)
    data = tfdistill.DistilledDataset(
        known,
        np.eye(2)[[[0, 1, 1]]],
        np.ones((1, 1)),
        normalization=plain,
        class_names="ab",
    )
    test = tfdistill.Split(np.zeros((1, 1, 2, 1), "float32"), [found], plain)
    result = baselines.NearestNeighbours(k, metric).evaluate([data], test)
    assert result.accuracy_mean == 1


def test_a_baseline_is_saved_like_distilled_data(digits, tmp_path):
    data = baselines.average_real(digits, steps=2)
    data.save(tmp_path / "average")
    again = tfdistill.DistilledDataset.load(tmp_path / "average")
    np.testing.assert_array_equal(again.images, data.images)
    assert again.provenance["baseline"] == "average_real"


def test_real_data_of_another_number_of_classes(digits):
    """Labels that are in range by chance say nothing of who learned them."""
    two = digits.of_classes([3, 8])
    for made, data in ((digits, two), (two, digits)):
        images = baselines.random_real(made, steps=1)
        says = f"{data.num_classes} classes, but .* have {made.num_classes}"
        with pytest.raises(ValueError, match=says):
            tfdistill.evaluate(images, "linear", data.test, num_students=1)
        with pytest.raises(ValueError, match=says):
            baselines.NearestNeighbours().evaluate([images], data.test)
    # Who gives no number, of images that happen to be of few classes, is not refused.
    few = digits.test.read_labels() < 5
    some = tfdistill.Split(digits.test.images[few], digits.test.labels[few])
    images = baselines.random_real(digits, images_per_class=5, steps=1)
    assert baselines.NearestNeighbours().evaluate([images], some).accuracy_mean > 0.8
