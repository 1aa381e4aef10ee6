"""The inner loop: how a student learns, and how that is differentiated."""

from tfdistill.inner.back_gradient import BackGradient as BackGradient
from tfdistill.inner.curriculum import Batch as Batch
from tfdistill.inner.curriculum import Curriculum as Curriculum
from tfdistill.inner.full_unroll import FullUnroll as FullUnroll
from tfdistill.inner.optimizers import INNER_OPTIMIZERS as INNER_OPTIMIZERS
from tfdistill.inner.optimizers import Adam as Adam
from tfdistill.inner.optimizers import GradientDescent as GradientDescent
from tfdistill.inner.optimizers import InnerOptimizer as InnerOptimizer
from tfdistill.inner.optimizers import Momentum as Momentum
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter as Hyperparameter
from tfdistill.inner.optimizers.hyperparameter import learning_rate as learning_rate
from tfdistill.inner.optimizers.hyperparameter import momentum as momentum
from tfdistill.inner.problem import Judgement as Judgement
from tfdistill.inner.problem import MetaGradient as MetaGradient
from tfdistill.inner.problem import Problem as Problem
from tfdistill.inner.ridge import RidgeRegression as RidgeRegression
from tfdistill.inner.stateless import StatelessModel as StatelessModel
from tfdistill.inner.tracing import as_traced as as_traced
from tfdistill.inner.unroll import train as train
