"""Results by asking: the state of open tasks over REST, in chunks that suit the answers' size."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from funcx_async._service.outcomes import EXPIRED, outcome_of
from funcx_async.client import FuncXClient
from funcx_async.models import Result, TaskStatus

SMALLEST_CHUNK = 16
LARGEST_CHUNK = 1_024
SMALL_ANSWER = 500_000
LARGE_ANSWER = 4_000_000
"""Characters of results in one answer: below the one chunks double, above the other they halve."""

SHARE = 0.25
"""The part of the request budget that asking may use up; submits come first."""

OFTEN = 5
"""An answer may leave a task out for a moment; so often in a row the service does not know it."""


class Lookup:
    """Asks for tasks in chunks."""

    def __init__(self) -> None:
        self._chunk = 128
        self._kept: dict[str, Result] = {}
        self._left_out: Counter[str] = Counter()

    @property
    def keeps_some(self) -> bool:
        """Whether results are kept that a service would not give again."""
        return bool(self._kept)

    async def all_finished(
        self, client: FuncXClient, task_ids: Sequence[str], *, unknown_is_lost: bool
    ) -> list[Result]:
        """Ask for ``task_ids``, and give the results that are there, all or none.

        What was read before the service failed is kept for the next try: a classic service would
        not give it again.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        results = [self._kept.pop(task_id) for task_id in task_ids if task_id in self._kept]
        try:
            known = {result.task_id for result in results}
            others = [task_id for task_id in task_ids if task_id not in known]
            async for some in self.finished(client, others, unknown_is_lost=unknown_is_lost):
                results += some
        except BaseException:  # cancelled as well: it is not told twice
            if client.dialect.reading_consumes:
                self._kept.update((result.task_id, result) for result in results)
            raise
        return results

    async def finished(
        self, client: FuncXClient, task_ids: Sequence[str], *, unknown_is_lost: bool = True
    ) -> AsyncIterator[list[Result]]:
        """Ask for ``task_ids`` in order, and give the results of each chunk that are there.

        Args:
            client: asks the service.
            task_ids: the tasks.
            unknown_is_lost: whether a task that the service does not know is lost, or its result
                may still come by another way.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        begin = 0
        while begin < len(task_ids):
            chunk = task_ids[begin : begin + self._chunk]
            begin += len(chunk)
            await client.within_budget(SHARE)
            statuses = await client.get_batch_status(chunk)
            results = [
                result
                for task_id in chunk
                if (result := self._outcome(task_id, statuses.get(task_id))) is not None
                and (unknown_is_lost or result.error_code != EXPIRED)
            ]
            self._adapt(sum(len(result.data or "") for result in results))
            yield results

    def _outcome(self, task_id: str, status: TaskStatus | None) -> Result | None:
        if status is not None:
            self._left_out.pop(task_id, None)
            return outcome_of(status)
        self._left_out[task_id] += 1
        if self._left_out[task_id] < OFTEN:
            return None
        return Result(task_id, "its answers leave the task out", EXPIRED)

    def _adapt(self, size: int) -> None:
        if size > LARGE_ANSWER:
            self._chunk = max(SMALLEST_CHUNK, self._chunk // 2)
        elif size < SMALL_ANSWER:
            self._chunk = min(LARGEST_CHUNK, self._chunk * 2)
