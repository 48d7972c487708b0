"""Which tasks of a group are those of submits whose answer was lost.

The service has no idempotency key and says nothing of what a listed task runs. So a task is only
taken for that of a submission where nothing else is possible: the group is this executor's alone,
no other submit is unanswered, the group holds exactly as many tasks beyond the known ones as were
sent, and it does not matter which of them is whose, because one was sent or all are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from funcx_async._core.batcher import Submission
from funcx_async.models import ListedTask

K = TypeVar("K")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Verdict(Generic[K]):
    """What a group's list says of submissions whose fate is unknown.

    Attributes:
        adopted: task ids with the tickets that they certainly belong to: all, or none.
        candidates: ids of tasks that may be those of the submissions, the oldest first.
        complete: whether all of them are among the candidates; otherwise some may have been
            refused, or be listed later.
    """

    adopted: Sequence[tuple[str, K]] = ()
    candidates: Sequence[str] = ()
    complete: bool = False


def judge(
    doubtful: Sequence[Submission[K, F]],
    listed: Sequence[ListedTask],
    *,
    knows: Callable[[str], bool],
    known_task_count: int | None,
) -> Verdict[K]:
    """Compare what was sent with what the group holds.

    Args:
        doubtful: all submissions to the group whose fate is unknown; not empty.
        listed: the group's tasks.
        knows: whether a task is open here, or was not long ago.
        known_task_count: how many tasks of the group are another submission's, long settled
            ones included; None if others than those here may have put tasks into it.

    Example:
        >>> sent = [Submission("my ticket", "f", "payload")]
        >>> listed = [ListedTask("t1"), ListedTask("t2")]
        >>> judge(sent, listed, knows={"t1"}.__contains__, known_task_count=1)
        Verdict(adopted=(('t2', 'my ticket'),), candidates=('t2',), complete=True)
    """
    unknown = [task for task in listed if not knows(task.task_id)]
    if known_task_count is None:
        return Verdict(candidates=tuple(task.task_id for task in unknown))
    newcomers = max(0, len(listed) - known_task_count)
    if newcomers < len(unknown):  # some are ours, settled so long ago that they are forgotten
        if any(task.created_at is None for task in unknown):
            return Verdict(candidates=tuple(task.task_id for task in unknown))
        unknown.sort(key=lambda task: task.created_at or "")
        oldest = len(unknown) - newcomers
        tied = newcomers and unknown[oldest - 1].created_at == unknown[oldest].created_at
        unknown = unknown[oldest:]
        if tied:
            return Verdict(candidates=tuple(task.task_id for task in unknown))
    candidates = tuple(task.task_id for task in unknown)
    complete = len(candidates) == newcomers == len(doubtful)
    if not (complete and interchangeable(doubtful)):
        return Verdict(candidates=candidates, complete=complete)
    tickets = (submission.ticket for submission in doubtful)
    return Verdict(tuple(zip(candidates, tickets, strict=True)), candidates, complete=True)


def interchangeable(submissions: Sequence[Submission[K, F]]) -> bool:
    """Whether any task may be anyone's: they run the same function on the same arguments."""
    first = submissions[0]
    return all(
        submission.function == first.function and submission.payload == first.payload
        for submission in submissions
    )
