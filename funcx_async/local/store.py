"""The service's memory, in SQLite: functions, endpoints, containers, groups, tasks and results.

Calls are short and made on the event loop's own thread. In memory, 128 tasks are taken in about
a millisecond.

Memory is bounded by what is open: a settled task, its result included, is forgotten 30 minutes
after it was settled, and earlier, oldest first, where kept results would take more than 512 MiB.
Its id is unknown from then on.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from funcx_async.local.database import open_database

if TYPE_CHECKING:
    from funcx_async.local.history import Batch

RESULTS_KEPT_FOR: Final = 30 * 60.0
"""Seconds from settling a task to forgetting it."""
RESULTS_KEPT_BYTES: Final = 512 * 1024 * 1024
"""Result messages kept at most, in bytes."""


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function."""

    id: str
    name: str
    code: str
    description: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where tasks run.

    Attributes:
        id: the endpoint's id.
        name: what it is called.
        registration: what an agent reported about itself; None where the service runs tasks itself.
    """

    id: str
    name: str
    registration: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How tasks are to be run, for endpoints that can choose; worker processes cannot.

    Attributes:
        resources: the resource specification as JSON; empty if there is none.
        options: the user endpoint configuration as JSON, with its keys in order, so that equal
            ones are equal text.
        runtime: the submitter's environment as JSON, for the agent's template.
    """

    resources: str = ""
    options: str = "{}"
    runtime: str = "{}"


NO_OPTIONS: Final = TaskOptions()


