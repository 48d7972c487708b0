"""The executor: functions and arguments in, futures out."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack
from uuid import UUID

from funcx_async._futures.future import FuncXFuture, running_loop
from funcx_async._futures.observer import Observer
from funcx_async._service.dialects import DIALECTS
from funcx_async._service.hardware import hardware_report
from funcx_async._service.registration import registration_of_source
from funcx_async._session.recovery import reloaded, resumed
from funcx_async._settings.options import (
    NOT_GIVEN,
    NotGiven,
    Options,
    TaskOptions,
    TaskSettings,
    warn_of_deprecated,
)
from funcx_async.client import FuncXClient
from funcx_async.events import EventReader
from funcx_async.executor.base import (
    ExecutorBase,
    TargetedExecutor,
    checked_function_id,
    one_client,
)
from funcx_async.executor.loop_binding import LoopBinding
from funcx_async.models import Stats
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.serializer import Strategylike

_log = logging.getLogger("funcx_async.executor")


class FuncXExecutor(ExecutorBase):
    """Runs functions on an endpoint; ``await`` the futures.

    Construct it anywhere, without network or credentials; it binds to the event loop that first
    uses it. Best used by ``async with``, which waits for open tasks on leaving.

    Args:
        endpoint_id: where tasks run; by default ``FUNCX_ASYNC_ENDPOINT_ID`` of the environment.
        container_id: where functions run, a container of the classic service; today's has none.
        funcx_client: asks the service; by default one of its own, with default arguments.
        task_group_id: the group that tasks belong to; by default the service makes one, and for
            the classic service the client, whose executors share it.
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

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an option of another type.

    Example:
        >>> import asyncio
        >>> from funcx_async.local import LocalService
        >>> async def main():
        ...     async with LocalService(workers=1) as service:
        ...         client = service.client()
        ...         async with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
        ...             print(await executor.submit(pow, 2, 5))
        >>> asyncio.run(main())
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
    ) -> None:
        funcx_client = one_client(funcx_client, client)
        warn_of_deprecated(batch_interval=batch_interval, batch_enabled=batch_enabled)
        if serializer is None and funcx_client is not None:
            serializer = funcx_client.serializer
        options = Options(
            DIALECTS["v3"] if funcx_client is None else funcx_client.dialect,
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
        self._binding = LoopBinding(options, funcx_client)

    @classmethod
    def _around(cls, binding: LoopBinding) -> Self:
        """Return an executor with this binding, which is made already."""
        executor = cls.__new__(cls)
        executor._binding = binding  # noqa: SLF001 - its own
        return executor

    @property
    def _tasks(self) -> TaskSettings:
        return self._binding.options.tasks

    def __repr__(self) -> str:
        return repr(self._binding)

    def _repr_html_(self) -> str:
        from funcx_async._html import executor_card

        where = {"endpoint": self.endpoint_id, "task group": self.task_group_id}
        return executor_card(
            self.stats, closed=self._binding.closed, rows={"label": self.label, **where}
        )

    @property
    def stats(self) -> Stats:
        """What it has done and is doing."""
        return self._binding.stats

    def events(self) -> EventReader:
        """Return a reader of what happens to the executor's connections from now on.

        Returns:
            An asynchronous iterator of :class:`funcx_async.ExecutorEvent`, which ends with the
            executor. If it is not read, the last 1,000 are kept.

        Raises:
            ExecutorClosed: after ``shutdown``.
            RuntimeError: where no event loop runs, on a second one, and after a fork.

        Example::

            async for event in fxe.events():
                if event.kind is EventKind.ENDPOINT_OFFLINE:
                    alert(f"{event.subject} is offline: {event.reason}")
        """
        return self._binding.bound().context.events.reader()

    # Options ------------------------------------------------------------------------------------

    @property
    def endpoint_id(self) -> str | None:
        """Where new tasks run; a UUID as text. ValueError for anything else."""
        return self._binding.options.tasks.endpoint_id

    @endpoint_id.setter
    def endpoint_id(self, value: str | UUID | None) -> None:
        self._binding.options.change_tasks(endpoint_id=value)

    @property
    def task_group_id(self) -> str | None:
        """The group of new tasks; None until it is given or the service has made one."""
        return self._binding.task_group_id

    @task_group_id.setter
    def task_group_id(self, value: str | UUID | None) -> None:
        self._binding.options.change_tasks(task_group_id=value)

    @property
    def label(self) -> str:
        """Names the executor in logs."""
        return self._binding.options.label

    @label.setter
    def label(self, value: str) -> None:
        self._binding.options.label = value

    @property
    def funcx_client(self) -> FuncXClient:
        """The client that asks the service: one of its own unless one was given."""
        return self._binding.client

    @property
    def container_id(self) -> str | None:
        """Where new tasks run; ValueError for today's service (``v3``), which has none."""
        return self._binding.options.settings.container_id

    @container_id.setter
    def container_id(self, value: str | None) -> None:
        self._binding.options.change(container_id=value)

    @property
    def batch_size(self) -> int:
        """How many tasks go in one request at most."""
        return self._binding.options.settings.batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        self._binding.options.change(batch_size=value)

    @property
    def resource_specification(self) -> Mapping[str, Any] | None:
        """What new tasks need, as the endpoint defines it."""
        return self._binding.options.tasks.resource_specification

    @resource_specification.setter
    def resource_specification(self, value: Mapping[str, Any] | None) -> None:
        self._binding.options.change_tasks(resource_specification=value)

    @property
    def user_endpoint_config(self) -> Mapping[str, Any] | None:
        """The configuration of the user's endpoint for new tasks."""
        return self._binding.options.tasks.user_endpoint_config

    @user_endpoint_config.setter
    def user_endpoint_config(self, value: Mapping[str, Any] | None) -> None:
        self._binding.options.change_tasks(user_endpoint_config=value)

    @property
    def result_serializers(self) -> Sequence[str] | None:
        """Import paths of the strategies for results, tried in order; given also as classes.

        None: the endpoint's choice, or what ``serializer`` may read if that is not everything.
        """
        return self._binding.options.tasks.result_serializers

    @result_serializers.setter
    def result_serializers(self, value: Iterable[Strategylike] | None) -> None:
        self._binding.options.change_tasks(result_serializers=value)

    @property
    def serializer(self) -> FuncXSerializer:
        """Writes functions and arguments of new tasks, reads the results that come.

        With another one functions are registered again, as that writes them. The client that the
        executor made for itself reads and writes by it, too; one that was given keeps its own.
        """
        return self._binding.options.settings.serializer

    @serializer.setter
    def serializer(self, value: FuncXSerializer) -> None:
        self._binding.use_serializer(value)

    @property
    def amqp_port(self) -> int | None:
        """The port of result queues that are connected to from now on; None: the service's."""
        return self._binding.options.settings.amqp_port

    @amqp_port.setter
    def amqp_port(self, value: int | None) -> None:
        self._binding.options.change(amqp_port=value)

    # Functions ----------------------------------------------------------------------------------

    async def register_function(
        self, fn: Callable[..., Any], function_id: str | UUID | None = None, **options: Any
    ) -> str:
        """Register ``fn`` now; ``submit`` does it by itself, so this is for setting options.

        Args:
            fn: the function.
            function_id: its id, if it is registered already: nothing is asked then.
            **options: ``function_name``, ``description``, ``public``, ``group``,
                ``ha_endpoint_id``, ``container_uuid`` of the registration.

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
        function = functions.add(fn, known, options)
        deadline = self._binding.options.settings.retry_deadline
        return await functions.register(function, session.context.client, deadline)

    async def register_source_code(
        self,
        source: str,
        function_name: str,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        public: bool = False,
        group: str | UUID | None = None,
        ha_endpoint_id: str | UUID | None = None,
    ) -> str:
        r"""Register a function by its source, which may be that of a whole module.

        Args:
            source: the source; the workers execute it, and call the function then.
            function_name: the function in it to call.
            description: for people.
            metadata: ``python_version`` and ``sdk_version``, where they are not those here.
            public: let everybody run it.
            group: let this Globus group run it.
            ha_endpoint_id: register it for this high-assurance endpoint alone.

        Returns:
            The function id, for :meth:`submit_to_registered_function`.

        Raises:
            ValueError: if it is in the executor's cache already, options exclude each other, the
                name can be none of a function, or the service is the classic one.
            TypeError: if the source is no text.
            SerializationError: if it is too large.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; it can be registered again then.

        Example::

            source = "def double(x):\n    return 2 * x\n"
            function_id = await fxe.register_source_code(source, "double")
            assert await fxe.submit_to_registered_function(function_id, (21,)) == 42
        """
        session, functions = self._binding.bound(), self._binding.functions()
        registration = registration_of_source(
            source,
            function_name,
            description=description,
            metadata=metadata,
            public=public,
            group=None if group is None else str(group),
            ha_endpoint_id=None if ha_endpoint_id is None else str(ha_endpoint_id),
        )
        function = functions.add_source(registration)
        deadline = self._binding.options.settings.retry_deadline
        return await functions.register(function, session.context.client, deadline)

    # Tasks of before, and elsewhere -------------------------------------------------------------

    async def get_worker_hardware_details(self) -> str:
        """Run a task that describes its machine: processors, memory, disks, GPUs.

        Returns:
            A text for people.

        Raises:
            FuncXError: as every task.
        """
        return await self.submit(hardware_report)

    async def reload_tasks(self, task_group_id: str | UUID | None = None) -> list[FuncXFuture[Any]]:
        """Await the tasks of a group again, for instance those of an earlier process.

        Earlier futures of this executor that are not settled are cancelled.

        Args:
            task_group_id: the group, which becomes the executor's; by default it is already.

        Returns:
            A future for each task of the group.

        Raises:
            ValueError: if there is no group, the service answers for another one, or its answer
                is not understood; the executor's group stays as it was.
            KeyError: if something is missing in the answer; the group stays as it was.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; the group stays as it was.

        Example::

            for future in await fxe.reload_tasks(task_group_id):
                print(future.task_id, await future)
        """
        session = self._binding.bound()
        group = str(task_group_id) if task_group_id else self.task_group_id
        if group is None:
            raise ValueError("There is no task group to reload: name one, or assign task_group_id.")
        futures = await reloaded(session, group)
        self.task_group_id = group
        return futures

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Return a view of this executor whose tasks have options of their own.

        Args:
            **changes: ``endpoint_id``, ``task_group_id``, ``resource_specification``,
                ``user_endpoint_config``, ``result_serializers``: where tasks go, and how they
                run. ``timeout``, ``retries``, ``retry_on``: the time limit and the retries of each
                task, as :class:`funcx_async._settings.retry_policy.RetryPolicy` has them.
                ``key``: the name in the journal of the one task that is submitted by the view,
                whose ``submit`` raises ValueError for a key that the journal holds already.

        Raises:
            TypeError: for an unknown option or one of another type.
            ValueError: for what is not an endpoint's id, or out of range; for a key without a
                journal, or an empty one.

        Example::

            careful = fxe.options(timeout=600, retries=2)
            print(await careful.submit(simulate, seed=7))
            print(await careful.options(timeout=60).submit(simulate, seed=8))
        """
        return TargetedExecutor(self._binding, self._binding.options.tasks).options(**changes)

    # The journal --------------------------------------------------------------------------------

    def resume(self) -> AsyncGenerator[tuple[str, FuncXFuture[Any]], None]:
        """Yield everything that the journal holds, above all from earlier processes.

        Iterate over it: each step gives a key and a future, first of what is done, then of what
        is open. The future of a task that was done is
        done; that of an open one is awaited again, by queue and over REST; that of a task whose
        submit was under way when its process ended fails with SubmitUncertain. What has failed
        for good is given back as well. Tasks stay in the journal until they are confirmed.

        Raises:
            ValueError: if there is no journal, or it keeps tasks of another service.
            JournalError: if it cannot be used.
            ExecutorClosed: after ``shutdown``.

        Example::

            async for key, future in executor.resume():
                keep(key, await future)
                await executor.confirm(key)
        """
        session = self._binding.bound()
        return resumed(session, session.journal)

    async def confirm(self, *keys: str) -> None:
        """Remove tasks from the journal: the application has dealt with them, whatever the outcome.

        When it returns they are gone for good, and their keys are free. A task that is still open
        runs on, but no later process will hear of it.

        Args:
            *keys: their keys, as ``options(key=...)`` or ``future.key`` has them.

        Raises:
            KeyError: if the journal holds no such task; none is forgotten then.
            ValueError: if there is no journal.
            JournalError: if it cannot be written.
        """
        session = self._binding.bound(wait=False)
        await session.until_open()
        await session.journal.confirm(keys)

    # The end ------------------------------------------------------------------------------------

    async def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; safe to call several times.

        Args:
            wait: return only when all open futures are settled and everything is closed. Otherwise
                they still settle while the loop runs.
            cancel_futures: cancel the tasks that are not sent yet.
        """
        session = self._binding.session
        if session is not None and not session.ended and session.loop is not running_loop():
            raise RuntimeError(
                "This executor belongs to another event loop that is still open: shut it down "
                "there."
            )
        session = self._binding.close(cancel_futures=cancel_futures)
        if wait and session is not None:
            await session.closed()

    async def __aenter__(self) -> Self:
        await self._binding.bound(wait=False).until_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.shutdown()
            return
        await self.shutdown(wait=False, cancel_futures=True)
        if left := self.stats.open:
            _log.warning(
                "%s: leaving with an error; %d task(s) of the group %s go on without being awaited",
                self.label or "executor",
                left,
                self.task_group_id,
                extra={"task_group_id": self.task_group_id},
            )


def let_go(executor: FuncXExecutor) -> None:
    """Shut an executor down where its event loop does not run, or is closed already.

    It takes no more tasks, and what is not sent is cancelled.
    """
    executor._binding.let_go()  # noqa: SLF001 - of this module
