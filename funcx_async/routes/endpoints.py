"""Endpoints: whether they are there, and what they are."""

from __future__ import annotations

from typing import Any

from funcx_async.answers import EndpointDocument
from funcx_async.models import EndpointStatus
from funcx_async.routes.shared import Routes


class EndpointRoutes(Routes):
    """What can be asked about endpoints."""

    async def get_endpoint_status(self, endpoint_id: str) -> EndpointStatus:
        """Ask whether an endpoint is online.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.
        """
        answer = await self._rest.read(
            "GET",
            f"/v2/endpoints/{endpoint_id}/status",
            EndpointDocument,
            f"asking for the endpoint {endpoint_id}",
        )
        return EndpointStatus(answer.status, answer.details or {}, answer.logs or ())

    async def get_endpoint(self, endpoint_id: str) -> dict[str, Any]:
        """Ask what an endpoint is: its name, versions and configuration, as the service has them.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.
        """
        return await self._rest.read(
            "GET",
            f"/v2/endpoints/{endpoint_id}",
            dict[str, Any],
            f"asking what the endpoint {endpoint_id} is",
        )
