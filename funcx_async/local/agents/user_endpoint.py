"""What is open on a user endpoint, and when to start it, to send, and to give up: decisions only.

A user endpoint is a process that an agent starts on command and that ends when it has been idle.
It acknowledges a task when it hands it to its engine, not when the task is done; so the broker
does not know what a process that died took with it. The service does: a process that begins gets
all that is open. A task may so run twice, as it may with the hosted service.

No loop, clock or socket: every method gets the time, in seconds, and returns what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from funcx_async.local.agents.messages import STANDARD_PERIOD, Report
from funcx_async.local.store import Job

START_TIMEOUT_S: Final = 120.0
"""Seconds that a process may take from the command to its first heartbeat."""
COMMAND_EVERY: Final = 10.0
"""Seconds between two commands while it runs; the agent remembers one for 30, and obeys it should
the process end meanwhile."""
RETRY_START: Final = 10.0
"""Seconds until a failed start is retried."""
STARTS_AT_MOST: Final = 12
"""A process that ran before may fail so often to start before its tasks fail: the one before it
may take its time to end."""
MISSED: Final = 4
"""With so many heartbeats missed a process is dead: its agent then lets another take its place."""


class Do(enum.Enum):
    """What to do."""

    BEGIN = enum.auto()
    """Send all that is open, on a new queue, and command the agent to start it."""
    SEND = enum.auto()
    """Send what is new."""
    SEND_AGAIN = enum.auto()
    """Send what was sent before the last command."""
    COMMAND = enum.auto()
    """Command the agent to start it, should it not run."""
    FAIL = enum.auto()
    """Fail what is open."""


@dataclass(slots=True)
class Open:
    """A task that is not settled, and when it was added."""

    job: Job
    since: float


class UserEndpoint:
    """One user endpoint.

    Args:
        session: the process that an earlier service heard of, which may live on.
        now: the time.
    """

    def __init__(self, *, session: str | None, now: float) -> None:
        self.session = session
        self.open: dict[str, Open] = {}
        self._over: str | None = None
        self._heard: float | None = None if session is None else now
        self._period = STANDARD_PERIOD
        self._commanded: float | None = None
        self._expecting = False
        self._failures = 0
        self._wait_until = 0.0

    def alive(self, now: float) -> bool:
        """Return whether its process runs, as far as is known."""
        if self._heard is None or self.session == self._over:
            return False
        return now - self._heard <= MISSED * self._period + 2

    def _starting(self, now: float) -> bool:
        return self._commanded is not None and now - self._commanded < START_TIMEOUT_S

    def add(self, jobs: Iterable[Job], now: float, *, online: bool) -> list[Do]:
        """Add tasks; ``online`` is whether the agent can start a process."""
        for job in jobs:
            self.open[job.task_id] = Open(job, now)
        if self._expecting and self._starting(now):
            return [Do.SEND]
        if self.alive(now):
            return [Do.SEND, *self._command_again(now, online=online)]
        return self.tick(now, online=online)

    def _command_again(self, now: float, *, online: bool) -> list[Do]:
        recently = self._commanded is not None and now - self._commanded < COMMAND_EVERY
        if recently or not online:
            return []
        self._commanded = now
        return [Do.COMMAND]

    def tick(self, now: float, *, online: bool) -> list[Do]:
        """Return what to do as time passes: start it if it is needed."""
        if not self.open or not online or now < self._wait_until or self.alive(now):
            return []
        if self._expecting and self._starting(now):
            return []
        self._commanded = now
        self._expecting = True
        return [Do.BEGIN]

    def agent_began(self) -> None:
        """Expect no more of the process that the agent's predecessor started."""
        self._over = self.session
        self._expecting = False
        self._commanded = None
        self._wait_until = 0.0

    def heard(self, report: Report, now: float, *, online: bool) -> list[Do]:
        """Process a heartbeat."""
        if report.error is not None:
            return self._did_not_start(now)
        if report.session == self._over and self._over is not None:
            return []
        self._heard = now
        self._period = report.period or self._period
        todo: list[Do] = []
        if report.session != self.session:
            unforeseen = self.session is not None and not self._expecting
            self.session = report.session
            todo = [Do.SEND_AGAIN] if unforeseen and self.open else []
        self._expecting = False
        self._failures = 0
        if not report.active:
            self._over = self.session
            return self.tick(now, online=online)
        return todo

    def sent_before_the_command(self) -> list[Job]:
        """Return the tasks that an unexpected process cannot have received."""
        limit = self._commanded if self._commanded is not None else float("inf")
        return [each.job for each in self.open.values() if each.since < limit]

    def _did_not_start(self, now: float) -> list[Do]:
        if self.session is not None and self.session != self._over and self.alive(now):
            return []  # the one that runs is in its place
        self._expecting = False
        self._commanded = None
        self._failures += 1
        if self.session is not None and self._failures < STARTS_AT_MOST:
            self._wait_until = now + RETRY_START
            return []
        self._failures = 0
        return [Do.FAIL] if self.open else []
