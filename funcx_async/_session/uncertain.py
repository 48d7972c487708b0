"""Submits whose response was lost: finding out from their task group what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from funcx_async._core.uncertain import Verdict, interchangeable, judge
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.stream import ResultStream
from funcx_async._session.batches import AnyFuture, ids_of
from funcx_async._session.context import SessionContext
from funcx_async._session.request_retry import RequestRetry
from funcx_async._session.task_groups import TaskGroup, UncertainSubmit
from funcx_async.errors import FuncXError, RequestRefused, SubmitUncertain

LOOK_DELAYS = (0.0, 1.0, 3.0)
"""Seconds before each look: the service may still be at work on what it has not answered."""

RETRY_DELAY = 2.0
"""Seconds before a group is listed again after that failed."""

RESOLVE_TIMEOUT = 60.0
"""Seconds at most for which listing is retried: until then nothing else is sent to the group."""

_log = logging.getLogger("funcx_async.submit")


class Resolver:
    """Resolves the uncertain submits of one task group at a time.

    Args:
        context: that of the session.
        retries: fails a batch that stays uncertain, or queues it again.
    """

    def __init__(self, context: SessionContext, retries: RequestRetry) -> None:
        self._context = context
        self._retries = retries

    async def resolve(self, group: TaskGroup) -> None:
        """Resolve all that is uncertain in a group, while nothing else for it is on the wire.

        However this ends, none of it is uncertain afterwards; an unforeseen error is logged.
        """
        submits, group.uncertain = group.uncertain, []
        group.resolving = len(submits)
        left = list(submits)
        try:
            await self._resolve(group, left)
        except (Exception, asyncio.CancelledError):
            for submit in left:
                submit.leave()
            if is_cancelled():
                raise  # the session fails what is open
            _log.exception(
                "resolving %d uncertain submit(s) of the task group %s",
                len(submits),
                group.id,
                extra={"task_group_id": group.id},
            )
            for submit in left:
                self._retries.give_up(submit.batch, submit.error)
        finally:
            group.resolving = 0

    async def give_up_naming_candidates(self, submit: UncertainSubmit) -> None:
        """Give up on a submit that cannot be resolved; the error names its possible tasks.

        Where settled tasks were forgotten, they cannot be distinguished from these.
        """
        batch, stream, error = submit.batch, submit.stream, submit.error
        try:
            if stream.remembers_all:
                listed = await self._context.client.list_task_group(stream.task_group_id)
                known = judge(batch.submissions, listed, knows=stream.knows, known_task_count=None)
                error = _with_candidates(error, known)
        except (FuncXError, ValueError):
            pass  # the service does not tell
        except (Exception, asyncio.CancelledError):
            if is_cancelled():
                raise  # the session fails what is open
            _log.exception("listing the task group %s", stream.task_group_id, extra=ids_of(batch))
        self._retries.give_up(batch, error)

    async def _resolve(self, group: TaskGroup, left: list[UncertainSubmit]) -> None:
        """Take each submit out of ``left`` as soon as it is resolved."""
        clock, settings, journal = self._context.loop, self._context.settings, self._context.journal
        stream = left[0].stream
        if settings.on_uncertain == "raise":
            for entry in (entry for submit in left for entry in submit.batch.submissions):
                entry.ticket.accept(None, clock.time())
        timeout = min(settings.retry_deadline, RESOLVE_TIMEOUT)
        verdict = await self._look_into(group, left, timeout)
        task_ids = {ticket: task_id for task_id, ticket in verdict.adopted}
        if task_ids and journal is not None:
            await journal.accept(task_ids.items(), group.id)
        if not task_ids:
            stream.disown(verdict.candidates if verdict.complete else (), complete=verdict.complete)
        while left:
            submit = left.pop(0)
            tickets = [entry.ticket for entry in submit.batch.submissions if task_ids]
            for ticket in tickets:
                ticket.accept(task_ids[ticket], clock.time())
            awaited = [(task_ids[ticket], ticket) for ticket in tickets if not ticket.done()]
            given_up = [task_ids[ticket] for ticket in tickets if ticket.done()]
            stream.disown(given_up, complete=True)
            stream.answered(submit.submit, awaited)
            if not task_ids:
                self._retries.give_up(submit.batch, _with_candidates(submit.error, verdict))

    async def _look_into(
        self, group: TaskGroup, submits: Sequence[UncertainSubmit], timeout: float
    ) -> Verdict[AnyFuture]:
        """Find out which tasks of a group are those of its uncertain submits.

        Args:
            group: the group.
            submits: all that is uncertain in it.
            timeout: seconds for which a service that does not answer is asked again.
        """
        clock = self._context.loop
        deadline = clock.time() + timeout
        stream = submits[0].stream
        submissions = [entry for submit in submits for entry in submit.batch.submissions]
        verdict: Verdict[AnyFuture] = Verdict()
        delays = list(LOOK_DELAYS if interchangeable(submissions) else LOOK_DELAYS[:2])
        while delays and not verdict.complete:
            await asyncio.sleep(delays.pop(0))
            try:
                listed = await self._context.client.list_task_group(group.id)
            except RequestRefused:
                break  # the group is not known, or not ours: it will not tell
            except (FuncXError, ValueError):
                if clock.time() + RETRY_DELAY > deadline:
                    break
                delays.insert(0, RETRY_DELAY)
                continue
            quiet = stream.unanswered == len(submits) and not stream.orphans
            count = stream.known_task_count if group.created and quiet else None
            verdict = judge(submissions, listed, knows=stream.knows, known_task_count=count)
        return verdict


def can_be_resolved(group: TaskGroup, stream: ResultStream) -> bool:
    """Whether listing the group may tell whose its tasks are: all of them are accounted for."""
    return group.created and stream.known_task_count is not None and not stream.orphans


def _with_candidates(error: SubmitUncertain, verdict: Verdict[AnyFuture]) -> SubmitUncertain:
    """Return the error with the tasks that the group shows and what they may be."""
    found = len(verdict.candidates)
    found_tasks = (
        f"{found} task(s) of the group may be these: see `candidate_task_ids`."
        if found
        else "The group shows none that may be these yet."
    )
    uncertain = SubmitUncertain(
        f"{error} {found_tasks}",
        task_group_id=error.task_group_id,
        candidate_task_ids=verdict.candidates,
        request_id=error.request_id,
    )
    uncertain.__cause__ = error.__cause__
    return uncertain
