"""Monitors endpoints: what they run, and whether they are online."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NoReturn

from funcx_async._service.rest import budget_share
from funcx_async._session.open_tasks import OpenTasks
from funcx_async._versions import numbers
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError, printable
from funcx_async.events import EventKind, Events

QUIET_SECONDS = 30.0
"""How long nothing has come of an endpoint's tasks before its status is checked."""

CHECK_INTERVAL = 60.0
"""Seconds until the status of such an endpoint is checked again."""

BUDGET_SHARE = 0.25
"""The part of the budget of requests that checks of endpoints may use up."""

_OLDEST_THAT_READS_SOURCE = 4

_log = logging.getLogger("funcx_async.endpoints")


@dataclass(frozen=True, slots=True)
class EndpointVersions:
    """What an endpoint runs, as far as the service tells.

    Attributes:
        endpoint: the version of its software.
        python: that of its Python.
        dill: that of its dill.
    """

    endpoint: str | None = None
    python: str | None = None
    dill: str | None = None

    @classmethod
    def told_by(cls, document: Mapping[str, Any]) -> EndpointVersions:
        """Read the service's description of an endpoint, whatever is in it."""
        metadata = document.get("metadata")
        told = {**(metadata if isinstance(metadata, Mapping) else {}), **document}
        names = ("endpoint_version", "python_version", "dill_version")
        texts = (told.get(name) for name in names)
        return cls(*(text if isinstance(text, str) else None for text in texts))

    @property
    def reads_source(self) -> bool:
        """Whether its workers read strategy 12; they are expected to unless they tell otherwise."""
        major = numbers(self.endpoint)[:1]
        return not major or major[0] >= _OLDEST_THAT_READS_SOURCE

    def mismatch(self) -> str | None:
        """Return how its Python and dill differ from the local ones, if they are known to."""
        pairs = {
            "Python": (self.python, platform.python_version()),
            "dill": (self.dill, version("dill")),
        }
        differing = [
            f"{name} {there} (here it is {here})"
            for name, (there, here) in pairs.items()
            if there is not None and numbers(there)[:2] != numbers(here)[:2]
        ]
        return " and ".join(differing) or None


