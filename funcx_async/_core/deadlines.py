"""What is due when: any number of tickets, one moment to wait for.

A ticket is whatever the caller wants back when its time has come; times are on the caller's clock.
Adding and discarding cost next to nothing, however many there are: what is discarded leaves its
place in the queue empty until the queue is half empty places, and is swept then.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SWEEP_FROM = 64
"""With fewer places than that the queue is not swept."""


class Deadlines(Generic[K]):
    """See the module.

    Example:
        >>> deadlines = Deadlines()
        >>> deadlines.add("tea", 3.0)
        >>> deadlines.add("egg", 5.0)
        >>> deadlines.next
        3.0
        >>> deadlines.due(4.0), len(deadlines)
        (['tea'], 1)
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int]] = []
        self._tickets: dict[int, K] = {}
        self._numbers: dict[K, int] = {}
        self._added = 0

    def __len__(self) -> int:
        """How many tickets wait for their time."""
        return len(self._numbers)

    @property
    def next(self) -> float | None:
        """When the first ticket is due; None if there is none."""
        while self._queue and self._queue[0][1] not in self._tickets:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def add(self, ticket: K, due: float) -> None:
        """Have ``ticket`` given back at ``due``; an earlier time for it no longer counts."""
        self.discard(ticket)
        self._added += 1
        self._numbers[ticket] = self._added
        self._tickets[self._added] = ticket
        heappush(self._queue, (due, self._added))

    def discard(self, ticket: K) -> None:
        """Forget a ticket, if it is there."""
        number = self._numbers.pop(ticket, None)
        if number is None:
            return
        del self._tickets[number]
        if len(self._queue) > max(SWEEP_FROM, 2 * len(self._tickets)):
            self._queue = [entry for entry in self._queue if entry[1] in self._tickets]
            heapify(self._queue)

    def due(self, now: float, at_most: int | None = None) -> list[K]:
        """Give the tickets whose time has come, the earliest first, and forget them.

        Args:
            now: the time.
            at_most: so many at a time; None gives all.
        """
        tickets: list[K] = []
        while (first := self.next) is not None and first <= now and len(tickets) != at_most:
            ticket = self._tickets.pop(heappop(self._queue)[1])
            del self._numbers[ticket]
            tickets.append(ticket)
        return tickets
