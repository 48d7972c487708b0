"""Operations on endpoints: list, describe, register, stop and delete them."""

from __future__ import annotations

from typing import Any, Literal, Unpack
from uuid import UUID

from funcx_async._service.answers import EndpointDocument, read
from funcx_async._service.dialects import EndpointOptions
from funcx_async._service.documents import (
    EndpointLock,
    EndpointMetadata,
    EndpointRegistration,
    EndpointSummary,
    record_of,
)
from funcx_async._service.operations.base import Operations, in_path
from funcx_async.models import EndpointStatus


class EndpointOperations(Operations):
    """Operations on endpoints."""

    async def get_endpoints(
        self, role: Literal["any", "owner"] | None = None
    ) -> list[EndpointSummary]:
        """Return the endpoints of the user.

        Args:
            role: ``"owner"`` for your own endpoints, ``"any"`` for all that you may use; None
                leaves it to the service, whose default is ``owner``.

        Raises:
            ValueError: for another role.
            FuncXError: as every request.

        Example::

            for endpoint in await client.get_endpoints(role="any"):
                print(endpoint.endpoint_id, endpoint.display_name)
        """
        if role not in (None, "any", "owner"):
            raise ValueError(f"role must be 'any' or 'owner', not {role!r}.")
        path = "/v2/endpoints" + (f"?role={role}" if role else "")
        what = "listing endpoints"
        listed = await self._rest.read("GET", path, list[dict[str, Any]], what)
        return [record_of(EndpointSummary, raw, what) for raw in listed]

    async def get_endpoint_metadata(self, endpoint_id: str | UUID) -> EndpointMetadata:
        """Return the description of an endpoint: its name, versions and configuration.

        Args:
            endpoint_id: the endpoint.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.

        Example::

            metadata = await client.get_endpoint_metadata(endpoint_id)
            print(metadata.hostname, metadata.endpoint_version, metadata.raw)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        what = f"reading the description of the endpoint {endpoint}"
        raw = await self._rest.read("GET", f"/v2/endpoints/{endpoint}", dict[str, Any], what)
        return record_of(EndpointMetadata, raw, what, endpoint_id=endpoint)

    async def get_endpoint_status(self, endpoint_id: str | UUID) -> EndpointStatus:
        """Return whether an endpoint is online, and what it last reported.

        Args:
            endpoint_id: the endpoint.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.

        Example::

            if (await client.get_endpoint_status(endpoint_id)).status == "online":
                ...
        """
        endpoint = in_path(endpoint_id, "endpoint")
        what = f"reading the status of the endpoint {endpoint}"
        answer = await self._rest.ask("GET", f"/v2/endpoints/{endpoint}/status", what)
        known = read(answer, EndpointDocument, what)
        raw = read(answer, dict[str, Any], what)
        return EndpointStatus(known.status, known.details or {}, known.logs or (), raw)

    async def register_endpoint(
        self,
        name: str,
        endpoint_id: str | UUID | None = None,
        **options: Unpack[EndpointOptions],
    ) -> EndpointRegistration:
        """Register an endpoint, or update one that is registered.

        This is for software that runs tasks itself: the answer has the address of its commands.
        People use ``globus-compute-endpoint``.

        Args:
            name: the endpoint's name.
            endpoint_id: the id of the endpoint to update; None lets the service create one. The
                classic dialect always needs an id.
            **options: optional fields, those of ``EndpointOptions``; None and empty values are
                not sent.

        Raises:
            ValueError: for an option that the dialect lacks.
            TypeError: for an unknown option.
            RequestRefused: with the code ``RESOURCE_LOCKED`` while it is locked, with
                ``ENDPOINT_ALREADY_REGISTERED`` if it belongs to somebody else, and others.
            FuncXError: as every request.

        Example::

            registration = await client.register_endpoint("cluster", multi_user=True)
            print(registration.endpoint_id)
        """
        unknown = ", ".join(sorted(set(options) - set(EndpointOptions.__annotations__)))
        if unknown:
            raise TypeError(f"register_endpoint() does not know the option(s) {unknown}.")
        known_id = None if endpoint_id is None else in_path(endpoint_id, "endpoint")
        method, path, body = self.dialect.endpoint_registration(name, known_id, options)
        what = f"registering the endpoint {name!r}"
        raw = await self._rest.read(method, path, dict[str, Any], what, body)
        return record_of(EndpointRegistration, raw, what)

    async def stop_endpoint(self, endpoint_id: str | UUID) -> EndpointLock:
        """Disconnect an endpoint, and lock it: for a while it cannot connect again.

        Args:
            endpoint_id: the endpoint.

        Returns:
            The lock, with the time when it expires.

        Raises:
            NotFound: if the service does not know it.
            Forbidden: if it is not yours.
            FuncXError: as every request.

        Example::

            lock = await client.stop_endpoint(endpoint_id)
            print("until", lock.lock_expiration_timestamp)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        method, path, body = self.dialect.lock(endpoint)
        what = f"stopping the endpoint {endpoint}"
        raw = await self._rest.read(method, path, dict[str, Any], what, body)
        return record_of(EndpointLock, raw, what, endpoint_id=endpoint)

    async def delete_endpoint(self, endpoint_id: str | UUID) -> None:
        """Delete an endpoint from the service.

        Args:
            endpoint_id: the endpoint.

        Raises:
            NotFound: if the service does not know it.
            Forbidden: if it is not yours.
            FuncXError: as every request.

        Example::

            await client.delete_endpoint(endpoint_id)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        await self._rest.ask("DELETE", f"/v2/endpoints/{endpoint}", f"deleting {endpoint}")
