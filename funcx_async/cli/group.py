"""What is known of a task group that is watched; pure, but for no time: that is passed in."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice, pairwise

from funcx_async.cli.printing import harmless
from funcx_async.errors import last_error
from funcx_async.models import ListedTask, TaskStatus

WINDOW = 15.0
"""Seconds over which the throughput is measured."""

AT_ONCE = 4_096
"""So many open tasks are asked for in one look; of more, each look takes the next ones."""

LOST = "lost"
"""Our word for a task that the service no longer knows."""


class GroupView:
    """The tasks of a group: their states, how fast they end, which are slow, which have failed.

    Every time here is in Unix seconds.

    Attributes:
        failures: by task id, what a task failed with, in one line.
    """

    def __init__(self) -> None:
        self._created: dict[str, float] = {}
        self._open: dict[str, str] = {}
        self._ended: dict[str, float] = {}
        self._states: Counter[str] = Counter()
        self._counts: deque[tuple[float, int]] = deque(maxlen=600)
        self._turn = 0
        self.failures: dict[str, str] = {}

    @property
    def total(self) -> int:
        """How many tasks the group has."""
        return len(self._created)

    @property
    def done(self) -> int:
        """How many of them have ended."""
        return self.total - len(self._open)

    @property
    def states(self) -> dict[str, int]:
        """How many tasks are in each state: those that ended first, then the others by name."""
        pending = Counter(self._open.values())
        ended = {state: self._states[state] for state in ("success", "failed", LOST)}
        return {state: count for state, count in ended.items() if count} | dict(
            sorted(pending.items())
        )

    def listed(self, tasks: Sequence[ListedTask], now: float) -> None:
        """Note which tasks there are."""
        for task in tasks:
            if task.task_id not in self._created:
                self._created[task.task_id] = _seconds(task.created_at, now)
                self._open[task.task_id] = "waiting"

    def to_ask(self) -> list[str]:
        """Give the open tasks to ask for next."""
        begin = self._turn if self._turn < len(self._open) else 0
        self._turn = begin + AT_ONCE
        return list(islice(self._open, begin, begin + AT_ONCE))

    def seen(self, statuses: Mapping[str, TaskStatus], now: float) -> None:
        """Note what the service says of tasks."""
        for task_id, status in statuses.items():
            if task_id not in self._open:
                continue
            if status.pending:
                self._open[task_id] = status.status
                continue
            del self._open[task_id]
            self._end(task_id, status, now)
        self._turn = max(0, self._turn - sum(task_id not in self._open for task_id in statuses))
        self._counts.append((now, self.done))

    def _end(self, task_id: str, status: TaskStatus, now: float) -> None:
        result = status.result
        self._ended[task_id] = _seconds(result.completion_t if result else None, now)
        if result is None:
            self._states[LOST] += 1
            self.failures[task_id] = _on_a_line(status.reason or "the service gives no reason")
        elif result.error_code is not None:
            self._states["failed"] += 1
            told = last_error(result.data or "") or result.error_code
            self.failures[task_id] = _on_a_line(told)
        else:
            self._states["success"] += 1

    # How fast -----------------------------------------------------------------------------------

    def rate(self, now: float) -> float | None:
        """Give how many tasks ended in a second of late; None before that can be told."""
        within = [(at, done) for at, done in self._counts if at >= now - WINDOW]
        if len(within) < 2 or within[-1][0] <= within[0][0]:
            return None
        return (within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0])

    def rates(self, parts: int) -> list[float]:
        """Give how many tasks ended between each two of the last looks, oldest first."""
        counts = list(self._counts)[-parts - 1 :]
        return [
            (later - earlier) / max(end - begin, 1e-3)
            for (begin, earlier), (end, later) in pairwise(counts)
        ]

    def seconds_left(self, now: float) -> float | None:
        """Guess how long it takes until all have ended, from the throughput."""
        rate = self.rate(now)
        return len(self._open) / rate if rate else None

    def took(self) -> float | None:
        """Give the seconds from the first submit to the last end, once all have ended."""
        if self._open or not self._ended:
            return None
        return max(0.0, max(self._ended.values()) - min(self._created.values()))

    def slowest(self, count: int, now: float) -> list[tuple[str, float, bool]]:
        """Give the tasks that took longest, or take: id, seconds, and whether it has ended.

        They are counted from their submit. What waits is none of them: it has not begun.
        """
        spans = (
            (task_id, max(0.0, self._ended.get(task_id, now) - created), task_id in self._ended)
            for task_id, created in self._created.items()
            if not self._open.get(task_id, "").startswith("waiting")
        )
        return sorted(spans, key=lambda span: -span[1])[:count]


def _seconds(told: str | None, otherwise: float) -> float:
    """Read a time as the service writes it: Unix seconds, or a date.

    Example:
        >>> _seconds("12.5", 0.0), _seconds("1970-01-01T00:00:03+00:00", 0.0), _seconds("soon", 7.0)
        (12.5, 3.0, 7.0)
    """
    try:
        return float(told or "")
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(told or "").timestamp()
    except ValueError:
        return otherwise


def _on_a_line(words: str) -> str:
    return " ".join(harmless(words).split())
