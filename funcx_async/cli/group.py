"""The state of a watched task group; the time is passed in."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise

from funcx_async.errors import last_error, printable
from funcx_async.models import ListedTask, TaskStatus, unix_time

RATE_WINDOW = 15.0
"""Seconds over which the throughput is measured."""

TASKS_PER_POLL = 4_096
"""How many open tasks one request polls; of more, each request takes the next ones."""

LOST = "lost"
"""The state of a task that the service no longer knows."""


class GroupView:
    """The tasks of a group: their states, throughput, slowest tasks and failures.

    All times are in Unix seconds.

    Attributes:
        failures: the error of each failed task in one line, by task id.
    """

    def __init__(self) -> None:
        self._created: dict[str, float] = {}
        self._open: dict[str, str] = {}
        self._ended: dict[str, float] = {}
        self._states: Counter[str] = Counter()
        self._counts: deque[tuple[float, int]] = deque(maxlen=600)
        self._next = 0
        self.failures: dict[str, str] = {}

    @property
    def total(self) -> int:
        """How many tasks the group has."""
        return len(self._created)

    @property
    def done(self) -> int:
        """How many of them have finished."""
        return self.total - len(self._open)

    @property
    def states(self) -> dict[str, int]:
        """How many tasks are in each state: final states first, then the others by name."""
        pending = Counter(self._open.values())
        ended = {state: self._states[state] for state in ("success", "failed", LOST)}
        return {state: count for state, count in ended.items() if count} | dict(
            sorted(pending.items())
        )

    def listed(self, tasks: Sequence[ListedTask], now: float) -> None:
        """Add the tasks of a listing."""
        for task in tasks:
            if task.task_id not in self._created:
                self._created[task.task_id] = _seconds(task.created_at, now)
                self._open[task.task_id] = "waiting"

    def next_to_poll(self) -> list[str]:
        """Return the open tasks to poll next."""
        begin = self._next if self._next < len(self._open) else 0
        self._next = begin + TASKS_PER_POLL
        return list(islice(self._open, begin, begin + TASKS_PER_POLL))

    def polled(self, statuses: Mapping[str, TaskStatus], now: float) -> None:
        """Record the statuses that the service returned."""
        for task_id, status in statuses.items():
            if task_id not in self._open:
                continue
            if status.pending:
                self._open[task_id] = status.status
                continue
            del self._open[task_id]
            self._finish(task_id, status, now)
        self._next = max(0, self._next - sum(task_id not in self._open for task_id in statuses))
        self._counts.append((now, self.done))

    def _finish(self, task_id: str, status: TaskStatus, now: float) -> None:
        result = status.result
        self._ended[task_id] = _seconds(result.completion_t if result else None, now)
        if result is None:
            self._states[LOST] += 1
            self.failures[task_id] = _one_line(status.reason or "the service gives no reason")
        elif result.error_code is not None:
            self._states["failed"] += 1
            error = last_error(result.data or "") or result.error_code
            self.failures[task_id] = _one_line(error)
        else:
            self._states["success"] += 1

    # Throughput ---------------------------------------------------------------------------------

    def rate(self, now: float) -> float | None:
        """Return the recent throughput in tasks per second; None while it is unknown."""
        within = [(at, done) for at, done in self._counts if at >= now - RATE_WINDOW]
        if len(within) < 2 or within[-1][0] <= within[0][0]:
            return None
        return (within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0])

    def rates(self, parts: int) -> list[float]:
        """Return the throughput between each two of the last polls, oldest first."""
        counts = list(self._counts)[-parts - 1 :]
        return [
            (later - earlier) / max(end - begin, 1e-3)
            for (begin, earlier), (end, later) in pairwise(counts)
        ]

    def seconds_left(self, now: float) -> float | None:
        """Estimate from the throughput how long the open tasks take."""
        rate = self.rate(now)
        return len(self._open) / rate if rate else None

    def duration(self) -> float | None:
        """Return the seconds from the first submit to the last end, once all have finished."""
        if self._open or not self._ended:
            return None
        return max(0.0, max(self._ended.values()) - min(self._created.values()))

    def slowest(self, count: int, now: float) -> list[tuple[str, float, bool]]:
        """Return the slowest tasks: id, seconds since the submit, and whether it has finished.

        Tasks that wait for a worker are left out.
        """
        spans = (
            (task_id, max(0.0, self._ended.get(task_id, now) - created), task_id in self._ended)
            for task_id, created in self._created.items()
            if not self._open.get(task_id, "").startswith("waiting")
        )
        return sorted(spans, key=lambda span: -span[1])[:count]


def _seconds(text: str | None, default: float) -> float:
    """Return a time of the service in Unix seconds, or ``default`` for none."""
    seconds = unix_time(text)
    return default if seconds is None else seconds


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
