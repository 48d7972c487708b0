"""Counting what happened, and waiting until it has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable


class Tally:
    """Counters that can be awaited.

    Args:
        names: what is counted; other names are refused.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(names, 0))
        self._waiters: list[tuple[str, int, asyncio.Future[None]]] = []

    def add(self, name: str, times: int = 1) -> None:
        """Count, and wake who waits for as many."""
        self._counts[name] += times
        for waiter in list(self._waiters):
            awaited, enough, future = waiter
            if awaited == name and self._counts[name] >= enough:
                self._waiters.remove(waiter)
                if not future.done():
                    future.set_result(None)

    def reset(self) -> None:
        """Count from 0 again; who waits for a number waits for it anew."""
        self._counts = Counter(dict.fromkeys(self._counts, 0))

    def count(self, name: str) -> int:
        """How often it happened.

        Raises:
            ValueError: nothing of this name is counted.
        """
        if name not in self._counts:
            msg = f"{name!r} is not counted; counted are {', '.join(self._counts)}"
            raise ValueError(msg)
        return self._counts[name]

    async def reached(self, name: str, times: int) -> None:
        """Return when it has happened so often.

        Raises:
            ValueError: nothing of this name is counted.
        """
        if self.count(name) >= times:
            return
        future = asyncio.get_running_loop().create_future()
        waiter = (name, times, future)
        self._waiters.append(waiter)
        try:
            await future
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
