"""A future that asyncio can await, whoever settles it, from any number of loops."""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, TypeVar

from funcx_async._futures.light import UNFINISHED, LightFuture, Listeners, lock

T = TypeVar("T")


class Watcher(Protocol):
    """Wants to know of futures that are done; one may watch many."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which it wants to be told."""
        ...

    def finished(self, future: Any) -> None:
        """Take note that a future is done."""
        ...


Awaiter: TypeAlias = "asyncio.Future[None] | Watcher"


class AwaitableFuture(LightFuture[T]):
    """See the module; awaiting observes, and cancels nothing.

    Example:
        >>> async def main():
        ...     future = AwaitableFuture()
        ...     loop = asyncio.get_running_loop()
        ...     settling = loop.run_in_executor(None, future.set_result, 42)  # in another thread
        ...     value = await future
        ...     await settling
        ...     return value
        >>> asyncio.run(main())
        42
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, T]:
        self._before_waiting()
        if not self.done():
            waiter = asyncio.get_running_loop().create_future()
            self.watch(waiter)
            try:
                yield from waiter
            finally:
                self.unwatch(waiter)
        try:
            return outcome_of(self)
        finally:
            del self  # the traceback of a failure must not keep it alive

    def watch(self, watcher: Awaiter) -> None:
        """Have ``watcher`` told on its loop once the future is done, or now if it is."""
        with lock:
            finished = self._state not in UNFINISHED
            if not finished:
                if self._listener is None:
                    self._listener = watcher
                else:
                    self._listeners().watchers[watcher] = None
        if finished:
            tell_of(watcher, self, running_loop())

    def unwatch(self, watcher: Awaiter) -> None:
        """Tell ``watcher`` no more; harmless if it does not watch."""
        with lock:
            if self._listener is watcher:
                self._listener = None
            elif isinstance(self._listener, Listeners):
                self._listener.watchers.pop(watcher, None)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn(future)`` once it is done, or now if it is.

        Added where an event loop runs, ``fn`` is called on that loop, whoever settles the
        future; elsewhere it is called in the thread that settles it.
        """
        loop = running_loop()
        super().add_done_callback(fn if loop is None else OnLoop(loop, fn))

    def _before_waiting(self) -> None:
        """Make sure that somebody will settle the future."""

    def _note_done(self, here: asyncio.AbstractEventLoop | None) -> None:
        """Do what comes before all others are told; ``here`` is the loop of this thread."""

    def _tell(self, listener: Any, here: asyncio.AbstractEventLoop | None = None) -> None:
        if here is None:
            here = running_loop()
        self._note_done(here)
        if isinstance(listener, Listeners):
            for watcher in listener.watchers:
                tell_of(watcher, self, here)
            super()._tell(listener)
        elif listener is not None:
            tell_of(listener, self, here)


def outcome_of(future: AwaitableFuture[T]) -> T:
    """Give what a settled future holds, a cancellation in asyncio's own words."""
    try:
        if future.cancelled():
            raise asyncio.CancelledError
        return future.outcome()
    finally:
        del future  # the traceback of a failure must not keep it alive


class OnLoop:
    """A callback that belongs to a loop, whoever calls it."""

    __slots__ = ("callback", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[Any], object]) -> None:
        self.loop = loop
        self.callback = callback

    def __call__(self, future: Any) -> None:
        """Call it there, now if that is here."""
        if running_loop() is self.loop:
            try:
                self.callback(future)
            except asyncio.CancelledError as error:
                # It would end whoever settles the future, who is not meant.
                raise RuntimeError("a done callback was cancelled") from error
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.callback, future)

    def __eq__(self, other: object) -> bool:
        return self.callback == (other.callback if isinstance(other, OnLoop) else other)

    __hash__ = None  # type: ignore[assignment]


running_loop: Callable[[], asyncio.AbstractEventLoop | None] = _get_running_loop
"""Gives the loop that runs in this thread, if one does. On Python 3.11 that is a system call, so
whoever settles many futures asks once."""


def waking(waiter: asyncio.Future[None]) -> Callable[[object], None]:
    """Give a callback that wakes whoever awaits ``waiter``."""

    def wake(_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    return wake


def tell_of(awaiter: Awaiter, future: object, here: asyncio.AbstractEventLoop | None) -> None:
    """Say on the awaiter's loop that the future is done; ``here`` is the loop of this thread."""
    tell: Callable[[object], None]
    if isinstance(awaiter, asyncio.Future):
        loop, tell = awaiter.get_loop(), waking(awaiter)
    else:
        loop, tell = awaiter.loop, awaiter.finished
    if here is loop:
        tell(future)
        return
    with suppress(RuntimeError):  # the loop is closed, perhaps just now: nobody waits there
        loop.call_soon_threadsafe(tell, future)
