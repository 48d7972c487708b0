"""The service itself: its version."""

from __future__ import annotations

from typing import Any

from funcx_async.routes.shared import Routes


class ServiceRoutes(Routes):
    """What can be asked about the service."""

    async def get_version(self) -> dict[str, Any]:
        """Ask for the versions of the service, and the oldest of SDK and endpoint that it takes.

        Raises:
            FuncXError: as every request.
        """
        return await self._rest.read(
            "GET", "/v2/version?service=all", dict[str, Any], "asking for the version"
        )
