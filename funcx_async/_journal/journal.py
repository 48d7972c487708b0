"""The journal as an executor uses it: called on the loop, written in another thread.

A caller that must not go on before something is on disk awaits that; whatever merely must not be
forgotten is written behind. A journal that could not be written once is not written any more: the
executor then sends nothing, and acknowledges nothing, so that the next one finds it all.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from funcx_async import errors
from funcx_async._core.book import Book, Entry, Failure, Outcome, Write
from funcx_async._futures.future import FuncXFuture, running_loop
from funcx_async._journal.writer import Writer
from funcx_async._process import CONNECTIONS, confined
from funcx_async.errors import ExecutorClosed, FuncXError, JournalError
from funcx_async.models import Result

AnyFuture: TypeAlias = FuncXFuture[Any]

_log = logging.getLogger("funcx_async.journal")


@confined(CONNECTIONS)
class Journal:
    """The journal of one executor; made on the loop's own thread, opened in another.

    Whatever needs its content waits in its thread until the file is open; :meth:`until_open` waits
    for that without holding up the loop.

    Args:
        path: the file; it is made if it is not there.
        service_url: the root of the service whose tasks it keeps.
        api: the dialect that this service is spoken to in.
    """

    def __init__(self, path: Path, *, service_url: str, api: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._ordered = 0
        self._done = 0
        self._failure: JournalError | None = None
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        report = partial(_report, self._loop, weakref.WeakMethod(self._note))
        self._writer = Writer(path, service_url, api, report)
        self._stopped = weakref.finalize(self, self._writer.stop)
        self._stopped.atexit = False

    def __repr__(self) -> str:
        if not self._writer.opened.done():
            return f"<Journal {self._path} opening>"
        if self._writer.opened.exception() is not None:
            return f"<Journal {self._path} unusable>"
        return f"<Journal {self._path} {len(self._book)} unconfirmed>"

    # Opening ------------------------------------------------------------------------------------

    async def until_open(self) -> None:
        """Wait until the file is open.

        Raises:
            JournalError: if it cannot be used; the message says why.
            ValueError: if it keeps tasks of another service.
        """
        with suppress(JournalError, ValueError):
            await asyncio.wrap_future(self._writer.opened)
        self.wait_until_open()

    def wait_until_open(self) -> None:
        """Wait in this thread until the file is open; raises as :meth:`until_open`."""
        error = self._writer.opened.exception()
        if error is not None:  # without the frames that it was raised through before
            raise error.with_traceback(None)

    @cached_property
    def _book(self) -> Book[AnyFuture]:
        self.wait_until_open()
        return self._writer.opened.result()

    # Submitting; `reserve` and `done` in any thread ---------------------------------------------

    def reserve(
        self, future: AnyFuture, key: str | None, endpoint_id: str, request: str | None = None
    ) -> None:
        """Take a key for the task of ``future``; a new one if ``key`` is None.

        Args:
            future: awaits the task.
            key: the key.
            endpoint_id: where it runs.
            request: what submits it again in another process; None for a task without a policy.

        Raises:
            ValueError: if the key is taken.
            JournalError: if nothing can be written any more.
        """
        self._check()
        key = key or str(uuid4())
        self._book.reserve(key, future, endpoint_id, request)
        future.key = key

    async def intend(
        self, tasks: Iterable[tuple[AnyFuture, str]], task_group_id: str | None
    ) -> None:
        """Record that tasks are about to be sent: futures with function ids.

        Raises:
            JournalError: if it cannot be; they must not be sent then.
        """
        self._write(self._book.intend(_keyed(tasks), task_group_id))
        await self.committed()

    def withdraw(self, futures: Iterable[AnyFuture]) -> None:
        """Record that the service certainly did not take these tasks."""
        self._write(self._book.withdraw((f.key, f) for f in futures if f.key is not None))

    async def accept(self, tasks: Iterable[tuple[AnyFuture, str]], task_group_id: str) -> None:
        """Record a receipt: futures with task ids.

        Where that fails, the tasks run nevertheless, and this process awaits them.
        """
        self._write(self._book.accept(_keyed(tasks), task_group_id))
        with suppress(JournalError):
            await self.committed()

    def done(self, future: AnyFuture) -> None:
        """Record that a future is settled, whatever the reason."""
        key = future.key
        if key is None:
            return
        if future.cancelled():
            if writes := self._book.release(key, future):
                self._on_loop(self._write, writes)
            return
        error = future.exception(0)
        if error is None or isinstance(error, ExecutorClosed | JournalError):
            return
        self._on_loop(self._fail, key, future, error)

    def retry(self, future: AnyFuture, request: str | None) -> None:
        """Keep the key of a failed task for its next attempt; on the loop."""
        if future.key is not None:
            self._book.retry(future.key, future, request)

    # Outcomes -----------------------------------------------------------------------------------

    def unattended(self, task_id: str) -> bool:
        """Whether this is an open task of an earlier process that is not awaited yet."""
        return self._book.unattended(task_id)

    def receive(self, result: Result) -> None:
        """Record a result, if it is one of the journal's tasks."""
        self._write(self._book.receive(result))

    def when_committed(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that was recorded before is on disk; never if that fails."""
        if self._done == self._ordered:
            self._unless_failed(then)
        else:
            self._waiting.append((self._ordered, partial(self._unless_failed, then)))

    async def committed(self) -> None:
        """Wait until all that was recorded before is on disk.

        Raises:
            JournalError: if it cannot be written.
        """
        if self._done < self._ordered:
            waiter = self._loop.create_future()
            self._waiting.append((self._ordered, partial(_wake, waiter)))
            await waiter
        self._check()

    # The application ----------------------------------------------------------------------------

    def unconfirmed(self) -> list[Entry[AnyFuture]]:
        """Return what the journal holds, the oldest first."""
        return self._book.unconfirmed()

    def holds(self, entry: Entry[AnyFuture]) -> bool:
        """Whether this entry is not confirmed yet."""
        return self._book.holds(entry)

    async def outcomes(self, entries: Sequence[Entry[AnyFuture]]) -> list[Outcome | None]:
        """Read the outcomes of the first of these entries; None stands for none.

        Raises:
            JournalError: if they cannot be read.
        """
        return await asyncio.wrap_future(self._writer.outcomes([entry.number for entry in entries]))

    async def confirm(self, keys: Sequence[str]) -> None:
        """Forget tasks that the application has dealt with.

        Raises:
            KeyError: if the journal does not hold one; none is forgotten then.
            JournalError: if that cannot be written.
        """
        self._write(self._book.confirm(keys))
        await self.committed()

    # The end ------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Write what is to be written, and give the file free."""
        self._stopped()
        await asyncio.wrap_future(self._writer.ended)

    def close(self) -> None:
        """Do as :meth:`aclose` where the loop is gone, waiting in this thread."""
        self._stopped()
        self._writer.ended.result()

    # How it is done -----------------------------------------------------------------------------

    def _on_loop(self, call: Callable[..., None], *about: Any) -> None:
        """Call on the loop, now if it runs in this thread; never once it is closed."""
        if running_loop() is self._loop:
            call(*about)
        elif not self._loop.is_closed():
            with suppress(RuntimeError):  # closed just now
                self._loop.call_soon_threadsafe(call, *about)

    def _fail(self, key: str, future: AnyFuture, error: BaseException) -> None:
        self._write(self._book.fail(key, future, failure_of(error)))

    def _write(self, writes: Sequence[Write]) -> None:
        if writes:
            self._ordered += 1
            self._writer.write(writes)

    def _note(self, done: int, failure: JournalError | None) -> None:
        """Wake the callers whose writes are on disk, or have failed."""
        if failure is not None and self._failure is None:
            self._failure = failure
            _log.error("%s Nothing is submitted or acknowledged any more.", failure)
        self._done = done
        while self._waiting and self._waiting[0][0] <= done:
            self._waiting.popleft()[1]()

    def _unless_failed(self, then: Callable[[], None]) -> None:
        if self._failure is None:
            then()

    def _check(self) -> None:
        if self._failure is not None:
            raise JournalError(str(self._failure)) from self._failure.__cause__


def _keyed(tasks: Iterable[tuple[AnyFuture, str]]) -> Iterator[tuple[str, AnyFuture, str]]:
    for future, word in tasks:
        if future.key is not None:
            yield future.key, future, word


def _report(
    loop: asyncio.AbstractEventLoop,
    note: weakref.WeakMethod[Callable[[int, JournalError | None], None]],
    done: int,
    failure: JournalError | None,
) -> None:
    """Report to the journal on its loop, if both are still there."""
    method = note()
    if method is not None and not loop.is_closed():
        with suppress(RuntimeError):  # closed just now
            loop.call_soon_threadsafe(method, done, failure)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


# Errors of this package as records, and back


def failure_of(error: BaseException) -> Failure:
    """Return the record of an error, without its cause.

    Example:
        >>> failure_of(errors.NotFound("There is no such endpoint.", status=404)).kind
        'NotFound'
    """
    if not isinstance(error, FuncXError):
        return Failure("FuncXError", f"{type(error).__name__}: {error}")
    attributes = {name: value for name, value in vars(error).items() if _is_plain(value)}
    message = str(error.args[0]) if error.args else ""
    return Failure(type(error).__name__, message, attributes)


def error_of(failure: Failure) -> FuncXError:
    """Return the error of a record; of an unknown kind, a plain FuncXError.

    Example:
        >>> error_of(Failure("NotFound", "There is no such endpoint.", {"status": 404})).status
        404
    """
    kind = getattr(errors, failure.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, FuncXError)):
        kind = FuncXError
    error: FuncXError = kind(failure.message)
    for name, value in failure.attributes.items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    return error


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, str) for part in value)
    return value is None or isinstance(value, str | int | float)
