"""Searches on digits: what is ranked, resumed, compared, kept and refused."""

import contextlib
import dataclasses
import functools
import json
import math
import re
import signal
import sys
import time

import commands
import keras
import numpy as np
import pytest
from search_spaces import never, widths

import tfdistill
from tfdistill import architecture_search, architecture_spaces, baselines
from tfdistill.cli import search, search_data
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError
from tfdistill.data.split import Split
from tfdistill.studies.architecture_search import oracles
from tfdistill.studies.architecture_search.search import Candidate, Search

keras_tuner = pytest.importorskip("keras_tuner")

SHAPE, CLASSES = (8, 8, 1), 10


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


@pytest.fixture(scope="module")
def distilled(digits):
    real = baselines.random_real(digits, images_per_class=2, steps=4)
    return real.replace(learning_rates=np.full((5, 4), 0.1))


@pytest.fixture(scope="module")
def folder(distilled, tmp_path_factory):
    """What `tfdistill distill` would have left, of other flags than the usual ones."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    made = {"load": {"dataset": "digits"}, "flags": "--seed=0\n--validation=0.2\n"}
    distilled.replace(provenance=made).save(folder / "distilled")
    return folder


def deep(hp, image_shape, num_classes):
    """Half of the networks don't fit images of 8 x 8."""
    depth = hp.Int("depth", 1, 4)
    width = hp.Choice("width", [2, 3, 4])
    layers = [keras.layers.Conv2D(width, 4) for _ in range(depth)]
    return keras.Sequential(
        [
            keras.Input(image_shape),
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ]
    )


def branching(hp, image_shape, num_classes):
    kind = hp.Choice("kind", ["plain", "hidden"])
    layers = []
    with hp.conditional_scope("kind", ["hidden"]):
        if kind == "hidden":
            layers.append(keras.layers.Dense(hp.Choice("units", [8, 9])))
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            *layers,
            keras.layers.Dense(num_classes),
        ]
    )


@pytest.mark.parametrize("space", architecture_spaces.SPACES)
def test_spaces_make_different_networks_that_survive_a_file(space, tmp_path):
    images = np.random.default_rng(0).standard_normal((2, 16, 16, 1), "float32")
    sizes = set()
    for number in range(2):
        model = tfdistill.students.build(f"{space}@{number}", (16, 16, 1), CLASSES)
        sizes.add(model.count_params())
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(model(images), again(images), atol=1e-5)
    assert len(sizes) == 2


def test_small_convnets_are_as_many_as_they_say():
    def build(hp):
        return architecture_spaces.small_convnets(hp, SHAPE, CLASSES)

    space = {c.name: c for c in oracles.choices(build, seed=0).space}
    depths = space.pop("depth")
    others = math.prod(len(choice.values) for choice in space.values())
    single = others // len(space["growth"].values)
    deeper = (depths.max_value - depths.min_value) * others
    said = architecture_spaces.small_convnets.__doc__
    assert f"networks: {single + deeper:,} of them" in said
    assert f"There are {others + deeper:,} choices" in said

    def layers(growth):
        model = oracles.model_of(build, {"depth": 1, "growth": growth})
        configs = [layer.get_config() for layer in model.layers]
        return [{**config, "name": ""} for config in configs], model.count_params()

    assert layers(1) == layers(2)


def test_cells_are_two_cells_of_five_nodes_with_eleven_operations():
    choices = oracles.choices(
        lambda hp: architecture_spaces.cells(hp, SHAPE, CLASSES), seed=0
    )
    assert len(architecture_spaces.OPERATIONS) == 11
    by_name = {c.name: c for c in choices.space}
    assert len(by_name) == 2 * 5 * 2 * 2
    for kind in ("normal", "reduction"):
        for node in range(5):
            for side in "ab":
                operation = by_name[f"{kind}_{node}{side}_operation"]
                assert tuple(operation.values) == architecture_spaces.OPERATIONS
                state = by_name[f"{kind}_{node}{side}_input"]
                assert (state.min_value, state.max_value) == (0, node + 1)


