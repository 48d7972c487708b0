"""What is known of endpoints: which payloads their workers read, and whether Pythons differ.

Asked of the service once for each endpoint, beside the work: no task waits for the answer, and
none fails for want of one. The service's own demands are looked at on the same way, once for each
client.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from funcx_async._versions import numbers
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError

SHARE = 0.25
"""The part of the budget of requests that questions about endpoints may use up."""

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
        """Say how its Python and dill differ from those here, if they are known to."""
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


class Endpoints:
    """The endpoints that an executor submits to; used on its loop's thread.

    Args:
        client: asks the service.
    """

    def __init__(self, client: FuncXClient) -> None:
        self._client = client
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._versions: dict[str, EndpointVersions] = {}
        self._bare: set[str] = set()

    def notice(self, endpoint_id: str) -> None:
        """Ask about an endpoint, unless that was done."""
        if endpoint_id not in self._asking:
            self._asking[endpoint_id] = asyncio.get_running_loop().create_task(
                self._look(endpoint_id), name="funcx:endpoint"
            )

    def reads_source(self, endpoint_id: str) -> bool:
        """Whether an endpoint's workers read strategy 12, as far as is known by now."""
        return endpoint_id not in self._bare

    def versions(self, endpoint_id: str) -> EndpointVersions:
        """What is known of an endpoint by now; may be called in any thread."""
        return self._versions.get(endpoint_id, EndpointVersions())

    async def close(self) -> None:
        """Ask no more."""
        for asking in self._asking.values():
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _look(self, endpoint_id: str) -> None:
        try:
            await self._ask(endpoint_id)
            await self._client.warn_if_outdated(SHARE)
        except Exception:  # a mistake in here concerns no task
            ids = {"endpoint_id": endpoint_id}
            _log.exception("asking about the endpoint %s", endpoint_id, extra=ids)

    async def _ask(self, endpoint_id: str) -> None:
        try:
            await self._client.within_budget(SHARE)
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
            self._bare.add(endpoint_id)
        if differing := versions.mismatch():
            _log.warning(
                "The endpoint %s has %s. Functions whose source is complete run there all the "
                "same; others, and arguments of your own classes, may fail or crash its workers. "
                "funcx_async.explain(function) tells which it is. Best use the same versions on "
                "both sides.",
                endpoint_id,
                differing,
                extra={"endpoint_id": endpoint_id},
            )
        # What the classic dialect sends by default is what its endpoints read.
        if not versions.reads_source and self._client.dialect.code_strategy is None:
            _log.warning(
                "The endpoint %s runs version %s, which reads compiled functions only: they are "
                "sent so from now on, and need the same Python there as here.",
                endpoint_id,
                versions.endpoint,
                extra={"endpoint_id": endpoint_id},
            )
