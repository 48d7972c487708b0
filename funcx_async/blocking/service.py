"""The local service for programs and tests without an event loop, and its faults."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from funcx_async._futures.future import FuncXFuture
from funcx_async._process import CONNECTIONS, confined
from funcx_async.blocking.client import FuncXClient
from funcx_async.blocking.executor import FuncXExecutor
from funcx_async.blocking.portal import Around, blocking, constructed_as, portal
from funcx_async.local import Faults as AsyncFaults
from funcx_async.local import Hold as AsyncHold
from funcx_async.local import LocalService as AsyncLocalService

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


@confined(CONNECTIONS)
class LocalService:
    """A funcX web service in this process: :class:`funcx_async.local.LocalService` by ``with``.

    It needs the extra ``local``. Its worker processes end with it, and with the program.

    Args:
        **options: as :class:`funcx_async.local.LocalService` takes them.

    Attributes:
        asynchronous: the service itself, on the loop behind all blocking objects.
        faults: injects faults, see :class:`funcx_async.blocking.service.Faults`.

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


# Its faults


def there(method: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[Around[A], P], T]:
    """Return a method that calls a plain method of the object inside, on the portal's loop."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return portal().do(method, self.asynchronous, *args, **kwargs)

    return call


def awaitable(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Around[A], P], FuncXFuture[T]]:
    """Return a method that returns a future for a coroutine method of the object inside."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> FuncXFuture[T]:
        future: FuncXFuture[T] = FuncXFuture()

        async def run() -> None:
            try:
                future.set_result(await method(self.asynchronous, *args, **kwargs))
            except BaseException as error:  # for the future
                future.set_exception(error)

        portal().start(run)
        return future

    return call


def held(
    method: Callable[Concatenate[A, P], AsyncHold],
) -> Callable[Concatenate[Around[A], P], Hold]:
    """Return a method that returns a hold as the object inside does."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> Hold:
        return Hold(portal().do(method, self.asynchronous, *args, **kwargs))

    return call


@confined(CONNECTIONS)
class Hold:
    """Something held back until :meth:`release`, or until the ``with`` block ends.

    Args:
        asynchronous: the hold of the service inside.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service, service.executor() as executor:
        ...     with service.faults.hold_results() as hold:
        ...         future = executor.submit(pow, 2, 5)
        ...         hold.seen().result(timeout=20)
        ...         print(future.done())
        ...     print(future.result(timeout=20))
        False
        32
    """

    def __init__(self, asynchronous: AsyncHold) -> None:
        self.asynchronous = asynchronous

    @property
    def held(self) -> int:
        """How many were held back so far."""
        return self.asynchronous.held

    @property
    def over(self) -> bool:
        """Whether nothing is held back any more."""
        return self.asynchronous.over

    seen = awaitable(AsyncHold.seen)
    release = there(AsyncHold.release)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


@confined(CONNECTIONS)
class Faults:
    """The faults of a service as :class:`funcx_async.local.Faults`, as ``service.faults``.

    What is a coroutine method there gives a future here, to ``await`` on any event loop or to ask
    for its result where there is none.

    Args:
        asynchronous: the faults of the service inside.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service, service.executor() as executor:
        ...     service.faults.refuse("submit", times=2, retry_after=0)
        ...     print(executor.submit(pow, 2, 5).result(), service.faults.count("submit"))
        32 3
    """

    def __init__(self, asynchronous: AsyncFaults) -> None:
        self.asynchronous = asynchronous

    refuse = there(AsyncFaults.refuse)
    lose_replies = there(AsyncFaults.lose_replies)
    truncate_replies = there(AsyncFaults.truncate_replies)
    hold_replies = held(AsyncFaults.hold_replies)

    drop_results = there(AsyncFaults.drop_results)
    duplicate_results = there(AsyncFaults.duplicate_results)
    high_assurance_results = there(AsyncFaults.high_assurance_results)
    reorder_results = held(AsyncFaults.reorder_results)
    hold_results = held(AsyncFaults.hold_results)
    publish = there(AsyncFaults.publish)

    delete_queues = awaitable(AsyncFaults.delete_queues)
    disconnect = there(AsyncFaults.disconnect)
    close_channels = there(AsyncFaults.close_channels)
    cancel_consumers = there(AsyncFaults.cancel_consumers)
    refuse_logins = there(AsyncFaults.refuse_logins)
    stall = held(AsyncFaults.stall)

    endpoint_offline = held(AsyncFaults.endpoint_offline)

    reset = there(AsyncFaults.reset)
    count = there(AsyncFaults.count)
    seen = awaitable(AsyncFaults.seen)
