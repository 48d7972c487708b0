"""The REST API as plain methods."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from funcx_async._process import CONNECTIONS, confined
from funcx_async.blocking.portal import Forwarded, blocking, constructed_as, forwarding
from funcx_async.client import FuncXClient as AsyncFuncXClient
from funcx_async.serialize import FuncXSerializer


@confined(CONNECTIONS)
class FuncXClient:
    """The client of the funcX web service as :class:`funcx_async.FuncXClient`, without ``await``.

    It may be used from any thread, and shared by executors. Ctrl-C ends a request that waits.

    Args:
        *args: as :class:`funcx_async.FuncXClient` takes them.
        **options: likewise.

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

    @constructed_as(AsyncFuncXClient)
    def __init__(self, *args: Any, **options: Any) -> None:
        self.asynchronous = AsyncFuncXClient(*args, **options)

    @classmethod
    def around(cls, asynchronous: AsyncFuncXClient) -> Self:
        """Give the blocking face of an async client of the portal's loop."""
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

    close = blocking(AsyncFuncXClient.aclose)

    register_function = blocking(AsyncFuncXClient.register_function)  # type: ignore[arg-type]  # see derived
    register_source_code = blocking(AsyncFuncXClient.register_source_code)
    register = blocking(AsyncFuncXClient.register)
    get_function = blocking(AsyncFuncXClient.get_function)
    delete_function = blocking(AsyncFuncXClient.delete_function)
    get_allowed_functions = blocking(AsyncFuncXClient.get_allowed_functions)

    run = blocking(AsyncFuncXClient.run)
    create_batch = forwarding(AsyncFuncXClient.create_batch)
    batch_run = blocking(AsyncFuncXClient.batch_run)
    get_result = blocking(AsyncFuncXClient.get_result)
    get_batch_result = blocking(AsyncFuncXClient.get_batch_result)
    get_worker_hardware_details = blocking(AsyncFuncXClient.get_worker_hardware_details)

    submit = blocking(AsyncFuncXClient.submit)
    get_task = blocking(AsyncFuncXClient.get_task)
    get_batch_status = blocking(AsyncFuncXClient.get_batch_status)
    get_task_group = blocking(AsyncFuncXClient.get_task_group)
    list_task_group = blocking(AsyncFuncXClient.list_task_group)
    get_result_queue_address = blocking(AsyncFuncXClient.get_result_queue_address)

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
