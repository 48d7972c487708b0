"""The future of a task: a ``concurrent.futures.Future`` that asyncio can await.

Rules: awaiting observes, only ``cancel()`` cancels; a future settles exactly once; callbacks that
are added while a loop runs are called on that loop.

    PENDING, queued    cancel() succeeds, and the task is not sent
    PENDING, claimed   its POST is on the wire: cancel() fails
    RUNNING            the service has it, or may have it: cancel() fails
    FINISHED           it has its result or its exception
    CANCELLED          cancelled before it was sent, or given up

Most of what an original future costs is its condition: a lock and a queue of sleepers that exist
whether or not a thread ever waits. Here all futures share one lock, which is held for a few
instructions at a time. A condition upon it is made only when something asks for it: a thread that
waits, or ``concurrent.futures.wait``. The garbage collector visits every attribute of a future, and
there may be 100,000 futures, so all listeners share one attribute.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
from asyncio import _get_running_loop
from collections.abc import Callable, Generator
from concurrent.futures._base import (
    _STATE_TO_DESCRIPTION_MAP,
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    PENDING,
    RUNNING,
)
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from funcx_async._process import FUTURE, confined, current_pid
from funcx_async.errors import DeserializationError, ExecutorClosed, FuncXError

T = TypeVar("T")

if TYPE_CHECKING:
    from funcx_async.models import TaskStatus

    class _Original(concurrent.futures.Future[T], asyncio.Future[T]):  # type: ignore[misc]
        """The base for type checkers: ``asyncio.wait`` works, and its type takes nothing else."""

else:
    _Original = concurrent.futures.Future

_UNFINISHED = (PENDING, RUNNING)
_CANCELLED = (CANCELLED, CANCELLED_AND_NOTIFIED)

_log = logging.getLogger("funcx_async.futures")
_callback_log = logging.getLogger("concurrent.futures")  # as the original's

lock = threading.RLock()
"""Guards the state of all futures; no call leaves this package while it is held."""

if hasattr(os, "register_at_fork"):  # else a child could inherit it held, by nobody
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )

running_loop: Callable[[], asyncio.AbstractEventLoop | None] = _get_running_loop
"""Return the loop that runs in this thread, or None. On Python 3.11 that is a system call, so
code that settles many futures asks once."""


class Watcher(Protocol):
    """Is notified of futures that are done; one may watch many."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which it is notified."""
        ...

    def finished(self, future: Any) -> None:
        """Handle a future that is done."""
        ...


Awaiter: TypeAlias = "asyncio.Future[None] | Watcher"


class Origin(Protocol):
    """The executor's session that made a future, and settles it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that will settle the future."""
        ...

    @property
    def pid(self) -> int:
        """The process that the loop runs in."""
        ...

    def read(self, payload: str) -> Any:
        """Return the value of a serialized result."""
        ...

    async def task_status(self, task_id: str) -> TaskStatus:
        """Ask the service about one task."""
        ...

    def fail_open(self) -> None:
        """Fail what is open: the loop is closed."""
        ...

    def done(self, future: Any, here: asyncio.AbstractEventLoop | None) -> None:
        """Follow up on a settled future, in any thread; ``here`` is this thread's loop."""
        ...


class Listeners:
    """All that are notified of one future, where that is more than one watcher.

    Attributes:
        watchers: who watches it, as a loop does.
        callbacks: what is to be called.
        condition: what threads sleep on; None until one does.
        observers: those of ``concurrent.futures.wait`` and ``as_completed``.
    """

    __slots__ = ("callbacks", "condition", "observers", "watchers")

    def __init__(self, watcher: Awaiter | None = None) -> None:
        self.watchers: dict[Awaiter, None] = {} if watcher is None else {watcher: None}
        self.callbacks: list[Callable[[Any], object]] = []
        self.condition: threading.Condition | None = None
        self.observers: list[Any] = []

    def taken(self) -> Listeners:
        """Wake the threads that sleep, and return the others, which are notified only once."""
        if self.condition is not None:
            self.condition.notify_all()
        told = Listeners()
        told.watchers, self.watchers = self.watchers, {}
        told.callbacks, self.callbacks = self.callbacks, []
        return told


