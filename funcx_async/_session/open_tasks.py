"""The open tasks of a session.

Futures are added and settled in any thread, so a lock makes each change atomic. They are settled
by the thousand: the loop is woken once for all that are settled until it follows up on them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress

from funcx_async._futures.future import running_loop
from funcx_async._journal import Journal
from funcx_async._process import CONNECTIONS, confined
from funcx_async._session.batches import AnyFuture
from funcx_async.errors import ExecutorClosed, TooManyOpenTasks

_log = logging.getLogger("funcx_async.executor")


@confined(CONNECTIONS)
class OpenTasks:
    """The open futures of a session, and how many were settled.

    Args:
        loop: is woken when tasks are settled.
        journal: records each outcome; None for an executor without one.
        max_in_flight: how many tasks may be open; None: any number.

    Attributes:
        succeeded: how many futures were settled with a value.
        failed: how many were settled with an error, or cancelled.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, journal: Journal | None, max_in_flight: int | None
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._limit = max_in_flight
        # Reentrant: what garbage collection frees while it is held may settle a future.
        self._lock = threading.RLock()
        self._open: dict[AnyFuture, str | None] = {}
        self.succeeded = 0
        self.failed = 0
        self._settled_at: set[str | None] = set()
        self._changed = asyncio.Event()
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def futures(self) -> list[AnyFuture]:
        """All futures that are not settled."""
        return list(self._open)

    def at(self, endpoint_id: str) -> int:
        """Return how many tasks are open at an endpoint."""
        return list(self._open.values()).count(endpoint_id)  # other threads may be adding some

    # Opening ------------------------------------------------------------------------------------

    def admit(self, future: AnyFuture, endpoint_id: str | None) -> None:
        """Add a future if one more task may be open, until it is ``done``.

        Raises:
            TooManyOpenTasks: if no more tasks may be open.
        """
        with self._lock:
            if self._limit is not None and len(self._open) >= self._limit:
                raise TooManyOpenTasks(
                    f"{len(self._open)} tasks are open, and max_in_flight is {self._limit}: await "
                    "some of them first, or use amap, which waits by itself."
                )
            self._open[future] = endpoint_id

    def add(self, future: AnyFuture, endpoint_id: str | None) -> None:
        """Add the future of a task that the service has already, until it is ``done``."""
        with self._lock:
            self._open[future] = endpoint_id

    def remove(self, future: AnyFuture) -> None:
        """Forget a future that was added for a task which cannot be submitted."""
        with self._lock:
            self._open.pop(future, None)
        self._wake()

    async def wait_for_capacity(self) -> None:
        """Wait until one more task may be open."""
        while self._limit is not None and len(self._open) >= self._limit:
            self._freed.clear()
            await self._freed.wait()

    # Settling -----------------------------------------------------------------------------------

    def done(self, future: AnyFuture, here: asyncio.AbstractEventLoop | None) -> None:
        """Follow up on a settled future; called once for each, in any thread.

        Args:
            future: the future.
            here: the loop that runs in this thread.
        """
        if self._journal is not None:
            self._journal.done(future)
        with self._lock:
            endpoint_id = self._open.pop(future, None)
            if future.failed:
                self.failed += 1
            else:
                self.succeeded += 1
            if endpoint_id in self._settled_at:
                return  # the loop is woken already, and has not followed up yet
            self._settled_at.add(endpoint_id)
        self._wake(here)

    def wake(self) -> None:
        """Let ``settled`` return, even if nothing is settled."""
        self._changed.set()

    async def settled(self) -> list[str]:
        """Wait until tasks are settled, and return the endpoints that they were for."""
        await self._changed.wait()
        self._changed.clear()
        with self._lock:
            settled_at, self._settled_at = self._settled_at, set()
        self._freed.set()
        return [endpoint_id for endpoint_id in settled_at if endpoint_id is not None]

    def end(self) -> None:
        """Wake those who wait for capacity: the session has ended."""
        self._freed.set()

    def fail_all(self, task_groups: Iterable[str], why: str) -> None:
        """Fail every open future: nothing will settle it any more.

        Args:
            task_groups: the groups of the tasks that go on.
            why: what ended, and what that means for the tasks.
        """
        futures = self.futures
        unsent = sum(not future.sent for future in futures)
        groups = ", ".join(task_groups) or "none yet"
        if unsent:
            _log.warning(
                "The executor ended before %d task(s) were sent: they do not run. Leave it with "
                "`async with`, or await `shutdown()`, to wait for its tasks.",
                unsent,
            )
        if unsent < len(futures):
            _log.info(
                "%d task(s) go on unawaited; task groups: %s",
                len(futures) - unsent,
                groups,
                extra={"task_group_id": groups},
            )
        for future in futures:
            future.fail(ExecutorClosed(why, task_id=future.task_id))

    def _wake(self, here: asyncio.AbstractEventLoop | None = None) -> None:
        if (here or running_loop()) is self._loop:
            self._changed.set()
        else:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._changed.set)
