"""The status page of the local service: what it does now, and did lately.

The page itself holds nothing and is given to everybody. What it shows, ``/status.json``, is for
who has the service's token, or the page's key, with which nothing can be run. The key is new
at each start and comes into the page as the part of its address behind ``#``, which browsers send
to nobody.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from funcx_async.local.components import Components
from funcx_async.local.history import SHORTEST, SPAN, STEPS, Batch
from funcx_async.local.web.answers import Document, Refusal


class StatusWeb:
    """The routes of the status page.

    Args:
        components: what is shown.
        check_token: raises a refusal unless a request has the service's token.
    """

    def __init__(self, components: Components, *, check_token: Callable[[Request], None]) -> None:
        self._components = components
        self._authorization = f"Bearer {components.status_key}".encode()
        self._check_token = check_token

    def routes(self) -> list[Route]:
        """Return both routes; no fault of requests concerns them."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/status.json", self._status, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        text, policy = _page()
        headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(text, headers=headers)

    async def _status(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        try:
            if not secrets.compare_digest(given, self._authorization):
                self._check_token(request)
            self._components.http_server.trust(request.scope)
        except Refusal as refusal:
            return Document(refusal.document(), refusal.status, headers=refusal.headers)
        return Document(self.status(), headers={"Cache-Control": "no-store"})

    def status(self) -> dict[str, Any]:
        """Return all that the page shows."""
        history, running = self._components.dispatch.history, len(self._components.pool.running)
        return {
            "version": version("funcx-async"),
            "since": history.since,
            "now": time.time(),
            "broker": self._describe_broker(),
            "tasks": {
                "waiting": max(history.open - running, 0),
                "running": running,
                "done": history.done,
                "failed": history.failed,
            },
            "span": SPAN,
            "latency": {"first": SHORTEST, "factor": 2**0.5, "steps": STEPS},
            "seconds": history.seconds(),
            "batch_count": history.batch_count,
            "batches": [self._batch(batch) for batch in history.batches()],
            "failures": [self._failure(**each) for each in history.failures()],
            "endpoints": [self._endpoint(*entry) for entry in self._endpoints()],
            "faults": self._faults(),
        }

    def _batch(self, batch: Batch) -> dict[str, Any]:
        functions = map(self._components.store.function, batch.function_ids)
        return {
            "at": batch.taken_at,
            "group": batch.group_id,
            "endpoint": batch.endpoint_id,
            "functions": [function.name for function in functions if function is not None],
            "size": batch.size,
            "done": batch.done,
            "failed": batch.failed,
        }

    def _failure(self, task: str, function_id: str, at: float, error: str) -> dict[str, Any]:
        function = self._components.store.function(function_id)
        name = "" if function is None else function.name
        return {"at": at, "task": task, "function": name, "error": error}

    def _endpoints(self) -> list[tuple[str, str, bool]]:
        """Id, name, and whether its tasks run here."""
        return [
            (endpoint.id, endpoint.name, endpoint.registration is None)
            for endpoint in self._components.store.endpoints()
        ]

    def _endpoint(self, endpoint_id: str, name: str, is_own: bool) -> dict[str, Any]:
        if is_own:
            online = not self._components.switches.offline
            workers, busy = (
                len(self._components.pool.process_ids),
                len(self._components.pool.running),
            )
            is_open = self._components.pool.open
        else:
            agent = (
                None
                if self._components.agents is None
                else self._components.agents.get(endpoint_id)
            )
            online = agent is not None and agent.online
            told = {} if agent is None else agent.workers
            workers = told.get("total_workers", 0)
            busy = workers - told.get("idle_workers", 0)
            is_open = 0 if agent is None else agent.open
        return {
            "id": endpoint_id,
            "name": name,
            "online": online,
            "workers": workers,
            "busy": busy,
            "open": is_open,
        }

    def _faults(self) -> list[dict[str, Any]]:
        broker = self._components.broker
        faults = self._components.switches.in_force()
        if broker is not None and broker.stalled:
            faults.append(("the broker is stalled", None))
        if broker is not None and broker.logins_to_refuse:
            faults.append(("the broker refuses a login", broker.logins_to_refuse))
        return [{"what": what, "times": times} for what, times in faults]

    def _describe_broker(self) -> str:
        if self._components.broker is not None:
            return "embedded broker"
        parts = urlsplit(self._components.publisher.connection_url())
        return f"RabbitMQ at {parts.hostname}:{parts.port or 5672}"


@cache
def _page() -> tuple[str, str]:
    """Return the page and its content security policy."""
    text = files("funcx_async.local.web").joinpath("status_page.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return text, "; ".join(f"{name} {value}" for name, value in policy.items())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
