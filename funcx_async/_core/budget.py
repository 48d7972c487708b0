"""The request budget of the hosted service, so that no request exceeds it."""

from __future__ import annotations

from collections import deque


class RequestBudget:
    """At most ``limit`` requests in any ``window`` seconds.

    Args:
        limit: how many requests; the hosted service allows 20.
        window: seconds; the hosted service counts 10.

    Example:
        >>> budget = RequestBudget(limit=2, window=10.0)
        >>> for now in (0.0, 1.0):
        ...     budget.spend(now)
        >>> budget.delay(now=4.0), budget.delay(now=10.0)
        (6.0, 0.0)
    """

    def __init__(self, *, limit: int = 20, window: float = 10.0) -> None:
        self._limit = limit
        self._window = window
        self._spent: deque[float] = deque(maxlen=limit)

    def delay(self, now: float, *, share: float = 1.0) -> float:
        """Return the seconds until one more request may be sent.

        Args:
            now: the time, on the clock of ``spend``.
            share: the share of the budget that requests of this kind may use; less than 1.0
                leaves some for more urgent ones.
        """
        allowed = max(1, int(self._limit * share))
        if len(self._spent) < allowed:
            return 0.0
        return max(0.0, self._spent[-allowed] + self._window - now)

    def spend(self, now: float) -> None:
        """Record a request."""
        self._spent.append(now)
