"""How objects and results look: in a line, in a notebook, and as figures."""

import base64
import html.parser
import re

import descriptors
import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfdistill
from tfdistill import figures


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Everything that has a face, by name."""
    digits = tfdistill.load_dataset("digits").hold_out(0.1)
    data = tfdistill.baselines.random_real(digits, steps=2)
    weights = descriptors.initial_weights(tmp_path_factory.mktemp("pool"))
    synthesizers = {
        name: make()
        for name, (make, _) in descriptors.SYNTHESIZERS.items()
        if not name.startswith("generator")
    }
    return {
        "Dataset": digits,
        "Split": digits.test,
        "DistilledDataset": data,
        "Evaluation": tfdistill.evaluate(data, "linear", digits.test, 2),
        "Pool": weights["pretrained"].pool,
        **weights,
        **descriptors.META_GRADIENTS,
        **{name: objective for name, (objective, _) in descriptors.OBJECTIVES.items()},
        **synthesizers,
    }


class _Checked(html.parser.HTMLParser):
    """HTML in which each element is closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_everything_has_a_face(faces):
    for name, thing in faces.items():
        line = repr(thing)
        assert line.startswith(f"{type(thing).__name__}("), name
        assert "\n" not in line and len(line) < 300 and " object at 0x" not in line
        page = _Checked()
        page.feed(thing._repr_html_())
        assert not page.open and len(thing._repr_html_()) < 50_000


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Dataset", "Dataset('digits', 10 classes of 8 x 8 x 1: train 1,295, "),
        ("Split", "Split(359 examples of 8 x 8 x 1, 10 classes, in memory)"),
        (
            "DistilledDataset",
            "DistilledDataset(20 images of digits of 8 x 8 x 1: 2 s",
        ),
        ("Pool", "Pool(students='2 + 1 held out')"),
        ("attack", "Attack(attack_class=0, target_class=1)"),
        ("back_gradient", "BackGradient()"),
        ("back_gradient, every fourth step kept", "BackGradient(keep_every=4)"),
        ("pretrained, with a new head", "PretrainedWeights(pool=Pool("),
    ],
)
def test_lines(faces, name, line):
    assert repr(faces[name]).startswith(line)


def test_an_evaluation_is_its_headline(faces):
    found = re.fullmatch(
        r"Evaluation\(accuracy \d+\.\d\d ± \d+\.\d\d %, 2 networks\)",
        repr(faces["Evaluation"]),
    )
    assert found


def test_strangers_need_nothing():
    class Mine(tfdistill.Classification):
        def __init__(self, weight, mark="<b>"):
            self.weight, self._mark = weight, mark

    mine = Mine(np.zeros((2, 3), "float32"), mark="<i>")
    assert repr(mine) == "Mine(weight=float32 [2, 3], mark='<i>')"
    assert "<i>" not in mine._repr_html_() and "&lt;i&gt;" in mine._repr_html_()


@pytest.mark.parametrize("shape", [(8, 8, 1), (70, 150, 3), (4, 5, 6), (7,)])
def test_distilled_data_have_pictures(shape):
    data = tfdistill.DistilledDataset(
        np.random.default_rng(0).random((2, 3, *shape)),
        np.eye(3)[None].repeat(2, 0),
        np.ones((1, 2)),
        normalization=tfdistill.Normalization(*[(0.5,) * shape[-1]] * 2, 1.0),
        class_names="abc",
    )
    page = data._repr_html_()
    pictures = re.findall(r"data:image/png;base64,([^']*)'", page)
    assert len(pictures) == 1
    for picture in pictures:
        assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_distillers_summary(capsys):
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.DistilledImages.from_real(digits, steps=2)
    distiller = tfdistill.Distiller("linear", images)
    distiller.summary()
    said = capsys.readouterr().out
    for word in ("linear", "DistilledImages(", "RandomWeights()", "BackGradient()"):
        assert word in said
    assert "1,286" in said  # 2 steps of 10 images of 64 pixels, with 6 rates
    lines = []
    distiller.summary(print_fn=lines.append)
    assert "\n".join(lines) == said.rstrip("\n")


@pytest.mark.parametrize("names", [None, ["$a_{", "of $5"]])
def test_figures(names, tmp_path):
    before = plt.get_fignums()
    classes = [[[8, 2], [1, 9]], [[6, 4], [0, 10]]]
    result = tfdistill.Evaluation.of_confusion(np.array(classes), np.zeros(2))
    drawn = [
        figures.confusion(result, names),
        figures.per_class(result, names),
        figures.comparison({"$x_{": result, "b": result}),
    ]
    assert [t.get_text() for t in drawn[0].axes[0].texts] == ["70", "30", "5", "95"]
    labels = [t.get_text() for t in drawn[1].axes[0].get_yticklabels()]
    assert labels == (names or ["0", "1"])  # the least recognised first
    assert [p.get_width() for p in drawn[2].axes[0].patches] == [82.5, 82.5]
    for number, figure in enumerate(drawn):
        tfdistill.plots.save(figure, tmp_path / f"{number}.png")
    assert plt.get_fignums() == before


def test_figures_of_rates_and_of_other_measures(faces):
    data = faces["DistilledDataset"]
    assert len(figures.rates(data).axes[0].lines) == 3
    with pytest.raises(ValueError, match="one of learning_rate, not 'momentum'"):
        figures.rates(data, "momentum")
    with pytest.raises(ValueError, match="must hold 10 names, not 1"):
        figures.confusion(faces["Evaluation"], ["a"])
    with pytest.raises(ValueError, match="not none"):
        figures.comparison({})
    plt.close("all")
