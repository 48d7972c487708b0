"""The REST API as coroutines: all of ``routes`` around one connection to the service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from funcx_async._net.environments import certificates, request_timeout, service_url
from funcx_async._net.transports import web_proxy
from funcx_async._process import CONNECTIONS, confined
from funcx_async._service.dialects import DIALECTS
from funcx_async._service.rest import Rest
from funcx_async._service.routes.calls import CallRoutes
from funcx_async._service.routes.classic import ClassicRoutes
from funcx_async._service.routes.endpoints import EndpointRoutes
from funcx_async._service.routes.service import ServiceRoutes
from funcx_async.auth import Auth, resolve_auth
from funcx_async.models import TaskStatus
from funcx_async.serialize import FuncXSerializer


@confined(CONNECTIONS)
class FuncXClient(CallRoutes, EndpointRoutes, ServiceRoutes, ClassicRoutes):
    """An async client of the funcX web service.

    Construct it anywhere, without network or credentials; it binds to the event loop that first
    uses it. Each call is one request: what may be tried again, the errors say. It goes through the
    proxy that the environment names, as ``HTTPS_PROXY`` for most; ``docs/firewalls.md`` has more.

    Args:
        base_url: the service's root, without ``/v2``; by default that of the environment variable
            ``FUNCX_ASYNC_SERVICE_URL``, else the hosted service's.
        auth: a bearer token, a plain or async callable that gives one, an ``httpx.Auth`` such as
            :class:`funcx_async.auth.ClientCredentials`, or a ``globus_sdk.GlobusApp``. By default
            ``FUNCX_ASYNC_TOKEN`` for the service of ``FUNCX_ASYNC_SERVICE_URL`` only; and for
            services of Globus only the client credentials of the environment, else the login
            shared with the official tools. It never prompts.
        environment: a Globus environment instead of ``base_url``, such as ``preview``.
        api: the dialect; ``"v3"`` is today's service, ``"v2"`` the classic one of ``funcx`` 1.x.
        timeout: seconds that one request may take; -1: any time. By default the environment
            variable ``GLOBUS_SDK_HTTP_TIMEOUT``, else 60.
        transport: stands in for the network, in tests.
        serializer: writes functions and arguments and reads results, for calls without an
            executor; by default as the dialect wants it.
        user_runtime: what submits tell of the Python and the machine here, instead of what is so;
            an empty one: nothing. See :meth:`submit`.

    Attributes:
        api: the dialect's name.
        dialect: phrases requests and reads answers.
        serializer: writes functions and arguments, reads results. A client that an executor makes
            for itself has that of the executor.
        task_group_id: the group of what it submits, which its executors share; of the classic
            dialect, else None, as today's service makes its groups itself.

    Raises:
        ValueError: for an unknown environment, dialect, timeout, proxy or way to check
            certificates, or for what is not a web service's root.
        TypeError: for credentials of another kind.

    Example:
        >>> import asyncio
        >>> from funcx_async.local import LocalService
        >>> async def main():
        ...     async with LocalService(workers=1) as service:
        ...         async with FuncXClient(service.url, auth=service.token) as client:
        ...             status = await client.get_endpoint_status(service.endpoint_id)
        ...             print(status.status)
        >>> asyncio.run(main())
        online
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        auth: Auth | None = None,
        environment: str | None = None,
        api: Literal["v2", "v3"] = "v3",
        timeout: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        serializer: FuncXSerializer | None = None,
        user_runtime: Mapping[str, Any] | None = None,
    ) -> None:
        if api not in DIALECTS:
            raise ValueError(f"api must be 'v2' or 'v3', not {api!r}.")
        self.api = api
        self.dialect = DIALECTS[api]
        self.task_group_id = self.dialect.new_task_group()
        self.base_url = service_url(base_url, environment, os.environ, self.dialect.deployments)
        self.serializer = serializer or FuncXSerializer(self.dialect.code_strategy)
        self._user_runtime = user_runtime
        self._version_checked = False
        self._unclaimed: dict[str, TaskStatus] = {}
        self._rest = Rest(
            self.base_url,
            auth=resolve_auth(auth, self.base_url, os.environ, classic=api == "v2"),
            user_agent=self.dialect.user_agent,
            timeout=request_timeout(timeout, os.environ),
            verify=certificates(os.environ),
            proxy=web_proxy(self.base_url) if transport is None else None,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"<FuncXClient {self.base_url}>"

    def _repr_html_(self) -> str:
        from funcx_async._html import Tone, card

        rows = {"service": self.base_url, "task group": self.task_group_id}
        return card("FuncXClient", f"API {self.api}", Tone.RESTING, rows)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the client may be used again, and then makes new ones."""
        await self._rest.aclose()

    async def within_budget(self, share: float = 1.0) -> None:
        """Wait until the hosted service allows one more request; others have no such limit.

        Args:
            share: the part of the budget that requests of this kind may use up.
        """
        await self._rest.within_budget(share)
