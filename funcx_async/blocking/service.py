"""The local service for programs and tests without an event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from funcx_async._process import CONNECTIONS, confined
from funcx_async.blocking.client import FuncXClient
from funcx_async.blocking.derived import blocking, constructed_as
from funcx_async.blocking.executor import FuncXExecutor
from funcx_async.blocking.faults import Faults
from funcx_async.blocking.portal import portal
from funcx_async.local import LocalService as AsyncLocalService


@confined(CONNECTIONS)
class LocalService:
    """A funcX web service in this process: :class:`funcx_async.local.LocalService` by ``with``.

    It needs the extra ``local``. Its worker processes end with it, and with the program.

    Args:
        **options: as :class:`funcx_async.local.LocalService` takes them.

    Attributes:
        asynchronous: the service itself, on the loop behind all blocking objects.
        faults: makes things go wrong on purpose, see :class:`funcx_async.blocking.faults.Faults`.

    Example:
        >>> with LocalService(workers=1) as service, service.executor() as executor:
        ...     print(executor.submit(pow, 2, 5).result())
        32
    """

    @constructed_as(AsyncLocalService)
    def __init__(self, **options: Any) -> None:
        self.asynchronous = AsyncLocalService(**options)
        self.faults = Faults(self.asynchronous.faults)

    start = blocking(AsyncLocalService.start)

    def __repr__(self) -> str:
        return repr(self.asynchronous)

    def _repr_html_(self) -> str:
        return self.asynchronous._repr_html_()

    @property
    def url(self) -> str:
        """The service's root, such as ``http://127.0.0.1:34567``."""
        return self.asynchronous.url

    @property
    def token(self) -> str:
        """The bearer token that clients must send."""
        return self.asynchronous.token

    @property
    def status_url(self) -> str:
        """The page that shows what the service does; with a key to read it, and no more."""
        return self.asynchronous.status_url

    @property
    def endpoint_id(self) -> str:
        """The endpoint whose tasks the worker processes run."""
        return self.asynchronous.endpoint_id

    @property
    def agent_environment(self) -> dict[str, str]:
        """The environment variables that point an official endpoint agent at this service."""
        return self.asynchronous.agent_environment

    def close(self) -> None:
        """Close its clients, its sockets and its processes; tasks that run are ended.

        Executors that use one of its clients end as well, and what is open in them fails with
        :class:`funcx_async.ExecutorClosed`.
        """
        portal().wait(self.asynchronous.aclose)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def client(self, **options: Any) -> FuncXClient:
        """A client of this service, which closes it and ends the executors that use it.

        Args:
            options: as :class:`FuncXClient` takes them.
        """
        return FuncXClient.around(self.asynchronous.client(**options))

    def executor(self, **options: Any) -> FuncXExecutor:
        """An executor on this service's endpoint, with a client of its own.

        It ends with the service, if it has not ended before.

        Args:
            options: as :class:`FuncXExecutor` takes them.
        """
        client = self.client(serializer=options.get("serializer"))
        chosen: dict[str, Any] = {"endpoint_id": self.endpoint_id, "funcx_client": client}
        return FuncXExecutor(**(chosen | options))
