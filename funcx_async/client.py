"""The REST API as coroutines; everything that touches httpx is here and in ``auth``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
import msgspec

from funcx_async.answers import (
    BatchStatus,
    EndpointDocument,
    QueueAddress,
    Registered,
    TaskDocument,
    TaskGroup,
    read,
    refusal,
)
from funcx_async.auth import Auth, resolve_auth
from funcx_async.cancellation import cancel_requests, is_cancelled
from funcx_async.classic import ClassicRoutes
from funcx_async.core.budget import RequestBudget
from funcx_async.dialects import DIALECTS, Order
from funcx_async.environments import is_loopback, service_url
from funcx_async.errors import (
    AnswerLost,
    AnswerNotUnderstood,
    SerializationError,
    ServiceUnavailable,
    SubmitUncertain,
)
from funcx_async.models import EndpointStatus, Receipt, ResultQueueAddress, TaskStatus
from funcx_async.registration import Registration, registration_of
from funcx_async.serialize import FuncXSerializer

A = TypeVar("A")

_NOT_WRITTEN = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""What httpx raises before a byte of the request is on the wire."""


class FuncXClient(ClassicRoutes):
    """An async client of the funcX web service.

    Construct it anywhere, without network or credentials; it binds to the event loop that first
    uses it. Each call is one request: what may be tried again, the errors say.

    Args:
        base_url: the service's root, without ``/v2``; by default that of the environment variable
            ``FUNCX_ASYNC_SERVICE_URL``, else the hosted service's.
        auth: a bearer token, a plain or async callable that gives one, or an ``httpx.Auth``; by
            default ``FUNCX_ASYNC_TOKEN``, for the service of ``FUNCX_ASYNC_SERVICE_URL`` only.
        environment: a Globus environment instead of ``base_url``, such as ``preview``.
        api: the dialect; ``"v3"`` is today's service, ``"v2"`` the classic one of ``funcx`` 1.x.
        timeout: seconds that one request may take.
        transport: stands in for the network, in tests.

    Attributes:
        dialect: phrases requests and reads answers.
        task_group_id: the group of what it submits, which its executors share; of the classic
            dialect, else None, as today's service makes its groups itself.

    Raises:
        ValueError: for an unknown environment, dialect, or what is not a web service's root.
        TypeError: for credentials of another kind.

    Example:
        >>> client = FuncXClient("http://127.0.0.1:8000", auth="a token")
        >>> client
        <FuncXClient http://127.0.0.1:8000>
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        auth: Auth | None = None,
        environment: str | None = None,
        api: Literal["v2", "v3"] = "v3",
        timeout: float = 60,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if api not in DIALECTS:
            raise ValueError(f"api must be 'v2' or 'v3', not {api!r}.")
        self.dialect = DIALECTS[api]
        self.task_group_id = self.dialect.new_task_group()
        self.base_url = service_url(base_url, environment, os.environ, self.dialect.deployments)
        self._auth = resolve_auth(auth, self.base_url, os.environ)
        self._budget = None if is_loopback(self.base_url) else RequestBudget()
        self._timeout = timeout
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serializer = FuncXSerializer(self.dialect.code_strategy)

    def __repr__(self) -> str:
        return f"<FuncXClient {self.base_url}>"

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
        http, self._http, self._loop = self._http, None, None
        if http is not None:
            await http.aclose()

    # Functions ----------------------------------------------------------------------------------

    async def register_function(self, fn: Callable[..., Any], **options: Any) -> str:
        """Register ``fn`` and give its function id.

        Args:
            fn: what to register.
            **options: ``function_name``, ``description``, ``public``, ``group``,
                ``ha_endpoint_id``, ``container_uuid``, as
                :func:`funcx_async.registration.registration_of` has them.

        Raises:
            SerializationError: if it cannot travel.
            RequestRefused: if the service does not take it.
            ServiceUnavailable: if it cannot be asked now.
        """
        return await self.register(registration_of(fn, self._serializer, **options))

    async def register(self, registration: Registration) -> str:
        """Register a function that is serialized already; as :meth:`register_function`."""
        path, body = self.dialect.registration(registration)
        answer = await self._request(
            "POST",
            path,
            Registered,
            f"registering the function {registration.function_name!r}",
            body,
        )
        return answer.function_uuid

    # Tasks --------------------------------------------------------------------------------------

    async def submit(
        self,
        endpoint_id: str,
        tasks: Mapping[str, Sequence[str]],
        *,
        task_group_id: str | None = None,
        create_queue: bool = True,
        resource_specification: Mapping[str, Any] | None = None,
        user_endpoint_config: Mapping[str, Any] | None = None,
        result_serializers: Sequence[str] | None = None,
    ) -> Receipt:
        """Submit tasks; there is no way to take them back.

        Args:
            endpoint_id: where they shall run.
            tasks: for each function id the payloads, one for each task.
            task_group_id: a group that the service knows; by default it makes one, or in the
                classic dialect the client did.
            create_queue: have the results sent to the group's queue as well.
            resource_specification: what the tasks need, as the endpoint defines it.
            user_endpoint_config: the configuration of the user's endpoint.
            result_serializers: import paths of the strategies for results, tried in order.

        Raises:
            ValueError: for an option that the dialect lacks.
            RequestRefused: if the service does not take them.
            ServiceUnavailable: if it certainly took nothing and may be asked again.
            SubmitUncertain: if nobody can know whether it took them.
        """
        order = Order(
            endpoint_id,
            tasks,
            task_group_id or self.task_group_id,
            create_queue,
            resource_specification,
            user_endpoint_config,
            result_serializers,
        )
        what = f"submitting {len(order)} task(s) to the endpoint {endpoint_id}"
        path, body = self.dialect.submit(order)
        try:
            return self.dialect.receipt(await self._ask("POST", path, what, body), order, what)
        except (AnswerLost, AnswerNotUnderstood) as error:
            raise SubmitUncertain(
                f"Nobody can know whether the tasks run. {error} Look at the task group before "
                "you submit them again.",
                task_group_id=order.task_group_id,
            ) from error

    async def get_task(self, task_id: str) -> TaskStatus:
        """Ask for one task; the classic service hands a result out once, today's at any time.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.
        """
        document = await self._request(
            "GET", f"/v2/tasks/{task_id}", TaskDocument, f"looking at the task {task_id}"
        )
        return document.to_status(task_id)

    async def get_batch_status(self, task_ids: Sequence[str]) -> dict[str, TaskStatus]:
        """Ask for many tasks at once, by id; unknown ones come back as ``failed`` with a reason.

        Raises:
            FuncXError: as every request.
        """
        answer = await self._request(
            "POST",
            "/v2/batch_status",
            BatchStatus,
            f"looking at {len(task_ids)} task(s)",
            {"task_ids": task_ids},
        )
        return {
            task_id: document.to_status(task_id) for task_id, document in answer.results.items()
        }

    async def get_task_group(self, task_group_id: str) -> list[str]:
        """Give the ids of all tasks of a group.

        Raises:
            ValueError: if the service answers for another group.
            NotFound: if it does not know the group.
            FuncXError: as every request.
        """
        answer = await self._request(
            "GET",
            f"/v2/taskgroup/{task_group_id}",
            TaskGroup,
            f"listing the task group {task_group_id}",
        )
        if answer.taskgroup_id != task_group_id:
            raise ValueError(
                f"Asked for the task group {task_group_id}, the service answered for "
                f"{answer.taskgroup_id}."
            )
        return [task.id for task in answer.tasks]

    async def get_result_queue_address(self) -> ResultQueueAddress:
        """Give where results can be consumed, with fresh credentials: ask before each connect.

        Raises:
            FuncXError: as every request.
        """
        answer = await self._request(
            "GET",
            "/v2/get_amqp_result_connection_url",
            QueueAddress,
            "asking where the results are",
        )
        return ResultQueueAddress(answer.queue_prefix, answer.connection_url)

    # The rest -----------------------------------------------------------------------------------

    async def get_endpoint_status(self, endpoint_id: str) -> EndpointStatus:
        """Ask whether an endpoint is online.

        Raises:
            NotFound: if the service does not know it.
            FuncXError: as every request.
        """
        answer = await self._request(
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
        return await self._request(
            "GET",
            f"/v2/endpoints/{endpoint_id}",
            dict[str, Any],
            f"asking what the endpoint {endpoint_id} is",
        )

    async def get_version(self) -> dict[str, Any]:
        """Ask for the versions of the service, and the oldest of SDK and endpoint that it takes.

        Raises:
            FuncXError: as every request.
        """
        return await self._request(
            "GET", "/v2/version?service=all", dict[str, Any], "asking for the version"
        )

    # How it is done -----------------------------------------------------------------------------

    async def _request(
        self, method: str, path: str, shape: type[A], what: str, body: object = None
    ) -> A:
        return read(await self._ask(method, path, what, body), shape, what)

    async def within_budget(self, share: float = 1.0) -> None:
        """Wait until the hosted service allows one more request; others have no such limit.

        Args:
            share: the part of the budget that requests of this kind may use up.
        """
        if self._budget is not None:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._budget.delay(now, share=share))

    async def _ask(self, method: str, path: str, what: str, body: object = None) -> bytes:
        if self._budget is not None:
            now = asyncio.get_running_loop().time()
            delay = self._budget.delay(now)
            self._budget.spend(now + delay)
            await asyncio.sleep(delay)
        content, before = _encoded(body, what), cancel_requests()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._session().request(
                    method, path, content=content, headers=headers
                )
        except _NOT_WRITTEN as error:
            raise ServiceUnavailable(
                f"{self.base_url} cannot be reached for {what} ({_in_words(error)}). Check the "
                "address, the network and the proxy."
            ) from error
        except asyncio.CancelledError as error:
            if is_cancelled(before):
                raise
            raise AnswerLost(f"Something underneath was cancelled at {what}.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise AnswerLost(f"The service did not answer {what} ({_in_words(error)}).") from error
        if response.is_success:
            return response.content
        raise refusal(
            what, response.status_code, response.headers, response.content, datetime.now(UTC)
        )

    def _session(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is None or self._loop.is_closed():
            self._loop = loop
            self._http = httpx.AsyncClient(
                base_url=self.base_url,
                auth=self._auth,
                timeout=httpx.Timeout(
                    self._timeout, connect=self._timeout / 2, pool=self._timeout / 2
                ),
                transport=self._transport,
                headers={"Accept": "application/json", "User-Agent": self.dialect.user_agent},
                trust_env=not is_loopback(self.base_url),
            )
        if self._loop is not loop:
            raise RuntimeError(
                "This FuncXClient belongs to another event loop that is still open: make one "
                "client for each loop."
            )
        return self._http


def _encoded(body: object, what: str) -> bytes | None:
    try:
        return None if body is None else msgspec.json.encode(body)
    except (TypeError, ValueError) as error:
        raise SerializationError(f"{what}: {error}, which JSON cannot carry.") from error


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