@pytest.mark.parametrize("operation", architecture_spaces.OPERATIONS)
def test_every_operation_works_in_both_cells(operation):
    values = {
        f"{kind}_{node}{side}_operation": operation
        for kind in ("normal", "reduction")
        for node in range(5)
        for side in "ab"
    }
    model = oracles.model_of(
        lambda hp: architecture_spaces.cells(hp, (7, 9, 3), CLASSES, channels=2),
        values,
    )
    assert model(np.zeros((1, 7, 9, 3), "float32")).shape == (1, CLASSES)


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_cells_are_made_of_unused_nodes_and_reductions_double_the_channels():
    # What each node takes: the inputs of the cell are 0 and 1, its nodes 2 to 6.
    taken = [(0, 1), (2, 0), (1, 1), (3, 0), (0, 0)]
    values = {
        f"{kind}_{node}{side}_input": state
        for kind in ("normal", "reduction")
        for node, states in enumerate(taken)
        for side, state in zip("ab", states)
    }
    model = oracles.model_of(
        lambda hp: architecture_spaces.cells(hp, SHAPE, CLASSES, channels=4), values
    )
    cells = [x.output for x in layers_of(model, keras.layers.Concatenate)]
    # The last three nodes, of as many channels each.
    shapes = [(8, 8, 12), (4, 4, 24), (4, 4, 24), (2, 2, 48), (2, 2, 48)]
    assert [tuple(x.shape[1:]) for x in cells] == shapes
    images = np.random.default_rng(0).standard_normal((2, *SHAPE), "float32")
    made = keras.Model(model.input, cells)(images)
    for normal in made[::2]:
        # Of inputs x and y and the identity: 2 y, 3 x + y, and 2 x.
        third, fourth, fifth = np.split(np.asarray(normal), 3, axis=-1)
        np.testing.assert_allclose(fourth, 1.5 * fifth + 0.5 * third, atol=1e-5)
        assert np.abs(third - fifth).max() > 0.1
    (pooled,) = layers_of(model, keras.layers.GlobalAveragePooling2D)
    assert pooled.input.shape[1:] == shapes[-1]


def small_convnet(**values):
    return oracles.model_of(
        lambda hp: architecture_spaces.small_convnets(hp, SHAPE, CLASSES), values
    )


@pytest.mark.parametrize(
    ("norm", "zero"),
    [
        ("none", []),
        ("batch", [(0, 1, 2)]),
        ("instance", [(1, 2), (0, 1, 2), (1, 2, 3)]),
        ("layer", [(1, 2, 3)]),
    ],
)
def test_norms_of_small_convnets(norm, zero):
    """Over which axes the numbers before the activations have a mean of 0."""
    model = small_convnet(norm=norm, depth=2)
    activations = layers_of(model, keras.layers.Activation)
    assert len(activations) == 2
    images = np.random.default_rng(0).standard_normal((3, *SHAPE), "float32")
    inner = keras.Model(model.input, [x.input for x in activations])
    for numbers in inner(1 + images, training=True):
        means = {
            axes: np.abs(np.mean(numbers, axes)).max()
            for axes in [(1, 2), (0, 1, 2), (1, 2, 3)]
        }
        assert [axes for axes, mean in means.items() if mean < 1e-3] == zero, means
        if zero:
            np.testing.assert_allclose(np.std(numbers, zero[0]), 1, rtol=0.02)


@pytest.mark.parametrize(
    ("pooling", "kind", "strides"),
    [
        ("max", keras.layers.MaxPooling2D, (1, 1)),
        ("average", keras.layers.AveragePooling2D, (1, 1)),
        ("stride", None, (2, 2)),
    ],
)
def test_small_convnets_are_what_is_chosen(pooling, kind, strides):
    chosen = {"width": 8, "growth": 2, "kernel": 5, "activation": "tanh", "dense": 32}
    model = small_convnet(depth=3, pooling=pooling, **chosen)
    convolutions = layers_of(model, keras.layers.Conv2D)
    assert [x.filters for x in convolutions] == [8, 16, 32]
    assert {(x.kernel_size, x.strides) for x in convolutions} == {((5, 5), strides)}
    pools = layers_of(model, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D))
    assert [type(x) for x in pools] == [kind] * 3 * bool(kind)
    (flat,) = layers_of(model, keras.layers.Flatten)
    assert flat.input.shape[1:] == (1, 1, 32)
    hidden, last = layers_of(model, keras.layers.Dense)
    assert (hidden.units, last.units) == (32, CLASSES)
    found = [x.activation for x in (*layers_of(model, keras.layers.Activation), hidden)]
    assert found == [keras.activations.tanh] * 4
    assert last.activation is keras.activations.linear


