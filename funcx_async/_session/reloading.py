"""Awaiting the tasks of a group anew, in place of what was awaited before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from funcx_async._futures.future import FuncXFuture
from funcx_async._results.stream import ResultStream, StreamSet
from funcx_async._session.open_tasks import OpenTasks
from funcx_async._session.posting import AnyFuture
from funcx_async.client import FuncXClient


class Reloader(Protocol):
    """What is asked of the session that reloads."""

    client: FuncXClient
    streams: StreamSet
    tasks: OpenTasks

    def refuse_if_sealed(self) -> None:
        """Raise ExecutorClosed if nothing runs any more."""
        ...

    def expect(self, task_id: str, future: AnyFuture, stream: ResultStream) -> None:
        """Await a task that the service has taken."""
        ...


async def reloaded(session: Reloader, task_group_id: str) -> list[AnyFuture]:
    """Give a future for each task of a group; earlier ones are given up.

    Raises:
        ValueError: if the service answers for another group, or is not understood.
        KeyError: if its answer lacks something.
        ExecutorClosed: if the session ended meanwhile.
        FuncXError: as every request; nothing has changed then.
    """
    task_ids = await session.client.get_task_group(task_group_id)
    session.refuse_if_sealed()
    before = session.tasks.futures
    joined_before = task_group_id in session.streams
    stream = session.streams.join(task_group_id)
    futures: list[AnyFuture] = []
    for task_id in task_ids:
        futures.append(FuncXFuture())
        session.expect(task_id, futures[-1], stream)
    try:
        results = await stream.ask(session.client, task_ids)
    except BaseException:  # cancelled as well
        _give_up(session, futures)
        if not joined_before:
            await session.streams.leave(task_group_id)
        raise
    _give_up(session, before)
    stream.receive(results)
    return futures


def _give_up(session: Reloader, futures: Iterable[AnyFuture]) -> None:
    for future in futures:
        if future.give_up() and future.task_id is not None:
            session.streams.forget(future.task_id, future)
