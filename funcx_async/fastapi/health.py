"""Whether this process is alive, and whether what it needs is there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from funcx_async._net.environments import ENDPOINT_VARIABLE
from funcx_async._settings.options import NO_ENDPOINT
from funcx_async.errors import AuthenticationFailed, FuncXError, RequestRefused
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.fastapi.lifespan import FuncX
from funcx_async.fastapi.results import ResultState

ASK_EVERY: Final = 10.0
"""Seconds for which an answer of the service is good: probes come often, its budget is small."""

LONGEST: Final = 5.0
"""Seconds that the service has to answer."""


def health_router(*, needs_endpoint: bool = True) -> APIRouter:
    """Make the routes that an orchestrator probes.

    ``GET /healthz`` answers 200 as long as the process answers at all: restart it if not.
    ``GET /readyz`` answers 200 if the service can be reached, takes the token and knows the
    endpoint, else 503; its document says which, whether the endpoint is online, and how results
    come: ``idle`` before the first task, ``connected``, ``polling``, ``disconnected``. The last two
    of these are told only: an endpoint that is away and a queue that is lost make tasks late, and
    another process would fare no better.

    The service is asked every ten seconds at most, however often this is.

    Args:
        needs_endpoint: whether the executor has to have an endpoint of its own for this process to
            be ready; False where each task names its own.

    Example::

        app.include_router(health_router())
    """
    router = APIRouter(tags=["health"])
    probe = _Probe(needs_endpoint)

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Tell that this process answers."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "Not ready"}})
    async def ready(request: Request, executor: FuncX) -> JSONResponse:
        """Tell whether tasks can be submitted, and how their results come."""
        found = await probe.look(executor)
        results = getattr(request.state, "funcx_results", None)
        own = isinstance(results, ResultState) and results.executor is executor
        document = found.to_document() | {
            "results": str(results) if own else "unknown",
            "open_tasks": executor.stats.open,
        }
        return JSONResponse(document, 200 if found.ready else 503)

    return router


@dataclass(frozen=True, slots=True)
class _Found:
    """What a question to the service found."""

    service: str = "reachable"
    token: str = "good"  # noqa: S105 - a word about it
    endpoint: str = "none"
    detail: str = ""

    @property
    def ready(self) -> bool:
        return not self.detail

    def to_document(self) -> dict[str, Any]:
        told = {
            "ready": self.ready,
            "service": self.service,
            "token": self.token,
            "endpoint": self.endpoint,
        }
        return told | {"detail": self.detail} if self.detail else told


class _Probe:
    """Asks the service now and then; many may look at what it found."""

    def __init__(self, needs_endpoint: bool) -> None:
        self._needs_endpoint = needs_endpoint
        self._executor: FuncXExecutor | None = None
        self._found = _Found()
        self._ask_at = 0.0
        self._asking = asyncio.Lock()

    async def look(self, executor: FuncXExecutor) -> _Found:
        """Give what was found within the last seconds, or ask; one asks for all."""
        now = asyncio.get_running_loop().time
        async with self._asking:
            if executor is not self._executor or now() >= self._ask_at:
                self._found = await _found(executor, self._needs_endpoint)
                self._executor, self._ask_at = executor, now() + ASK_EVERY
            return self._found


async def _found(executor: FuncXExecutor, needs_endpoint: bool) -> _Found:
    endpoint_id = executor.endpoint_id or os.environ.get(ENDPOINT_VARIABLE)
    client = executor.funcx_client
    try:
        async with asyncio.timeout(LONGEST):
            if endpoint_id is None:
                await client.get_result_queue_address()
                return _Found(detail=NO_ENDPOINT if needs_endpoint else "")
            return _Found(endpoint=(await client.get_endpoint_status(endpoint_id)).status)
    except AuthenticationFailed as error:
        return _Found(token="bad", endpoint="unknown", detail=str(error))  # noqa: S106
    except RequestRefused as error:
        return _Found(endpoint="refused", detail=str(error))
    except TimeoutError:
        words = f"The service has not answered for {LONGEST:g} s."
        return _Found("unreachable", "unknown", "unknown", words)
    except FuncXError as error:
        return _Found("unreachable", "unknown", "unknown", str(error))
