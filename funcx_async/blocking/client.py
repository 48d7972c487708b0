"""The REST API as plain methods."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload
from uuid import UUID

import httpx

from funcx_async._process import CONNECTIONS, confined
from funcx_async._service.operations.calls import Batch
from funcx_async.auth import Auth
from funcx_async.blocking.official import OfficialArguments, options_of, run_batch
from funcx_async.blocking.portal import Forwarded, blocking, forwarding, portal
from funcx_async.client import FuncXClient as AsyncFuncXClient
from funcx_async.models import Receipt, ResultQueueAddress
from funcx_async.serialize import FuncXSerializer


@confined(CONNECTIONS)
class FuncXClient:
    """The client of the funcX web service as :class:`funcx_async.FuncXClient`, without ``await``.

    It may be used from any thread, and shared by executors. Ctrl-C ends a request that waits.

    Results are records with attributes. They can be read by key, too, with the keys of the
    official clients, so a program for those needs only another import.

    Args:
        base_url: this and the next ones are as in :class:`funcx_async.FuncXClient`.
        auth: credentials.
        environment: a Globus environment in place of ``base_url``.
        api: the dialect, ``"v3"`` or ``"v2"``.
        timeout: seconds that one request may take; -1: any time.
        transport: replaces the network, in tests.
        serializer: writes functions and arguments and reads results.
        user_runtime: what submits report about this Python and machine.
        **official: arguments of the official clients under their names.

    Attributes:
        asynchronous: the async client that does the work; it belongs to the loop behind all
            blocking objects.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service:
        ...     with FuncXClient(service.url, auth=service.token) as client:
        ...         print(client.get_endpoint_status(service.endpoint_id).status)
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
        **official: Unpack[OfficialArguments],
    ) -> None:
        rest: dict[str, Any] = {**official}
        options = options_of(
            {
                "base_url": base_url,
                "auth": auth,
                "environment": environment,
                "api": api,
                "timeout": timeout,
                "transport": transport,
                "serializer": serializer,
                "user_runtime": user_runtime,
            },
            rest,
        )
        self.asynchronous = AsyncFuncXClient(**options)
        if rest.get("task_group_id") is not None:
            self.asynchronous.task_group_id = str(rest["task_group_id"])
        if rest.get("do_version_check"):
            self.version_check()

    @classmethod
    def around(cls, asynchronous: AsyncFuncXClient) -> Self:
        """Return a blocking client around an async one of the portal's loop."""
        client = cls.__new__(cls)
        client.asynchronous = asynchronous
        return client

    def __repr__(self) -> str:
        return repr(self.asynchronous)

    def _repr_html_(self) -> str:
        return self.asynchronous._repr_html_()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The service's root."""
        return self.asynchronous.base_url

    serializer = Forwarded[FuncXSerializer, FuncXSerializer]()

    @overload
    def batch_run(self, endpoint_id: str | UUID, batch: Batch) -> Receipt: ...

    @overload
    def batch_run(self, endpoint_id: Batch) -> list[str]: ...

    def batch_run(
        self, endpoint_id: str | UUID | Batch, batch: Batch | None = None
    ) -> Receipt | list[str]:
        """Submit the tasks of a batch; submitted again, they run again.

        ``batch_run(batch)`` is the call of ``funcx`` 1.x, for a batch whose tasks were added with
        their endpoints.

        Args:
            endpoint_id: where the tasks are to run; or the batch, as its only argument.
            batch: the batch.

        Returns:
            The receipt, as :meth:`funcx_async.FuncXClient.batch_run`. For ``batch_run(batch)`` the
            task ids as a list in the order of adding.

        Raises:
            ValueError: if the batch is empty, or endpoints are missing or contradict each other.
            FuncXError: as :meth:`funcx_async.FuncXClient.batch_run`.

        Example:
            >>> from funcx_async.blocking import LocalService
            >>> with LocalService(workers=1) as service, service.client() as client:
            ...     function_id = client.register_function(pow)
            ...     batch = client.create_batch()
            ...     batch.add(function_id, (2, 5))
            ...     receipt = client.batch_run(service.endpoint_id, batch)
            ...     print(len(receipt["tasks"][function_id]))
            1
        """
        if isinstance(endpoint_id, Batch):
            return portal().wait(run_batch, self.asynchronous, endpoint_id)
        if batch is None:
            raise TypeError("batch_run() takes an endpoint id and a batch, or a batch alone.")
        return portal().wait(AsyncFuncXClient.batch_run, self.asynchronous, endpoint_id, batch)

    close = blocking(AsyncFuncXClient.aclose)

    register_function = blocking(AsyncFuncXClient.register_function)
    register_source_code = blocking(AsyncFuncXClient.register_source_code)
    register = blocking(AsyncFuncXClient.register)
    get_function = blocking(AsyncFuncXClient.get_function)
    delete_function = blocking(AsyncFuncXClient.delete_function)
    get_allowed_functions = blocking(AsyncFuncXClient.get_allowed_functions)

    run = blocking(AsyncFuncXClient.run)
    create_batch = forwarding(AsyncFuncXClient.create_batch)
    get_result = blocking(AsyncFuncXClient.get_result)
    get_batch_result = blocking(AsyncFuncXClient.get_batch_result)
    get_worker_hardware_details = blocking(AsyncFuncXClient.get_worker_hardware_details)

    submit = blocking(AsyncFuncXClient.submit)
    get_task = blocking(AsyncFuncXClient.get_task)
    get_batch_status = blocking(AsyncFuncXClient.get_batch_status)
    get_task_group = blocking(AsyncFuncXClient.get_task_group)
    list_task_group = blocking(AsyncFuncXClient.list_task_group)
    get_result_queue_address = blocking(AsyncFuncXClient.get_result_queue_address)

    def get_result_amqp_url(self) -> ResultQueueAddress:
        """Return where results can be consumed, under the official client's name.

        Raises:
            FuncXError: as every request.

        Example:
            >>> from funcx_async.blocking import LocalService
            >>> with LocalService(workers=1) as service, service.client() as client:
            ...     print(*client.get_result_amqp_url())
            queue_prefix connection_url
        """
        return self.get_result_queue_address()

    get_endpoints = blocking(AsyncFuncXClient.get_endpoints)
    get_endpoint_metadata = blocking(AsyncFuncXClient.get_endpoint_metadata)
    get_endpoint_status = blocking(AsyncFuncXClient.get_endpoint_status)
    register_endpoint = blocking(AsyncFuncXClient.register_endpoint)
    stop_endpoint = blocking(AsyncFuncXClient.stop_endpoint)
    delete_endpoint = blocking(AsyncFuncXClient.delete_endpoint)

    get_version = blocking(AsyncFuncXClient.get_version)
    version_check = blocking(AsyncFuncXClient.version_check)

    # The classic service's

    authenticate = blocking(AsyncFuncXClient.authenticate)
    register_container = blocking(AsyncFuncXClient.register_container)
    build_container = blocking(AsyncFuncXClient.build_container)
    get_container = blocking(AsyncFuncXClient.get_container)
    get_container_build_status = blocking(AsyncFuncXClient.get_container_build_status)
    add_to_whitelist = blocking(AsyncFuncXClient.add_to_whitelist)
    get_whitelist = blocking(AsyncFuncXClient.get_whitelist)
    delete_from_whitelist = blocking(AsyncFuncXClient.delete_from_whitelist)
