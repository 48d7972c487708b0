"""What the service remembers: tasks and their results, besides what stays, in SQLite.

Calls are short and made on the event loop's own thread. In memory, 128 tasks are taken in about
a millisecond.

Memory is bounded by what is open: a settled task, its result included, is forgotten 30 minutes
after it was settled, and earlier, oldest first, where kept results would take more than 512 MiB.
Its id is unknown from then on.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from funcx_async.local.catalogue import Catalogue
from funcx_async.local.database import open_database
from funcx_async.local.records import NO_WISHES, Job, Task, Wishes

RESULTS_KEPT_FOR: Final = 30 * 60.0
"""Seconds from settling a task to forgetting it."""
RESULTS_KEPT_BYTES: Final = 512 * 1024 * 1024
"""Result messages kept at most, in bytes."""


class Store(Catalogue):
    """The service's memory.

    Args:
        database: a file that outlives the service, or ``":memory:"``.
        clock: the time in Unix seconds.

    Raises:
        ValueError: the file is another program's, of another version of this package, or damaged.
        RuntimeError: another service uses it.
        OSError: it can be neither read nor written.

    Example:
        >>> store = Store()
        >>> function_id = store.add_function("f", "01...")
        >>> store.function(function_id).name
        'f'
        >>> store.close()
    """

    def __init__(
        self, database: str | Path = ":memory:", *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(open_database(database))
        self._clock = clock
        self._kept_bytes: int = self._one(
            "SELECT coalesce(sum(length(message)), 0) FROM tasks WHERE settled_at IS NOT NULL"
        )[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:  # all of it or nothing
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def add_tasks(
        self,
        tasks: Iterable[tuple[str, str]],
        *,
        group_id: str,
        endpoint_id: str,
        result_serializers: Sequence[str] = (),
        classic: bool = False,
        wishes: Wishes = NO_WISHES,
    ) -> list[str]:
        """Take ``(function id, payload)`` tasks, all or none, and return their ids in order.

        The results of ``classic`` ones are read once.
        """
        now = self._clock()
        serializers = json.dumps(list(result_serializers))
        same = (serializers, classic, now, wishes.resources, wishes.options)
        rows = [
            (str(uuid.uuid4()), group_id, function, endpoint_id, payload, *same)
            for function, payload in tasks
        ]
        with self._transaction():
            self._database.executemany(
                "INSERT INTO tasks (id, group_id, function_id, endpoint_id, payload, serializers,"
                " classic, created_at, resources, options)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        return [row[0] for row in rows]

    def task(self, task_id: str) -> Task | None:
        """The task of this id, unless it is unknown or forgotten."""
        row = self._one(
            "SELECT id, group_id, function_id, endpoint_id, created_at, settled_at,"
            " message, failed, classic FROM tasks WHERE id = ? AND NOT handed_out",
            task_id,
        )
        if row is None:
            return None
        return Task(*row)

    def tasks_of_group(self, group_id: str) -> list[tuple[str, float]]:
        """The ids of the group's tasks and when they were taken, oldest first."""
        sql = "SELECT id, created_at FROM tasks WHERE group_id = ? ORDER BY number"
        return self._database.execute(sql, (group_id,)).fetchall()

    def open_jobs(self) -> dict[str, list[Job]]:
        """What is not settled, oldest first, by the endpoint that it is for."""
        rows = self._database.execute(
            "SELECT endpoint_id, id, group_id, function_id, classic, options FROM tasks"
            " WHERE settled_at IS NULL ORDER BY number"
        )
        jobs: dict[str, list[Job]] = {}
        for endpoint_id, task_id, group_id, function_id, classic, options in rows:
            job = Job(task_id, group_id, function_id, classic=bool(classic), options=options)
            jobs.setdefault(endpoint_id, []).append(job)
        return jobs

    def work(self, task_id: str) -> tuple[str, str]:
        """What a worker needs for the task: its result serializers as JSON, and its buffer.

        Raises:
            KeyError: the task is unknown or settled.
        """
        row = self._one(
            "SELECT serializers, code || payload FROM tasks JOIN functions"
            " ON functions.id = function_id WHERE tasks.id = ?",
            task_id,
        )
        if row is None or row[1] is None:
            raise KeyError(task_id)
        return row[0], row[1]

    def settle(self, task_id: str, message: bytes, *, failed: bool) -> float | None:
        """Note a task's result; when that was, or None if it is unknown or was settled before."""
        now = self._clock()
        # Without RETURNING: for this one row it takes twice as long.
        changed = self._database.execute(
            "UPDATE tasks SET settled_at = ?, failed = ?, message = ?, payload = NULL"
            " WHERE id = ? AND settled_at IS NULL",
            (now, failed, message, task_id),
        )
        if not changed.rowcount:
            return None
        self._kept_bytes += len(message)
        if self._kept_bytes > RESULTS_KEPT_BYTES:
            self._forget_oldest()
        return now

    def forget_old(self) -> None:
        """Forget the tasks that were settled more than 30 minutes ago."""
        self._forget("settled_at < ?", self._clock() - RESULTS_KEPT_FOR)

    def hand_out(self, task_id: str) -> None:
        """Forget the result of a settled task, which then is known to its group alone."""
        (length,) = self._one("SELECT length(message) FROM tasks WHERE id = ?", task_id)
        self._database.execute(
            "UPDATE tasks SET handed_out = 1, message = x'' WHERE id = ?", (task_id,)
        )
        self._kept_bytes -= length

    def _forget_oldest(self) -> None:
        """Forget settled tasks, oldest first, until a tenth of the room is free again."""
        surplus = self._kept_bytes - RESULTS_KEPT_BYTES * 9 // 10
        rows = self._database.execute(
            "SELECT number, length(message) FROM tasks WHERE settled_at IS NOT NULL"
            " ORDER BY settled_at, number"
        )
        doomed = []
        for number, length in rows:
            if surplus <= 0:
                break
            doomed.append(number)
            surplus -= length
        rows.close()
        self._forget("number IN (SELECT value FROM json_each(?))", json.dumps(doomed))

    def _forget(self, condition: str, parameter: object) -> None:
        lengths = self._database.execute(
            f"DELETE FROM tasks WHERE settled_at IS NOT NULL AND {condition}"  # noqa: S608 - ours
            " RETURNING length(message)",
            (parameter,),
        ).fetchall()
        self._kept_bytes -= sum(length for (length,) in lengths)
