"""The results of tasks that never ran: prepared bytes, published in bulk."""

from __future__ import annotations

import pickle
import time
from base64 import encodebytes
from typing import NamedTuple

import msgspec
from pamqp import commands
from pamqp.common import FieldTable

from benchmarks.null import amqp

VALUE = 42
"""What every task returns."""

NO_ID = "00000000-0000-4000-8000-000000000000"

UNUSED_QUEUE_LIVES = 600_000
"""Milliseconds."""


class Around(NamedTuple):
    """The frames of a message: what is before the task's id, and what is after it."""

    before: bytes
    after: bytes


class Results:
    """Publishes results.

    Args:
        wire: the connection to the broker.
    """

    def __init__(self, wire: amqp.Wire) -> None:
        self._wire = wire
        self._around: dict[str, Around] = {}
        self._held: list[tuple[str, list[str]]] | None = None
        self._large = 0

    async def declare(self, queue: str, *, classic: bool) -> None:
        """Make sure that there is such a queue; it goes with its last consumer.

        Args:
            queue: its name.
            classic: whether its results have the form of the classic service.
        """
        if queue in self._around:
            return
        expires: FieldTable = {"x-expires": UNUSED_QUEUE_LIVES}
        await self._wire.ask(commands.Queue.Declare(0, queue, auto_delete=True, arguments=expires))
        self._around[queue] = self._frames(queue, result(VALUE, classic=classic))

    def publish(self, queue: str, task_ids: list[str]) -> None:
        """Publish one result for each task, unless they are held."""
        if self._held is not None:
            self._held.append((queue, task_ids))
            return
        if self._large:
            large = self._frames(queue, result(b"x" * self._large, classic=False))
            self._large, (first, *task_ids) = 0, task_ids
            self._wire.writer.write(large.before + first.encode() + large.after)
        before, after = self._around[queue]
        if task_ids:
            between = (after + before).decode("latin-1")
            self._wire.writer.write(before + between.join(task_ids).encode("latin-1") + after)

    def hold(self) -> None:
        """Publish nothing from now on."""
        self._held = []

    def release(self) -> None:
        """Publish what was held."""
        held, self._held = self._held or [], None
        for queue, task_ids in held:
            self.publish(queue, task_ids)

    def enlarge(self, size: int) -> None:
        """Let the next task return so many bytes."""
        self._large = size

    async def drained(self) -> None:
        """Wait until the broker has taken most of it."""
        await self._wire.writer.drain()

    def _frames(self, queue: str, content: bytes) -> Around:
        now, frame_max = int(time.time()), self._wire.frame_max
        frames = amqp.message(queue, content, timestamp=now, frame_max=frame_max)
        before, _, after = frames.partition(NO_ID.encode())
        return Around(before, after)


def result(value: object, *, classic: bool) -> bytes:
    """What a worker of the official agent sends for a task; the id is still to be put in."""
    details = {
        "os": "Linux-6.1.0-x86_64-with-glibc2.36",
        "dill_version": "0.3.9",
        "python_version": "3.11.7",
        "globus_compute_sdk_version": "4.19.0",
        "endpoint_id": None,
    }
    statuses = [
        {"timestamp": 1795385702129522101, "state": "execution-start", "actor": "worker"},
        {"timestamp": 1795385702133785500, "state": "execution-end", "actor": "worker"},
    ]
    document = {
        "task_id": NO_ID,
        "data": f"00\n{encodebytes(pickle.dumps(value, 4)).decode()}",
        **({} if classic else {"details": details}),
        "error_details": None,
        "task_statuses": statuses,
    }
    return b"\x01" + msgspec.json.encode({"message_type": "result", "data": document})
