"""What the fixtures of the pytest plugin give: objects that need no event loop at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from funcx_async._net.environment import ENDPOINT_VARIABLE, SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.client import FuncXClient

if TYPE_CHECKING:
    from funcx_async.blocking import LocalService


def unconnected_client(service: LocalService) -> FuncXClient:
    """Give a client that has no connection between its requests."""
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(limits=limits)
    return FuncXClient(service.url, auth=service.token, transport=transport)


def variables_for(service: LocalService) -> dict[str, str]:
    """Give the environment variables that lead this package to a service."""
    return {
        SERVICE_URL_VARIABLE: service.url,
        TOKEN_VARIABLE: service.token,
        ENDPOINT_VARIABLE: service.endpoint_id,
    }
