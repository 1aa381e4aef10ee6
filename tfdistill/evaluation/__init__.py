"""Fresh students on distilled data: how good is it?"""

from tfdistill.evaluation.evaluator import Evaluator as Evaluator
from tfdistill.evaluation.evaluator import evaluate as evaluate
from tfdistill.evaluation.evaluator import evaluate_model as evaluate_model
from tfdistill.evaluation.result import Evaluation as Evaluation
