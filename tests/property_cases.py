"""Settings of property-based tests."""

from hypothesis import HealthCheck, settings


def cases(count):
    """The same cases on every machine, and no files of their own."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
