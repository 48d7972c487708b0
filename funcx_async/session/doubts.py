"""Submits whose answer was lost: looking into their task groups for what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from funcx_async.client import FuncXClient
from funcx_async.core.adoption import Verdict, interchangeable, judge
from funcx_async.errors import FuncXError, RequestRefused, SubmitUncertain
from funcx_async.journal import Journal
from funcx_async.results.stream import ResultStream
from funcx_async.session.posting import AnyBatch, AnyFuture
from funcx_async.settings.settings import Settings

LOOKS = (0.0, 1.0, 3.0)
"""Seconds before each look: the service may still be at work on what it has not answered."""

BETWEEN_TRIES = 2.0
"""Seconds before a group is asked for again where that fails."""

PATIENCE = 60.0
"""Seconds at most for which it is: nothing else is sent meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """A batch that the service may have taken.

    Attributes:
        batch: what was sent.
        stream: that of the task group it was sent to.
        submit: the stream's number for it; unanswered, so that results are held.
        error: what became of the request.
    """

    batch: AnyBatch
    stream: ResultStream
    submit: int
    error: SubmitUncertain


class Doubts:
    """What is in doubt, until it is cleared.

    Args:
        give_up: is called with each batch that stays in doubt.
        journal: where what is adopted is written down, if anywhere.
    """

    def __init__(
        self,
        give_up: Callable[[AnyBatch, SubmitUncertain], None],
        journal: Journal | None = None,
    ) -> None:
        self._give_up = give_up
        self._journal = journal
        self._posts: list[tuple[AnyBatch, list[Doubt]]] = []
        self._dropped = False

    def __len__(self) -> int:
        """How many batches, as they were put on the wire, have parts that are in doubt."""
        return len(self._posts)

    def add(self, batch: AnyBatch, doubts: list[Doubt]) -> None:
        """Note what is in doubt of a batch that was put on the wire."""
        self._posts.append((batch, doubts))
        if self._dropped:
            self.drop()

    def drop(self) -> None:
        """Look into nothing any more: the futures fail otherwise."""
        self._dropped = True
        _leave(doubt for _, doubts in self._posts for doubt in doubts)
        self._posts = []

    async def clear(
        self, client: FuncXClient, settings: Settings
    ) -> list[tuple[AnyBatch, str | None]]:
        """Look into all of it, with nothing else on the wire.

        Returns:
            The batches, as they were put on the wire, and the task groups that they went to.
        """
        by_stream: dict[ResultStream, list[Doubt]] = {}
        for doubt in (doubt for _, doubts in self._posts for doubt in doubts):
            by_stream.setdefault(doubt.stream, []).append(doubt)
        try:
            for stream in list(by_stream):
                await self._clear_one(stream, by_stream[stream], client, settings)
                del by_stream[stream]
        finally:
            _leave(doubt for left in by_stream.values() for doubt in left)
            posts, self._posts = self._posts, []
        return [(batch, doubts[0].stream.task_group_id) for batch, doubts in posts]

    async def _clear_one(
        self,
        stream: ResultStream,
        doubts: Sequence[Doubt],
        client: FuncXClient,
        settings: Settings,
    ) -> None:
        clock = asyncio.get_running_loop()
        if settings.on_uncertain == "raise":
            for entry in (entry for doubt in doubts for entry in doubt.batch.submissions):
                entry.ticket.accept(None, clock.time())
        verdict = await _look_into(
            stream,
            doubts,
            client,
            alone=stream.task_group_id == settings.made_group,
            patience=min(settings.retry_deadline, PATIENCE),
        )
        task_ids = {ticket: task_id for task_id, ticket in verdict.adopted}
        if task_ids and self._journal is not None:
            await self._journal.accept(task_ids.items(), stream.task_group_id)
        if not task_ids:
            stream.disown(verdict.candidates if verdict.complete else (), complete=verdict.complete)
        for doubt in doubts:
            tickets = [entry.ticket for entry in doubt.batch.submissions if task_ids]
            for ticket in tickets:
                ticket.accept(task_ids[ticket], clock.time())
            awaited = [(task_ids[ticket], ticket) for ticket in tickets if not ticket.done()]
            given_up = [task_ids[ticket] for ticket in tickets if ticket.done()]
            stream.disown(given_up, complete=True)
            stream.answered(doubt.submit, awaited)
            if not task_ids:
                self._give_up(doubt.batch, _in_words(doubt.error, verdict))


def _leave(doubts: Iterable[Doubt]) -> None:
    for doubt in doubts:
        doubt.stream.disown(complete=False)
        doubt.stream.answered(doubt.submit)


def can_be_cleared(stream: ResultStream, settings: Settings) -> bool:
    """Whether a look into the group may tell whose its tasks are: all of them are accounted for."""
    alone = stream.task_group_id == settings.made_group
    return alone and stream.accounted is not None and not stream.orphans


async def name_candidates(
    error: SubmitUncertain, batch: AnyBatch, stream: ResultStream, client: FuncXClient
) -> SubmitUncertain:
    """Say which tasks may be those of a batch that stays in doubt, as far as that is known.

    Where settled tasks were forgotten, they could not be told from these.
    """
    if not stream.remembers_all:
        return error
    try:
        listed = await client.list_task_group(stream.task_group_id)
    except (FuncXError, ValueError):
        return error
    return _in_words(error, judge(batch.submissions, listed, knows=stream.knows, accounted=None))


async def _look_into(
    stream: ResultStream,
    doubts: Sequence[Doubt],
    client: FuncXClient,
    *,
    alone: bool,
    patience: float,
) -> Verdict[AnyFuture]:
    """Find out which tasks of a group are those of some batches.

    Args:
        stream: that of the group.
        doubts: all that is in doubt there.
        client: asks the service.
        alone: whether nobody else can have put tasks into the group.
        patience: seconds for which a service that does not answer is asked again.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + patience
    submissions = [entry for doubt in doubts for entry in doubt.batch.submissions]
    verdict: Verdict[AnyFuture] = Verdict()
    looks = list(LOOKS if interchangeable(submissions) else LOOKS[:2])
    while looks and not verdict.complete:
        await asyncio.sleep(looks.pop(0))
        try:
            listed = await client.list_task_group(stream.task_group_id)
        except RequestRefused:
            break  # the group is not known, or not ours: it will not tell
        except (FuncXError, ValueError):
            if clock.time() + BETWEEN_TRIES > deadline:
                break
            looks.insert(0, BETWEEN_TRIES)
            continue
        quiet = stream.unanswered == len(doubts) and not stream.orphans
        accounted = stream.accounted if alone and quiet else None
        verdict = judge(submissions, listed, knows=stream.knows, accounted=accounted)
    return verdict


def _in_words(error: SubmitUncertain, verdict: Verdict[AnyFuture]) -> SubmitUncertain:
    """Say what the look into the group brought."""
    found = len(verdict.candidates)
    told = (
        f"{found} task(s) of the group may be these: see `candidate_task_ids`."
        if found
        else "The group shows none that may be these, by now."
    )
    uncertain = SubmitUncertain(
        f"{error} {told}",
        task_group_id=error.task_group_id,
        candidate_task_ids=verdict.candidates,
        request_id=error.request_id,
    )
    uncertain.__cause__ = error.__cause__
    return uncertain
