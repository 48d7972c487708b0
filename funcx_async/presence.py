"""Whether the endpoints that tasks wait for are there.

Tasks for an endpoint that is offline wait, as they should, for days if need be. Whoever waits is
told so, once for each absence: when nothing has come of an endpoint's tasks for a while, the
service is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError
from funcx_async.events import EventKind, Events

SILENCE = 30.0
"""Seconds without a result of an endpoint's tasks, before the service is asked about it."""

AGAIN = 60.0
"""Seconds until it is asked again."""

SHARE = 0.25
"""The part of the budget of requests that these questions may use up."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Awaited:
    """An endpoint with open tasks."""

    look_at: float
    open: int = 0


class Presence:
    """See the module; used on one loop's thread.

    Args:
        client: asks the service.
        events: is told of endpoints that go and come.
    """

    def __init__(self, client: FuncXClient, events: Events) -> None:
        self._client = client
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._awaited: dict[str, _Awaited] = {}
        self._offline: set[str] = set()
        self._changed = asyncio.Event()

    def opened(self, endpoint_id: str) -> None:
        """Note a task for an endpoint."""
        awaited = self._awaited.get(endpoint_id)
        if awaited is None:
            self._awaited[endpoint_id] = awaited = _Awaited(self._loop.time() + SILENCE)
            self._changed.set()
        awaited.open += 1

    def settled(self, endpoint_id: str) -> None:
        """Note that something came of one of its tasks."""
        awaited = self._awaited.get(endpoint_id)
        if awaited is None:  # it failed before it was queued
            return
        awaited.open -= 1
        awaited.look_at = self._loop.time() + SILENCE
        if not awaited.open:
            del self._awaited[endpoint_id]

    async def watch_for_ever(self) -> NoReturn:
        """Look at the endpoints that are silent."""
        while True:
            if not self._awaited:
                self._changed.clear()
                await self._changed.wait()
            look_at = min((awaited.look_at for awaited in self._awaited.values()), default=0.0)
            await asyncio.sleep(max(0.0, look_at - self._loop.time()))
            now = self._loop.time()
            for endpoint_id, awaited in tuple(self._awaited.items()):
                if awaited.look_at <= now:
                    awaited.look_at = now + AGAIN
                    await self._look_at(endpoint_id, awaited)

    async def _look_at(self, endpoint_id: str, awaited: _Awaited) -> None:
        try:
            await self._client.within_budget(SHARE)
            status = await self._client.get_endpoint_status(endpoint_id)
        except FuncXError as error:
            _log.debug("Whether the endpoint %s is there is not known: %s", endpoint_id, error)
            return
        if status.status.lower() != "offline":
            if endpoint_id in self._offline:
                self._offline.discard(endpoint_id)
                _log.info("The endpoint %s is %s again.", endpoint_id, status.status)
                self._events.emit(EventKind.ENDPOINT_ONLINE, endpoint_id)
        elif endpoint_id not in self._offline:
            self._offline.add(endpoint_id)
            told = _in_words(status.logs[0] if status.logs else status.details)
            _log.warning(
                "The endpoint %s is offline, says the service%s. %d task(s) wait for it, and go on "
                "waiting: start it again, or ask who runs it to.",
                endpoint_id,
                told and f" ({told})",
                awaited.open,
            )
            self._events.emit(EventKind.ENDPOINT_OFFLINE, endpoint_id, told)


def _in_words(report: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in report.items())