@pytest.mark.parametrize(
    "space", ["small_convnets", pytest.param("cells", marks=pytest.mark.slow)]
)
def test_candidates_can_be_students_of_a_distiller(space, digits):
    name = f"{space}@13"  # one of the smaller
    assert tfdistill.students.name_of(name) == name
    first, again = (tfdistill.students.build(name, SHAPE, CLASSES) for _ in range(2))
    assert first.count_params() == again.count_params()
    distiller = tfdistill.Distiller(
        name, tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    )
    distiller.compile(students_per_step=1)
    before = distiller.distilled().images
    distiller.fit(digits.train.batch(64), steps_per_epoch=1, epochs=1, verbose=0)
    assert np.abs(distiller.distilled().images - before).max() > 1e-4


@pytest.mark.parametrize(
    ("oracle", "students"), [("random", 1), ("bayesian", 1), ("hyperband", 3)]
)
def test_a_search_that_goes_on_does_what_an_undisturbed_one_does(
    oracle, students, digits, distilled, tmp_path
):
    def search(folder):
        return Search(
            widths,
            distilled,
            digits,
            tmp_path / folder,
            oracle=oracle,
            num_students=students,
        )

    whole = search("whole")
    whole.explore(5)
    search("parts").explore(2)
    parts = search("parts")
    trained = []
    parts.explore(5, trained.append)
    assert len(parts.ranking) == len(whole.ranking) == 5
    for one, other in zip(whole.candidates, parts.candidates):
        assert one.values == other.values
        assert one.accuracies == pytest.approx(other.accuracies, abs=0.02)
    if oracle != "hyperband":
        assert len(trained) == 3  # those that were known cost nothing
    else:
        counts = {len(c.accuracies) for c in parts.candidates}
        assert max(counts) == 3 and min(counts) == 1
    standings = [(len(c.accuracies), c.score) for c in whole.ranking]
    assert standings == sorted(standings, reverse=True)


def test_hyperband_ranks_the_tested_above_the_lucky(digits, distilled, tmp_path):
    options = {"oracle": "hyperband", "num_students": 3}
    search = Search(widths, distilled, digits, tmp_path, **options)
    search.candidates.extend(
        Candidate({"width": k}, 1, found, 1.0, real_accuracy=real, real_seconds=2.0)
        for k, (found, real) in enumerate(
            [([0.9], 0.5), ([0.7] * 3, 0.8), ([0.8], 0.4), ([0.75] * 3, 0.9)]
        )
    )
    assert [c.values["width"] for c in search.ranking] == [3, 1, 0, 2]
    agreement = search.agreement(top=1)
    assert agreement.spearman == pytest.approx(1) and agreement.overlap == 1
    lines = architecture_search.table(search.ranking).splitlines()
    assert lines[0].startswith("| rank | networks | distilled data |")
    assert lines[2].startswith("| 1 | 3 | 75.00 % |")
    assert lines[4].startswith("| 3 | 1 | 90.00 % |")
    assert {line.count("|") for line in lines} == {8}


def test_hyperband_forgets_what_came_later(digits, distilled, tmp_path, monkeypatch):
    """Networks that are worse than the first ones, or cannot be trained: both rungs."""

    def space(hp, image_shape, num_classes):
        hp.Int("width", 1, 200)
        return widths(keras_tuner.HyperParameters(), image_shape, num_classes)

    def score(self, candidate, num_students):
        width = candidate.values["width"]
        if num_students == 4 and width % 2:
            candidate.refusal = "too large"
        else:
            first = (200 + width) / 400
            candidate.accuracies = [first, first, 0.0, 0.0][:num_students]

    def search(folder):
        options = {"oracle": "hyperband", "num_students": 4}
        return Search(space, distilled, digits, tmp_path / folder, **options)

    def note(found, candidate):
        known = len(candidate.accuracies), candidate.refusal
        found.append((candidate.values["width"], *known))

    class Killed(Exception):
        pass

    def kill(candidate):
        note(parts, candidate)
        raise Killed

    monkeypatch.setattr(Search, "_score", score)
    whole, parts = [], []
    search("whole").explore(9, functools.partial(note, whole))
    killed = search("killed")
    for _ in whole:  # one more candidate each time
        with contextlib.suppress(Killed):
            killed.explore(9, kill)
    assert parts == whole
    kinds = {(count, refusal is None) for _, count, refusal in whole}
    assert kinds >= {(2, True), (2, False), (4, True)}


