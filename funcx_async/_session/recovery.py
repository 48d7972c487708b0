"""Awaits tasks that were submitted before: those of a journal, and those of a task group."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from functools import partial
from typing import Final

from funcx_async._core.book import Entry, Outcome, Stage
from funcx_async._futures.future import FuncXFuture
from funcx_async._journal import Journal
from funcx_async._journal.journal import error_of
from funcx_async._results.decoding import in_thread, read_apart, settle, takes_long
from funcx_async._results.stream import ResultStream
from funcx_async._session.batches import AnyFuture
from funcx_async._session.context import SessionContext
from funcx_async._session.session import Session
from funcx_async.errors import SubmitUncertain
from funcx_async.models import Result

OUTCOMES_AT_ONCE: Final = 512
"""How many outcomes are read from the journal at once, or fewer that are large."""


# The tasks of a journal ---------------------------------------------------------------------------


async def resumed(
    session: Session, journal: Journal
) -> AsyncGenerator[tuple[str, AnyFuture], None]:
    """Yield keys and futures of all that is not confirmed: what is done, then what is open.

    All that is open is awaited from the first step on, also where the iteration ends early.

    Raises:
        JournalError: if outcomes cannot be read, or something could not be written before.
    """
    entries = journal.unconfirmed()
    _await_open(session, [entry for entry in entries if entry.ticket is None])
    awaited = {entry.number: entry.ticket for entry in entries if entry.ticket is not None}
    await journal.committed()
    settled = [entry for entry in entries if entry.number not in awaited]
    begin = 0
    while begin < len(settled):
        some = settled[begin : begin + OUTCOMES_AT_ONCE]
        outcomes = await journal.outcomes(some)
        begin += len(outcomes)
        for entry, outcome in zip(some, outcomes, strict=False):
            if journal.holds(entry):  # else it was confirmed in the meantime
                yield entry.key, await _settled(session, entry, outcome)
    for entry in entries:
        future = awaited.get(entry.number)
        if future is not None and journal.holds(entry):
            yield entry.key, future


def _await_open(session: Session, entries: Sequence[Entry[AnyFuture]]) -> None:
    """Await what is open; nothing may happen in between, or a result could be missed."""
    streams: dict[str, ResultStream] = {}
    for entry in entries:
        if entry.stage is Stage.ACCEPTED and entry.task_group_id and entry.task_id:
            group = entry.task_group_id
            stream = streams.setdefault(group, session.context.streams.join(group))
            future: AnyFuture = session.retries.resumed(entry) or FuncXFuture()
            future.key, entry.ticket = entry.key, future
            session.expect(entry.task_id, future, stream, entry.endpoint_id)
    for stream in streams.values():
        stream.look_up_open()


async def _settled(session: Session, entry: Entry[AnyFuture], outcome: Outcome | None) -> AnyFuture:
    """Return the future of a task that is done, or is submitted again after its failure."""
    future: AnyFuture = session.retries.resumed(entry) or FuncXFuture(entry.task_id)
    future.key = entry.key
    session.context.adopt(future)
    if isinstance(outcome, Result) and takes_long(outcome):
        (await in_thread(partial(read_apart, future, outcome)))()
    elif isinstance(outcome, Result):
        settle(future, outcome)
    elif outcome is not None:
        future.task_failed(error_of(outcome))
    else:
        future.task_failed(_uncertain(entry))
    return future


def _uncertain(entry: Entry[AnyFuture]) -> SubmitUncertain:
    group = entry.task_group_id
    what_to_do = (
        f"Check whether the task group {group} has a task too many"
        if group
        else "The service was to make a task group for it, whose id is unknown"
    )
    return SubmitUncertain(
        f"The process ended while the task {entry.key!r} was being sent to the endpoint "
        f"{entry.endpoint_id}: it is unknown whether it runs. {what_to_do}; then confirm the key, "
        "and submit it again if it may run twice.",
        task_group_id=group,
        function_id=entry.function_id,
    )


# The tasks of a group -----------------------------------------------------------------------------


async def reloaded(session: Session, task_group_id: str) -> list[AnyFuture]:
    """Return a future for each task of a group; earlier ones are given up.

    Raises:
        ValueError: if the service answers for another group, or is not understood.
        KeyError: if its answer lacks something.
        ExecutorClosed: if the session ended in the meantime.
        FuncXError: as every request; nothing has changed then.
    """
    context, streams = session.context, session.context.streams
    task_ids = await context.client.get_task_group(task_group_id)
    context.refuse_if_sealed()
    before = context.tasks.futures
    joined_before = task_group_id in streams
    stream = streams.join(task_group_id)
    futures: list[AnyFuture] = []
    for task_id in task_ids:
        futures.append(FuncXFuture())
        session.expect(task_id, futures[-1], stream)
    try:
        results = await stream.ask(context.client, task_ids)
    except BaseException:  # cancelled as well
        _give_up(context, futures)
        if not joined_before:
            await streams.leave(task_group_id)
        raise
    _give_up(context, before)
    stream.receive(results)
    return futures


def _give_up(context: SessionContext, futures: Iterable[AnyFuture]) -> None:
    for future in futures:
        if future.give_up() and future.task_id is not None:
            context.streams.forget(future.task_id, future)
