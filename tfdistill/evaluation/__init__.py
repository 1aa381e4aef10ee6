"""Evaluation: fresh students learn from distilled data, and are tested."""

from tfdistill.evaluation.evaluator import Evaluator as Evaluator
from tfdistill.evaluation.evaluator import evaluate as evaluate
from tfdistill.evaluation.evaluator import evaluate_model as evaluate_model
from tfdistill.evaluation.result import Evaluation as Evaluation