class EndpointMonitor:
    """Watches the endpoints that an executor submits to; used on its loop's thread.

    It asks the service once what an endpoint runs, and for its status when nothing has come of its
    tasks for a while. Tasks for an endpoint that is offline wait, for days if need be; a warning
    says so once for each absence. No task waits for what is asked here, and none fails over it.

    Args:
        client: asks the service.
        events: passes on that endpoints go offline and come back.
        tasks: the open tasks.
    """

    def __init__(self, client: FuncXClient, events: Events, tasks: OpenTasks) -> None:
        self._client = client
        self._events = events
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._versions: dict[str, EndpointVersions] = {}
        self._without_source: set[str] = set()
        self._check_at: dict[str, float] = {}
        self._offline: set[str] = set()
        self._changed = asyncio.Event()

    def opened(self, endpoint_id: str) -> None:
        """Watch an endpoint: tasks wait for it."""
        self.awaiting(endpoint_id)
        if endpoint_id not in self._asking:
            self._asking[endpoint_id] = self._loop.create_task(
                self._learn(endpoint_id), name="funcx:endpoint"
            )

    def awaiting(self, endpoint_id: str) -> None:
        """Check the status of an endpoint if nothing comes of its tasks."""
        if endpoint_id not in self._check_at:
            self._check_at[endpoint_id] = self._loop.time() + QUIET_SECONDS
            self._changed.set()

    def heard(self, endpoint_id: str) -> None:
        """Put the check of an endpoint off: something came of its tasks."""
        if endpoint_id in self._check_at:
            self._check_at[endpoint_id] = self._loop.time() + QUIET_SECONDS

    def idle(self) -> None:
        """Check nothing: no task waits for any endpoint."""
        self._check_at.clear()

    async def close(self) -> None:
        """End all questions about endpoints."""
        for asking in self._asking.values():
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    # What it runs -------------------------------------------------------------------------------

    def reads_source(self, endpoint_id: str) -> bool:
        """Whether an endpoint's workers read strategy 12, as far as is known yet."""
        return endpoint_id not in self._without_source

    def versions(self, endpoint_id: str) -> EndpointVersions:
        """Return what is known of an endpoint yet; may be called in any thread."""
        return self._versions.get(endpoint_id, EndpointVersions())

    async def _learn(self, endpoint_id: str) -> None:
        try:
            await self._ask(endpoint_id)
            await self._client.warn_if_outdated(BUDGET_SHARE)
        except Exception:  # a mistake of ours concerns no task
            ids = {"endpoint_id": endpoint_id}
            _log.exception("asking about the endpoint %s", endpoint_id, extra=ids)

    async def _ask(self, endpoint_id: str) -> None:
        try:
            with budget_share(BUDGET_SHARE):
                metadata = await self._client.get_endpoint_metadata(endpoint_id)
        except FuncXError as error:
            _log.debug(
                "Nothing is known of the endpoint %s: %s",
                endpoint_id,
                error,
                extra={"endpoint_id": endpoint_id, "request_id": error.request_id},
            )
            return
        versions = EndpointVersions.told_by(metadata.raw)
        self._versions[endpoint_id] = versions
        if not versions.reads_source:
            self._without_source.add(endpoint_id)
        if differing := versions.mismatch():
            _log.warning(
                "The endpoint %s has %s. Functions whose source is complete run there all the "
                "same; others, and arguments of your own classes, may fail or crash its workers. "
                "funcx_async.explain(function) tells which it is. Best use the same versions on "
                "both sides.",
                endpoint_id,
                printable(differing),
                extra={"endpoint_id": endpoint_id},
            )
        # What the classic dialect sends by default is what its endpoints read.
        if not versions.reads_source and self._client.dialect.code_strategy is None:
            _log.warning(
                "The endpoint %s runs version %s, which reads compiled functions only: they are "
                "sent so from now on, and need the same Python there as here.",
                endpoint_id,
                printable(str(versions.endpoint)),
                extra={"endpoint_id": endpoint_id},
            )

    # Whether it is online -----------------------------------------------------------------------

    async def watch_forever(self) -> NoReturn:
        """Check the status of endpoints that are quiet."""
        while True:
            if not self._check_at:
                self._changed.clear()
                await self._changed.wait()
            check_at = min(self._check_at.values(), default=0.0)
            await asyncio.sleep(max(0.0, check_at - self._loop.time()))
            now = self._loop.time()
            for endpoint_id in [each for each, at in self._check_at.items() if at <= now]:
                await self._check(endpoint_id)

    async def _check(self, endpoint_id: str) -> None:
        waiting = self._tasks.at(endpoint_id)
        if not waiting:
            self._check_at.pop(endpoint_id, None)
            return
        self._check_at[endpoint_id] = self._loop.time() + CHECK_INTERVAL
        try:
            with budget_share(BUDGET_SHARE):
                status = await self._client.get_endpoint_status(endpoint_id)
        except FuncXError as error:
            _log.debug(
                "The status of the endpoint %s is unknown: %s",
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
                    printable(status.status),
                    extra={"endpoint_id": endpoint_id},
                )
                self._events.emit(EventKind.ENDPOINT_ONLINE, endpoint_id)
        elif endpoint_id not in self._offline:
            self._offline.add(endpoint_id)
            reported = _listed(status.logs[0] if status.logs else status.details)
            _log.warning(
                "The endpoint %s is offline, says the service%s. %d task(s) wait for it, and go on "
                "waiting: start it again, or ask who runs it to.",
                endpoint_id,
                reported and f" ({reported})",
                waiting,
                extra={"endpoint_id": endpoint_id},
            )
            self._events.emit(EventKind.ENDPOINT_OFFLINE, endpoint_id, reported)


def _listed(report: Mapping[str, Any]) -> str:
    return printable(", ".join(f"{name}: {value}" for name, value in report.items()))
