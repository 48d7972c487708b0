"""Which task is next: task groups take turns, so that a long queue does not starve a short one."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from funcx_async.local.records import Job


class Turns:
    """What waits for a worker: one queue per task group, served in turn."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Job]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, job: Job) -> None:
        """Queue a job behind those of its group."""
        self._queues.setdefault(job.group_id, deque()).append(job)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Give jobs that came from here their places at the front of their queues again."""
        for job in reversed(list(jobs)):
            self._queues.setdefault(job.group_id, deque()).appendleft(job)

    def peek(self) -> Job | None:
        """What :meth:`take` would give."""
        return next(iter(self._queues.values()))[0] if self._queues else None

    def take(self) -> Job:
        """The next job; its group goes to the end of the line."""
        group_id, queue = self._queues.popitem(last=False)
        job = queue.popleft()
        if queue:
            self._queues[group_id] = queue
        return job
