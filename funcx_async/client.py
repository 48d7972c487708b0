"""The client of the service's REST API: all operations as coroutines."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from funcx_async._net.environment import certificates, request_timeout, service_url
from funcx_async._net.http import web_proxy
from funcx_async._process import CONNECTIONS, confined
from funcx_async._service.dialects import DIALECTS
from funcx_async._service.operations.calls import CallOperations
from funcx_async._service.operations.classic import ClassicOperations
from funcx_async._service.operations.endpoints import EndpointOperations
from funcx_async._service.rest import Rest, budget_share
from funcx_async._versions import is_older
from funcx_async.auth import Auth, resolve_auth
from funcx_async.errors import FuncXError, VersionMismatch
from funcx_async.serialize import FuncXSerializer

_log = logging.getLogger("funcx_async.service")


@confined(CONNECTIONS)
class FuncXClient(CallOperations, EndpointOperations, ClassicOperations):
    """An async client of the funcX web service.

    Construct it anywhere, without network or credentials; it binds to the event loop that first
    uses it. Each call is one request; its error says whether it is safe to retry. Requests go
    through the proxy of the environment, such as ``HTTPS_PROXY``.

    Args:
        base_url: the service's root, without ``/v2``; by default that of the environment variable
            ``FUNCX_ASYNC_SERVICE_URL``, else the hosted service's.
        auth: a bearer token, a plain or async callable that returns one, an ``httpx.Auth`` such
            as :class:`funcx_async.auth.ClientCredentials`, or an app or authorizer of
            ``globus_sdk``. By default ``FUNCX_ASYNC_TOKEN``, for the service of
            ``FUNCX_ASYNC_SERVICE_URL`` only. For services of Globus the default is the client
            credentials of the environment, else the login shared with the official tools. The
            client never prompts.
        environment: a Globus environment instead of ``base_url``, such as ``preview``.
        api: the dialect; ``"v3"`` is today's service, ``"v2"`` the classic one of ``funcx`` 1.x.
        timeout: seconds that one request may take; -1 for no limit. By default the environment
            variable ``GLOBUS_SDK_HTTP_TIMEOUT``, else 60.
        transport: replaces the network, in tests.
        serializer: writes functions and arguments and reads results, for calls without an
            executor; by default that of the dialect.
        user_runtime: what submits report about this Python and machine; an empty mapping reports
            nothing. By default the facts, as in :meth:`submit`.

    Attributes:
        api: the dialect's name.
        dialect: phrases requests and parses answers.
        serializer: writes functions and arguments, reads results. A client that an executor makes
            has the executor's.
        task_group_id: the task group of its submits, shared by its executors; None with today's
            service, which creates groups itself.

    Raises:
        ValueError: for an unknown environment or dialect, an invalid timeout, proxy or certificate
            setting, or a ``base_url`` that is not the root of a web service.
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
        dialect = DIALECTS[api]
        self.api = api
        self.base_url = service_url(base_url, environment, os.environ, dialect.deployments)
        rest = Rest(
            self.base_url,
            auth=resolve_auth(auth, self.base_url, os.environ, classic=api == "v2"),
            user_agent=dialect.user_agent,
            timeout=request_timeout(timeout, os.environ),
            verify=certificates(os.environ),
            proxy=web_proxy(self.base_url) if transport is None else None,
            transport=transport,
        )
        super().__init__(
            rest, dialect, serializer or FuncXSerializer(dialect.code_strategy), user_runtime
        )
        self._version_checked = False

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
        """Wait until the hosted service allows one more request; other services have no limit.

        Args:
            share: the share of the budget that requests of this kind may use.
        """
        await self._rest.within_budget(share)

    async def get_version(self) -> dict[str, Any]:
        """Return the versions of the service, and the oldest SDK and endpoint that it accepts.

        Raises:
            FuncXError: as every request.

        Example::

            print((await client.get_version())["min_sdk_version"])
        """
        return await self._rest.read(
            "GET", "/v2/version?service=all", dict[str, Any], "asking for the version"
        )

    async def version_check(self, endpoint_version: str | None = None) -> None:
        """Check that the service still accepts the requests of this client.

        They equal those of one version of the official client, which each request names. If that
        version is too old, later refusals have it as their ``version_mismatch``. Executors check
        it with their first tasks, and log a warning.

        Args:
            endpoint_version: the version of an endpoint's software, to check it as well.

        Raises:
            VersionMismatch: if a version is older than the service accepts.
            FuncXError: as every request.

        Example::

            await client.version_check()
        """
        told = await self.get_version()
        self._check(self.dialect.sdk_name, self.dialect.sdk_version, told.get("min_sdk_version"))
        if endpoint_version is not None:
            self._check("the endpoint", endpoint_version, told.get("min_ep_version"))

    async def warn_if_outdated(self, share: float) -> None:
        """Check the version once for each client, and log what is wrong.

        Args:
            share: the share of the request budget that this may use.
        """
        if self._version_checked:
            return
        self._version_checked = True
        try:
            with budget_share(share):
                await self.version_check()
        except VersionMismatch as error:
            _log.warning("%s", error)
        except FuncXError as error:
            self._version_checked = False
            _log.debug("The service does not tell which versions it takes: %s", error)
        except BaseException:  # cancelled as well: nothing was checked
            self._version_checked = False
            raise

    def _check(self, name: str, version: str, minimum: object) -> None:
        if not isinstance(minimum, str) or not is_older(version, minimum):
            return
        ours = name == self.dialect.sdk_name
        who = f"This client speaks as {name} {version}" if ours else f"Version {version} of {name}"
        verb = ", but the service takes" if ours else " is too old: the service takes"
        error = VersionMismatch(
            f"{who}{verb} {minimum} at least. Requests may be refused: install a newer "
            f"{'funcx-async' if ours else 'globus-compute-endpoint there'}.",
            version=version,
            minimum=minimum,
        )
        if ours:
            self._rest.mismatch = error
        raise error
