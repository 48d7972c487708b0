"""The REST routes that agents use: registering, and those that end and delete them."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from funcx_async.local.agents.agents import Agents, not_an_agent
from funcx_async.local.bodies import read_body, read_v3_body
from funcx_async.local.records import Endpoint
from funcx_async.local.refusals import Invalid, no_agents, unknown
from funcx_async.local.replies import PlainRoute, path_uuid, uuid_of, v3_path_uuid
from funcx_async.local.store import Store


class AgentRegistration(msgspec.Struct, omit_defaults=True):
    """What an agent tells of itself."""

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


class AgentWeb:
    """The routes and what they answer.

    Args:
        store: what the service remembers.
        agents: those that are attached; None from a service that takes none.
    """

    def __init__(self, store: Store, agents: Agents | None) -> None:
        self._store = store
        self._agents = agents

    def routes(self) -> list[PlainRoute]:
        """Every route."""
        post, one = ["POST"], "/v3/endpoints/{endpoint}"
        old = "/v2/endpoints/{endpoint}"
        return [
            PlainRoute("/v3/endpoints", post, "register_endpoint", self._register),
            PlainRoute("/v2/endpoints", post, "register_endpoint", self._register_v2),
            PlainRoute(one, ["PUT"], "register_endpoint", self._register_again),
            PlainRoute(f"{one}/lock", post, "lock_endpoint", self._lock),
            PlainRoute(f"{old}/lock", post, "lock_endpoint", self._lock),
            PlainRoute(old, ["DELETE"], "delete_endpoint", self._delete),
        ]

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


def described(endpoint: Endpoint) -> dict[str, Any]:
    """What an agent told of itself, as the service tells it to others."""
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
