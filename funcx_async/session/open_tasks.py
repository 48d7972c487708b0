"""The tasks of a session that are open, and word of those that are settled.

Futures are settled by the thousand, and in any thread. So the loop is called once for all that are
settled until it comes by, and concludes then what is to be concluded: whether there is room for
more tasks, which endpoints are alive, whether the session may end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable

from funcx_async.confined import CONNECTIONS, confined
from funcx_async.errors import ExecutorClosed, TooManyOpenTasks
from funcx_async.journal import Journal
from funcx_async.session.posting import AnyFuture
from funcx_async.settings.settings import Settings

COUNTED = (
    *("done", "failed", "retried", "batches"),
    *("reconnects", "orphans", "duplicates", "malformed"),
)
"""What is counted, by the names that ``Stats`` has for it."""

_log = logging.getLogger(__name__)


@confined(CONNECTIONS)
class OpenTasks:
    """See the module.

    Args:
        settings: say how many tasks may be open; read whenever that matters.
        loop: is called when tasks are settled.
        journal: is told of each; None for an executor without one.

    Attributes:
        counts: how often each of ``COUNTED`` happened.
    """

    def __init__(
        self, settings: Settings, loop: asyncio.AbstractEventLoop, journal: Journal | None
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.journal = journal
        self.counts: Counter[str] = Counter()
        self._open: dict[AnyFuture, str | None] = {}
        self._news: set[str | None] = set()
        self._changed = asyncio.Event()
        self._freed = asyncio.Event()

    @property
    def open_futures(self) -> list[AnyFuture]:
        """All futures that are not settled."""
        return list(self._open)

    def open_at(self, endpoint_id: str) -> int:
        """How many tasks are open at an endpoint."""
        return list(self._open.values()).count(endpoint_id)  # other threads may be adding some

    def add(self, future: AnyFuture, endpoint_id: str | None) -> None:
        """Count a task among the open ones, until its future is ``done``."""
        self._open[future] = endpoint_id

    def remove(self, future: AnyFuture) -> None:
        """Count it no more: there is nothing that could come of it."""
        self._open.pop(future, None)

    def refuse_too_many(self) -> None:
        """Raise TooManyOpenTasks if no more tasks may be open."""
        limit = self.settings.max_in_flight
        if limit is not None and len(self._open) >= limit:
            raise TooManyOpenTasks(
                f"{len(self._open)} tasks are open, and max_in_flight is {limit}: await some of "
                "them first, or use amap, which waits by itself."
            )

    async def room(self) -> None:
        """Wait until one more task may be open."""
        limit = self.settings.max_in_flight
        while limit is not None and len(self._open) >= limit:
            self._freed.clear()
            await self._freed.wait()

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        self.counts[what] += 1

    def done(self, future: AnyFuture, here: asyncio.AbstractEventLoop | None) -> None:
        """Take note that a future is settled; called once for each, in any thread.

        Args:
            future: the future.
            here: the loop that runs in this thread.
        """
        endpoint_id = self._open.pop(future, None)
        if self.journal is not None:
            self.journal.done(future)
        self.counts["failed" if future.failed else "done"] += 1
        if endpoint_id in self._news:
            return  # the loop is called already, and has not come by yet
        self._news.add(endpoint_id)
        if here is self.loop:
            self._changed.set()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._changed.set)

    def look(self) -> None:
        """Have ``news`` return, although nothing may be settled."""
        self._changed.set()

    async def news(self) -> list[str]:
        """Wait until tasks are settled, and give the endpoints that they were for."""
        await self._changed.wait()
        self._changed.clear()
        news, self._news = self._news, set()
        self._freed.set()
        # Another thread may be adding to it still, so it is not walked through.
        return [endpoint_id for endpoint_id in tuple(news) if endpoint_id is not None]

    def fail_all(self, task_groups: Iterable[str]) -> None:
        """Fail what is open: nobody will settle it any more.

        Args:
            task_groups: where the tasks are that go on.
        """
        if self._open:
            groups = ", ".join(task_groups) or "none yet"
            _log.info(
                "%d task(s) go on unawaited; task groups: %s",
                len(self._open),
                groups,
                extra={"task_group_id": groups},
            )
        for future in self.open_futures:
            future.fail(
                ExecutorClosed(
                    "The executor's event loop ended before the task did. If it was sent, it goes "
                    "on: `reload_tasks` with its task group awaits it again.",
                    task_id=future.task_id,
                )
            )