@confined(FUTURE)
class FuncXFuture(_Original[T]):
    """The result to come of one task.

    ``await`` it in a coroutine, or use it as the ``concurrent.futures.Future`` that it is. A
    coroutine that is cancelled while it awaits leaves the task alone: await again later.

    Args:
        task_id: the service's id of the task, if it is known already.

    Attributes:
        task_id: the service's id of the task; None until the service has taken it.
        function_name: the name of the function; None if the executor does not know it.
        accepted_at: when the service took it, on the loop's clock; None until then.
        key: the application's name of the task in the executor's journal; None without one.

    Example:
        >>> async def main():
        ...     future = FuncXFuture()
        ...     future.set_result(42)  # an executor would
        ...     return await future
        >>> asyncio.run(main())
        42
    """

    __slots__ = (
        "_claimed",
        "_exception",
        "_listener",
        "_origin",
        "_result",
        "_state",
        "accepted_at",
        "function_name",
        "task_id",
    )

    key: str | None = None  # few have one: it is in the instance's dict

    def __init__(self, task_id: str | None = None) -> None:
        # The original's would make a condition.
        self._state = PENDING
        self._result = None
        self._exception = None
        self._listener: Any = None  # Listeners, or one watcher alone
        self.task_id = task_id
        self.function_name: str | None = None
        self.accepted_at: float | None = None
        self._origin: Origin | None = None
        self._claimed = False

    def __repr__(self) -> str:  # without a lock: it may be logged by the garbage collector
        outcome = ""
        if self._state == FINISHED:
            failure = self._exception
            value = self._result if failure is None else failure
            outcome = f" {'returned' if failure is None else 'raised'} {type(value).__name__}"
        task = "" if self.task_id is None else f" task_id={self.task_id}"
        state = _STATE_TO_DESCRIPTION_MAP[self._state]
        return f"<{type(self).__name__} at {id(self):#x} state={state}{outcome}{task}>"

    def _repr_html_(self) -> str:
        from funcx_async._html import future_card

        return future_card(self, sent=self.sent, rows={"task": self.task_id, "key": self.key})

    # State --------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the task has an outcome or is cancelled."""
        return self._state not in _UNFINISHED

    def running(self) -> bool:
        """Return whether the service has the task, or may have it."""
        return self._state == RUNNING

    def cancelled(self) -> bool:
        """Return whether the future is cancelled."""
        return self._state in _CANCELLED

    @property
    def failed(self) -> bool:
        """Whether it holds an exception, or is cancelled."""
        if self._state == FINISHED:
            return self._exception is not None
        return self._state in _CANCELLED

    # For those who wait -------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        self._check_loop()
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
            __tracebackhide__ = True
            self = None  # type: ignore[assignment]  # the traceback must not keep it alive

    def result(self, timeout: float | None = None) -> T:
        """Return the result, waiting in this thread for at most ``timeout`` seconds.

        Args:
            timeout: in seconds; None: without a limit.

        Raises:
            RuntimeError: on the executor's own loop, or in a forked process, while unfinished: it
                would wait forever.
            TimeoutError: if the time is over.
            concurrent.futures.CancelledError: if the future was cancelled.
            FuncXError: why the task has no result.
        """
        try:
            self._wait(timeout)
            return self.outcome()
        finally:
            __tracebackhide__ = True
            self = None  # type: ignore[assignment]  # the traceback must not keep it alive

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception, or None for a good result; waits and raises as :meth:`result`."""
        self._wait(timeout)
        if self._state in _CANCELLED:
            raise concurrent.futures.CancelledError
        if isinstance(self._result, _Failure):
            self._result.retrieved = True
        return self._exception

    def _get_snapshot(self) -> tuple[bool, bool, T | None, BaseException | None]:
        """Return what asyncio copies into its own future, on Python 3.14 and newer."""
        if not self.done():
            return False, False, None, None
        if self._state in _CANCELLED:
            return True, True, None, None
        error = self.exception(0)
        return True, False, self._result if error is None else None, error

    def outcome(self) -> T:
        """Return what it holds; never waits.

        Raises:
            concurrent.futures.CancelledError: if it was cancelled.
            concurrent.futures.InvalidStateError: if it is not done.
            BaseException: what it failed with.
        """
        if self._state == FINISHED and self._exception is None:
            return self._result  # type: ignore[return-value]
        __tracebackhide__ = True
        if self._state in _CANCELLED:
            raise concurrent.futures.CancelledError
        if self._exception is None:
            raise concurrent.futures.InvalidStateError(f"{self!r} is not done.")
        try:
            if isinstance(self._result, _Failure):
                raise self._result.raised()
            raise self._exception
        finally:
            self = None  # type: ignore[assignment]  # the traceback must not keep it alive

    async def submitted(self) -> str:
        """Wait until the service has taken the task, and return its id.

        Raises:
            FuncXError: why it was not taken.
            asyncio.CancelledError: if the future was cancelled before.
        """
        receipt = _ReceiptWatcher()
        self.watch(receipt)
        try:
            if self.task_id is None:
                await receipt.over
        finally:
            self.unwatch(receipt)
        if self.task_id is None:
            outcome_of(self)
            raise RuntimeError("This future was settled by hand; it never was a task.")
        return self.task_id

    async def status(self) -> TaskStatus:
        """Ask the service what it knows of the task; no result is lost by asking.

        Raises:
            RuntimeError: if no executor made this future.
            FuncXError: what kept the service from answering, or the task from being taken.

        Example::

            print((await future.status()).status)
        """
        if self._origin is None:
            raise RuntimeError("No executor made this future, so there is nobody to ask.")
        return await self._origin.task_status(await self.submitted())

    def _wait(self, timeout: float | None) -> None:
        """Wait in this thread until it is done; TimeoutError if that takes longer."""
        self._refuse_to_deadlock(timeout)
        with lock:
            if not self.done():
                self._condition.wait(timeout)
        if not self.done():
            raise TimeoutError

    def _refuse_to_deadlock(self, timeout: float | None) -> None:
        self._check_loop()
        if self._origin is None or timeout == 0 or self.done():
            return
        if running_loop() is self._origin.loop:
            raise RuntimeError(
                "This future is settled by the event loop of this very thread, which would wait "
                "for itself: use `await future` here."
            )
        if self._origin.pid != current_pid():
            raise RuntimeError(
                "This future is settled in the process that forked this one, which will not learn "
                "of it: wait for it there."
            )

    def _check_loop(self) -> None:
        """Fail the future if its loop is closed: nothing else settles it any more."""
        if self._origin is not None and self._origin.loop.is_closed() and not self.done():
            self._origin.fail_open()

    # For the executor ---------------------------------------------------------------------------

    def bind(self, origin: Origin) -> None:
        """Set the session that will settle this future."""
        self._origin = origin

    def belongs_to(self, executor: object) -> bool:
        """Return whether it was bound to this session."""
        return self._origin is executor

    @property
    def sent(self) -> bool:
        """Whether its task is on the wire, or was: it cannot be cancelled any more."""
        return self._claimed or self._state != PENDING

    def claim(self) -> bool:
        """Keep the future from being cancelled while its task is sent; False if it was before."""
        with lock:
            self._claimed = self._state == PENDING
            return self._claimed

    def release(self) -> None:
        """Let the future be cancelled again: its task was certainly not taken."""
        with lock:
            self._claimed = False

    def accept(self, task_id: str | None, now: float) -> None:
        """Become RUNNING: the service has the task, or (with None) may have it."""
        with lock:
            if self._state == PENDING:
                self._state = RUNNING
            self.task_id = task_id
            self.accepted_at = now
            listener = self._listener
        if task_id is not None and isinstance(listener, (_ReceiptWatcher, Listeners)):
            self._notify_of_receipt(listener)

    def succeed(self, payload: str, here: asyncio.AbstractEventLoop | None = None) -> bool:
        """Settle with the value that ``payload`` holds; False if it is settled already.

        Args:
            payload: the serialized value.
            here: the loop that runs in this thread, if the caller knows it.
        """
        origin = self._origin
        read = self.reader() if origin is None else origin.read
        try:
            value = read(payload)
        except KeyboardInterrupt:
            raise
        except FuncXError as error:
            error.task_id = self.task_id
            return self.task_failed(error)
        except BaseException as error:  # what is read may be any code, `sys.exit` included
            failure = DeserializationError(
                f"Reading the result raised {type(error).__name__}: {error}",
                payload=payload,
                task_id=self.task_id,
            )
            failure.__cause__ = error
            return self.task_failed(failure)
        return self._finish(value, None, here)

    def reader(self) -> Callable[[str], Any]:
        """Return what makes the value out of its serialized form, in whatever thread."""
        if self._origin is None:
            raise RuntimeError("No executor made this future, so nobody can read the payload.")
        return self._origin.read

    def fulfil(self, value: T) -> bool:
        """Settle with a value; False if it is settled already."""
        return self._finish(value, None)

    def fail(self, error: BaseException) -> bool:
        """Settle with an exception; False if it is settled already."""
        return self._finish(None, error)

    def task_failed(self, error: BaseException) -> bool:
        """Settle with the error of the task, unless the task is submitted again.

        Returns:
            False if the future is settled already.
        """
        return self.fail(error)

    def restart(self) -> bool:
        """Become PENDING again, for another attempt; False if it is settled already."""
        with lock:
            if self.done():
                return False
            self._state = PENDING
            self._claimed = False
            return True

    def cancel(self) -> bool:  # type: ignore[override]
        """Cancel the task if it is not sent yet; the service cannot recall one that is.

        Returns:
            Whether the future is cancelled now.
        """
        with lock:
            if self._state in _CANCELLED:
                return True
            if self._claimed or self._state != PENDING:
                return False
            self._state = CANCELLED
        self._after_cancelling()
        return True

    def give_up(self) -> bool:
        """Become cancelled in whatever unfinished state; False if it is settled already."""
        with lock:
            if self.done():
                return False
            self._state = CANCELLED
        self._after_cancelling()
        return True

    def set_result(self, result: T) -> None:
        """Settle with a value; ``InvalidStateError`` if it is settled already."""
        if not self._finish(result, None):
            raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")

    def set_exception(  # type: ignore[override]
        self, exception: BaseException | None
    ) -> None:
        """Settle with an exception; ``InvalidStateError`` if it is settled already."""
        if not self._finish(None, exception):
            raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")

    def _finish(
        self,
        result: T | None,
        exception: BaseException | None,
        here: asyncio.AbstractEventLoop | None = None,
    ) -> bool:
        """Settle, and notify who listens; False if it is settled already."""
        with lock:
            if self._state not in _UNFINISHED:
                return False
            # With an exception there is no value: its record is in the place of one.
            self._result = result if exception is None else _Failure(self, exception)  # type: ignore[assignment]
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
        self._notify_listeners(listener, here)
        return True

    def _after_cancelling(self) -> None:
        self._invoke_callbacks()
        if self._origin is not None:
            # Nobody else will, and concurrent.futures.wait would sleep on.
            self.set_running_or_notify_cancel()

    # Listeners ----------------------------------------------------------------------------------

    def watch(self, watcher: Awaiter) -> None:
        """Notify ``watcher`` on its loop once the future is done, or now if it is."""
        with lock:
            finished = self._state not in _UNFINISHED
            if not finished:
                if self._listener is None:
                    self._listener = watcher
                else:
                    self._listeners().watchers[watcher] = None
        if finished:
            _notify(watcher, self, running_loop())

    def unwatch(self, watcher: Awaiter) -> None:
        """Stop notifying ``watcher``; harmless if it does not watch."""
        with lock:
            if self._listener is watcher:
                self._listener = None
            elif isinstance(self._listener, Listeners):
                self._listener.watchers.pop(watcher, None)

    def add_done_callback(  # type: ignore[override]
        self, fn: Callable[[Any], object]
    ) -> None:
        """Call ``fn(future)`` once it is done, or now if it is.

        Added where an event loop runs, ``fn`` is called on that loop, in whatever thread
        the future is settled; elsewhere it is called in the thread that settles it.
        """
        loop = running_loop()
        callback = fn if loop is None else _OnLoop(loop, fn)
        with lock:
            if self._state in _UNFINISHED:
                self._listeners().callbacks.append(callback)
                return
        self._call(callback)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Forget ``fn``, and return how many times it had been added."""
        with lock:
            if not isinstance(self._listener, Listeners):
                return 0
            before = self._listener.callbacks
            self._listener.callbacks = [callback for callback in before if callback != fn]
            return len(before) - len(self._listener.callbacks)

    def _listeners(self) -> Listeners:
        """Return all who listen, for one more; the lock is held."""
        if not isinstance(self._listener, Listeners):
            self._listener = Listeners(self._listener)
        return self._listener

    def _notify_listeners(
        self, listener: Any, here: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """Notify who listened, each once; ``here`` is the loop of this thread."""
        if here is None:
            here = running_loop()
        self._note_done(here)
        if isinstance(listener, Listeners):
            for watcher in listener.watchers:
                _notify(watcher, self, here)
            for callback in listener.callbacks:
                self._call(callback)
        elif listener is not None:
            _notify(listener, self, here)

    def _note_done(self, here: asyncio.AbstractEventLoop | None) -> None:
        """Follow up before all others are notified; ``here`` is the loop of this thread."""
        if self._origin is not None:
            self._origin.done(self, here)

    def _notify_of_receipt(self, listener: _ReceiptWatcher | Listeners) -> None:
        with lock:
            watchers = list(listener.watchers) if isinstance(listener, Listeners) else [listener]
        for watcher in watchers:
            if isinstance(watcher, _ReceiptWatcher):
                _notify(watcher, self, running_loop())

    def _call(self, callback: Callable[[Any], object]) -> None:
        try:
            callback(self)
        except Exception:  # as in concurrent.futures: the others are called
            ids = {"task_id": self.task_id}
            _callback_log.exception("exception calling callback for %r", self, extra=ids)

    # The original's attributes that concurrent.futures uses: made when it does ------------------

    if not TYPE_CHECKING:  # to the type of `as_completed` they are variables

        @property
        def _condition(self) -> threading.Condition:
            with lock:
                listeners = self._listeners()
                if listeners.condition is None:
                    listeners.condition = threading.Condition(lock)
                return listeners.condition

        @property
        def _waiters(self) -> list[Any]:
            with lock:
                return self._listeners().observers

    def _invoke_callbacks(self) -> None:
        """Notify who listens that the future is done."""
        with lock:
            listener = self._listener
            if isinstance(listener, Listeners):
                listener = listener.taken()
            else:
                self._listener = None
        self._notify_listeners(listener)


def outcome_of(future: FuncXFuture[T]) -> T:
    """Return what a settled future holds, or raise its failure or asyncio's CancelledError."""
    try:
        if future.cancelled():
            raise asyncio.CancelledError
        return future.outcome()
    finally:
        __tracebackhide__ = True
        future = None  # type: ignore[assignment]  # the traceback must not keep it alive


class _Failure:
    """The exception that a future holds; it is logged if nobody has retrieved it in the end.

    Args:
        future: failed with it.
        error: the exception.

    Attributes:
        retrieved: whether the exception was raised, or returned by ``exception()``.
    """

    __slots__ = ("_error", "_function_name", "_task_id", "_traceback", "retrieved")

    def __init__(self, future: FuncXFuture[Any], error: BaseException) -> None:
        self._error = error
        self._traceback = error.__traceback__
        self._task_id = future.task_id
        self._function_name = future.function_name
        # An executor that ends says itself how many of its tasks are open.
        self.retrieved = isinstance(error, ExecutorClosed)

    def raised(self) -> BaseException:
        """Return the exception to raise, without the frames that raised it before."""
        self.retrieved = True
        return self._error.with_traceback(self._traceback)

    def __del__(self, log: logging.Logger = _log) -> None:
        if self.retrieved:
            return
        log.error(
            "The exception of the task %s%s was never retrieved: await its future, or call "
            "result() or exception().",
            self._task_id or "that was not submitted",
            f" of the function {self._function_name!r}" if self._function_name else "",
            exc_info=(type(self._error), self._error, self._traceback),
            extra={"task_id": self._task_id},
        )


class _ReceiptWatcher:
    """Watches a future until the service has taken its task, or never will."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.over = self.loop.create_future()

    def finished(self, future: object) -> None:
        """End the wait."""
        _wake(self.over)


class _OnLoop:
    """A callback that belongs to a loop, in whatever thread it is called."""

    __slots__ = ("callback", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[Any], object]) -> None:
        self.loop = loop
        self.callback = callback

    def __call__(self, future: Any) -> None:
        """Call it on its loop, now if that runs here."""
        if running_loop() is self.loop:
            try:
                self.callback(future)
            except asyncio.CancelledError as error:
                # It would end the task that settles the future, which is not meant.
                raise RuntimeError("a done callback was cancelled") from error
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.callback, future)

    def __eq__(self, other: object) -> bool:
        return self.callback == (other.callback if isinstance(other, _OnLoop) else other)

    __hash__ = None  # type: ignore[assignment]


def _notify(awaiter: Awaiter, future: object, here: asyncio.AbstractEventLoop | None) -> None:
    """Notify an awaiter on its loop that the future is done; ``here`` is this thread's loop."""
    # The class does not say: nest_asyncio and uvloop put others in the place of asyncio.Future.
    finished = getattr(awaiter, "finished", None)
    loop = awaiter.get_loop() if finished is None else awaiter.loop  # type: ignore[union-attr]
    if here is not loop:
        tell = partial(_wake, awaiter) if finished is None else partial(finished, future)  # type: ignore[arg-type]
        with suppress(RuntimeError):  # the loop is closed, perhaps just now: nobody waits there
            loop.call_soon_threadsafe(tell)
    elif finished is None:
        _wake(awaiter)  # type: ignore[arg-type]
    else:
        finished(future)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
