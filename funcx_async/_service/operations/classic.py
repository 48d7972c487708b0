"""Operations of the classic service alone: containers, and the whitelists of endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from funcx_async._service.answers import read_field
from funcx_async._service.operations.base import Operations, in_path, several


class ClassicOperations(Operations):
    """Operations of ``funcx`` 1.x that today's service refuses.

    Each raises RequestRefused if the service does not offer it, NotFound for an unknown id, and
    FuncXError as every request.
    """

    async def register_container(
        self, location: str, container_type: str, name: str = "", description: str = ""
    ) -> str:
        """Register a container, and return its id.

        Args:
            location: where its image is.
            container_type: what runs it: ``docker``, ``singularity`` or ``shifter``.
            name: a name for people.
            description: a description for people.

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
        answer = await self._rest.ask("POST", "/v2/containers", what, body)
        return read_field(answer, "container_id", str, what)

    async def get_container(self, container_id: str | UUID, container_type: str) -> dict[str, Any]:
        """Return the service's document of a container, with its ``location``.

        Example::

            print((await client.get_container(container_id, "docker"))["location"])
        """
        container = in_path(container_id, "container")
        path = f"/v2/containers/{container}/{in_path(container_type, 'kind of container')}"
        what = f"asking for the container {container}"
        return read_field(
            await self._rest.ask("GET", path, what), "container", dict[str, Any], what
        )

    async def build_container(self, specification: Mapping[str, Any]) -> str:
        """Start building a container, and return its id.

        Args:
            specification: ``name``, ``description``, the lists ``apt``, ``pip`` and ``conda`` of
                packages, and ``payload_url``, a repository to copy into it.

        Example::

            container_id = await client.build_container({"name": "tools", "pip": ["numpy"]})
        """
        what = f"having the container {specification.get('name')!r} built"
        answer = await self._rest.ask("POST", "/v2/containers/build", what, specification)
        return read_field(answer, "container_id", str, what)

    async def get_container_build_status(self, container_id: str | UUID) -> str:
        """Return the status of a container that is being built.

        Example::

            print(await client.get_container_build_status(container_id))
        """
        path = f"/v2/containers/build/{in_path(container_id, 'container')}"
        what = f"asking how far the container {container_id} is"
        return read_field(await self._rest.ask("GET", path, what), "status", str, what)

    async def get_whitelist(self, endpoint_id: str | UUID) -> list[str]:
        """Return the ids of the functions that an endpoint may run; empty if it may run any.

        Example::

            assert function_id in await client.get_whitelist(endpoint_id)
        """
        path = f"/v2/endpoints/{in_path(endpoint_id, 'endpoint')}/whitelist"
        what = f"asking what the endpoint {endpoint_id} may run"
        return read_field(await self._rest.ask("GET", path, what), "result", list[str], what)

    async def add_to_whitelist(
        self, endpoint_id: str | UUID, function_ids: str | UUID | Sequence[str | UUID]
    ) -> list[str]:
        """Add functions to the whitelist of an endpoint, and return their ids.

        The first functions that are added restrict the endpoint to its whitelist.

        Example::

            await client.add_to_whitelist(endpoint_id, [function_id])
        """
        ids = [str(each) for each in several(function_ids)]
        path = f"/v2/endpoints/{in_path(endpoint_id, 'endpoint')}/whitelist"
        what = f"letting the endpoint {endpoint_id} run {len(ids)} function(s)"
        answer = await self._rest.ask("POST", path, what, {"func": ids})
        return read_field(answer, "result", list[str], what)

    async def delete_from_whitelist(
        self, endpoint_id: str | UUID, function_ids: str | UUID | Sequence[str | UUID]
    ) -> None:
        """Remove functions from the whitelist of an endpoint; one request for each.

        Example::

            await client.delete_from_whitelist(endpoint_id, function_id)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        for function_id in several(function_ids):
            path = f"/v2/endpoints/{endpoint}/whitelist/{in_path(function_id, 'function')}"
            await self._rest.ask("DELETE", path, f"taking {function_id} from the whitelist")

    async def authenticate(self) -> None:
        """Check the credentials.

        Raises:
            AuthenticationFailed: if the service does not accept them.


        Example::

            await client.authenticate()
        """
        await self._rest.ask("GET", "/v2/authenticate", "checking the credentials")
