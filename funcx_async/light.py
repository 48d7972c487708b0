"""A ``concurrent.futures.Future`` without most of what the original costs.

Most of an original future is its condition: a lock and a queue of sleepers that exist whether or
not a thread ever waits. Here all futures share one lock, which is held for a few instructions at a
time, and a condition upon it is made for a future only when something asks for it: a thread that
waits, or ``concurrent.futures.wait`` and its like. It passes CPython's own tests of Future.
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import Any, TypeVar

T = TypeVar("T")

_UNFINISHED = (PENDING, RUNNING)
_CANCELLED = (CANCELLED, CANCELLED_AND_NOTIFIED)

_log = logging.getLogger("concurrent.futures")

lock = threading.RLock()
"""Guards the state of all futures; no call leaves this package while it is held."""

if hasattr(os, "register_at_fork"):  # else a child could inherit it held, by nobody
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )


class LightFuture(concurrent.futures.Future[T]):
    """See the module.

    Example:
        >>> future = LightFuture()
        >>> future.add_done_callback(lambda done: print("done:", done.result()))
        >>> future.set_result(42)
        done: 42
    """

    __slots__ = ("_callbacks", "_exception", "_made_condition", "_observers", "_result", "_state")

    def __init__(self) -> None:  # the original would make a condition
        self._state = PENDING
        self._result = None
        self._exception = None
        self._callbacks: list[Callable[[Any], object]] | None = None
        self._made_condition: threading.Condition | None = None
        self._observers: list[Any] | None = None

    # The parts of the original that others reach for: made when they do -------------------------

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        with lock:
            if self._made_condition is None:
                self._made_condition = threading.Condition(lock)
            return self._made_condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        with lock:
            if self._observers is None:
                self._observers = []
            return self._observers

    # State --------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether it is settled or cancelled."""
        return self._state not in _UNFINISHED

    def running(self) -> bool:
        """Whether it is under way."""
        return self._state == RUNNING

    def cancelled(self) -> bool:
        """Whether it is cancelled."""
        return self._state in _CANCELLED

    @property
    def failed(self) -> bool:
        """Whether it holds an exception, or is cancelled."""
        return self._exception is not None or self._state in _CANCELLED

    def outcome(self) -> T:
        """Give what it holds; never waits.

        Raises:
            concurrent.futures.CancelledError: if it was cancelled.
            concurrent.futures.InvalidStateError: if it is not done.
            BaseException: what it failed with.
        """
        if self._state in _CANCELLED:
            raise concurrent.futures.CancelledError
        if self._state != FINISHED:
            raise concurrent.futures.InvalidStateError(f"{self!r} is not done.")
        if self._exception is None:
            return self._result  # type: ignore[return-value]
        try:
            raise self._exception
        finally:
            del self  # the traceback of a failure must not keep it alive

    def result(self, timeout: float | None = None) -> T:
        """Give the result, as the original does."""
        try:
            self._wait(timeout)
            return self.outcome()
        finally:
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Give the exception or None, as the original does."""
        self._wait(timeout)
        if self._state in _CANCELLED:
            raise concurrent.futures.CancelledError
        return self._exception

    def _wait(self, timeout: float | None) -> None:
        with lock:
            if not self.done():
                self._condition.wait(timeout)
        if not self.done():
            raise TimeoutError

    # Changes of state ---------------------------------------------------------------------------

    def set_result(self, result: T) -> None:
        """Settle with a value; ``InvalidStateError`` if it is settled already."""
        with lock:
            self._refuse_if_done()
            self._result = result
            self._state = FINISHED
            for observer in self._observers or ():
                observer.add_result(self)
            if self._made_condition is not None:
                self._made_condition.notify_all()
        self._invoke_callbacks()

    def set_exception(self, exception: BaseException | None) -> None:
        """Settle with an exception; ``InvalidStateError`` if it is settled already."""
        with lock:
            self._refuse_if_done()
            self._exception = exception
            self._state = FINISHED
            for observer in self._observers or ():
                observer.add_exception(self)
            if self._made_condition is not None:
                self._made_condition.notify_all()
        self._invoke_callbacks()

    def _refuse_if_done(self) -> None:
        if self._state not in _UNFINISHED:
            raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")

    # Callbacks ----------------------------------------------------------------------------------

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn(future)`` once it is done, or now if it is."""
        with lock:
            if self._state in _UNFINISHED:
                if self._callbacks is None:
                    self._callbacks = [fn]
                else:
                    self._callbacks.append(fn)
                return
        self._call(fn)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Forget ``fn``, and give how many times it had been added."""
        with lock:
            before = self._callbacks or []
            # A new list: another thread may be walking through the old one to call it.
            kept = [callback for callback in before if callback != fn]
            self._callbacks = kept or None
            return len(before) - len(kept)

    def _invoke_callbacks(self) -> None:
        with lock:
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._call(callback)

    def _call(self, callback: Callable[[Any], object]) -> None:
        try:
            callback(self)
        except Exception:
            _log.exception("exception calling callback for %r", self)
