"""Exponential backoff with jitter."""

from __future__ import annotations


class Backoff:
    """Delays that double up to a limit, with jitter so that clients do not retry in step.

    Args:
        first: seconds before the second try, on average.
        longest: seconds at most.

    Example:
        >>> backoff = Backoff(first=0.5, longest=3.0)
        >>> [backoff.next_delay(chance) for chance in (0.0, 1.0, 0.5, 0.5)]
        [0.25, 1.5, 2.0, 3.0]
    """

    def __init__(self, *, first: float = 0.5, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0

    def next_delay(self, chance: float) -> float:
        """Record a failure and return the seconds to wait; ``chance`` is random, in 0..1."""
        delay = self._first * 2.0 ** min(self._failures, 30) * (0.5 + chance)
        self._failures += 1
        return min(float(delay), self._longest)

    def succeeded(self) -> None:
        """Start with the first delay again."""
        self._failures = 0
