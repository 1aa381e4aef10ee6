"""Who learns: networks, and how they are found by name."""

from tfdistill.students.applications import application as application
from tfdistill.students.applications import with_new_head as with_new_head
from tfdistill.students.building import assign as assign
from tfdistill.students.building import build as build
from tfdistill.students.building import check as check
from tfdistill.students.frozen import frozen as frozen
from tfdistill.students.names import STUDENTS as STUDENTS
from tfdistill.students.names import Sampled as Sampled
from tfdistill.students.names import get as get
from tfdistill.students.names import name_of as name_of
from tfdistill.students.networks import alex_cifar_net as alex_cifar_net
from tfdistill.students.networks import alexnet as alexnet
from tfdistill.students.networks import convnet as convnet
from tfdistill.students.networks import lenet as lenet
from tfdistill.students.networks import linear as linear
from tfdistill.students.networks import mlp as mlp
from tfdistill.students.networks import wide_convnet as wide_convnet
from tfdistill.students.networks import wide_convnet_bn as wide_convnet_bn
from tfdistill.students.ranges import check_range as check_range
from tfdistill.students.teaching_networks import gtn_learner as gtn_learner