def test_passes_by_adam_need_no_rates_that_suit(digits, distilled, tmp_path):
    hopeless = distilled.replace(learning_rates=np.full((1, 4), 1e-6))
    scores = []
    for passes in (None, 20):
        search = Search(widths, hopeless, digits, tmp_path / f"{passes}", passes=passes)
        search.explore(3)
        scores.append([c.score for c in search.ranking])
    assert max(scores[0]) < 0.3 < max(scores[1])
    assert max(scores[1]) > 0.6
    with pytest.raises(ValueError, match="passes must be an integer"):
        Search(widths, distilled, digits, tmp_path / "none", passes=0)


def test_the_better_architectures_are_ranked_first(digits, distilled, tmp_path):
    search = Search(widths, distilled, digits, tmp_path)
    search.explore(100)  # there are but 8
    assert len(search.ranking) == 8
    assert {c.values["width"] for c in search.ranking[-2:]} == {1}
    search.compare(5, epochs=3, batch_size=64)
    known = [c for c in search.ranking if c.real_accuracy is not None]
    assert len(known) == 5
    assert search.ranking[0] in known and search.ranking[-1] in known
    agreement = search.agreement()
    assert agreement.candidates == 5 and agreement.top == 2
    assert agreement.spearman > 0.5
    assert agreement.shortfall >= 0 and agreement.speedup > 0
    again = Search(widths, distilled, digits, tmp_path)
    again.compare(5, 3, pytest.fail, batch_size=64)  # all of it is known
    assert again.agreement() == agreement


def test_results_on_real_data_are_of_one_training(digits, distilled, tmp_path):
    space = functools.partial(widths)  # which has no name
    Search(space, distilled, digits, tmp_path).explore(3)

    def compared(count, epochs, **kwargs):
        search, trained = Search(space, distilled, digits, tmp_path), []
        search.compare(count, epochs, trained.append, **kwargs)
        known = [c for c in search.ranking if c.real_accuracy is not None]
        assert all(c.real_training == known[0].real_training for c in known)
        return len(trained), len(known)

    path = tmp_path / "candidates.json"
    assert compared(3, 1) == (3, 3)
    assert compared(2, 2) == (2, 2)
    assert compared(2, 2) == (0, 2)
    assert compared(1, 2, batch_size=64) == (1, 1)
    assert compared(1, 2, batch_size=64, learning_rate=0.01) == (1, 1)
    # Earlier versions halved the rate of four epochs after each of them.
    for epochs, again in ((2, 0), (4, 1)):
        content = json.loads(path.read_text())
        for candidate in content["candidates"]:
            if told := candidate["real_training"]:
                told.pop("halve_every", None)
                told["epochs"] = epochs
        path.write_text(json.dumps(content))
        assert compared(1, epochs, batch_size=64, learning_rate=0.01) == (again, 1)
    content = json.loads(path.read_text())
    for candidate in content["candidates"]:  # as earlier versions wrote them
        del candidate["real_training"]
    path.write_text(json.dumps(content))
    assert compared(1, 2) == (0, 1)


@pytest.mark.parametrize(
    ("epochs", "halvings"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 0, 1, 1, 2])]
)
def test_the_rate_of_real_data_is_halved_by_thirds(
    digits, distilled, tmp_path, monkeypatch, epochs, halvings
):
    search, recipes = Search(widths, distilled, digits, tmp_path), []

    def noted(make_model, dataset, numbers, recipe, **kwargs):
        recipes.append(recipe)
        return [make_model()]

    monkeypatch.setattr("tfdistill.studies.architecture_search.search.pretrain", noted)
    search.retrained(search.example, epochs, learning_rate=1.0)
    rates = [recipes[0].rate(epoch) for epoch in range(epochs)]
    assert rates == [0.5**number for number in halvings]


def activations(hp, image_shape, num_classes):
    first = [keras.Input(image_shape), keras.layers.Flatten()]
    hidden = keras.layers.Dense(8, hp.Choice("activation", ["relu", "tanh"]))
    return keras.Sequential([*first, hidden, keras.layers.Dense(num_classes)])


