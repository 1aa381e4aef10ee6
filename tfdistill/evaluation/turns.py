"""Whose turn it is: which architecture and which set a group of students takes."""

import math

import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.students.names import each_of


def architecture(group: int, architectures: int) -> int:
    """Which architecture a group of students is of, as a number from 0.

    Args:
        group: The number of the group, from 0.
        architectures: How many there are.
    """
    return group % architectures


def set_of(group: int, architectures: int, sets: int) -> int:
    """Which set a group of students learns from, as a number from 0.

    Sets come in turn. So do all combinations of a set and an architecture: the numbers
    of groups of any two differ by at most one.

    Args:
        group, architectures: Same as for `architecture`.
        sets: How many there are.
    """
    # Both in turn would meet in some combinations only, again and again.
    rounds = group // math.lcm(architectures, sets)
    return (group + rounds % math.gcd(architectures, sets)) % sets


def untested(student, num_students: int) -> str:
    """Says that students are too few for their architectures; else "".

    Args:
        student: Same as for `Distiller`.
        num_students: How many are asked for. Replicas test the same architecture.
    """
    count = len(each_of(student))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    tested = -(-check_int("num_students", num_students, 1) // replicas)
    if tested >= count:
        return ""
    return (
        f"Only the first {tested} of {count} architectures "
        f"{'is' if tested == 1 else 'are'} tested: ask for {count * replicas} students "
        "to test each."
    )
