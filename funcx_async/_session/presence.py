"""Whether the endpoints that tasks wait for are there.

Tasks for an endpoint that is offline wait, as they should, for days if need be. Whoever waits is
told so, once for each absence: when nothing has come of an endpoint's tasks for a while, the
service is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
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

_log = logging.getLogger("funcx_async.endpoints")


class Presence:
    """See the module; used on one loop's thread.

    Args:
        client: asks the service.
        events: is told of endpoints that go and come.
        waiting: says how many tasks wait for an endpoint.
    """

    def __init__(self, client: FuncXClient, events: Events, waiting: Callable[[str], int]) -> None:
        self._client = client
        self._events = events
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._look_at: dict[str, float] = {}
        self._offline: set[str] = set()
        self._changed = asyncio.Event()

    def opened(self, endpoint_id: str) -> None:
        """Note that tasks wait for an endpoint."""
        if endpoint_id not in self._look_at:
            self._look_at[endpoint_id] = self._loop.time() + SILENCE
            self._changed.set()

    def heard(self, endpoint_id: str) -> None:
        """Note that something came of its tasks."""
        if endpoint_id in self._look_at:
            self._look_at[endpoint_id] = self._loop.time() + SILENCE

    def rest(self) -> None:
        """Note that no task waits for any endpoint."""
        self._look_at.clear()

    async def watch_for_ever(self) -> NoReturn:
        """Look at the endpoints that are silent."""
        while True:
            if not self._look_at:
                self._changed.clear()
                await self._changed.wait()
            look_at = min(self._look_at.values(), default=0.0)
            await asyncio.sleep(max(0.0, look_at - self._loop.time()))
            now = self._loop.time()
            for endpoint_id in [each for each, at in self._look_at.items() if at <= now]:
                await self._look(endpoint_id)

    async def _look(self, endpoint_id: str) -> None:
        waiting = self._waiting(endpoint_id)
        if not waiting:
            self._look_at.pop(endpoint_id, None)
            return
        self._look_at[endpoint_id] = self._loop.time() + AGAIN
        try:
            await self._client.within_budget(SHARE)
            status = await self._client.get_endpoint_status(endpoint_id)
        except FuncXError as error:
            _log.debug(
                "Whether the endpoint %s is there is not known: %s",
                endpoint_id,
                error,
                extra={"endpoint_id": endpoint_id, "request_id": error.request_id},
            )
            return
        if status.status.lower() != "offline":
            if endpoint_id in self._offline:
                self._offline.discard(endpoint_id)
                _log.info(
                    "The endpoint %s is %s again.",
                    endpoint_id,
                    status.status,
                    extra={"endpoint_id": endpoint_id},
                )
                self._events.emit(EventKind.ENDPOINT_ONLINE, endpoint_id)
        elif endpoint_id not in self._offline:
            self._offline.add(endpoint_id)
            told = _in_words(status.logs[0] if status.logs else status.details)
            _log.warning(
                "The endpoint %s is offline, says the service%s. %d task(s) wait for it, and go on "
                "waiting: start it again, or ask who runs it to.",
                endpoint_id,
                told and f" ({told})",
                waiting,
                extra={"endpoint_id": endpoint_id},
            )
            self._events.emit(EventKind.ENDPOINT_OFFLINE, endpoint_id, told)


def _in_words(report: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in report.items())
