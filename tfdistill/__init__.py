"""tfdistill: dataset distillation for TensorFlow and Keras.

Learns a handful of synthetic training examples, and the learning rates to train on
them with, such that a network trained on just those does almost as well as one that
saw the whole data set.
"""

import importlib
import os
from typing import TYPE_CHECKING

# oneDNN's convolutions make the outer step two to three times faster on CPUs where
# TensorFlow leaves them off. Has no effect once TensorFlow (or Keras) is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"

# Each name is imported on first use, from its home; type checkers see the imports
# below.
_HOMES = {
    "normalization": ("Normalization",),
    "splits": ("Dataset", "Split"),
    "datasets": ("from_arrays", "from_tf_data", "load_dataset"),
    "initial_weights": (
        "FixedWeights",
        "InitialWeights",
        "PretrainedWeights",
        "RandomWeights",
    ),
    "inner_optimizers": ("InnerOptimizer",),
    "schedules": ("Batch", "Schedule"),
    "synthesizers": ("DataSource", "DistilledImages", "Synthesizer"),
    "generators": ("Generator",),
    "controls": ("RealBatches",),
    "pools": ("Pool",),
    "objectives": ("Attack", "Classification", "Objective", "Regression"),
    "distilled": ("DistilledDataset",),
    "evaluation": ("Evaluation", "Evaluator", "evaluate"),
    "distiller": ("Distiller",),
    "callbacks": ("Anneal", "Backup"),
    "summaries": ("RunSummary",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = (
    "adaptation",
    "architecture_search",
    "architecture_spaces",
    "audit",
    "baselines",
    "exposure",
    "linear",
    "plots",
    "students",
    "unroll",
)

if TYPE_CHECKING:
    from tfdistill import (
        adaptation,
        architecture_search,
        architecture_spaces,
        audit,
        baselines,
        exposure,
        linear,
        plots,
        students,
        unroll,
    )
    from tfdistill.callbacks import Anneal, Backup
    from tfdistill.controls import RealBatches
    from tfdistill.datasets import from_arrays, from_tf_data, load_dataset
    from tfdistill.distilled import DistilledDataset
    from tfdistill.distiller import Distiller
    from tfdistill.evaluation import Evaluation, Evaluator, evaluate
    from tfdistill.generators import Generator
    from tfdistill.initial_weights import (
        FixedWeights,
        InitialWeights,
        PretrainedWeights,
        RandomWeights,
    )
    from tfdistill.inner_optimizers import InnerOptimizer
    from tfdistill.normalization import Normalization
    from tfdistill.objectives import Attack, Classification, Objective, Regression
    from tfdistill.pools import Pool
    from tfdistill.schedules import Batch, Schedule
    from tfdistill.splits import Dataset, Split
    from tfdistill.summaries import RunSummary
    from tfdistill.synthesizers import DataSource, DistilledImages, Synthesizer

__all__ = [
    "Anneal",
    "Attack",
    "Backup",
    "Batch",
    "Classification",
    "DataSource",
    "Dataset",
    "DistilledDataset",
    "DistilledImages",
    "Distiller",
    "Evaluation",
    "Evaluator",
    "FixedWeights",
    "Generator",
    "InitialWeights",
    "InnerOptimizer",
    "Normalization",
    "Objective",
    "Pool",
    "PretrainedWeights",
    "RandomWeights",
    "RealBatches",
    "Regression",
    "RunSummary",
    "Schedule",
    "Split",
    "Synthesizer",
    "adaptation",
    "architecture_search",
    "architecture_spaces",
    "audit",
    "baselines",
    "evaluate",
    "exposure",
    "from_arrays",
    "from_tf_data",
    "linear",
    "load_dataset",
    "plots",
    "students",
    "unroll",
]


def __getattr__(name):
    # Importing on first use keeps `tfdistill --help` and flag errors immediate:
    # TensorFlow takes seconds to import.
    if name in _MODULES:
        return importlib.import_module(f"tfdistill.{name}")
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"tfdistill.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'tfdistill' has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]
