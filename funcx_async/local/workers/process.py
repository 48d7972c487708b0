"""One worker process, as the pool sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from funcx_async.local.workers import frames

if TYPE_CHECKING:
    from funcx_async.local.store import Job

SENT_AHEAD_BYTES: Final = 65536
"""So many bytes are sent ahead at most, or one job."""
PIPE_DRAIN_S: Final = 1.0
"""Seconds for a worker's pipe to close after its process ended, before we close it."""


Received = Callable[["WorkerProcess", Sequence[tuple[int, bytes]]], None]


class WorkerProcess(asyncio.SubprocessProtocol):
    """The pipes of one worker process, and what was sent into them.

    Args:
        received: is called with the frames that have come, as ``(kind, body)``.
        lost: is called once, when the process has ended and its last frame was received, with
            words on how it ended.

    Attributes:
        jobs: what was sent and is not answered, in order; the first one is running.
        recalled: the jobs behind the first one were asked back; there must be no new ones.
        ready: done when the process is ready (True) or has ended (False).
        ended: done when the process has ended and its pipes are closed.
    """

    def __init__(self, received: Received, lost: Callable[[WorkerProcess, str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.jobs: deque[Job] = deque()
        self.recalled = False
        self._head_since = 0.0
        self.ready: asyncio.Future[bool] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.pid = 0
        self._rejected = False
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._close_timer: asyncio.TimerHandle | None = None

    @property
    def accepting(self) -> bool:
        """Whether the process is there to take tasks."""
        return self.ready.done() and self.ready.result() and not self._pipe.is_closing()

    @property
    def backlog(self) -> bool:
        """Whether the process has enough to read for now."""
        return self._unsent_bytes > SENT_AHEAD_BYTES or self._pipe.get_write_buffer_size() > 0

    @property
    def seconds_on_head(self) -> float:
        """How long the first job has been the first."""
        return time.monotonic() - self._head_since

    def head_changed(self) -> None:
        """Start timing the next job: the first one was answered."""
        self._head_since = time.monotonic()
        if not self.jobs:
            self.recalled = False

    def give(self, job: Job, body: bytes) -> None:
        """Queue a job for the process; :meth:`flush` sends it."""
        if not self.jobs:
            self._head_since = time.monotonic()
        self.jobs.append(job)
        self._unsent.append(frames.frame(frames.RUN, body))
        self._unsent_bytes += len(body)

    def flush(self) -> None:
        """Send what was given, in one piece; to a process that has ended it goes nowhere."""
        if self._unsent:
            self._pipe.write(b"".join(self._unsent))
            self._unsent.clear()
            self._unsent_bytes = 0

    def recall(self) -> None:
        """Recall, once, the jobs that have not begun."""
        if not self.recalled:
            self.recalled = True
            self._pipe.write(frames.frame(frames.RECALL))

    def take_back(self, body: bytes) -> list[Job]:
        """Remove and return, in order, the jobs that the process gave back in this frame."""
        task_ids = frames.ids(body)
        returned = [job for job in self.jobs if job.task_id in task_ids]
        self.jobs = deque(job for job in self.jobs if job.task_id not in task_ids)
        if not self.jobs:
            self.recalled = False
        return returned

    def reject(self) -> None:
        """End a process whose task wrote into the pipe for results."""
        self._rejected = True
        self.kill()

    def kill(self) -> None:
        """End the process and what its tasks started; on Windows, the process alone."""
        with contextlib.suppress(ProcessLookupError):
            # The process was made the leader of its group.
            if sys.platform != "win32" and hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of the process that was started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Process frames, or parts of frames."""
        if self._rejected:
            return
        self._buffer += data
        complete, sound = frames.cut(self._buffer)
        if complete:
            if not self.ready.done() and complete[0][0] == frames.READY:
                self.ready.set_result(True)
            self._received(self, complete)
        if not sound:
            self.reject()

    def process_exited(self) -> None:
        """Wait for the pipe of a process that has ended: it may still hold frames."""
        self.kill()  # whatever is left of its group
        loop = asyncio.get_running_loop()
        self._close_timer = loop.call_later(PIPE_DRAIN_S, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the process has ended and every pipe is closed."""
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._transport.close()
        if not self.ready.done():
            self.ready.set_result(False)
        how = ending(self._transport.get_returncode())
        if self._rejected:
            how = "was ended because something other than results came through its pipe"
        self._lost(self, how)
        self.ended.set_result(None)


def ending(returncode: int | None) -> str:
    """Describe how a process ended, as the rest of a sentence."""
    if returncode is None or returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "a signal without a name"
    return f"was killed by signal {-returncode} ({name})"
