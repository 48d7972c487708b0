"""How much the queues hold, and who waits for that or anything else to change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watch:
    """Lets coroutines wait until something about the broker is true.

    Conditions are asked again once per turn of the loop in which something changed, so a burst
    of a thousand messages asks once.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._scheduled = False

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` is true."""
        if condition():
            return
        future = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            self._waiting.remove(entry)

    def changed(self) -> None:
        """Say that something changed."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._scheduled = False
        for condition, future in self._waiting:
            if future.done():
                continue
            try:
                met = condition()
            except Exception as error:  # the condition is its author's; so is what it raises
                future.set_exception(error)
            else:
                if met:
                    future.set_result(None)


class Volume:
    """The memory that all queues take together, against a limit.

    Attributes:
        used: bytes held now, waiting and unacknowledged messages alike.
        limit: past it publishers are held up, until a quarter of it is free again.
        over: whether publishers are held up now.
        on_room: called when they may go on.
        watch: told of every change.
    """

    def __init__(self, limit: int, watch: Watch, on_room: Callable[[], None]) -> None:
        self.used = 0
        self.limit = limit
        self.over = False
        self.on_room = on_room
        self.watch = watch
        self._low = limit * 3 // 4

    def add(self, size: int) -> None:
        """Count a message that a queue took."""
        self.used += size
        if self.used > self.limit:
            self.over = True
        self.watch.changed()

    def remove(self, size: int) -> None:
        """Count a message that a queue let go for good."""
        self.used -= size
        if self.over and self.used <= self._low:
            self.over = False
            self.on_room()
        self.watch.changed()
