"""The papers of the methods that make distilled data."""

import re
from collections.abc import Mapping

from tfdistill.inner.back_gradient import BackGradient
from tfdistill.inner.full_unroll import FullUnroll
from tfdistill.inner.problem import MetaGradient
from tfdistill.inner.ridge import RidgeRegression
from tfdistill.synthesizers.base import Synthesizer
from tfdistill.synthesizers.generator import Generator
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.learning import LearningStudents

#: BibTeX of each method, by its name on the command line.
PAPERS = {
    "ridge": """@inproceedings{zhou2022dataset,
  title={Dataset Distillation using Neural Feature Regression},
  author={Zhou, Yongchao and Nezhadarya, Ehsan and Ba, Jimmy},
  booktitle={Advances in Neural Information Processing Systems},
  year={2022}
}""",
    "windows": """@article{feng2023embarrassingly,
  title={Embarrassingly Simple Dataset Distillation},
  author={Feng, Yunzhen and Vedantam, Ramakrishna and Kempe, Julia},
  journal={arXiv:2311.07025},
  year={2023}
}""",
    "unrolled": """@article{wang2018dataset,
  title={Dataset Distillation},
  author={Wang, Tongzhou and Zhu, Jun-Yan and Torralba, Antonio and Efros, Alexei A.},
  journal={arXiv:1811.10959},
  year={2018}
}""",
    "teaching": """@article{such2019generative,
  title={Generative Teaching Networks: Accelerating Neural Architecture Search by
    Learning to Generate Synthetic Training Data},
  author={Such, Felipe Petroski and Rawal, Aditya and Lehman, Joel and Stanley,
    Kenneth O. and Clune, Jeff},
  journal={arXiv:1912.07768},
  year={2019}
}""",
}


def method(
    meta_gradient: MetaGradient,
    synthesizer: Synthesizer,
    initial_weights: InitialWeights,
) -> str | None:
    """The name of the method that some choices are; None for choices of one's own."""
    if isinstance(meta_gradient, RidgeRegression):
        return "ridge"
    if not isinstance(meta_gradient, (BackGradient, FullUnroll)):
        return None
    if isinstance(synthesizer, Generator):
        return "teaching"
    if not isinstance(synthesizer, DistilledImages):
        return None
    learning = isinstance(initial_weights, LearningStudents)
    return "windows" if learning else "unrolled"


def citation(provenance: Mapping) -> str | None:
    """BibTeX of the method that made some data; None if it is not known.

    Args:
        provenance: That of the data. Earlier versions wrote the method as a flag.
    """
    flags = str(provenance.get("flags", ""))
    flag = re.search(r"^--method=(\w+)$", flags, re.MULTILINE)
    name = provenance.get("method") or (flag and flag[1])
    return PAPERS.get(name) if isinstance(name, str) else None
