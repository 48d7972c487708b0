"""Giving back what a journal holds: each task that is not confirmed, as a future."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final, Protocol

from funcx_async._core.book import Entry, Outcome, Stage
from funcx_async._futures.future import FuncXFuture
from funcx_async._journal import Journal
from funcx_async._journal.failures import error_of
from funcx_async._results.decoding import in_thread, read_apart, settle, takes_long
from funcx_async._results.stream import ResultStream
from funcx_async._session.posting import AnyFuture
from funcx_async.errors import SubmitUncertain
from funcx_async.models import Result

AT_ONCE: Final = 512
"""So many outcomes are read from the journal at once, or fewer that are large."""


class Resumer(Protocol):
    """What is asked of the session that takes tasks up again."""

    def adopt(self, future: AnyFuture) -> None:
        """Count a future among those of the executor, which reads its result."""
        ...

    def expect(
        self, task_id: str, future: AnyFuture, stream: ResultStream, endpoint_id: str
    ) -> None:
        """Await a task that the service has taken."""
        ...

    def stream(self, task_group_id: str) -> ResultStream:
        """Give the stream of a task group, joined."""
        ...


async def resumed(
    session: Resumer, journal: Journal
) -> AsyncGenerator[tuple[str, AnyFuture], None]:
    """Give keys and futures of all that is not confirmed: what is done, then what is open.

    All that is open is awaited from the first step on, also where the iteration ends early.

    Raises:
        JournalError: if outcomes cannot be read, or something could not be written before.
    """
    entries = journal.unconfirmed()
    _take_up(session, [entry for entry in entries if entry.ticket is None])
    awaited = {entry.number: entry.ticket for entry in entries if entry.ticket is not None}
    await journal.committed()
    settled = [entry for entry in entries if entry.number not in awaited]
    begin = 0
    while begin < len(settled):
        some = settled[begin : begin + AT_ONCE]
        outcomes = await journal.outcomes(some)
        begin += len(outcomes)
        for entry, outcome in zip(some, outcomes, strict=False):
            if journal.holds(entry):  # else it was confirmed meanwhile
                yield entry.key, await _settled(session, entry, outcome)
    for entry in entries:
        future = awaited.get(entry.number)
        if future is not None and journal.holds(entry):
            yield entry.key, future


def _take_up(session: Resumer, entries: Sequence[Entry[AnyFuture]]) -> None:
    """Await what is open; nothing may happen in between, or a result could be missed."""
    streams: dict[str, ResultStream] = {}
    for entry in entries:
        if entry.stage is Stage.ACCEPTED and entry.task_group_id and entry.task_id:
            stream = streams.setdefault(entry.task_group_id, session.stream(entry.task_group_id))
            future: AnyFuture = FuncXFuture()
            future.key, entry.ticket = entry.key, future
            session.expect(entry.task_id, future, stream, entry.endpoint_id)
    for stream in streams.values():
        stream.look_up_open()


async def _settled(session: Resumer, entry: Entry[AnyFuture], outcome: Outcome | None) -> AnyFuture:
    future: AnyFuture = FuncXFuture(entry.task_id)
    future.key = entry.key
    session.adopt(future)
    if isinstance(outcome, Result) and takes_long(outcome):
        (await in_thread(partial(read_apart, future, outcome)))()
    elif isinstance(outcome, Result):
        settle(future, outcome)
    elif outcome is not None:
        future.fail(error_of(outcome))
    else:
        future.fail(_uncertain(entry))
    return future


def _uncertain(entry: Entry[AnyFuture]) -> SubmitUncertain:
    group = entry.task_group_id
    where = (
        f"Look whether the task group {group} has a task too many"
        if group
        else "The service was to make a task group for it, which nobody knows"
    )
    return SubmitUncertain(
        f"The process ended while the task {entry.key!r} was being sent to the endpoint "
        f"{entry.endpoint_id}: nobody can know whether it runs. {where}; then confirm the key, "
        "and submit it again if it may run twice.",
        task_group_id=group,
        function_id=entry.function_id,
    )
