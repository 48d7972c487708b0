"""What the fixtures of the pytest plugin give: objects that need no event loop at their end."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import httpx

from funcx_async._net.environment import ENDPOINT_VARIABLE, SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.client import FuncXClient
from funcx_async.executor.executor import FuncXExecutor

if TYPE_CHECKING:
    from funcx_async.blocking import LocalService


class FixtureExecutor(FuncXExecutor):
    """An executor that ends where its event loop does not run, or is closed already."""

    def let_go(self) -> None:
        """Take no more tasks, and wait for none; what is not sent is cancelled."""
        self._binding.closed = True
        session = self._binding.session
        if session is None:
            return
        if session.ended:
            session.clear_away()
            return
        with suppress(RuntimeError):  # the loop was closed by another thread meanwhile
            session.loop.call_soon_threadsafe(partial(session.close, cancel_futures=True))


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
