"""Results by asking: the state of open tasks over REST, in chunks that suit the answers' size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from funcx_async.client import FuncXClient
from funcx_async.models import Result, TaskStatus

SMALLEST_CHUNK = 16
LARGEST_CHUNK = 1_024
SMALL_ANSWER = 500_000
LARGE_ANSWER = 4_000_000
"""Characters of results in one answer: below the one chunks double, above the other they halve."""

EXPIRED = "ResultExpired"
"""Our own word for a task that the service no longer knows."""


class Lookup:
    """Asks for tasks in chunks."""

    def __init__(self) -> None:
        self._chunk = 128

    async def finished(
        self, client: FuncXClient, task_ids: Sequence[str]
    ) -> AsyncIterator[list[Result]]:
        """Ask for ``task_ids`` in order, and give the results of each chunk that are there.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        begin = 0
        while begin < len(task_ids):
            chunk = task_ids[begin : begin + self._chunk]
            begin += len(chunk)
            statuses = await client.get_batch_status(chunk)
            results = [
                result
                for task_id in chunk
                if (status := statuses.get(task_id)) is not None
                and (result := outcome_of(status)) is not None
            ]
            self._adapt(sum(len(result.data or "") for result in results))
            yield results

    def _adapt(self, size: int) -> None:
        if size > LARGE_ANSWER:
            self._chunk = max(SMALLEST_CHUNK, self._chunk // 2)
        elif size < SMALL_ANSWER:
            self._chunk = min(LARGEST_CHUNK, self._chunk * 2)


def outcome_of(status: TaskStatus) -> Result | None:
    """Give what the service says became of a task, or None while it is open."""
    if status.result is not None or status.pending:
        return status.result
    return Result(status.task_id, status.reason or "the service gives no reason", EXPIRED)
