"""The requests that only the classic service takes: containers, and what an endpoint may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from funcx_async._service.operations.base import Operations, in_path, several


class _Container(msgspec.Struct):
    container: dict[str, Any]


class _ContainerId(msgspec.Struct):
    container_id: str


class _BuildStatus(msgspec.Struct):
    status: str


class _Whitelist(msgspec.Struct):
    result: list[str]


class ClassicOperations(Operations):
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

        Example::

            container_id = await client.register_container("docker.io/me/tool", "docker")
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

    async def get_container(self, container_id: str | UUID, container_type: str) -> dict[str, Any]:
        """Give what the service knows of a container, such as its ``location``.

        Example::

            print((await client.get_container(container_id, "docker"))["location"])
        """
        container = in_path(container_id, "container")
        path = f"/v2/containers/{container}/{in_path(container_type, 'kind of container')}"
        what = f"asking for the container {container}"
        return (await self._rest.read("GET", path, _Container, what)).container

    async def build_container(self, specification: Mapping[str, Any]) -> str:
        """Have the service build a container, and give its id.

        Args:
            specification: ``name``, ``description``, the lists ``apt``, ``pip`` and ``conda`` of
                packages, and ``payload_url``, a repository to copy into it.

        Example::

            container_id = await client.build_container({"name": "tools", "pip": ["numpy"]})
        """
        what = f"having the container {specification.get('name')!r} built"
        answer = await self._rest.read(
            "POST", "/v2/containers/build", _ContainerId, what, specification
        )
        return answer.container_id

    async def get_container_build_status(self, container_id: str | UUID) -> str:
        """Give how far the service is with building a container.

        Example::

            print(await client.get_container_build_status(container_id))
        """
        path = f"/v2/containers/build/{in_path(container_id, 'container')}"
        what = f"asking how far the container {container_id} is"
        return (await self._rest.read("GET", path, _BuildStatus, what)).status

    async def get_whitelist(self, endpoint_id: str | UUID) -> list[str]:
        """Give the ids of the functions that an endpoint may run; none: it may run any.

        Example::

            assert function_id in await client.get_whitelist(endpoint_id)
        """
        path = f"/v2/endpoints/{in_path(endpoint_id, 'endpoint')}/whitelist"
        what = f"asking what the endpoint {endpoint_id} may run"
        return (await self._rest.read("GET", path, _Whitelist, what)).result

    async def add_to_whitelist(
        self, endpoint_id: str | UUID, function_ids: str | UUID | Sequence[str | UUID]
    ) -> list[str]:
        """Let an endpoint run these functions too, and give their ids.

        The first ones restrict it to what is on its whitelist.

        Example::

            await client.add_to_whitelist(endpoint_id, [function_id])
        """
        ids = [str(each) for each in several(function_ids)]
        path = f"/v2/endpoints/{in_path(endpoint_id, 'endpoint')}/whitelist"
        what = f"letting the endpoint {endpoint_id} run {len(ids)} function(s)"
        return (await self._rest.read("POST", path, _Whitelist, what, {"func": ids})).result

    async def delete_from_whitelist(
        self, endpoint_id: str | UUID, function_ids: str | UUID | Sequence[str | UUID]
    ) -> None:
        """Let an endpoint no longer run these functions; one request for each.

        Example::

            await client.delete_from_whitelist(endpoint_id, function_id)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        for function_id in several(function_ids):
            path = f"/v2/endpoints/{endpoint}/whitelist/{in_path(function_id, 'function')}"
            await self._rest.ask("DELETE", path, f"taking {function_id} from the whitelist")

    async def authenticate(self) -> None:
        """Have the credentials checked; AuthenticationFailed if they are not good.

        Example::

            await client.authenticate()
        """
        await self._rest.ask("GET", "/v2/authenticate", "checking the credentials")