def test_no_candidate_goes_on_from_the_weights_of_another(digits, distilled, tmp_path):
    search = Search(activations, distilled, digits, tmp_path / "search")
    one, other = (Candidate({"activation": name}) for name in ("relu", "tanh"))
    backup = tfdistill.Backup(tmp_path / "backup")
    with pytest.raises(TypeError, match="backup"):  # of all candidates
        search.compare(2, 1, backup=backup)
    model = search.retrained(one, 1, batch_size=500, backup=backup)
    with pytest.raises(ValueError, match="another run .its network"):
        search.retrained(other, 1, batch_size=500, backup=backup)
    again = search.retrained(one, 1, batch_size=500, backup=backup)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("most", [5, 15, 26, 1000])
def test_no_more_images_score_than_asked_for(digits, distilled, tmp_path, most):
    search = Search(widths, distilled, digits, tmp_path, score_images=most)
    scored = sum(len(labels) for _, labels in search._scored_on)
    assert most / 2 < scored <= most or scored == len(digits.validation)


def test_candidates_are_scored_in_the_normalization_of_the_set(
    digits, distilled, tmp_path
):
    halves = tfdistill.Normalization((0.5,), (0.5,))
    parts = {
        name: getattr(digits, name).normalized_by(halves, CLASSES)
        for name in ("train", "test", "validation")
    }
    other = dataclasses.replace(digits, **parts, normalization=halves)
    found = Search(widths, distilled, other, tmp_path)
    found.explore(1)
    (candidate,) = found.candidates
    expected = tfdistill.evaluate(
        distilled,
        lambda image_shape, num_classes: found.build(candidate),
        other.validation,
        1,
    )
    assert candidate.accuracies == expected.accuracies.tolist()
    # An earlier version scored them in the normalization of the data set.
    path = tmp_path / "candidates.json"
    content = json.loads(path.read_text())
    del content["settings"]["scored"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="belongs to another search"):
        Search(widths, distilled, other, tmp_path).explore(1)
    content["settings"] = Search(widths, distilled, digits, tmp_path)._settings
    del content["settings"]["scored"]
    path.write_text(json.dumps(content))
    assert len(Search(widths, distilled, digits, tmp_path).candidates) == 1


def test_the_figures_of_an_agreement(digits, distilled, tmp_path):
    search = Search(widths, distilled, digits, tmp_path)
    # In the order of distilled data; the best on real data is the third.
    real = [0.95, 0.9, 0.97, 0.93, 0.8, 0.7]
    search.candidates.extend(
        Candidate(
            {"width": k}, 1, [0.9 - k / 10], 1.0, real_accuracy=a, real_seconds=20.0
        )
        for k, a in enumerate(real)
    )
    agreement = search.agreement(top=2)
    assert agreement.overlap == 0.5  # 0.97 and 0.95 against 0.95 and 0.9
    assert agreement.shortfall == pytest.approx(0.02)
    assert agreement.speedup == pytest.approx(20)
    assert agreement.spearman == pytest.approx(1 - 6 * (1 + 4 + 4 + 1) / (6 * 35))
    assert search.agreement(top=5).top == 3
    with pytest.raises(ValueError, match="top must be an integer of at least 1, not 0"):
        search.agreement(top=0)
    with pytest.raises(ValueError, match="count must be an integer of at least 1"):
        search.compare(0, epochs=1)
    assert search.agreement(top=2) == agreement  # nothing was dropped


def test_what_does_not_fit_is_skipped_and_counted(digits, distilled, tmp_path):
    search = Search(deep, distilled, digits, tmp_path)
    search.explore(4)
    skipped = [c for c in search.candidates if c.refusal is not None]
    assert len(search.ranking) == 4
    assert skipped and all(c.values["depth"] > 2 for c in skipped)
    assert all(c.values["depth"] <= 2 for c in search.ranking)
    assert all(c.refusal and "\n" not in c.refusal for c in skipped)


def of_width(width):
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    return keras.Sequential(layers, name=f"of_width_{width}")


MADE = {}


def made_once(hp, image_shape, num_classes):
    """The same network for each value, whenever it is asked."""
    width = hp.Choice("width", [2, 3])
    return MADE.setdefault(width, of_width(width))


def clearing(hp, image_shape, num_classes):
    keras.utils.clear_session()
    return of_width(hp.Choice("width", [2, 3]))


