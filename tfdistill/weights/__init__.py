"""Who learns: the weights that students start with."""

from tfdistill.weights.base import InitialWeights as InitialWeights
from tfdistill.weights.fixed import FixedWeights as FixedWeights
from tfdistill.weights.learning import LearningStudents as LearningStudents
from tfdistill.weights.pool import Member as Member
from tfdistill.weights.pool import Pool as Pool
from tfdistill.weights.population import Population as Population
from tfdistill.weights.pretrained import PretrainedWeights as PretrainedWeights
from tfdistill.weights.random import RandomWeights as RandomWeights
