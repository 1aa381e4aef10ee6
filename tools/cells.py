"""The cells of the papers' tables and figures: what runs, and what the papers have."""

import dataclasses
import os

# What each budget adds to a flagfile, where it has an effect; "full" adds nothing.
_BUDGETS = {
    "smoke": {
        "pretrain": [
            "--num_students=3",
            "--held_out=1",
            "--side_by_side=3",
            "--epochs=1",
            "--learning_rate=0.001",
        ],
        "distill": [
            "--outer_steps=20",
            "--batch_size=64",
            "--num_students=2",
        ],
        "baseline": ["--num_sets=1", "--num_students=2"],
        "search": [
            "--candidates=4",
            "--num_students=1",
            "--real_candidates=3",
            "--real_epochs=1",
            "--keep=0",
        ],
    },
    "hour": {
        "pretrain": [],
        "distill": ["--batch_size=256", "--num_students=20"],
        "baseline": ["--num_students=20"],
    },
}
# What has no effect beside a line of a flagfile.
_WITHOUT_EFFECT = {
    "--nearest_neighbours": ["--num_students"],
    "--kind=average_real": ["--num_sets"],
    "--kind=none": ["--num_sets"],
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One command of tfdistill with a flagfile, and what the paper has there.

    Attributes:
        name: Its flagfile, under tools/flagfiles, without ".txt".
        title: What the table calls it.
        command: Of tfdistill.
        paper: The paper's figure, as (mean, std) in percent; (mean, None) if it is of
            one network; None if the paper has none.
        hour: Flags for the budget "hour", after the flagfile's.
        learned: The name of a cell whose learned rates are tried, too.
        pool: Of `POOLS`, the one that the cell's students are of.
        ordinary: Whether its images also teach by ordinary training.
        two_cores: Whether its flagfile is for two cores, so that the budget "hour"
            takes it as it is.
    """

    name: str
    title: str
    command: str = "distill"
    paper: tuple[float, float | None] | None = None
    hour: tuple[str, ...] = ()
    learned: str | None = None
    pool: str | None = None
    ordinary: bool = False
    two_cores: bool = False

    def arguments(self, budget: str) -> list[str]:
        """The command and its flags but those of data, folder and seed."""
        arguments = [
            self.command,
            f"--flagfile={os.path.join('tools', 'flagfiles', self.name)}.txt",
        ]
        if budget == "hour" and self.two_cores:
            return arguments
        own = self._flagfile()
        added = _BUDGETS.get(budget, {}).get(self.command, [])
        without = [flag for line in own for flag in _WITHOUT_EFFECT.get(line, ())]
        arguments += [flag for flag in added if flag.partition("=")[0] not in without]
        if budget == "smoke" and any(line.startswith("--updates=") for line in own):
            arguments.append("--updates=20")
        arguments += self.hour if budget == "hour" else ()
        batch, given = _last_batch(own), _last_batch(arguments)
        if batch and given and given > batch:  # a budget is to save time
            arguments.append(f"--batch_size={batch}")
        return arguments

    def _flagfile(self):
        path = os.path.join(os.path.dirname(__file__), "flagfiles", f"{self.name}.txt")
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()


def _last_batch(lines):
    """What the last --batch_size of some flags says; None if there is none."""
    flags = [line.partition("=") for line in lines]
    found = [int(value) for name, _, value in flags if name == "--batch_size"]
    return found[-1] if found else None


#: Table 1 of Wang et al. 2018, in percent.
TABLE_1 = {
    "mnist": {
        "fixed": (96.6, None),
        "random": (79.5, 8.1),
        "random_real": (68.6, 9.8),
        "optimized_real": (73.0, 7.6),
        "k_means": (76.4, 9.5),
        "average_real": (77.1, 2.7),
        "nn_random_real": (71.5, 2.1),
        "nn_k_means": (92.2, 0.1),
    },
    "cifar10": {
        "fixed": (54.0, None),
        "random": (36.8, 1.2),
        "random_real": (21.3, 1.5),
        "optimized_real": (23.4, 1.3),
        "k_means": (22.5, 3.1),
        "average_real": (22.3, 0.7),
        "nn_random_real": (18.8, 1.3),
        "nn_k_means": (29.4, 0.3),
    },
    "fashion_mnist": {},
    "digits": {},
}
# What has no images for networks to learn from.
_WITHOUT_IMAGES = ("nn_random_real", "nn_k_means", "fada", "none")
_TITLES = {
    "fixed": "distilled, fixed initial weights",
    "random": "distilled, random initial weights",
    "random_real": "random real",
    "optimized_real": "optimized real",
    "k_means": "k-means",
    "average_real": "average real",
    "nn_random_real": "k-NN, random real",
    "nn_k_means": "k-NN, k-means",
}
# Networks side by side use the cores best; of fixed weights there is one.
_DISTILLED = {
    "fixed": ("--minutes=20.0",),
    "random": ("--students_per_step=2", "--minutes=8.0"),
}
# AlexCifarNet takes twenty times as long as LeNet: an hour is not enough.
_CIFAR_10 = ("--minutes=120.0",)


def table1(dataset: str) -> list[Cell]:
    """A row of table 1."""
    return [
        Cell(
            f"{dataset}/{name}",
            title,
            "distill" if name in _DISTILLED else "baseline",
            TABLE_1[dataset].get(name),
            _hour(dataset, name),
            # The rates that were learned for random weights are one more candidate.
            learned=None
            if name in (*_DISTILLED, *_WITHOUT_IMAGES)
            else f"{dataset}/random",
            ordinary=name not in _WITHOUT_IMAGES,
        )
        for name, title in _TITLES.items()
    ]


def _hour(dataset, name):
    if name not in _DISTILLED:
        return ()
    return _DISTILLED[name] + (_CIFAR_10 if dataset == "cifar10" else ())


#: Figure 2 by data set: one step on MNIST, ten on CIFAR-10.
FIGURE_2 = {
    "mnist": [
        Cell(
            "mnist/ten_fixed",
            "MNIST, 10 images",
            "distill",
            (93.76, None),
            ("--minutes=14.0",),
        )
    ],
    "cifar10": [
        Cell(
            "cifar10/fixed",
            "CIFAR-10, 100 images",
            "distill",
            (54.03, None),
            _hour("cifar10", "fixed"),
        )
    ],
}


def _today(dataset: str, *sizes: int, folder: str = "today") -> list[Cell]:
    """Cells of data for ordinary training."""
    return [
        Cell(
            f"{folder}/{dataset}_{size}",
            f"{size} image{'s' if size > 1 else ''} a class",
            two_cores=folder == "today",
        )
        for size in sizes
    ]


#: Distilled data of today, by its data set: each is judged beside real images, too.
TODAY = {
    "mnist": [
        *_today("mnist", 1, 10, 50),
        Cell(
            "today/mnist_10_convnet",
            "10 images a class, through ConvNet-3",
            two_cores=True,
        ),
        Cell(
            "today/mnist_10_small",
            "40 small images a class, in the room of 10",
            two_cores=True,
        ),
    ],
    "fashion_mnist": _today("fashion_mnist", 1, 10, 50),
    "cifar10": _today("cifar10", 1, 10),
}
#: The same on a GPU, by wider networks: the budget "full".
TODAY_GPU = {
    "mnist": _today("mnist", 1, 10, 50, folder="today_gpu"),
    "fashion_mnist": _today("fashion_mnist", 10, folder="today_gpu"),
    "cifar10": _today("cifar10", 10, folder="today_gpu"),
}

_BASE = "mnist/random"
#: Cells by the number that is varied, as (number, flagfile).
ABLATION = {
    "steps": [
        (1, "ablation/steps_1"),
        (2, "ablation/steps_2"),
        (5, "ablation/steps_5"),
        (10, _BASE),
        (20, "ablation/steps_20"),
    ],
    "epochs": [
        (1, "ablation/epochs_1"),
        (2, "ablation/epochs_2"),
        (3, _BASE),
        (5, "ablation/epochs_5"),
    ],
    "images a class in each step": [
        (1, _BASE),
        (2, "ablation/images_2"),
        (5, "ablation/images_5"),
    ],
    "steps that 100 images are divided into": [
        (1, "ablation/hundred_1"),
        (2, "ablation/hundred_2"),
        (5, "ablation/hundred_5"),
        (10, _BASE),
    ],
}
# As many outer steps for each, however long they take.
_ABLATION = ("--outer_steps=400", "--students_per_step=2")


def ablation() -> list[Cell]:
    """The cells of all of them, each once."""
    names = dict.fromkeys(name for points in ABLATION.values() for _, name in points)
    return [Cell(name, name.replace("/", ": ", 1), hour=_ABLATION) for name in names]


def _pool(name, title, *hour):
    return Cell(f"pools/{name}", title, "pretrain", hour=hour)


_MNIST_HOUR = ("--epochs=8", "--halve_every=3", "--learning_rate=0.001")
#: Pools of pretrained students, by name.
POOLS = {
    "mnist": _pool(
        "mnist", "MNIST", "--num_students=60", "--held_out=20", *_MNIST_HOUR
    ),
    "usps": _pool(
        "usps",
        "USPS",
        "--num_students=60",
        "--held_out=20",
        "--epochs=40",
        "--halve_every=12",
        "--learning_rate=0.001",
        "--batch_size=256",
    ),
    "svhn": _pool("svhn", "SVHN", "--num_students=40", "--held_out=20", *_MNIST_HOUR),
    "mnist_rgb": _pool(
        "mnist_rgb", "MNIST, RGB", "--num_students=8", "--held_out=2", *_MNIST_HOUR
    ),
    "fashion_mnist": _pool(
        "fashion_mnist",
        "Fashion-MNIST",
        "--num_students=60",
        "--held_out=20",
        *_MNIST_HOUR,
    ),
    **{
        # AlexCifarNet takes three core-minutes an epoch.
        name: _pool(
            name,
            title,
            "--num_students=3",
            "--held_out=1",
            "--side_by_side=1",
            "--epochs=2",
            "--halve_every=1",
            "--learning_rate=0.001",
        )
        for name, title in (
            ("cifar10", "CIFAR-10"),
            ("cifar10_first", "CIFAR-10, classes 0 to 4"),
            ("cifar10_last", "CIFAR-10, classes 5 to 9"),
        )
    },
}

#: Table 2, by source and target, in percent.
TABLE_2 = {
    "mnist_usps": {
        "fixed": (97.9, None),
        "random": (95.4, 1.8),
        "random_real": (94.9, 0.8),
        "optimized_real": (95.2, 0.7),
        "k_means": (92.2, 1.6),
        "average_real": (93.9, 0.8),
        "fada": (96.7, 0.5),
        "none": (90.4, 3.0),
        "full": (97.3, 0.3),
    },
    "usps_mnist": {
        "fixed": (93.2, None),
        "random": (92.7, 1.4),
        "random_real": (87.1, 2.9),
        "optimized_real": (87.6, 2.1),
        "k_means": (85.6, 3.1),
        "average_real": (78.4, 5.0),
        "fada": (89.2, 2.4),
        "none": (67.5, 3.9),
        "full": (98.6, 0.5),
    },
    "svhn_mnist": {
        "fixed": (96.2, None),
        "random": (85.2, 4.7),
        "random_real": (84.6, 2.1),
        "optimized_real": (85.2, 1.2),
        "k_means": (85.8, 1.2),
        "average_real": (74.9, 2.6),
        "fada": (74.0, 1.5),
        "none": (51.6, 2.8),
        "full": (98.6, 0.5),
    },
}
# The pools of the source, and of the target (for the full target set).
_TABLE_2_POOLS = {
    "mnist_usps": ("mnist", "usps"),
    "usps_mnist": ("usps", "mnist"),
    "svhn_mnist": ("svhn", "mnist_rgb"),
}
_TABLE_2_TITLES = {
    "fixed": "distilled, a fixed pretrained student",
    "random": "distilled, random pretrained students",
    "random_real": "random real",
    "optimized_real": "optimized real",
    "k_means": "k-means",
    "average_real": "average real",
    "fada": "FADA",
    "none": "no adaptation",
}
_TABLE_2_HOUR = {
    # A student that is at 97 % needs a meta-gradient with little noise.
    "fixed": ("--batch_size=1024", "--minutes=20.0"),
    "random": ("--students_per_step=2", "--minutes=8.0"),
}


def table2(row: str) -> list[Cell]:
    """A row of table 2: from a source to a target."""
    source, target = _TABLE_2_POOLS[row]
    cells = [
        Cell(
            f"adaptation/{row}/{name}",
            title,
            "distill" if name in _TABLE_2_HOUR else "baseline",
            TABLE_2[row][name],
            _TABLE_2_HOUR.get(name, ()),
            learned=None
            if name in (*_TABLE_2_HOUR, *_WITHOUT_IMAGES)
            else f"adaptation/{row}/random",
            pool=source,
            ordinary=name not in _WITHOUT_IMAGES,
        )
        for name, title in _TABLE_2_TITLES.items()
    ]
    full = dataclasses.replace(
        POOLS[target], title="full target set", paper=TABLE_2[row]["full"]
    )
    return [*cells, full]


#: Table 3, by target, in percent: networks of ImageNet, one image a class, one step.
#: The paper's is AlexNet, ours MobileNetV2. The first rows are ours alone: LeNet, which
#: knows Fashion-MNIST, and AlexCifarNet, which knows half of CIFAR-10's classes.
TABLE_3 = {
    "fashion_mnist_mnist": {},
    "cifar10_halves": {},
    "voc": {
        "fixed": (70.75, None),
        "random_real": (19.41, None),
        "optimized_real": (23.82, None),
        "average_real": (9.94, None),
    },
    "cub": {
        "fixed": (38.76, None),
        "random_real": (7.11, None),
        "optimized_real": (7.23, None),
        "average_real": (2.88, None),
    },
}
# The pools of the source and of the target; networks of ImageNet are not in a pool.
_TABLE_3_POOLS = {
    "fashion_mnist_mnist": ("fashion_mnist", "mnist"),
    "cifar10_halves": ("cifar10_first", "cifar10_last"),
    "voc": (None, None),
    "cub": (None, None),
}
_TABLE_3_HOUR = {
    "fixed": ("--minutes=6.0",),
    "random": ("--students_per_step=2", "--minutes=8.0"),
}
_IMAGENET_HOUR = {"fixed": ("--minutes=50.0",)}


def table3(row: str) -> list[Cell]:
    """A row of table 3: pretrained students and another label set."""
    source, target = _TABLE_3_POOLS[row]
    names = ["fixed", "random", "random_real", "optimized_real"]
    names += ["k_means", "average_real"]
    # Of the one network of ImageNet, and of a class of few images, there are no more.
    left_out = () if source else ("random", "k_means")
    cells = [
        Cell(
            f"finetuning/{row}/{name}",
            _TABLE_2_TITLES[name],
            "distill" if name in _TABLE_3_HOUR else "baseline",
            TABLE_3[row].get(name),
            _TABLE_3_HOUR.get(name, ()) if source else _IMAGENET_HOUR.get(name, ()),
            learned=None
            if name in _TABLE_3_HOUR
            else f"finetuning/{row}/{'random' if source else 'fixed'}",
            pool=source,
            ordinary=True,
        )
        for name in names
        if name not in left_out
    ]
    if not target:
        return cells
    return [*cells, dataclasses.replace(POOLS[target], title="full target set")]


_ATTACK_HOUR = {
    "random": ("--students_per_step=4", "--minutes=10.0"),
    "fixed": ("--minutes=3.0",),
}
#: The attack, by data set. The papers' figures are the share of the attacked class that
#: is called the target class, in percent.
ATTACK = {
    dataset: [
        Cell(
            f"attack/{dataset}_{start}",
            f"{title}, {students}",
            "distill",
            paper if start == "random" else None,
            _ATTACK_HOUR[start],
            pool=dataset,
        )
        for start, students in (
            ("random", "random pretrained students"),
            ("fixed", "a fixed pretrained student"),
        )
    ]
    for dataset, title, paper in (
        ("mnist", "MNIST, 0 to 1", (71.4, 29.6)),
        ("cifar10", "CIFAR-10, plane to car", (45.9, 18.1)),
    )
}

# As many outer steps for each; a judgement sees as many real images as in the flagfile.
_GTN_HOUR = ("--batch_size=64", "--outer_steps=400")
#: Generative teaching networks on MNIST. The papers' figures are those of larger runs:
#: 32 steps of 128 images.
GTN = [
    Cell(f"gtn/mnist_{name}", title, paper=paper, hour=_GTN_HOUR)
    for name, title, paper in (
        ("full", "generator, full curriculum", (98.5, None)),
        ("shuffled_batch", "generator, shuffled batches", (97.4, None)),
        ("all_shuffled", "generator, all shuffled", (96.9, None)),
        ("none", "generator, no curriculum", (95.7, None)),
        ("pixels", "free pixels", None),
        ("real", "real data", None),
    )
]
GTN += [
    Cell(
        f"gtn/mnist_wide{name}",
        f"{title}, 32 x 32 images, wider",
        paper=paper,
        hour=("--batch_size=64", f"--outer_steps={outer_steps}"),
    )
    for name, title, paper, outer_steps in (
        ("", "generator, full curriculum", (98.5, None), 1500),
        ("_pixels", "free pixels", None, 1500),
        # Only rates and momenta are learned.
        ("_real", "real data", None, 500),
    )
]
#: The paper's own recipe, for a GPU.
GTN_PAPER = Cell("gtn/mnist_paper", "generator, 32 x 128 images", paper=(98.9, None))

#: Images for a few small networks, and the ranking of many by them and by real images.
SEARCH_DATA = Cell(
    "search/mnist_distill",
    "1,000 images for eight small networks",
    hour=("--num_students=16",),
)
SEARCH = Cell("search/mnist_search", "60 small networks", "search")


def tables(budget: str) -> dict[str, dict[str, list[Cell]]]:
    """The cells of each table, by its rows, which --datasets names.

    A table without a choice has one row, called ""; one that no command makes has none.
    """
    full = budget == "full"
    return {
        "today": TODAY_GPU if full else TODAY,
        "table1": {row: table1(row) for row in TABLE_1},
        "table2": {row: table2(row) for row in TABLE_2},
        "table3": {row: table3(row) for row in TABLE_3},
        "attack": ATTACK,
        "gtn": {"": [*GTN, GTN_PAPER] if full else GTN},
        "search": {"": [SEARCH_DATA, SEARCH]},
        "figure2": FIGURE_2,
        "ablation": {"": ablation()},
        "linear": {},
    }


def default_rows(table: str) -> list[str]:
    """The rows of a table that nobody needs to ask for."""
    return list(tables("full")[table])[: 2 if table == "table2" else 1]
