"""Figures as people read them: the spread over networks only where there is one."""


def percent(mean: float, std: float, count: int, digits: int = 2) -> str:
    """A share in percent, without the sign: "96.50 ± 0.60", or "96.50" of one network.

    Args:
        mean, std: In 0..1, over networks.
        count: Number of networks.
        digits: Behind the point.
    """
    return number(100 * mean, 100 * std, count, f".{digits}f", f".{digits}f")


def number(
    mean: float, std: float, count: int, form: str = ".4g", spread: str = ".2g"
) -> str:
    """Any figure: "0.0312 ± 0.0004", or "0.0312" of one network."""
    return f"{mean:{form}}" + (f" ± {std:{spread}}" if count > 1 else "")
