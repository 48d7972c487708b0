"""The faults of a blocking local service, from any thread and from any event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from funcx_async._futures.future import FuncXFuture
from funcx_async._process import CONNECTIONS, confined
from funcx_async.blocking.derived import Around
from funcx_async.blocking.portal import portal
from funcx_async.local import Faults as AsyncFaults
from funcx_async.local import Hold as AsyncHold

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


def there(method: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[Around[A], P], T]:
    """Make a method that calls a plain method of the object inside, on the portal's loop."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return portal().do(method, self.asynchronous, *args, **kwargs)

    return call


def awaitable(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Around[A], P], FuncXFuture[T]]:
    """Make a method that gives a future of what a coroutine method of the object inside gives."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> FuncXFuture[T]:
        future: FuncXFuture[T] = FuncXFuture()

        async def run() -> None:
            try:
                future.set_result(await method(self.asynchronous, *args, **kwargs))
            except BaseException as error:  # for whoever asks the future
                future.set_exception(error)

        portal().start(run)
        return future

    return call


def held(
    method: Callable[Concatenate[A, P], AsyncHold],
) -> Callable[Concatenate[Around[A], P], Hold]:
    """Make a method that gives a hold as the object inside does."""

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
