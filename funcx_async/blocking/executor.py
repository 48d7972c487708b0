"""The original executor: a ``concurrent.futures.Executor``, for programs without an event loop."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import concurrent.futures.thread
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Unpack
from uuid import UUID

from funcx_async._futures.future import FuncXFuture, running_loop
from funcx_async._futures.observer import Observer
from funcx_async._process import current_pid
from funcx_async._service.dialects import DIALECTS
from funcx_async._service.hardware import hardware_report
from funcx_async._session.session import Session
from funcx_async._settings.options import (
    NOT_GIVEN,
    NotGiven,
    Options,
    TaskOptions,
    TaskSettings,
    warn_of_deprecated,
)
from funcx_async.blocking.base import BlockingBase, TargetedExecutor
from funcx_async.blocking.client import FuncXClient
from funcx_async.blocking.portal import Forwarded, blocking, portal
from funcx_async.client import FuncXClient as AsyncFuncXClient
from funcx_async.executor.base import checked_function_id, one_client
from funcx_async.executor.executor import FuncXExecutor as AsyncFuncXExecutor
from funcx_async.executor.loop_binding import LoopBinding
from funcx_async.models import Stats
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.serializer import Strategylike

NOTICE_SECONDS = 5.0
"""How long a program waits at its end for open tasks before it says so."""

_log = logging.getLogger("funcx_async.executor")


class FuncXExecutor(BlockingBase, concurrent.futures.Executor):
    """Runs functions on an endpoint; ask their futures for results.

    Construct it anywhere, without network or credentials, and use it from any thread. A thread
    that sends and receives for all executors of the process is started at first use.

    Best used by ``with``, which waits for open tasks on leaving, except when Ctrl-C was pressed:
    then what is not sent is cancelled, and the log names the task group of what goes on. A program
    that ends without ``shutdown`` waits for its open tasks, as with all executors of
    ``concurrent.futures``; Ctrl-C ends that, and the log says what goes on.

    A done-callback runs in the thread that receives results: it may submit, but not wait. In a
    notebook, whose own thread runs an event loop, futures can be awaited as well.

    Args:
        endpoint_id: where tasks run; by default ``FUNCX_ASYNC_ENDPOINT_ID`` of the environment.
        container_id: a container of the classic service; today's has none.
        funcx_client: asks the service; by default one of its own, with default arguments.
        task_group_id: the group that tasks belong to; by default the service makes one.
        label: names the executor in logs.
        batch_size: how many tasks go in one request at most; below 1 counts as 1.
        client: the same as ``funcx_client``, by the name that the official SDK gives it.
        batch_interval: deprecated; does nothing.
        batch_enabled: deprecated; does nothing.
        resource_specification: what each task needs, as the endpoint defines it.
        user_endpoint_config: the configuration of the user's endpoint.
        result_serializers: the strategies for results, tried in order, as classes, instances or
            import paths; by default the endpoint's choice, or what ``serializer`` may read if
            that is not everything.
        serializer: writes functions and arguments, reads results; by default that of the client
            that is given. A client that the executor makes has the same.
        amqp_port: the port of the result queue, instead of the service's choice.
        max_in_flight: how many tasks may be open; None: any number.
        retry_deadline: seconds for which a request that was certainly not taken is retried.
        on_uncertain: ``"resubmit"`` submits a task again whose outcome of the submit is unknown, so
            that tasks run at least once; ``"raise"`` fails its future with ``SubmitUncertain``.
        reconcile_interval: seconds after which an open task is looked up over REST.
        result_transport: where results come from: ``"auto"`` is the queue, and polling while that
            cannot be reached; ``"amqp"`` the queue alone, but for looking up what is late
            (``reconcile_interval``); ``"polling"`` is polling alone.
        journal: the path of a file that keeps what is submitted, for the next process; None: none
            does. One executor at a time uses it.
        telemetry: observes tasks and batches, such as a
            :class:`funcx_async.telemetry.Telemetry`.
        wait_at_exit: False lets the program end without waiting for open tasks: those that are
            sent go on, and a warning says how many are not.

    Attributes:
        asynchronous: the async executor that does the work.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an option of another type.

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
        *,
        client: FuncXClient | None = None,
        batch_interval: float | NotGiven | None = NOT_GIVEN,
        batch_enabled: bool | NotGiven | None = NOT_GIVEN,
        resource_specification: Mapping[str, Any] | None = None,
        user_endpoint_config: Mapping[str, Any] | None = None,
        result_serializers: Iterable[Strategylike] | None = None,
        serializer: FuncXSerializer | None = None,
        amqp_port: int | None = None,
        max_in_flight: int | None = None,
        retry_deadline: float = 300.0,
        on_uncertain: Literal["raise", "resubmit"] = "raise",
        reconcile_interval: float = 60.0,
        result_transport: Literal["auto", "amqp", "polling"] = "auto",
        journal: str | os.PathLike[str] | None = None,
        telemetry: Observer | None = None,
        wait_at_exit: bool = True,
    ) -> None:
        funcx_client = one_client(funcx_client, client)
        if funcx_client is not None and not isinstance(funcx_client, FuncXClient):
            raise TypeError(
                f"funcx_client must be a funcx_async.blocking.FuncXClient, not {funcx_client!r}."
            )
        self._client = funcx_client
        asynchronous = None if funcx_client is None else funcx_client.asynchronous
        warn_of_deprecated(batch_interval=batch_interval, batch_enabled=batch_enabled)
        if serializer is None and asynchronous is not None:
            serializer = asynchronous.serializer
        options = Options(
            DIALECTS["v3"] if asynchronous is None else asynchronous.dialect,
            {
                "container_id": container_id,
                "batch_size": batch_size,
                "serializer": serializer,
                "amqp_port": amqp_port,
                "max_in_flight": max_in_flight,
                "retry_deadline": retry_deadline,
                "on_uncertain": on_uncertain,
                "reconcile_interval": reconcile_interval,
                "result_transport": result_transport,
                "journal": journal,
                "telemetry": telemetry,
            },
            {
                "endpoint_id": endpoint_id,
                "task_group_id": task_group_id,
                "resource_specification": resource_specification,
                "user_endpoint_config": user_endpoint_config,
                "result_serializers": result_serializers,
            },
            label,
        )
        binding = PortalBinding(options, asynchronous, wait_at_exit=wait_at_exit)
        self._binding = binding
        self._leave_at_exit = binding.leave_at_exit
        self.asynchronous = AsyncFuncXExecutor._around(binding)  # noqa: SLF001 - one executor

    @property
    def _tasks(self) -> TaskSettings:
        return self._binding.options.tasks

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
        return repr(self._binding)

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
        return self._binding.stats

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
            FuncXError: as every request; it can be registered again then.
        """
        session, functions = self._binding.bound(), self._binding.functions()
        known = None if function_id is None else checked_function_id(function_id)
        # Serialized in this thread: the portal's could wait for the lock of a module that this one
        # is importing.
        function = functions.add(fn, known, options)
        deadline = self._binding.options.settings.retry_deadline
        return portal().wait(functions.register, function, session.context.client, deadline)

    def get_worker_hardware_details(self) -> str:
        """Run a task that describes its machine: processors, memory, disks, GPUs.

        Returns:
            A text for people.

        Raises:
            FuncXError: as every task.
        """
        return self.submit(hardware_report).result()

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Return a view of this executor as :meth:`funcx_async.FuncXExecutor.options` does."""
        return TargetedExecutor(self._binding, self._tasks).options(**changes)

    def resume(self) -> Iterator[tuple[str, FuncXFuture[Any]]]:
        """Yield everything that the journal holds, above all from earlier processes.

        Each step gives a key and a future, as :meth:`funcx_async.FuncXExecutor.resume` does.

        Raises:
            ValueError: if there is no journal, or it keeps tasks of another service.
            JournalError: if it cannot be used.
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
        session = self._binding.close(cancel_futures=cancel_futures)
        if wait and session is not None:
            portal().wait(session.closed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._leave_at_exit()
            portal().wait(self.asynchronous.__aexit__, kind, error, traceback)
        else:
            self.shutdown()


class PortalBinding(LoopBinding):
    """Queues tasks on the portal's loop, from any thread.

    Also from one with an event loop of its own, such as that of a notebook.

    Args:
        options: those of the executor.
        client: asks the service; None: one that is made when it is needed, and closed at the end.
        wait_at_exit: whether the program waits for open tasks at its end.
    """

    def __init__(
        self, options: Options, client: AsyncFuncXClient | None, *, wait_at_exit: bool
    ) -> None:
        super().__init__(options, client)
        self._wait_at_exit = wait_at_exit

    def leave_at_exit(self) -> None:
        """Let the program end without waiting for what is open now."""
        if self.session is not None:
            _awaited_at_exit.discard(self.session)

    def bound(self, *, wait: bool = True) -> Session:
        """Return the session of the portal's loop, which is made at first use.

        Args:
            wait: whether this thread waits until the journal of the session is open.

        Raises:
            ExecutorClosed: after ``close``.
        """
        session = self.session
        if session is None or session.ended or self.closed or session.pid != current_pid():
            # This raises, or binds: there, one at a time. The journal is waited for here.
            session = portal().do(super().bound, wait=False)
            if self._wait_at_exit:
                _await_at_exit(session)
            if self.closed:  # by another thread, which saw nothing to close
                portal().do(session.close)
            if wait:
                session.wait_until_open()
        return session

    def close(self, *, cancel_futures: bool) -> Session | None:
        """Take no more tasks; returns the session that is still to end, if there is one."""
        self.closed = True
        session = self.session
        if session is None or session.pid != current_pid():
            return None  # nothing runs that would have to end
        return portal().do(super().close, cancel_futures=cancel_futures)

    async def wait_for_capacity(self) -> None:
        """Wait until one more task may be open; from any loop."""
        session = self.bound()
        if running_loop() is session.loop:
            await session.context.tasks.wait_for_capacity()
        else:
            await asyncio.wrap_future(portal().start(session.context.tasks.wait_for_capacity))


# The end of the program ---------------------------------------------------------------------------

_awaited_at_exit: weakref.WeakSet[Session] = weakref.WeakSet()


def _await_at_exit(session: Session) -> None:
    _awaited_at_exit.add(session)
    # Once more where another thread submits while the program ends. To be called before what ends
    # all sessions, which is registered by the first of them, this is registered after it.
    atexit.unregister(_wait_at_exit)
    atexit.register(_wait_at_exit)


def _wait_at_exit() -> None:
    """Wait for the open tasks of all executors; Ctrl-C ends that."""
    sessions = [each for each in _awaited_at_exit if each.pid == current_pid() and not each.ended]
    if not sessions:
        return
    try:
        portal().wait(_close_all, sessions)
    except KeyboardInterrupt:
        _awaited_at_exit.clear()
        contexts = [session.context for session in sessions]
        groups = {stream.task_group_id for context in contexts for stream in context.streams}
        futures = [future for context in contexts for future in context.tasks.futures]
        cancelled = sum(future.cancel() for future in futures)
        _log.warning(
            "Interrupted while the program waited for its tasks: %d go on without being awaited, "
            "%d were not sent and are cancelled. Task groups: %s. `reload_tasks` awaits them.",
            len(futures) - cancelled,
            cancelled,
            ", ".join(sorted(groups)) or "none yet",
        )


async def _close_all(sessions: Sequence[Session]) -> None:
    for session in sessions:
        session.close()
    closing = [asyncio.ensure_future(session.closed()) for session in sessions]
    _, pending = await asyncio.wait(closing, timeout=NOTICE_SECONDS)
    if pending:
        _log.warning(
            "The program waits at its end for %d open task(s); Ctrl-C leaves them.",
            sum(len(session.context.tasks) for session in sessions),
        )
        await asyncio.wait(pending)


# Before the threads of `concurrent.futures` end, in which loops look addresses up: those end when
# the module calls at exit, which it registered when it was imported. The last one is called first.
with suppress(RuntimeError):  # imported while the interpreter ends: nothing is to be waited for
    getattr(threading, "_register_atexit", atexit.register)(_wait_at_exit)
