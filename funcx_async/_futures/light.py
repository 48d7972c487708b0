"""A ``concurrent.futures.Future`` without most of what the original costs.

Most of an original future is its condition: a lock and a queue of sleepers that exist whether or
not a thread ever waits. Here all futures share one lock, which is held for a few instructions at a
time, and a condition upon it is made for a future only when something asks for it: a thread that
waits, or ``concurrent.futures.wait`` and its like. It passes CPython's own tests of Future.

Every attribute of a future is looked at whenever garbage is collected, twice, and there may be
100,000 futures. So whoever wants to be told of a future shares one attribute of it.
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import Any, TypeVar

from funcx_async.errors.confined import FUTURE, confined

T = TypeVar("T")

UNFINISHED = (PENDING, RUNNING)
_CANCELLED = (CANCELLED, CANCELLED_AND_NOTIFIED)

_log = logging.getLogger("concurrent.futures")

lock = threading.RLock()
"""Guards the state of all futures; no call leaves this package while it is held."""

if hasattr(os, "register_at_fork"):  # else a child could inherit it held, by nobody
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )


class Listeners:
    """Whoever wants to be told of one future, where that is more than one watcher.

    Attributes:
        watchers: who watches it, as a loop does; a subclass of the future tells them.
        callbacks: what is to be called.
        condition: what threads sleep on; None until one does.
        observers: those of ``concurrent.futures.wait`` and its like.
    """

    __slots__ = ("callbacks", "condition", "observers", "watchers")

    def __init__(self, watcher: object = None) -> None:
        self.watchers: dict[Any, None] = {} if watcher is None else {watcher: None}
        self.callbacks: list[Callable[[Any], object]] = []
        self.condition: threading.Condition | None = None
        self.observers: list[Any] = []

    def taken(self) -> Listeners:
        """Wake the threads that sleep, and give whom else to tell, who is told only once."""
        if self.condition is not None:
            self.condition.notify_all()
        told = Listeners()
        told.watchers, self.watchers = self.watchers, {}
        told.callbacks, self.callbacks = self.callbacks, []
        return told


@confined(FUTURE)
class LightFuture(concurrent.futures.Future[T]):
    """See the module.

    Example:
        >>> future = LightFuture()
        >>> future.add_done_callback(lambda done: print("done:", done.result()))
        >>> future.set_result(42)
        done: 42
    """

    __slots__ = ("_exception", "_listener", "_result", "_state")

    def __init__(self) -> None:  # the original would make a condition
        self._state = PENDING
        self._result = None
        self._exception = None
        self._listener: Any = None  # Listeners, or one watcher alone

    # The parts of the original that others reach for: made when they do -------------------------

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        with lock:
            listeners = self._listeners()
            if listeners.condition is None:
                listeners.condition = threading.Condition(lock)
            return listeners.condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        with lock:
            return self._listeners().observers

    def _listeners(self) -> Listeners:
        """Give all who listen, for one more; the lock is held."""
        if not isinstance(self._listener, Listeners):
            self._listener = Listeners(self._listener)
        return self._listener

    # State --------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether it is settled or cancelled."""
        return self._state not in UNFINISHED

    def running(self) -> bool:
        """Whether it is under way."""
        return self._state == RUNNING

    def cancelled(self) -> bool:
        """Whether it is cancelled."""
        return self._state in _CANCELLED

    @property
    def failed(self) -> bool:
        """Whether it holds an exception, or is cancelled."""
        if self._state == FINISHED:
            return self._exception is not None
        return self._state in _CANCELLED

    def outcome(self) -> T:
        """Give what it holds; never waits.

        Raises:
            concurrent.futures.CancelledError: if it was cancelled.
            concurrent.futures.InvalidStateError: if it is not done.
            BaseException: what it failed with.
        """
        if self._state == FINISHED and self._exception is None:
            return self._result  # type: ignore[return-value]
        if self._state in _CANCELLED:
            raise concurrent.futures.CancelledError
        if self._exception is None:
            raise concurrent.futures.InvalidStateError(f"{self!r} is not done.")
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
        if not self._finish(result, None):
            raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")

    def set_exception(self, exception: BaseException | None) -> None:
        """Settle with an exception; ``InvalidStateError`` if it is settled already."""
        if not self._finish(None, exception):
            raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")

    def _finish(self, result: T | None, exception: BaseException | None, here: Any = None) -> bool:
        """Settle, and tell who listens; False if it is settled already.

        Args:
            result: the value, or None.
            exception: what it failed with, or None.
            here: what a subclass's ``_tell`` is to know of this thread, if the caller does.
        """
        with lock:
            if self._state not in UNFINISHED:
                return False
            self._result = result
            self._exception = exception
            self._state = FINISHED
            listener = self._listener
            if isinstance(listener, Listeners):
                for observer in listener.observers:
                    if exception is None:
                        observer.add_result(self)
                    else:
                        observer.add_exception(self)
                listener = listener.taken()
            else:
                self._listener = None
        self._tell(listener, here)
        return True

    # Callbacks ----------------------------------------------------------------------------------

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn(future)`` once it is done, or now if it is."""
        with lock:
            if self._state in UNFINISHED:
                self._listeners().callbacks.append(fn)
                return
        self._call(fn)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Forget ``fn``, and give how many times it had been added."""
        with lock:
            if not isinstance(self._listener, Listeners):
                return 0
            before = self._listener.callbacks
            self._listener.callbacks = [callback for callback in before if callback != fn]
            return len(before) - len(self._listener.callbacks)

    def _invoke_callbacks(self) -> None:
        """Tell whoever listens that the future is done (the original's ``cancel`` calls this)."""
        with lock:
            listener = self._listener
            if isinstance(listener, Listeners):
                listener = listener.taken()
            else:
                self._listener = None
        self._tell(listener)

    def _tell(self, listener: Any, here: Any = None) -> None:
        """Tell who listened, each once."""
        if isinstance(listener, Listeners):
            for callback in listener.callbacks:
                self._call(callback)

    def _call(self, callback: Callable[[Any], object]) -> None:
        try:
            callback(self)
        except Exception:  # as concurrent.futures has it: the others are called
            ids = {"task_id": getattr(self, "task_id", None)}
            _log.exception("exception calling callback for %r", self, extra=ids)
