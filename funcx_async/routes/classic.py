"""The requests that only the classic service takes: containers, and what an endpoint may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from funcx_async.routes.shared import Routes


class _Container(msgspec.Struct):
    container: dict[str, Any]


class _ContainerId(msgspec.Struct):
    container_id: str


class _BuildStatus(msgspec.Struct):
    status: str


class _Whitelist(msgspec.Struct):
    result: list[str]


class ClassicRoutes(Routes):
    """What ``funcx`` 1.x could ask besides; today's service refuses all of it.

    Each raises RequestRefused if the service does not do it, NotFound if it does not know an id,
    and FuncXError as every request.
    """

    async def register_container(
        self, location: str, container_type: str, name: str = "", description: str = ""
    ) -> str:
        """Register a container, and give its id for functions to run in it.

        Args:
            location: where its image is.
            container_type: what runs it: ``docker``, ``singularity`` or ``shifter``.
            name: for people.
            description: for people.
        """
        body = {
            "name": name,
            "location": location,
            "description": description,
            "type": container_type,
        }
        what = f"registering the container {location}"
        return (
            await self._rest.read("POST", "/v2/containers", _ContainerId, what, body)
        ).container_id

    async def get_container(self, container_id: str, container_type: str) -> dict[str, Any]:
        """Give what the service knows of a container, such as its ``location``."""
        path = f"/v2/containers/{container_id}/{container_type}"
        what = f"asking for the container {container_id}"
        return (await self._rest.read("GET", path, _Container, what)).container

    async def build_container(self, specification: Mapping[str, Any]) -> str:
        """Have the service build a container, and give its id.

        Args:
            specification: ``name``, ``description``, the lists ``apt``, ``pip`` and ``conda`` of
                packages, and ``payload_url``, a repository to copy into it.
        """
        what = f"having the container {specification.get('name')!r} built"
        answer = await self._rest.read(
            "POST", "/v2/containers/build", _ContainerId, what, specification
        )
        return answer.container_id

    async def get_container_build_status(self, container_id: str) -> str:
        """Give how far the service is with building a container."""
        path = f"/v2/containers/build/{container_id}"
        what = f"asking how far the container {container_id} is"
        return (await self._rest.read("GET", path, _BuildStatus, what)).status

    async def get_whitelist(self, endpoint_id: str) -> list[str]:
        """Give the ids of the functions that an endpoint may run; none: it may run any."""
        path = f"/v2/endpoints/{endpoint_id}/whitelist"
        what = f"asking what the endpoint {endpoint_id} may run"
        return (await self._rest.read("GET", path, _Whitelist, what)).result

    async def add_to_whitelist(
        self, endpoint_id: str, function_ids: str | Sequence[str]
    ) -> list[str]:
        """Let an endpoint run these functions too, and give their ids.

        The first ones restrict it to what is on its whitelist.
        """
        ids = [function_ids] if isinstance(function_ids, str) else list(function_ids)
        path = f"/v2/endpoints/{endpoint_id}/whitelist"
        what = f"letting the endpoint {endpoint_id} run {len(ids)} function(s)"
        return (await self._rest.read("POST", path, _Whitelist, what, {"func": ids})).result

    async def delete_from_whitelist(
        self, endpoint_id: str, function_ids: str | Sequence[str]
    ) -> None:
        """Let an endpoint no longer run these functions; one request for each."""
        for function_id in [function_ids] if isinstance(function_ids, str) else function_ids:
            path = f"/v2/endpoints/{endpoint_id}/whitelist/{function_id}"
            await self._rest.ask("DELETE", path, f"taking {function_id} from the whitelist")

    async def authenticate(self) -> None:
        """Have the credentials checked; AuthenticationFailed if they are not good."""
        await self._rest.ask("GET", "/v2/authenticate", "checking the credentials")
