"""The REST routes about endpoints: the service's own, and those that agents serve."""

from __future__ import annotations

import getpass
import platform
import time
from importlib.metadata import version
from typing import Any

from starlette.requests import Request

from funcx_async.local.agents.agents import Agents
from funcx_async.local.agents.registering import described
from funcx_async.local.records import Endpoint
from funcx_async.local.refusals import Refusal, unknown
from funcx_async.local.replies import PlainRoute, path_uuid, v3_path_uuid
from funcx_async.local.store import Store
from funcx_async.local.switches import Switches
from funcx_async.local.workers import Pool


class EndpointWeb:
    """The routes and what they answer.

    Args:
        store: what the service remembers.
        pool: runs the tasks of the service's own endpoint.
        agents: run those of the others; None if the service takes none.
        switches: whether the own endpoint is to seem offline.
    """

    def __init__(self, store: Store, pool: Pool, agents: Agents | None, switches: Switches) -> None:
        self._store = store
        self._pool = pool
        self._agents = agents
        self._switches = switches

    def routes(self) -> list[PlainRoute]:
        """Every route."""
        get, one = ["GET"], "/v2/endpoints/{endpoint}"
        allowed = "/v3/endpoints/{endpoint}/allowed_functions"
        return [
            PlainRoute("/v2/endpoints", get, "endpoints", self._endpoints),
            PlainRoute(one, get, "endpoint", self._endpoint),
            PlainRoute(f"{one}/status", get, "endpoint_status", self._endpoint_status),
            PlainRoute(allowed, get, "allowed_functions", self._allowed_functions),
        ]

    async def _allowed_functions(self, request: Request) -> Any:
        endpoint_id = v3_path_uuid(request, "endpoint")
        if self._store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        allowed = self._store.whitelist(endpoint_id)
        return {"endpoint_id": endpoint_id, "restricted": bool(allowed), "functions": allowed}

    async def _endpoints(self, request: Request) -> Any:
        role = request.query_params.get("role", "owner")
        if role not in ("any", "owner"):  # whoever has the token owns everything here
            raise Refusal("REQUEST_MALFORMED", f"there is no role {role!r}, but any and owner")
        return [
            {"uuid": each.id, "name": each.name, "display_name": each.name, "owner": "local"}
            for each in self._store.endpoints()
        ]

    async def _endpoint(self, request: Request) -> Any:
        endpoint = self._known_endpoint(request)
        if endpoint.registration is not None:
            return described(endpoint)
        return {
            "uuid": endpoint.id,
            "name": endpoint.name,
            "display_name": endpoint.name,
            "multi_user": False,
            "public": False,
            "endpoint_config": {"workers": len(self._pool.process_ids)},
            "user_config_template": None,
            "user_config_schema": None,
            "description": "Worker processes of the local service",
            "hostname": platform.node(),
            "local_user": _local_user(),
            "ip_address": "127.0.0.1",
            # Named, as its numbers are not those of the official endpoint's versions.
            "endpoint_version": f"funcx-async {version('funcx-async')}",
            "sdk_version": version("funcx-async"),
            "python_version": platform.python_version(),
            "dill_version": version("dill"),
            "subscription_uuid": None,
        }

    async def _endpoint_status(self, request: Request) -> Any:
        endpoint = self._known_endpoint(request)
        if endpoint.registration is not None:
            return self._agent_status(endpoint.id)
        workers, busy = len(self._pool.process_ids), len(self._pool.running)
        report = {
            "total_workers": workers,
            "idle_workers": workers - busy,
            "pending_tasks": self._pool.queued,
            "outstanding_tasks": self._pool.queued + busy,
            "managers": 1,
            "timestamp": time.time(),
        }
        return {
            "status": "offline" if self._switches.offline else "online",
            "details": report,
            "logs": [report],  # what classic clients look at
        }

    def _agent_status(self, endpoint_id: str) -> dict[str, Any]:
        agent = None if self._agents is None else self._agents.get(endpoint_id)
        if agent is None:
            return {"status": "offline", "details": {}, "logs": []}
        waiting = {"pending_tasks": agent.open, "outstanding_tasks": agent.open}
        report = {**agent.workers, **waiting, "timestamp": time.time()}
        status = "online" if agent.online else "offline"
        return {"status": status, "details": report, "logs": [report]}

    def _known_endpoint(self, request: Request) -> Endpoint:
        endpoint_id = path_uuid(request, "endpoint")
        endpoint = self._store.endpoint(endpoint_id)
        if endpoint is None:
            raise unknown("ENDPOINT", endpoint_id)
        return endpoint


def _local_user() -> str | None:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # as in a container that runs as an unknown number
        return None