@pytest.mark.parametrize(
    "space, says", [(made_once, "same layers twice"), (clearing, "clear_session")]
)
def test_a_space_of_which_nothing_can_be_trained_says_why(
    space, says, digits, distilled, tmp_path
):
    search = Search(space, distilled, digits, tmp_path)
    with pytest.raises(ValueError, match=f"None of 2 candidates .*{says}") as error:
        search.explore(2)
    assert "\n" not in str(error.value)


def test_choices_behind_a_condition_are_found(digits, distilled, tmp_path):
    search = Search(branching, distilled, digits, tmp_path)
    search.explore(3)
    assert {c.values.get("units") for c in search.candidates} == {None, 8, 9}


def test_refusals(digits, distilled, tmp_path):
    def refused(*words, space=widths, data=digits, **kwargs):
        with pytest.raises(ValueError) as error:
            Search(space, distilled, data, tmp_path / "new", **kwargs)
        assert all(word in str(error.value) for word in words), str(error.value)
        assert not (tmp_path / "new").exists()

    refused("never", "(8, 8, 1)", "nothing fits here", space=never)
    refused("small_convnet", "small_convnets", "cells", space="small_convnet")
    refused("space 'no_such:thing'", space="no_such:thing")
    refused("oracle", "greedy", "bayesian", oracle="greedy")
    refused("num_students", "1", oracle="hyperband")
    refused("validation", data=tfdistill.load_dataset("digits"))
    refused("10 classes", "has 3", data=digits.of_classes([0, 1, 2]))
    swapped = digits.of_classes([1, 0, *range(2, 10)])
    refused("in another order (1, 0, 2, 3, 4, ...)", data=swapped)

    def no_logits(hp, image_shape, num_classes):
        return widths(hp, image_shape, num_classes + 1)

    refused("11 outputs", space=no_logits)


@pytest.mark.parametrize("name", tfdistill.distilled_names())
def test_a_set_that_ships_can_be_searched_with(name):
    given = {f.name: f.default for group in search.COMMAND.groups for f in group.flags}
    made = tfdistill.load_distilled(name)
    found = search_data.as_distilled(Configuration(given), made)
    # Those that were learned from all training images say 0.
    assert found.dataset == name.partition("/")[0] and found.validation == 0.1


def test_a_seed_of_the_search_ranks_by_no_image_that_was_learned_from(folder):
    made = search_data.load_distilled(folder)
    flags = ["--workdir=w", f"--distilled={folder}", "--seed=1"]
    c, found = search_data.load(search.COMMAND.parse(flags), made)
    assert c.seed == 1 and c.validation == 0.2
    own = tfdistill.load_dataset("digits").hold_out(0.2, seed=0)
    np.testing.assert_array_equal(found.validation.images, own.validation.images)
    for given in ("--validation=0.2", "--validation=0.1"):
        c = search.COMMAND.parse([*flags, given])
        other = pytest.raises(InputError, match="would rank by images that the dist")
        with other if given.endswith("1") else contextlib.nullcontext():
            search_data.as_distilled(c, made)


@pytest.mark.parametrize(
    "flags, says",
    [
        ("--seed=0\n--validation=0.0\n", "was learned from all training images"),
        ("", "does not say which training images"),
        ("--seed=0\n", ""),
    ],
)
def test_a_search_says_if_it_may_rank_by_what_was_learned_from(
    distilled, capsys, flags, says
):
    made = {"load": {"dataset": "digits"}, **({"flags": flags} if flags else {})}
    given = ["--workdir=w", "--distilled=d", "--seed=3"]
    c, found = search_data.load(
        search.COMMAND.parse(given), distilled.replace(provenance=made)
    )
    said = capsys.readouterr().out
    assert says in said and said.count("\n") == bool(says)
    assert c.seed == 3 and c.validation == 0.1
    usual = tfdistill.load_dataset("digits").hold_out(0.1, seed=0)
    np.testing.assert_array_equal(found.validation.images, usual.validation.images)