@dataclass(frozen=True, slots=True)
class Job:
    """A task on its way to where it runs.

    Attributes:
        task_id: the task's id.
        group_id: the task group that it belongs to.
        function_id: the function that it runs.
        classic: whether it came in the classic dialect.
        options: the user endpoint configuration as JSON.
        batch: what it came in, for the status page; None: before this service was started.
    """

    task_id: str
    group_id: str
    function_id: str
    classic: bool = False
    options: str = "{}"
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One task, and once it is settled its result message.

    Attributes:
        id: the task's id.
        group_id: the task group that it belongs to.
        function_id: the function that it runs.
        endpoint_id: where it runs.
        created_at: when it was taken, in Unix seconds.
        settled_at: when its result came, in Unix seconds, or None.
        message: the result message as it goes over AMQP, or None.
        failed: whether it ended in an error; None while it is open.
        classic: whether it came in the classic dialect, so that its result is read once.
    """

    id: str
    group_id: str
    function_id: str
    endpoint_id: str
    created_at: float
    settled_at: float | None
    message: bytes | None
    failed: bool | None
    classic: bool = False


class Store:
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
        self._database = open_database(database)
        self._clock = clock
        self._kept_bytes: int = self._one(
            "SELECT coalesce(sum(length(message)), 0) FROM tasks WHERE settled_at IS NOT NULL"
        )[0]

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._database.close()

    @property
    def database(self) -> sqlite3.Connection:
        """Where the tables are, for the part of the service that keeps agents."""
        return self._database

    def _one(self, sql: str, *parameters: object) -> Any:
        return self._database.execute(sql, parameters).fetchone()

    def secret(self, name: str) -> str:
        """Return the secret of this name, made once and kept."""
        sql = "INSERT OR IGNORE INTO settings VALUES (?, ?)"
        self._database.execute(sql, (name, secrets.token_urlsafe(32)))
        return self.setting(name)

    def setting(self, name: str) -> str:
        """Return what was kept under a name, or an empty text."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return "" if row is None else str(row[0])

    def keep(self, name: str, value: str) -> None:
        """Keep a setting for the next service on this database."""
        self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def add_function(
        self,
        name: str,
        code: str,
        *,
        function_id: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Register a function, or replace it under the id given, and return its id."""
        function_id = function_id or str(uuid.uuid4())
        self._database.execute(
            "INSERT OR REPLACE INTO functions VALUES (?, ?, ?, ?, ?, 0)",
            (function_id, name, code, description, json.dumps(metadata or {})),
        )
        return function_id

    def function(self, function_id: str) -> Function | None:
        """Return the function of this id."""
        row = self._one(
            "SELECT id, name, code, description, metadata FROM functions"
            " WHERE id = ? AND NOT deleted",
            function_id,
        )
        if row is None:
            return None
        known_id, name, code, description, metadata = row
        return Function(known_id, name, code, description, json.loads(metadata))

    def delete_function(self, function_id: str) -> None:
        """Delete a function; its code stays for the open tasks."""
        self._database.execute("UPDATE functions SET deleted = 1 WHERE id = ?", (function_id,))

    def unknown_function(self, function_ids: Iterable[str]) -> str | None:
        """Return the first of the ids that is not registered, or None."""
        sql = "SELECT 1 FROM functions WHERE id = ? AND NOT deleted"
        return next((each for each in function_ids if self._one(sql, each) is None), None)

    def add_endpoint(self, name: str, *, endpoint_id: str | None = None) -> str:
        """Add an endpoint and return its id."""
        endpoint_id = endpoint_id or str(uuid.uuid4())
        self._database.execute(
            "INSERT INTO endpoints (id, name) VALUES (?, ?)", (endpoint_id, name)
        )
        return endpoint_id

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint of this id."""
        row = self._one("SELECT id, name, registration FROM endpoints WHERE id = ?", endpoint_id)
        return None if row is None else _endpoint(row)

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint, in the order of their making."""
        sql = "SELECT id, name, registration FROM endpoints ORDER BY rowid"
        return [_endpoint(row) for row in self._database.execute(sql)]

    def whitelist(self, endpoint_id: str) -> list[str]:
        """Return the functions that the endpoint may run, oldest first; with none, it runs any."""
        sql = "SELECT function_id FROM whitelists WHERE endpoint_id = ? ORDER BY rowid"
        return [row[0] for row in self._database.execute(sql, (endpoint_id,))]

    def add_to_whitelist(self, endpoint_id: str, function_ids: Iterable[str]) -> None:
        """Add functions that the endpoint may run."""
        rows = [(endpoint_id, function_id) for function_id in function_ids]
        self._database.executemany("INSERT OR IGNORE INTO whitelists VALUES (?, ?)", rows)

    def remove_from_whitelist(self, endpoint_id: str, function_id: str) -> None:
        """Remove a function that the endpoint may run."""
        sql = "DELETE FROM whitelists WHERE endpoint_id = ? AND function_id = ?"
        self._database.execute(sql, (endpoint_id, function_id))

    def add_container(self, document: Mapping[str, Any]) -> str:
        """Store a container, in which nothing runs here, and return its id."""
        container_id = str(uuid.uuid4())
        self._database.execute(
            "INSERT INTO containers VALUES (?, ?)", (container_id, json.dumps(document))
        )
        return container_id

    def container(self, container_id: str) -> dict[str, Any] | None:
        """Return what was registered about the container of this id."""
        row = self._one("SELECT document FROM containers WHERE id = ?", container_id)
        return None if row is None else json.loads(row[0])

    def add_task_group(self, *, queued: bool, group_id: str | None = None) -> str:
        """Make a task group, with a result queue or without, and return its id."""
        group_id = group_id or str(uuid.uuid4())
        self._database.execute("INSERT INTO task_groups VALUES (?, ?)", (group_id, queued))
        return group_id

    def is_queued(self, group_id: str) -> bool | None:
        """Return whether a task group has a result queue; None if there is no such group."""
        row = self._one("SELECT queued FROM task_groups WHERE id = ?", group_id)
        return None if row is None else bool(row[0])

    def queued_task_groups(self) -> list[str]:
        """Return the ids of the groups that have a result queue and tasks that are still known."""
        rows = self._database.execute(
            "SELECT id FROM task_groups WHERE queued"
            " AND EXISTS (SELECT 1 FROM tasks WHERE group_id = task_groups.id)"
        )
        return [row[0] for row in rows]

    def give_queue(self, group_id: str) -> None:
        """Store that the group has a result queue."""
        self._database.execute("UPDATE task_groups SET queued = 1 WHERE id = ?", (group_id,))

    # Tasks and their results

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of the changes inside or none; one inside another is part of it."""
        is_inner = self._database.in_transaction
        if is_inner:
            yield
            return
        self._database.execute("BEGIN")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:  # all of it or nothing
            if self._database.in_transaction:  # some errors, such as a full disk, roll back
                self._database.execute("ROLLBACK")
            raise

    def add_tasks(
        self,
        tasks: Iterable[tuple[str, str]],
        *,
        group_id: str,
        endpoint_id: str,
        result_serializers: Sequence[str] = (),
        classic: bool = False,
        options: TaskOptions = NO_OPTIONS,
    ) -> list[str]:
        """Add ``(function id, payload)`` tasks, all or none, and return their ids in order.

        The results of ``classic`` ones are read once.
        """
        now = self._clock()
        serializers = json.dumps(list(result_serializers))
        same = (serializers, classic, now, options.resources, options.options)
        rows = [
            (str(uuid.uuid4()), group_id, function, endpoint_id, payload, *same)
            for function, payload in tasks
        ]
        with self.transaction():
            self._database.executemany(
                "INSERT INTO tasks (id, group_id, function_id, endpoint_id, payload, serializers,"
                " classic, created_at, resources, options)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        return [row[0] for row in rows]

    def task(self, task_id: str) -> Task | None:
        """Return the task of this id, unless it is unknown or forgotten."""
        row = self._one(
            "SELECT id, group_id, function_id, endpoint_id, created_at, settled_at,"
            " message, failed, classic FROM tasks WHERE id = ? AND NOT handed_out",
            task_id,
        )
        if row is None:
            return None
        return Task(*row)

    def tasks_of_group(self, group_id: str) -> list[tuple[str, float]]:
        """Return the ids of the group's tasks and when they were taken, oldest first."""
        sql = "SELECT id, created_at FROM tasks WHERE group_id = ? ORDER BY number"
        return self._database.execute(sql, (group_id,)).fetchall()

    def open_jobs(self) -> dict[str, list[Job]]:
        """Return the open tasks, oldest first, by endpoint."""
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
        """Return what a worker needs for the task: its result serializers as JSON, and its buffer.

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
        """Store a task's result; return when, or None if it is unknown or already settled."""
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


def _endpoint(row: tuple[str, str, str | None]) -> Endpoint:
    endpoint_id, name, registration = row
    return Endpoint(endpoint_id, name, None if registration is None else json.loads(registration))
