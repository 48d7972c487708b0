"""The original executor: a ``concurrent.futures.Executor``, for programs without an event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Unpack
from uuid import UUID

from funcx_async.blocking.client import FuncXClient
from funcx_async.blocking.derived import Forwarded, blocking
from funcx_async.blocking.portal import portal
from funcx_async.executor.executor import FuncXExecutor as AsyncFuncXExecutor
from funcx_async.executor.submitting import Submitting, TargetedExecutor
from funcx_async.futures.awaiting import running_loop
from funcx_async.futures.future import FuncXFuture
from funcx_async.hardware import hardware_report
from funcx_async.interpreter import current_pid
from funcx_async.models import Stats
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.facade import Strategylike
from funcx_async.session.functions import Function
from funcx_async.session.session import Session
from funcx_async.settings.settings import ExecutorOptions, TaskOptions


class FuncXExecutor(Submitting, concurrent.futures.Executor):
    """Runs functions on an endpoint; ask their futures for results.

    Construct it anywhere, without network or credentials, and use it from any thread. A thread
    that sends and receives for all executors of the process is started at first use.

    Best used by ``with``, which waits for open tasks on leaving, except when Ctrl-C was pressed:
    then what is not sent is cancelled, and the log names the task group of what goes on. A program
    that ends without ``shutdown`` does not wait for its open tasks.

    A done-callback runs in the thread that receives results: it may submit, but not wait. In a
    notebook, whose own thread runs an event loop, futures can be awaited as well.

    Args:
        endpoint_id: where tasks run; by default ``FUNCX_ASYNC_ENDPOINT_ID`` of the environment.
        container_id: a container of the classic service; today's has none.
        funcx_client: asks the service; by default one of its own, with default arguments.
        task_group_id: the group that tasks belong to; by default the service makes one.
        label: names the executor in logs.
        batch_size: how many tasks go in one request at most; below 1 counts as 1.
        **options: as :class:`funcx_async.FuncXExecutor` takes them.

    Attributes:
        asynchronous: the async executor that does the work.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an unknown option or one of another type.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service:
        ...     with FuncXExecutor(service.endpoint_id, funcx_client=service.client()) as executor:
        ...         print(executor.submit(pow, 2, 5).result())
        32
    """

    def __init__(
        self,
        endpoint_id: str | UUID | None = None,
        container_id: str | None = None,
        funcx_client: FuncXClient | None = None,
        task_group_id: str | UUID | None = None,
        label: str = "",
        batch_size: int = 128,
        **options: Unpack[ExecutorOptions],
    ) -> None:
        if funcx_client is not None and not isinstance(funcx_client, FuncXClient):
            raise TypeError(
                f"funcx_client must be a funcx_async.blocking.FuncXClient, not {funcx_client!r}."
            )
        self._client = funcx_client
        self.asynchronous = PortalExecutor(
            endpoint_id,
            container_id,
            None if funcx_client is None else funcx_client.asynchronous,
            task_group_id,
            label,
            batch_size,
            **options,
        )

    endpoint_id = Forwarded[str | None, str | UUID | None]()
    container_id = Forwarded[str | None, str | None]()
    task_group_id = Forwarded[str | None, str | UUID | None]()
    label = Forwarded[str, str]()
    batch_size = Forwarded[int, int]()
    resource_specification = Forwarded[Mapping[str, Any] | None, Mapping[str, Any] | None]()
    user_endpoint_config = Forwarded[Mapping[str, Any] | None, Mapping[str, Any] | None]()
    result_serializers = Forwarded[Sequence[str] | None, Iterable[Strategylike] | None]()
    serializer = Forwarded[FuncXSerializer, FuncXSerializer]()
    amqp_port = Forwarded[int | None, int | None]()

    register_source_code = blocking(AsyncFuncXExecutor.register_source_code)
    reload_tasks = blocking(AsyncFuncXExecutor.reload_tasks)
    confirm = blocking(AsyncFuncXExecutor.confirm)

    def __repr__(self) -> str:
        return repr(self.asynchronous)

    def _repr_html_(self) -> str:
        return self.asynchronous._repr_html_()

    @property
    def funcx_client(self) -> FuncXClient:
        """The client that asks the service: one of its own unless one was given."""
        if self._client is None:
            self._client = FuncXClient.around(self.asynchronous.funcx_client)
        return self._client

    @property
    def stats(self) -> Stats:
        """What it has done and is doing."""
        return self.asynchronous.stats

    def register_function(
        self, fn: Callable[..., Any], function_id: str | UUID | None = None, **options: Any
    ) -> str:
        """Register ``fn`` now; ``submit`` does it by itself, so this is for setting options.

        Args:
            fn: the function.
            function_id: its id, if it is registered already: nothing is asked then.
            **options: as :meth:`funcx_async.FuncXExecutor.register_function` takes them.

        Returns:
            The function id, which ``submit`` uses for ``fn`` from now on.

        Raises:
            ValueError: if ``fn`` is in the executor's cache already.
            SerializationError: if it cannot travel.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; it can be registered anew then.
        """
        return self.asynchronous.register(fn, function_id, options)

    def get_worker_hardware_details(self) -> str:
        """Run a task that tells of the machine it runs on: processors, memory, disks, GPUs.

        Returns:
            A text for people.

        Raises:
            FuncXError: as every task.
        """
        return self.submit(hardware_report).result()

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Give a view of this executor as :meth:`funcx_async.FuncXExecutor.options` does."""
        return self.asynchronous.options(**changes)

    def resume(self) -> Iterator[tuple[str, FuncXFuture[Any]]]:
        """Give back everything that the journal holds, above all from earlier processes.

        Each step gives a key and a future, as :meth:`funcx_async.FuncXExecutor.resume` does.

        Raises:
            ValueError: if there is no journal, or it keeps tasks of another service.
            JournalUnusable: if it cannot be used.
            ExecutorClosed: after ``shutdown``.
        """
        return portal().iterate(self.asynchronous.resume())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; safe to call several times.

        Args:
            wait: return only when all open futures are settled and everything is closed. Otherwise
                they still settle while the program runs.
            cancel_futures: cancel the tasks that are not sent yet.

        Raises:
            RuntimeError: if a done-callback is to wait: the futures would wait for it.
        """
        session = self.asynchronous.close(cancel_futures=cancel_futures)
        if wait and session is not None:
            portal().wait(session.closed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            portal().wait(self.asynchronous.__aexit__, kind, error, traceback)
        else:
            self.shutdown()

    def _queue(
        self, fn: Callable[..., Any] | Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> FuncXFuture[Any]:
        return self.asynchronous.queue(fn, args, kwargs)

    async def _room(self) -> None:
        await self.asynchronous.room()


class PortalExecutor(AsyncFuncXExecutor):
    """The async executor on the portal's loop, submitted to from any thread.

    Also from one with an event loop of its own, such as that of a notebook.
    """

    def queue(
        self, fn: Callable[..., Any] | Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> FuncXFuture[Any]:
        """Serialize and queue one task."""
        return self._queue(fn, args, kwargs)

    def register(
        self, fn: Callable[..., Any], function_id: str | UUID | None, options: dict[str, Any]
    ) -> str:
        """Register a function, serialized in the caller's thread.

        On the portal's it could wait for the lock of a module that this thread is importing.
        """
        session, function = self._bound(), self._noted(fn, function_id, options)
        deadline = self._settings.retry_deadline
        return portal().wait(self._functions().register, function, session.client, deadline)

    def close(self, *, cancel_futures: bool) -> Session | None:
        """Take no more tasks; gives the session that is still to end, if there is one."""
        self._closed = True
        session = self._session
        if session is None or session.pid != current_pid():
            return None  # nothing runs that would have to end
        return portal().do(self._close, cancel_futures=cancel_futures)

    async def room(self) -> None:
        """Wait until one more task may be open; from any loop."""
        session = self._bound()
        if running_loop() is session.loop:
            await session.tasks.wait_for_capacity()
        else:
            await asyncio.wrap_future(portal().start(session.tasks.wait_for_capacity))

    def _bound(self, *, wait: bool = True) -> Session:
        session = self._session
        if session is None or session.ended or self._closed or session.pid != current_pid():
            # This raises, or binds: there, one at a time. The journal is waited for here.
            session = portal().do(super()._bound, wait=False)
            if self._closed:  # by another thread, which saw nothing to close
                portal().do(session.close)
            if wait:
                session.wait_until_open()
        return session