def test_another_search_in_the_folder_is_refused(digits, distilled, tmp_path):
    Search(widths, distilled, digits, tmp_path).explore(1)
    other = distilled.replace(images=distilled.images + 1)
    with pytest.raises(ValueError, match="another search"):
        Search(widths, other, digits, tmp_path).explore(1)
    for other in (
        distilled.replace(inner_optimizer="adam", hyperparameters={}),
        distilled.replace(objective=tfdistill.LeastSquares()),
    ):
        with pytest.raises(ValueError, match="another search"):
            Search(widths, other, digits, tmp_path).explore(1)
    (tmp_path / "candidates.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Search(widths, distilled, digits, tmp_path).explore(1)


def test_a_search_goes_on_with_as_many_networks_as_are_asked_for(
    digits, distilled, tmp_path
):
    def search(num_students, **options):
        options["num_students"] = num_students
        return Search(widths, distilled, digits, tmp_path, **options)

    search(1).explore(2)
    more, trained = search(2), []
    assert more.ranking == []
    more.explore(2, trained.append)
    assert len(trained) == 2
    assert [len(c.accuracies) for c in more.ranking] == [2, 2]
    with pytest.raises(ValueError, match="num_students must be at least 2 .*not 1"):
        search(1).explore(3)
    for options in ({"oracle": "bayesian"}, {"oracle": "hyperband"}, {"saves": True}):
        with pytest.raises(ValueError, match="another search: .*oracle.*saves"):
            search(2, **options).explore(2)
    path = tmp_path / "candidates.json"
    content = json.loads(path.read_text())
    # As earlier versions wrote it.
    del content["settings"]["oracle"], content["settings"]["saves"]
    del content["candidates"][0]["accuracies"][1]
    path.write_text(json.dumps(content))
    again = search(2, oracle="hyperband")
    assert [len(c.accuracies) for c in again.ranking] == [2, 1]
    again._write()
    with pytest.raises(ValueError, match="another search: .*num_students"):
        search(3, oracle="hyperband").explore(2)


def test_spaces_and_data_of_one_name_are_told_apart(digits, distilled, tmp_path):
    def space(factor):
        def named(hp, image_shape, num_classes):
            hidden = (factor * hp.Choice("width", [2, 4]),)
            return tfdistill.students.mlp(image_shape, num_classes, hidden=hidden)

        return named

    Search(space(1), distilled, digits, tmp_path).explore(1)
    Search(space(1), distilled, digits, tmp_path).explore(1)
    part = digits.validation
    labels = np.roll(part.labels, 1)
    part = Split(part.images, labels, digits.normalization, num_classes=CLASSES)
    halves = tfdistill.Normalization((0.5,), (0.5,))
    parts = {
        name: getattr(digits, name).normalized_by(halves, CLASSES)
        for name in ("train", "test", "validation")
    }
    darker = dataclasses.replace(digits, **parts, normalization=halves)
    others = [
        (space(2), digits),
        (space(1), dataclasses.replace(digits, validation=part)),
    ]
    for other, data in others:
        with pytest.raises(ValueError, match="belongs to another search"):
            Search(other, distilled, data, tmp_path).explore(1)
    of_darker = distilled.replace(normalization=halves)
    with pytest.raises(ValueError, match="belongs to another search"):
        Search(space(1), of_darker, darker, tmp_path).explore(1)
    path = tmp_path / "candidates.json"
    content = json.loads(path.read_text())
    # As earlier versions wrote it.
    for name in ("networks", "images", "normalization", "scored", "learning"):
        del content["settings"][name]
    path.write_text(json.dumps(content))
    assert len(Search(space(1), distilled, digits, tmp_path).candidates) == 1


def test_without_keras_tuner(digits, distilled, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    with pytest.raises(ImportError, match=r"tfdistill\[search\]"):
        Search(widths, distilled, digits, tmp_path)


def start(*arguments, **options):
    return commands.start("search", *arguments, **options)


def finished(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    return output


@pytest.mark.slow
def test_a_killed_search_goes_on(folder, tmp_path):
    workdir = tmp_path / "search"
    flags = [
        f"--workdir={workdir}",
        f"--distilled={folder}",
        "--space=tests.search_spaces:widths",
        "--candidates=5",
        "--real_candidates=3",
        "--real_epochs=1",
        "--retrain_epochs=3",
        "--keep=1",
        "--batch_size=64",
    ]
    process = start(*flags, fresh=True)
    deadline = time.monotonic() + 200
    while not (workdir / "candidates.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = json.loads((workdir / "candidates.json").read_text())["candidates"]
    assert not (workdir / "metrics.json").exists()

    output = finished(start(*flags))
    assert f"Going on after candidate {len(before)}." in output
    after = json.loads((workdir / "candidates.json").read_text())["candidates"]
    # What was known was not measured again.
    assert [c["seconds"] for c in before] == [
        c["seconds"] for c in after[: len(before)]
    ]
    assert len(after) == 5
    assert re.search(r"\d/\d distilled images 5/5 candidates", output)
    assert "| 1 |" in output and "rank correlation" in output

    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["ranked"] == 5 and metrics["skipped"] == 0
    assert metrics["agreement"]["candidates"] == 3
    assert (workdir / "ranking.md").read_text().count("\n") == 2 + 5
    assert (workdir / "images" / "search.png").read_bytes().startswith(b"\x89PNG")
    # The validation part is the one that the distillation did not learn from.
    assert "--validation=0.2" in (workdir / "flags.txt").read_text()
    assert [a["file"] for a in metrics["architectures"]] == ["architecture-1.keras"]
    test = tfdistill.load_dataset("digits").hold_out(0.2).test
    for kept in metrics["architectures"]:
        model = keras.models.load_model(workdir / kept["file"])
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        _, accuracy = model.evaluate(test.batch(100), verbose=0)
        assert accuracy == pytest.approx(kept["test_accuracy"], abs=1e-6)
    assert "finished" in finished(start(*flags))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["--distilled is missing"]),
        (["--distilled=nowhere"], ["nowhere"]),
        (["--distilled=R", "--space=tests.search_spaces:never"], ["none"]),
        (["--distilled=R", "--real_candidates=2"], ["--real_candidates=2", "3"]),
        (
            ["--distilled=R", "--candidates=2", "--real_candidates=3"],
            ["--candidates=2", "at least 3"],
        ),
    ],
)
def test_bad_flags_get_one_sentence(arguments, says, folder, tmp_path):
    arguments = [a.replace("=R", f"={folder}") for a in arguments]
    process = start(f"--workdir={tmp_path / 'search'}", *arguments)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    (line,) = [x for x in errors.splitlines() if x.startswith("tfdistill: ")]
    assert all(text in line for text in says), line
    assert not (tmp_path / "search").exists()


def test_table():
    candidates = [
        Candidate({"width": 3}, 1234, [0.9, 0.8], 1.25, real_accuracy=0.975),
        Candidate({"width": 2}, 99, [0.4, 0.6], 2.0),
    ]
    lines = architecture_search.table(candidates).splitlines()
    assert lines[2] == "| 1 | 85.00 % | 97.50 % | 1,234 | 1.2 | width=3 |"
    assert lines[3] == "| 2 | 50.00 % |  | 99 | 2.0 | width=2 |"


class OwnLayer(keras.layers.Layer):
    def call(self, x):
        return x


class OwnModel(keras.Model):
    def __init__(self, num_classes):
        super().__init__()
        self.flat, self.end = keras.layers.Flatten(), keras.layers.Dense(num_classes)

    def call(self, x):
        return self.end(self.flat(x))


@keras.saving.register_keras_serializable("tests")
class Registered(OwnLayer):
    pass


def space_of(*layers):
    def space(hp, image_shape, num_classes):
        kind = hp.Choice("kind", list(range(len(layers))))
        made = layers[kind]
        if made is OwnModel:
            return OwnModel(num_classes)
        end = [keras.layers.Flatten(), keras.layers.Dense(num_classes)]
        return keras.Sequential([keras.Input(image_shape), made(), *end])

    return space


def double():
    return keras.layers.Lambda(lambda x: 2 * x)


@pytest.mark.parametrize("made", [double, OwnModel])
def test_saving_is_rehearsed_before_anything_is_trained(digits, tmp_path, made):
    data = baselines.random_real(digits, steps=1)

    def search(space, name, **options):
        folder = tmp_path / name
        return architecture_search.Search(space, data, digits, folder, **options)

    with pytest.raises(ValueError, match="cannot be saved as a .keras file.*register"):
        search(space_of(made), "alone", saves=True)
    search(space_of(made), "unsaved")
    both = search(space_of(made, Registered), "both", saves=True)
    both.explore(1)
    assert [c.values["kind"] for c in both.ranking] == [1]
    refused = [c for c in both.candidates if c.refusal]
    assert all("cannot be saved" in c.refusal and not c.accuracies for c in refused)
