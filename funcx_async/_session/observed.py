"""A session that tells an observer what it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from funcx_async._futures.observer import Observer
from funcx_async._session.posting import AnyBatch, AnyFuture, FunctionIds
from funcx_async._session.sender import Sender
from funcx_async._session.session import Session
from funcx_async._session.submitter import Submitter
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.options import Options
from funcx_async.client import FuncXClient
from funcx_async.models import Receipt

_log = logging.getLogger("funcx_async.executor")


class ObservedSession(Session):
    """See the module; an observer that raises keeps no task from its end.

    Args:
        options: as for a session.
        client: likewise.
        groups: likewise.
        observer: is told.
        closes_client: as for a session.
    """

    def __init__(
        self,
        options: Options,
        client: FuncXClient,
        groups: TaskGroups,
        observer: Observer,
        *,
        closes_client: bool,
    ) -> None:
        self._observer = observer
        super().__init__(options, client, groups, closes_client=closes_client)
        observer.began(self)

    def _new_submitter(self) -> Submitter:
        return ObservedSubmitter(self, self.loop, self._observer)

    def submit(self, route: Any, function: Any, *args: Any, **kwargs: Any) -> AnyFuture:
        """Queue a task, and tell of it; as a session does."""
        future = super().submit(route, function, *args, **kwargs)
        _tell(self._observer.submitted, future, route, function.name)
        return future

    def done(self, future: AnyFuture, here: asyncio.AbstractEventLoop | None) -> None:
        """Take note that a future is settled, and tell of it; as a session does."""
        super().done(future, here)
        _tell(self._observer.settled, future)

    def count(self, what: str) -> None:
        """Count a noteworthy thing, and tell of it."""
        super().count(what)
        _tell(self._observer.counted, what)


class ObservedSubmitter(Submitter):
    """A submitter whose batches an observer watches."""

    def __init__(
        self, session: Sender, loop: asyncio.AbstractEventLoop, observer: Observer
    ) -> None:
        super().__init__(session, loop)
        self._observer = observer

    async def _send(self, batch: AnyBatch, function_ids: FunctionIds, group: str | None) -> Receipt:
        url = self._session.client.base_url
        with self._observer.posting(batch, function_ids, url) as answered:
            receipt = await super()._send(batch, function_ids, group)
            answered(receipt)
            return receipt


def _tell(tell: Callable[..., None], *told: Any) -> None:
    try:
        tell(*told)
    except Exception:  # the observer's trouble is not the tasks'
        _log.exception("telling the observer of an executor")
