"""What happened lately, counted as it happens: a microsecond or so for each task.

Tasks are counted by the second, with how long they took from being taken to being settled, by half
octaves: from one step to the next it is 1.4 times as long. What is older than three minutes is
forgotten, and so are all but the latest batches.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SPAN: Final = 180
"""Seconds that are remembered."""
BATCHES: Final = 15
"""Batches that are remembered."""
FAILURES: Final = 10
"""Failed tasks that are remembered."""
SHORTEST: Final = 1e-4
"""Seconds up to which latencies are not told apart."""
STEPS: Final = 48
"""Steps of latency; the last one begins at 20 minutes and has no end."""


@dataclass(slots=True, eq=False)
class Batch:
    """The tasks that one request brought.

    Attributes:
        taken_at: when, in Unix seconds.
        group_id: their task group.
        endpoint_id: where they run.
        function_ids: what they run.
        size: how many they are.
        done: how many have a result.
        failed: how many ended in an error.
    """

    taken_at: float
    group_id: str
    endpoint_id: str
    function_ids: Sequence[str]
    size: int
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class Second:
    """What happened in one second.

    Attributes:
        at: which, in Unix seconds.
        taken: how many tasks were taken.
        done: how many got a result.
        failed: how many ended in an error.
        latencies: how many took how long, by step.
    """

    at: int
    taken: int = 0
    done: int = 0
    failed: int = 0
    latencies: dict[int, int] = field(default_factory=dict)


class History:
    """Counts of what happened lately, by the second.

    Args:
        clock: the time in Unix seconds.

    Attributes:
        since: when it began, in Unix seconds.
        open: how many tasks are not settled.
        done: how many got a result.
        failed: how many ended in an error.
        batch_count: how many batches there were.

    Example:
        >>> history = History()
        >>> batch = history.taken("group", "endpoint", ["function"], size=2)
        >>> history.settled(batch, batch.taken_at + 0.5, failed=False)
        >>> history.open, history.done
        (1, 1)
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.since = clock()
        self.open = 0
        self.done = 0
        self.failed = 0
        self.batch_count = 0
        self._seconds: deque[Second] = deque([Second(int(self.since))], SPAN)
        self._batches: deque[Batch] = deque(maxlen=BATCHES)
        self._failures: deque[dict[str, Any]] = deque(maxlen=FAILURES)

    def resumed(self, count: int) -> None:
        """Count tasks that an earlier service left open."""
        self.open += count

    def taken(
        self, group_id: str, endpoint_id: str, function_ids: Sequence[str], size: int
    ) -> Batch:
        """Count the tasks of a request."""
        batch = Batch(self._clock(), group_id, endpoint_id, function_ids, size)
        self.open += size
        self.batch_count += 1
        self._batches.append(batch)
        self._second(int(batch.taken_at)).taken += size
        return batch

    def settled(self, batch: Batch | None, at: float, *, failed: bool) -> None:
        """Count a task that was settled.

        Args:
            batch: what it came in; None: before this service was started.
            at: when, in Unix seconds.
            failed: whether it ended in an error.
        """
        second = self._second(int(at))
        self.open -= 1
        if failed:
            self.failed += 1
            second.failed += 1
        else:
            self.done += 1
            second.done += 1
        if batch is None:
            return
        if failed:
            batch.failed += 1
        else:
            batch.done += 1
        step = step_of(at - batch.taken_at)
        second.latencies[step] = second.latencies.get(step, 0) + 1

    def failure(self, task_id: str, function_id: str, at: float, error: str) -> None:
        """Record why a task failed.

        Args:
            task_id: its id.
            function_id: the function that it ran.
            at: when it was settled, in Unix seconds.
            error: the type and message of its error.
        """
        self._failures.append(
            {"at": at, "task": task_id, "function_id": function_id, "error": error}
        )

    def failures(self) -> list[dict[str, Any]]:
        """Return the latest failed tasks, the last one first."""
        return list(reversed(self._failures))

    def seconds(self) -> list[dict[str, Any]]:
        """Return the last three minutes, without the seconds in which nothing happened."""
        first = int(self._clock()) - SPAN
        return [
            {
                "at": second.at,
                "taken": second.taken,
                "done": second.done,
                "failed": second.failed,
                "latencies": sorted(second.latencies.items()),
            }
            for second in self._seconds
            if second.at > first
        ]

    def batches(self) -> list[Batch]:
        """Return the latest batches, the last one first."""
        return list(reversed(self._batches))

    def _second(self, at: int) -> Second:
        latest = self._seconds[-1]
        if at <= latest.at:  # a clock that was set back counts where it was
            return latest
        second = Second(at)
        self._seconds.append(second)
        return second


def step_of(latency: float) -> int:
    """Return the step that a latency in seconds belongs to.

    Example:
        >>> step_of(0.0), step_of(0.0001), step_of(0.0002), step_of(1e9)
        (0, 0, 2, 47)
    """
    if latency <= SHORTEST:
        return 0
    return min(int(2 * math.log2(latency / SHORTEST)), STEPS - 1)
