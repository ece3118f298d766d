"""Time, where others work on the same machine."""

from collections.abc import Callable


def least(measure: Callable[[], float], bound: float, tries: int = 8) -> float:
    """The least of some measurements, the last at the latest when one keeps to the bound.

    What others do meanwhile only adds: one that was not disturbed tells what our own work takes.
    """
    times = [measure()]
    while min(times) >= bound and len(times) < tries:
        times.append(measure())
    return min(times)
