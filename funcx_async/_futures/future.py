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
from collections.abc import Callable
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, PENDING, RUNNING
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from funcx_async._futures.awaiting import AwaitableFuture, outcome_of, running_loop, tell_of
from funcx_async._futures.light import Listeners, lock
from funcx_async._interpreter import current_pid
from funcx_async.errors import DeserializationError, FuncXError

if TYPE_CHECKING:
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

    def done(self, future: Any, here: asyncio.AbstractEventLoop | None) -> None:
        """Take note that the future is settled, in whatever thread; ``here`` is its loop."""
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

    __slots__ = ("_claimed", "_origin", "accepted_at", "task_id")

    key: str | None = None  # few have one: it is in the instance's dict

    def __init__(self, task_id: str | None = None) -> None:
        AwaitableFuture.__init__(self)  # one is made for each task, and `super()` takes its time
        self.task_id = task_id
        self.accepted_at: float | None = None
        self._origin: Origin | None = None
        self._claimed = False

    def __repr__(self) -> str:
        text = super().__repr__()
        return text if self.task_id is None else f"{text[:-1]} task_id={self.task_id}>"

    def _repr_html_(self) -> str:
        from funcx_async._html import future_card

        return future_card(self, sent=self.sent, rows={"task": self.task_id, "key": self.key})

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
        taking = Taking()
        self.watch(taking)
        try:
            if self.task_id is None:
                await taking.over
        finally:
            self.unwatch(taking)
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

    # For the executor -----------------------------------------------------------------------

    def bind(self, origin: Origin) -> None:
        """Say which executor will settle this future."""
        self._origin = origin

    def belongs_to(self, executor: object) -> bool:
        """Whether it was bound to this executor."""
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
        if task_id is not None and isinstance(listener, (Taking, Listeners)):
            self._tell_of_receipt(listener)

    def succeed(self, payload: str, here: asyncio.AbstractEventLoop | None = None) -> bool:
        """Settle with the value that ``payload`` holds; False if it is settled already.

        Args:
            payload: the serialized value.
            here: the loop that runs in this thread, if the caller knows it.
        """
        origin = self._origin or self._without_origin()
        try:
            value = origin.read(payload)
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
        return self._finish(value, None, here)

    def reader(self) -> Callable[[str], Any]:
        """Give what makes the value out of its serialized form, in whatever thread."""
        return (self._origin or self._without_origin()).read

    def fulfil(self, value: T) -> bool:
        """Settle with a value; False if it is settled already."""
        return self._finish(value, None)

    def fail(self, error: BaseException) -> bool:
        """Settle with an exception; False if it is settled already."""
        return self._finish(None, error)

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

    def _note_done(self, here: asyncio.AbstractEventLoop | None) -> None:
        if self._origin is not None:
            self._origin.done(self, here)

    def _tell_of_receipt(self, listener: Taking | Listeners) -> None:
        with lock:
            watchers = list(listener.watchers) if isinstance(listener, Listeners) else [listener]
        for watcher in watchers:
            if isinstance(watcher, Taking):
                tell_of(watcher, self, running_loop())

    def _after_cancelling(self) -> None:
        self._invoke_callbacks()
        if self._origin is not None:
            # Nobody else will, and concurrent.futures.wait would sleep on.
            self.set_running_or_notify_cancel()

    def _without_origin(self) -> NoReturn:
        raise RuntimeError("No executor made this future, so nobody can read the payload.")

    def _refuse_to_deadlock(self, timeout: float | None) -> None:
        self._before_waiting()
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

    def _before_waiting(self) -> None:
        """Nobody settles a future any more once its loop is closed."""
        if self._origin is not None and self._origin.loop.is_closed() and not self.done():
            self._origin.fail_open()


class Taking:
    """Watches a future until the service has taken its task, or never will."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.over = self.loop.create_future()

    def finished(self, future: object) -> None:
        """Take note of it."""
        if not self.over.done():
            self.over.set_result(None)
