"""Deadlines of any number of tickets, with one next moment to wait for.

A ticket is what the caller wants back when it is due; times are on the caller's clock. Adding and
discarding are cheap however many there are: a discarded ticket leaves an empty place in the queue,
which is swept when half of its places are empty.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SWEEP_FROM = 64
"""Places below which the queue is not swept."""


class Deadlines(Generic[K]):
    """A queue of tickets by the time when they are due.

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
        """Return the number of tickets that are not due yet."""
        return len(self._numbers)

    @property
    def next(self) -> float | None:
        """When the first ticket is due; None if there is none."""
        while self._queue and self._queue[0][1] not in self._tickets:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def add(self, ticket: K, due: float) -> None:
        """Add a ticket that is due at ``due``; this replaces an earlier time of it."""
        self.discard(ticket)
        self._added += 1
        self._numbers[ticket] = self._added
        self._tickets[self._added] = ticket
        heappush(self._queue, (due, self._added))

    def discard(self, ticket: K) -> None:
        """Remove a ticket, if it is there."""
        number = self._numbers.pop(ticket, None)
        if number is None:
            return
        del self._tickets[number]
        if len(self._queue) > max(SWEEP_FROM, 2 * len(self._tickets)):
            self._queue = [entry for entry in self._queue if entry[1] in self._tickets]
            heapify(self._queue)

    def due(self, now: float, at_most: int | None = None) -> list[K]:
        """Remove and return the tickets that are due, the earliest first.

        Args:
            now: the time.
            at_most: the number of tickets at most; None for all.
        """
        tickets: list[K] = []
        while (first := self.next) is not None and first <= now and len(tickets) != at_most:
            ticket = self._tickets.pop(heappop(self._queue)[1])
            del self._numbers[ticket]
            tickets.append(ticket)
        return tickets
