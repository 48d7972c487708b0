"""One run of something for all who wait for it, from whatever event loop or thread."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PATIENCE = 90.0
"""Seconds until those who wait take a run over: its loop has stopped for good, or forked away."""


class _Lost(Exception):
    """The loop that ran it has ended; somebody else runs it again."""


class SingleFlight(Generic[T]):
    """Runs ``work`` once for all who ask while it runs.

    It runs in a task of its own on the loop of whoever asks first, so that one who gives up ends
    nobody else's wait; it is bound to no loop.

    Args:
        work: what to run; it must have a time limit of its own.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None
        self._task: asyncio.Task[T] | None = None

    def start(self) -> Future[T]:
        """Start a run on the running loop, unless one is under way; give its outcome."""
        with self._lock:
            if self._flight is None or self._flight.done() or self._is_stranded():
                flight: Future[T] = Future()
                flight.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
                self._flight = flight
                self._task = asyncio.get_running_loop().create_task(self._work())
                self._task.add_done_callback(lambda task: _settle(flight, task))
            return self._flight

    async def join(self) -> T:
        """Wait for the run under way, or for one that this starts.

        Raises:
            Exception: a copy of what the run raised.
        """
        while True:
            flight = self.start()
            waiter = asyncio.wrap_future(flight)
            try:
                await asyncio.wait([waiter], timeout=PATIENCE)
                if waiter.done():
                    return waiter.result()
                self._give_up(flight)
            except _Lost:
                continue
            except Exception as error:
                raise copy.copy(error) from error  # each has its own, with its own traceback
            finally:
                waiter.cancel()

    def _is_stranded(self) -> bool:
        return self._task is not None and self._task.get_loop().is_closed()

    def _give_up(self, flight: Future[T]) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None


def _settle(flight: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        flight.set_exception(_Lost())
    elif (error := task.exception()) is not None:
        flight.set_exception(error)
    else:
        flight.set_result(task.result())
