"""Calling on futures when their time has come: one timer of the loop for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from funcx_async._core.deadlines import Deadlines
from funcx_async._futures.future import FuncXFuture, running_loop

F = TypeVar("F", bound=FuncXFuture[Any])

AT_ONCE = 500
"""So many futures are called on before others get their turn on the loop."""

_log = logging.getLogger("funcx_async.executor")


class Alarm(Generic[F]):
    """See the module; a future that is done is forgotten.

    Args:
        loop: on which it calls.
        ring: is called with each future whose time has come.

    Attributes:
        loop: likewise.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[F], object]) -> None:
        self.loop = loop
        self._ring = ring
        self._deadlines: Deadlines[F] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, future: F, due: float) -> None:
        """Have ``future`` called on at ``due``, on the loop's clock; from any thread."""
        if running_loop() is self.loop:
            self._set(future, due)
        else:
            with suppress(RuntimeError):  # closed just now: the future fails with its executor
                self.loop.call_soon_threadsafe(self._set, future, due)

    def finished(self, future: F) -> None:
        """Forget a future that is done."""
        self._deadlines.discard(future)
        if not self._deadlines and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, future: F, due: float) -> None:
        self._deadlines.add(future, due)
        future.watch(self)
        self._wind()

    def _wind(self) -> None:
        """Have the timer go off when the first future is due, or before."""
        due = self._deadlines.next
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._go_off)

    def _go_off(self) -> None:
        self._timer = None
        now = self.loop.time()
        try:
            for _ in range(AT_ONCE):
                for future in self._deadlines.due(now, 1):  # so that no error loses the others
                    self._call_on(future)
        finally:
            self._wind()

    def _call_on(self, future: F) -> None:
        future.unwatch(self)
        try:
            self._ring(future)
        except Exception:  # it must not lose the others their time
            _log.exception("the time of %r has come, and nothing comes of it", future)
