"""The pool: worker processes, and which task goes to which of them.

Two rules, besides the order in which tasks have their turns:

1. A worker that ends takes exactly one task with it, the one at the head of its pipe, which may
   have begun. The others go back to the front of their queues, and a new worker is started.
2. A task waits behind another in a worker's pipe only where functions like both were quick, and is
   recalled when the one ahead proves slow after all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from funcx_async.local.outcomes import Failure, result_message
from funcx_async.local.store import Job
from funcx_async.local.workers import frames
from funcx_async.local.workers.process import WorkerProcess

logger = logging.getLogger(__name__)
OUTCOME_HEAD_BYTES: Final = 128
"""Bytes at the beginning of a result message that have the task's id."""
QUICK: Final = 0.002
"""A function is quick if its last run took less than this, in seconds."""
AHEAD: Final = 32
"""So many quick tasks may be in a worker's pipe."""
RECALL_AFTER_S: Final = 0.05
"""Seconds until tasks behind a slow one are recalled."""
RETRY_STORAGE_S: Final = 1.0
"""Seconds until a result that could not be stored, as on a full disk, is stored again."""
RESTART_DELAYS: Final = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Seconds before a worker is started again, by how many in a row ended before they were ready."""
_UNINTERRUPTED: dict[str, Any]  # Ctrl-C in the service's terminal is not for the workers
if sys.platform == "win32":
    _UNINTERRUPTED = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _UNINTERRUPTED = {"start_new_session": True}


class FairQueue:
    """What waits for a worker: one queue per task group, served in turn."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Job]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, job: Job) -> None:
        """Queue a job behind those of its group."""
        self._queues.setdefault(job.group_id, deque()).append(job)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Put jobs that came from here back at the front of their queues."""
        for job in reversed(list(jobs)):
            self._queues.setdefault(job.group_id, deque()).appendleft(job)

    def peek(self) -> Job | None:
        """Return the job that :meth:`take` would return, or None."""
        return next(iter(self._queues.values()))[0] if self._queues else None

    def take(self) -> Job:
        """Remove and return the next job; its group goes to the end of the line."""
        group_id, queue = self._queues.popitem(last=False)
        job = queue.popleft()
        if queue:
            self._queues[group_id] = queue
        return job


class Pool:
    """Runs tasks in worker processes.

    Args:
        size: how many processes.
        work: gives a task's result serializers (JSON) and its buffer; KeyError if it has none.
        settled: receives each job's result message, and whether it failed.
        endpoint_id: what the workers say that they belong to.
        python: the interpreter that runs them; None is this one.

    Attributes:
        versions: ``python_version`` and ``dill_version`` of the workers, once one is ready.
    """

    def __init__(
        self,
        size: int,
        *,
        work: Callable[[str], tuple[str, str]],
        settled: Callable[[Job, bytes, bool], None],
        endpoint_id: str,
        python: str | None = None,
    ) -> None:
        self.versions: dict[str, str] = {}
        self._size = size
        self._work = work
        self._settled = settled
        self._python = python or sys.executable
        self._command = (
            *(self._python, "-P", "-m", "funcx_async.local.workers.worker"),
            endpoint_id,
        )
        self._waiting = FairQueue()
        self._workers: set[WorkerProcess] = set()
        self._quick: dict[str, bool] = {}
        self._paused = False
        self._closed = True
        self._early_ends = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._recall_timer: asyncio.TimerHandle | None = None
        self._unsettled: deque[tuple[Job, bytes, bool]] = deque()
        self._storage_timer: asyncio.TimerHandle | None = None
        self._starts: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """How many tasks wait for a worker."""
        return len(self._waiting)

    @property
    def open(self) -> int:
        """How many tasks wait for a worker, or are with one."""
        return self.queued + sum(len(worker.jobs) for worker in self._workers)

    @property
    def process_ids(self) -> list[int]:
        """The worker processes that are alive."""
        return [worker.pid for worker in self._workers]

    @property
    def running(self) -> list[str]:
        """The ids of the tasks that workers are busy with."""
        return [worker.jobs[0].task_id for worker in self._workers if worker.jobs]

    def station(self, task_id: str) -> str:
        """Return the status of an open task: ``running``, or waiting for a worker."""
        return "running" if task_id in self.running else "waiting-for-nodes"

    async def start(self) -> None:
        """Start the processes; returns when the first one is ready.

        Raises:
            RuntimeError: worker processes end before they are ready.
        """
        self._closed = False
        try:
            for _ in range(self._size):
                await self._start_one()
            ready = [worker.ready for worker in self._workers]
            done, _ = await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
            if not any(future.result() for future in done):
                msg = (
                    f"worker processes ({self._python}) end as they start; standard error says "
                    "why. That interpreter must be Python 3.11 or later and import funcx_async "
                    "from any directory: install funcx-async there"
                )
                raise RuntimeError(msg)
        except BaseException:  # cancelled as well: no process is left
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Kill the processes, whatever they run, and wait until they are gone."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for handle in (self._recall_timer, self._storage_timer):
            if handle is not None:
                handle.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*(worker.ended for worker in self._workers))
        self._workers.clear()

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs, and give them to workers that have room."""
        for job in jobs:
            self._waiting.add(job)
        self._feed_all()

    def pause(self) -> None:
        """Begin no more tasks; those that workers have go on."""
        self._paused = True

    def resume(self) -> None:
        """Begin tasks again."""
        self._paused = False
        self._feed_all()

    async def _start_one(self) -> None:
        worker: WorkerProcess = WorkerProcess(self._received, self._lost)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: worker,
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None,
                env=environment_of_workers(),
                **_UNINTERRUPTED,
            )
        except NotImplementedError:
            loop = type(asyncio.get_running_loop()).__name__
            raise RuntimeError(
                f"the local service starts worker processes, and {loop} cannot start any; run it "
                "on asyncio's default event loop (on Windows, the ProactorEventLoop)"
            ) from None
        self._workers.add(worker)

    def _received(self, worker: WorkerProcess, received: Sequence[tuple[int, bytes]]) -> None:
        """Process frames from a worker."""
        for kind, body in received:
            if kind == frames.DONE and worker.jobs and is_outcome(body, worker.jobs[0]):
                seconds, failed = frames.OUTCOME.unpack_from(body)
                job = worker.jobs.popleft()
                worker.head_changed()
                self._quick[job.function_id] = seconds < QUICK
                self._settle(job, body[frames.OUTCOME.size :], failed)
            elif kind == frames.RETURNED:
                self._waiting.put_back(worker.take_back(body))
                self._feed_all()
            elif kind == frames.READY and not worker.jobs:
                self._early_ends = 0
                self.versions = json.loads(body)
            else:
                worker.reject()
                return
        self._feed(worker, AHEAD)

    def _settle(self, job: Job, message: bytes, failed: bool) -> None:
        """Hand a result on; where that fails, keep it, begin no more tasks, and try again."""
        try:
            if self._unsettled:
                self._unsettled.append((job, message, failed))
            else:
                self._settled(job, message, failed)
        except (sqlite3.Error, OSError) as error:
            self._unsettled.append((job, message, failed))
            self._settle_later(error)
        except Exception:
            logger.exception("The result of task %s could not be taken", job.task_id)

    def _settle_later(self, error: Exception) -> None:
        if self._storage_timer is None and not self._closed:
            logger.error("Results wait, and no task begins: the service cannot work: %s", error)
        loop = asyncio.get_running_loop()
        self._storage_timer = loop.call_later(RETRY_STORAGE_S, self._settle_again)

    def _settle_again(self) -> None:
        while self._unsettled:
            job, message, failed = self._unsettled[0]
            try:
                self._settled(job, message, failed)
            except (sqlite3.Error, OSError) as error:
                self._settle_later(error)
                return
            except Exception:
                logger.exception("The result of task %s could not be taken", job.task_id)
            self._unsettled.popleft()
        self._storage_timer = None
        logger.info("The service works again, and tasks begin")
        self._feed_all()

    def _lost(self, worker: WorkerProcess, ending: str) -> None:
        """Settle what a worker took with it, and start another."""
        self._workers.discard(worker)
        if self._closed:
            return
        if worker.jobs:
            culprit = worker.jobs.popleft()
            logger.info("Task %s took its worker with it: the process %s", culprit.task_id, ending)
            self._waiting.put_back(worker.jobs)
            message = worker_lost(culprit.task_id, ending, worker.seconds_on_head)
            self._settle(culprit, message, True)
            self._feed_all()
        if not worker.ready.result():
            self._early_ends += 1
            logger.warning("A worker process %s before it was ready", ending)
        self._start_another()

    def _start_another(self) -> None:
        delay = RESTART_DELAYS[min(self._early_ends, len(RESTART_DELAYS) - 1)]

        def start() -> None:
            """Start the worker in a task that :meth:`aclose` can wait for."""
            self._timers.discard(timer)
            task = asyncio.create_task(self._restart(), name="funcx:worker-start")
            self._starts.add(task)
            task.add_done_callback(self._starts.discard)

        timer = asyncio.get_running_loop().call_later(delay, start)
        self._timers.add(timer)

    async def _restart(self) -> None:
        try:
            await self._start_one()
        except OSError as error:
            self._early_ends += 1
            logger.warning("A worker process could not be started: %s", error)
            self._start_another()

    def _feed_all(self) -> None:
        """Distribute what waits: first one task to each idle worker, then more."""
        for limit in (1, AHEAD):
            for worker in self._workers:
                self._feed(worker, limit)

    def _feed(self, worker: WorkerProcess, limit: int) -> None:
        """Send a worker tasks until it has ``limit`` of them or must not have more."""
        while (
            len(worker.jobs) < limit
            and not self._paused
            and self._storage_timer is None
            and (job := self._waiting.peek()) is not None
            and self._has_room(worker, job)
        ):
            self._waiting.take()
            try:
                self._give(worker, job)
            except sqlite3.Error as error:
                self._waiting.put_back([job])
                self._settle_later(error)
        worker.flush()

    def _has_room(self, worker: WorkerProcess, job: Job) -> bool:
        if not worker.accepting:
            return False
        if not worker.jobs:
            return True
        return (
            not worker.recalled
            and not worker.backlog
            and self._quick.get(job.function_id, False)
            and self._quick.get(worker.jobs[0].function_id, False)
        )

    def _give(self, worker: WorkerProcess, job: Job) -> None:
        try:
            serializers, buffer = self._work(job.task_id)
        except KeyError:
            return  # settled or forgotten meanwhile
        head = f'["{job.task_id}",{serializers}]\n'
        worker.give(job, (head + buffer).encode("utf-8", frames.ENCODING_ERRORS))
        if len(worker.jobs) > 1 and self._recall_timer is None:
            loop = asyncio.get_running_loop()
            self._recall_timer = loop.call_later(RECALL_AFTER_S, self._recall_from_slow)

    def _recall_from_slow(self) -> None:
        """Recall the tasks behind a slow one, and check again while any are behind another."""
        self._recall_timer = None
        behind = [worker for worker in self._workers if len(worker.jobs) > 1]
        for worker in behind:
            if worker.seconds_on_head > RECALL_AFTER_S:
                worker.recall()
        if behind and not self._closed:
            loop = asyncio.get_running_loop()
            self._recall_timer = loop.call_later(RECALL_AFTER_S, self._recall_from_slow)


def environment_of_workers() -> dict[str, str] | None:
    """Return the environment of worker processes, where it is not this process's own."""
    if not getattr(sys, "frozen", False):
        return None
    # A frozen application has the libraries of its own folder loaded first.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    original = environment.pop("LD_LIBRARY_PATH_ORIG", None)
    environment.pop("LD_LIBRARY_PATH", None)
    return environment if original is None else {**environment, "LD_LIBRARY_PATH": original}


def is_outcome(body: bytes, job: Job) -> bool:
    """Return whether a frame holds the result of this job; a task may have written it itself."""
    return f'"{job.task_id}"'.encode("ascii") in body[: frames.OUTCOME.size + OUTCOME_HEAD_BYTES]


def worker_lost(task_id: str, ending: str, seconds: float) -> bytes:
    """Return the result message of a task whose worker process ended under it."""
    text = (
        f"WorkerLost: the worker process that ran task {task_id} {ending} before the task was "
        "done. The task may have crashed the interpreter, ended it with os._exit(), or been "
        "killed, for example by the OOM killer. Other tasks are not affected.\n"
    )
    now = time.time_ns()
    return result_message(task_id, Failure(text), started=now - int(seconds * 1e9), ended=now)
