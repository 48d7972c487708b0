"""The future of a task: a ``concurrent.futures.Future`` that asyncio can await.

Rules: awaiting observes, only ``cancel()`` cancels; a future settles exactly once; whoever adds
a callback while a loop runs is called back on that loop.

    PENDING, queued    cancel() succeeds, and the task is not sent
    PENDING, claimed   its POST is on the wire: cancel() fails
    RUNNING            the service has it, or may have it: cancel() fails
    FINISHED           it has its result or its exception
    CANCELLED          cancelled before it was sent, or given up
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
from collections.abc import Callable
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, PENDING, RUNNING
from typing import Any, Protocol, TypeVar

from funcx_async.awaiting import AwaitableFuture, OnLoop, outcome_of, running_loop, waking
from funcx_async.errors import DeserializationError, FuncXError
from funcx_async.light import lock
from funcx_async.models import TaskStatus

T = TypeVar("T")


class Origin(Protocol):
    """What a future asks of the executor that made it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that will settle the future."""
        ...

    @property
    def pid(self) -> int:
        """The process that the loop runs in."""
        ...

    def read(self, payload: str) -> Any:
        """Make the value out of its serialized form."""
        ...

    async def task_status(self, task_id: str) -> TaskStatus:
        """Ask the service about one task."""
        ...

    def fail_open(self) -> None:
        """Fail what is open: the loop is gone."""
        ...

    def done(self, future: Any) -> None:
        """Take note that the future is settled, in whatever thread."""
        ...


class FuncXFuture(AwaitableFuture[T]):
    """The result to come of one task.

    ``await`` it in a coroutine, or use it as the ``concurrent.futures.Future`` that it is. A
    coroutine that is cancelled while it awaits leaves the task alone: await again later.

    Args:
        task_id: the service's id of the task, if it is known already.

    Attributes:
        task_id: the service's id of the task; None until the service has taken it.
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
        "_origin",
        "_receipt_callbacks",
        "accepted_at",
        "key",
        "task_id",
    )

    def __init__(self, task_id: str | None = None) -> None:
        super().__init__()
        self.task_id = task_id
        self.accepted_at: float | None = None
        self.key: str | None = None
        self._origin: Origin | None = None
        self._claimed = False
        self._receipt_callbacks: list[Callable[[FuncXFuture[T]], object]] | None = None

    def __repr__(self) -> str:
        text = super().__repr__()
        return text if self.task_id is None else f"{text[:-1]} task_id={self.task_id}>"

    # For those who wait ---------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Give the result, waiting in this thread for at most ``timeout`` seconds (None: for ever).

        Raises:
            RuntimeError: on the executor's own loop, or in a forked process, while unfinished: it
                would wait for ever.
            TimeoutError: if the time is over.
            concurrent.futures.CancelledError: if the future was cancelled.
            FuncXError: what became of the task instead.
        """
        self._refuse_to_deadlock(timeout)
        try:
            return super().result(timeout)
        finally:
            del self  # the traceback of a failure must not keep it alive

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Give the exception, or None for a good result; waits and raises as :meth:`result`."""
        self._refuse_to_deadlock(timeout)
        return super().exception(timeout)

    async def submitted(self) -> str:
        """Wait until the service has taken the task, and give its id.

        Raises:
            FuncXError: why it was not taken.
            asyncio.CancelledError: if the future was cancelled before.
        """
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        wake = OnLoop(loop, waking(waiter))
        with lock:
            self._receipt_callbacks = [*(self._receipt_callbacks or ()), wake]
            taken = self.task_id is not None
        self.add_done_callback(wake)
        try:
            if not taken:
                await waiter
        finally:
            self.remove_done_callback(wake)
            with lock:
                kept = [other for other in self._receipt_callbacks or () if other is not wake]
                self._receipt_callbacks = kept or None
        if self.task_id is None:
            outcome_of(self)
            raise RuntimeError("This future was settled by hand; it never was a task.")
        return self.task_id

    async def status(self) -> TaskStatus:
        """Ask the service what it knows of the task; no result is lost by asking.

        Raises:
            RuntimeError: if no executor made this future.
            FuncXError: what kept the service from answering, or the task from being taken.
        """
        if self._origin is None:
            raise RuntimeError("No executor made this future, so there is nobody to ask.")
        return await self._origin.task_status(await self.submitted())

    # For the executor -----------------------------------------------------------------------

    def bind(self, origin: Origin) -> None:
        """Say which executor will settle this future."""
        self._origin = origin

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
            callbacks = self._receipt_callbacks or ()
        if task_id is not None:
            for callback in callbacks:
                callback(self)

    def succeed(self, payload: str) -> bool:
        """Settle with the value that ``payload`` holds; False if it is settled already."""
        if self._origin is None:
            raise RuntimeError("No executor made this future, so nobody can read the payload.")
        try:
            value = self._origin.read(payload)
        except KeyboardInterrupt:
            raise
        except FuncXError as error:
            error.task_id = self.task_id
            return self.fail(error)
        except BaseException as error:  # what is read may be any code, `sys.exit` included
            failure = DeserializationError(
                f"Reading the result raised {type(error).__name__}: {error}",
                payload=payload,
                task_id=self.task_id,
            )
            failure.__cause__ = error
            return self.fail(failure)
        try:
            self.set_result(value)
        except concurrent.futures.InvalidStateError:
            return False
        return True

    def fail(self, error: BaseException) -> bool:
        """Settle with an exception; False if it is settled already."""
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            return False
        return True

    def cancel(self) -> bool:
        """Cancel the task if it is not sent yet; the service cannot recall one that is.

        Returns:
            Whether the future is cancelled now.
        """
        with lock:
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED):
                return True
            if self._claimed or self._state != PENDING:
                return False
            self._become_cancelled()
        self._after_cancelling()
        return True

    def give_up(self) -> bool:
        """Become cancelled in whatever unfinished state; False if it is settled already."""
        with lock:
            if self.done():
                return False
            self._become_cancelled()
        self._after_cancelling()
        return True

    def _invoke_callbacks(self) -> None:
        if self._origin is not None:
            self._origin.done(self)
        super()._invoke_callbacks()

    def _become_cancelled(self) -> None:
        self._state = CANCELLED
        if self._made_condition is not None:
            self._made_condition.notify_all()

    def _after_cancelling(self) -> None:
        self._invoke_callbacks()
        if self._origin is not None:
            # Nobody else will, and concurrent.futures.wait would sleep on.
            self.set_running_or_notify_cancel()

    def _refuse_to_deadlock(self, timeout: float | None) -> None:
        self._before_waiting()
        if self._origin is None or timeout == 0 or self.done():
            return
        if running_loop() is self._origin.loop:
            raise RuntimeError(
                "This future is settled by the event loop of this very thread, which would wait "
                "for itself: use `await future` here."
            )
        if self._origin.pid != os.getpid():
            raise RuntimeError(
                "This future is settled in the process that forked this one, which will not learn "
                "of it: wait for it there."
            )

    def _before_waiting(self) -> None:
        """Nobody settles a future any more once its loop is closed."""
        if self._origin is not None and self._origin.loop.is_closed() and not self.done():
            self._origin.fail_open()
