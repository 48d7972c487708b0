"""Liveness and readiness probes."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from funcx_async._net.environment import ENDPOINT_VARIABLE
from funcx_async._settings.options import NO_ENDPOINT
from funcx_async.errors import AuthenticationFailed, FuncXError, RequestRefused
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.fastapi.lifespan import FuncX, ResultState

PROBE_INTERVAL: Final = 10.0
"""Seconds for which a probe is reused: orchestrators probe often, the request budget is small."""

PROBE_TIMEOUT: Final = 5.0
"""Seconds that the service has to respond."""


def health_router(*, needs_endpoint: bool = True) -> APIRouter:
    """Return a router with the routes that an orchestrator probes.

    ``GET /healthz`` returns 200 while the process responds at all; restart it if not.
    ``GET /readyz`` returns 200 if the service is reachable, accepts the token and knows the
    endpoint, else 503 with the reason. It also reports whether the endpoint is online and how
    results arrive: ``idle`` before the first task, ``connected``, ``polling`` or ``disconnected``.
    An offline endpoint or a lost queue does not change the status: tasks are late then, and
    another process would do no better.

    The service is probed every ten seconds at most.

    Args:
        needs_endpoint: whether the executor needs its own endpoint to be ready; set it to False if
            each task names one.

    Returns:
        The router.

    Example::

        app.include_router(health_router())
    """
    router = APIRouter(tags=["health"])
    probe = _Probe(needs_endpoint)

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Return 200 while the process responds."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "Not ready"}})
    async def ready(request: Request, executor: FuncX) -> JSONResponse:
        """Report whether tasks can be submitted and how results arrive."""
        found = await probe.run(executor)
        results = getattr(request.state, "funcx_results", None)
        own = isinstance(results, ResultState) and results.executor is executor
        document = found | {
            "results": str(results) if own else "unknown",
            "open_tasks": executor.stats.open,
        }
        return JSONResponse(document, 200 if found["ready"] else 503)

    return router


class _Probe:
    """Probes the service at most once per interval, for any number of requests."""

    def __init__(self, needs_endpoint: bool) -> None:
        self._needs_endpoint = needs_endpoint
        self._executor: FuncXExecutor | None = None
        self._found: dict[str, Any] = {}
        self._next_probe = 0.0
        self._probing = asyncio.Lock()

    async def run(self, executor: FuncXExecutor) -> dict[str, Any]:
        """Return the last result if it is recent, else probe; one request probes for all."""
        now = asyncio.get_running_loop().time
        async with self._probing:
            if executor is not self._executor or now() >= self._next_probe:
                self._found = await _found(executor, self._needs_endpoint)
                self._executor, self._next_probe = executor, now() + PROBE_INTERVAL
            return self._found


async def _found(executor: FuncXExecutor, needs_endpoint: bool) -> dict[str, Any]:
    endpoint_id = executor.endpoint_id or os.environ.get(ENDPOINT_VARIABLE)
    client = executor.funcx_client
    service, token, endpoint, detail = "reachable", "good", "none", ""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            if endpoint_id is None:
                await client.get_result_queue_address()
                detail = NO_ENDPOINT if needs_endpoint else ""
            else:
                endpoint = (await client.get_endpoint_status(endpoint_id)).status
    except AuthenticationFailed as error:
        token, endpoint, detail = "bad", "unknown", str(error)
    except RequestRefused as error:
        endpoint, detail = "refused", str(error)
    except (TimeoutError, FuncXError) as error:
        service, token, endpoint = "unreachable", "unknown", "unknown"
        detail = str(error) or f"The service did not respond within {PROBE_TIMEOUT:g} s."
    document = {"ready": not detail, "service": service, "token": token, "endpoint": endpoint}
    return document | {"detail": detail} if detail else document
