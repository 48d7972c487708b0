"""The REST routes about endpoints: querying them, and registering, locking and deleting agents."""

from __future__ import annotations

import getpass
import platform
import time
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request

from funcx_async.local.agents.agents import Agents, not_an_agent
from funcx_async.local.injection import Switches
from funcx_async.local.store import Endpoint, Store
from funcx_async.local.web.answers import (
    Invalid,
    PlainRoute,
    Refusal,
    no_agents,
    path_uuid,
    unknown,
    uuid_of,
    v3_path_uuid,
)
from funcx_async.local.web.bodies import read_body, read_v3_body
from funcx_async.local.workers.pool import Pool


class AgentRegistration(msgspec.Struct, omit_defaults=True):
    """What an agent reports about itself."""

    endpoint_name: str
    endpoint_uuid: str | None = None
    display_name: str | None = None
    multi_user: bool = False
    public: bool = False
    high_assurance: bool = False
    metadata: dict[str, Any] | None = None
    allowed_functions: list[str] | None = None
    authentication_policy: str | None = None
    subscription_uuid: str | None = None
    admins: list[str] | None = None

    def check(self) -> None:
        """Refuse what promises more than this service keeps.

        Raises:
            Refusal: it asks for high assurance or for an authentication policy.
        """
        if self.high_assurance or self.authentication_policy:
            msg = (
                "a local service has neither high assurance nor authentication policies; take "
                "high_assurance and authentication_policy out of the endpoint's config.yaml"
            )
            raise Invalid(msg)


class EndpointWeb:
    """The routes about endpoints.

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
        """Return every route."""
        get, one = ["GET"], "/v2/endpoints/{endpoint}"
        new, post = "/v3/endpoints/{endpoint}", ["POST"]
        allowed = f"{new}/allowed_functions"
        return [
            PlainRoute("/v2/endpoints", get, "endpoints", self._endpoints),
            PlainRoute(one, get, "endpoint", self._endpoint),
            PlainRoute(f"{one}/status", get, "endpoint_status", self._endpoint_status),
            PlainRoute(allowed, get, "allowed_functions", self._allowed_functions),
            PlainRoute("/v3/endpoints", post, "register_endpoint", self._register),
            PlainRoute("/v2/endpoints", post, "register_endpoint", self._register_v2),
            PlainRoute(new, ["PUT"], "register_endpoint", self._register_again),
            PlainRoute(f"{new}/lock", post, "lock_endpoint", self._lock),
            PlainRoute(f"{one}/lock", post, "lock_endpoint", self._lock),
            PlainRoute(one, ["DELETE"], "delete_endpoint", self._delete),
        ]

    async def _allowed_functions(self, request: Request) -> Any:
        endpoint_id = v3_path_uuid(request, "endpoint")
        if self._store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        allowed = self._store.whitelist(endpoint_id)
        return {"endpoint_id": endpoint_id, "restricted": bool(allowed), "functions": allowed}

    async def _endpoints(self, request: Request) -> Any:
        role = request.query_params.get("role", "owner")
        if role not in ("any", "owner"):  # the owner of the token owns everything here
            raise Refusal("REQUEST_MALFORMED", f"role must be any or owner, not {role!r}")
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
            **self._pool.versions,
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

    async def _register(self, request: Request) -> Any:
        return await self._registered(await self._read(request), None)

    async def _register_again(self, request: Request) -> Any:
        endpoint_id = v3_path_uuid(request, "endpoint")
        return await self._registered(await self._read(request), endpoint_id)

    async def _register_v2(self, request: Request) -> Any:
        registration = await read_body(request, AgentRegistration)
        endpoint_id = registration.endpoint_uuid
        return await self._registered(registration, endpoint_id and uuid_of(endpoint_id))

    async def _read(self, request: Request) -> AgentRegistration:
        return await read_v3_body(request, AgentRegistration, "BATCH_RUN_TOO_LARGE")

    async def _registered(
        self, registration: AgentRegistration, endpoint_id: str | None
    ) -> dict[str, Any]:
        if self._agents is None:
            raise no_agents()
        registration.check()
        allowed = registration.allowed_functions
        return await self._agents.register(
            registration.display_name or registration.endpoint_name,
            msgspec.to_builtins(registration),
            endpoint_id=endpoint_id,
            allowed_functions=None if allowed is None else [uuid_of(each) for each in allowed],
        )

    async def _lock(self, request: Request) -> Any:
        endpoint_id = path_uuid(request, "endpoint")
        return {
            "endpoint_id": endpoint_id,
            "lock_expiration_timestamp": self._attached(endpoint_id).lock(endpoint_id),
        }

    async def _delete(self, request: Request) -> Any:
        endpoint_id = path_uuid(request, "endpoint")
        self._attached(endpoint_id).delete(endpoint_id)
        return {"result": 302}

    def _attached(self, endpoint_id: str) -> Agents:
        endpoint = self._store.endpoint(endpoint_id)
        if endpoint is None:
            raise unknown("ENDPOINT", endpoint_id)
        if endpoint.registration is None:
            raise not_an_agent(endpoint_id)
        if self._agents is None:
            raise no_agents()
        return self._agents

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


def described(endpoint: Endpoint) -> dict[str, Any]:
    """Return what an agent reported about itself, as clients get it."""
    registration = endpoint.registration or {}
    told = registration.get("metadata") or {}
    return {
        "uuid": endpoint.id,
        "name": registration.get("endpoint_name", endpoint.name),
        "display_name": endpoint.name,
        "multi_user": registration.get("multi_user", False),
        "public": registration.get("public", False),
        "subscription_uuid": registration.get("subscription_uuid"),
        "description": None,
        **told,
    }
