"""Whose turn it is: which architecture and which set a group of students takes."""

import math


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


def untested(architectures: int, num_students: int, group: int) -> str:
    """Says that students are too few for their architectures; else "".

    Args:
        architectures: How many there are.
        num_students: How many students are asked for.
        group: How many learn at once: they are of one architecture.
    """
    tested = -(-num_students // group)
    if tested >= architectures:
        return ""
    return (
        f"Only the first {tested} of {architectures} architectures "
        f"{'is' if tested == 1 else 'are'} tested: ask for {architectures * group} "
        "students to test each."
    )
