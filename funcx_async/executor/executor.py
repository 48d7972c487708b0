"""The executor: functions and arguments in, futures out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, Unpack
from uuid import UUID

from funcx_async.client import FuncXClient
from funcx_async.dialects import DIALECTS
from funcx_async.events import EventReader
from funcx_async.executor.binding import Binding
from funcx_async.executor.journaled import Journaled
from funcx_async.executor.registering import Registering
from funcx_async.executor.submitting import Submitting, TargetedExecutor
from funcx_async.futures.awaiting import running_loop
from funcx_async.futures.future import FuncXFuture
from funcx_async.hardware import hardware_report
from funcx_async.models import Stats
from funcx_async.serialize import FuncXSerializer
from funcx_async.session.functions import Function, Functions, Registry
from funcx_async.session.reloading import reloaded
from funcx_async.settings.configuration import Configuration
from funcx_async.settings.settings import ExecutorOptions, Target, TaskOptions
from funcx_async.settings.terms import Terms

_log = logging.getLogger(__name__)


class FuncXExecutor(Configuration, Binding, Registering, Journaled, Submitting):
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
        **options: see :class:`funcx_async.settings.settings.Settings` and
            :class:`funcx_async.settings.settings.Target`. ``batch_interval`` and
            ``batch_enabled`` are deprecated and do nothing.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an unknown option or one of another type.

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
        **options: Unpack[ExecutorOptions],
    ) -> None:
        if funcx_client is not None:
            options.setdefault("serializer", funcx_client.serializer)
        dialect = DIALECTS["v3"] if funcx_client is None else funcx_client.dialect
        super().__init__(
            endpoint_id, container_id, task_group_id, label, batch_size, options, dialect
        )
        Binding.__init__(self, funcx_client)
        self._registry = Registry()

    def __repr__(self) -> str:
        stats = self.stats
        name = f"FuncXExecutor {self.label!r}" if self.label else "FuncXExecutor"
        posts = f"{stats.batches_in_flight} batch" + ("" if stats.batches_in_flight == 1 else "es")
        return f"<{name} {stats.queued} queued, {posts} in flight, {stats.open} open>"

    def _repr_html_(self) -> str:
        from funcx_async.html import executor_card

        where = {"endpoint": self.endpoint_id, "task group": self.task_group_id}
        return executor_card(self.stats, closed=self._closed, rows={"label": self.label, **where})

    @property
    def task_group_id(self) -> str | None:
        """The group of new tasks; None until it is given or the service has made one."""
        return self._target.task_group_id or self._groups.created_id

    @task_group_id.setter
    def task_group_id(self, value: str | UUID | None) -> None:
        self._target = self._target.changed(task_group_id=value)

    @property
    def stats(self) -> Stats:
        """What it has done and is doing."""
        session = self._session
        if session is None:
            return Stats()
        return session.stats()

    def events(self) -> EventReader:
        """Give what happens to the executor's connections from now on, to watch it.

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
        return self._bound().events.reader()

    # Tasks of before, and elsewhere -------------------------------------------------------------

    async def get_worker_hardware_details(self) -> str:
        """Run a task that tells of the machine it runs on: processors, memory, disks, GPUs.

        Returns:
            A text for people.

        Raises:
            FuncXError: as every task.
        """
        return await self.submit(hardware_report)

    async def reload_tasks(self, task_group_id: str | UUID | None = None) -> list[FuncXFuture[Any]]:
        """Await the tasks of a group anew, for instance those of an earlier process.

        Earlier futures of this executor that are not settled are cancelled.

        Args:
            task_group_id: the group, which becomes the executor's; by default it is already.

        Returns:
            A future for each task of the group.

        Raises:
            ValueError: if there is no group, the service answers for another one, or its answer
                is not understood; the executor's group stays as it was.
            KeyError: if something is missing in the answer; likewise.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; likewise.

        Example::

            for future in await fxe.reload_tasks(task_group_id):
                print(future.task_id, await future)
        """
        session = self._bound()
        group = str(task_group_id) if task_group_id else self.task_group_id
        if group is None:
            raise ValueError("There is no task group to reload: name one, or assign task_group_id.")
        futures = await reloaded(session, group)
        self.task_group_id = group
        return futures

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Give a view of this executor whose tasks have options of their own.

        Args:
            **changes: ``endpoint_id``, ``task_group_id``, ``resource_specification``,
                ``user_endpoint_config``, ``result_serializers``: where tasks go, and what they are
                told. ``timeout``, ``retries``, ``retry_on``: see
                :class:`funcx_async.settings.terms.Terms`. ``key``: the name in the journal of the
                one task that is submitted by the view, whose ``submit`` raises ValueError for a
                key that the journal holds already.

        Raises:
            TypeError: for an unknown option or one of another type.
            ValueError: for what is not an endpoint's id, or out of range; for a key without a
                journal, or an empty one; for retries with a journal.

        Example::

            careful = fxe.options(timeout=600, retries=2)
            print(await careful.submit(simulate, seed=7))
            print(await careful.options(timeout=60).submit(simulate, seed=8))
        """
        journaled = self._settings.journal is not None
        return TargetedExecutor(self, self._target, journaled=journaled).options(**changes)

    # The end ------------------------------------------------------------------------------------

    async def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; safe to call several times.

        Args:
            wait: return only when all open futures are settled and everything is closed. Otherwise
                they still settle while the loop runs.
            cancel_futures: cancel the tasks that are not sent yet.
        """
        session = self._session
        if session is not None and not session.ended and session.loop is not running_loop():
            raise RuntimeError(
                "This executor belongs to another event loop that is still open: shut it down "
                "there."
            )
        session = self._close(cancel_futures=cancel_futures)
        if wait and session is not None:
            await session.closed()

    async def __aenter__(self) -> Self:
        await self._bound(wait=False).until_open()
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

    # How it is done -----------------------------------------------------------------------------

    def queue_to(
        self,
        target: Target,
        fn: Callable[..., Any] | Function,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        key: str | None = None,
        terms: Terms | None = None,
    ) -> FuncXFuture[Any]:
        """Serialize and queue one task for ``target``; raises as :meth:`submit`."""
        session = self._bound()
        route = target.route(self._groups.created_id)
        if isinstance(fn, Function):
            function = fn
        else:
            source = session.reads_source(route.endpoint_id)
            function = self._functions(source=source).find(fn)
        payload = self._settings.serializer.serialize_arguments(args, kwargs)
        if terms is not None:
            return session.on_terms.submit(terms, route, function, payload, key)
        return session.submit(route, function, payload, key)

    def _use_serializer(self, serializer: FuncXSerializer) -> None:
        super()._use_serializer(serializer)
        if self._client is not None and self._closes_client:
            self._client.serializer = serializer

    def _functions(self, *, source: bool = True) -> Functions:
        serializer = self._settings.serializer
        return self._registry.functions(serializer, self.container_id, source=source)

    async def room(self) -> None:
        """Wait until one more task may be open."""
        await self._bound().tasks.wait_for_capacity()

    def _queue(
        self, fn: Callable[..., Any] | Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> FuncXFuture[Any]:
        return self.queue_to(self._target, fn, args, kwargs)

    async def _room(self) -> None:
        await self.room()
