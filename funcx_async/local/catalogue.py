"""What the service remembers for good: its token, functions, endpoints, containers, task groups."""

from __future__ import annotations

import json
import secrets
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from funcx_async.local.records import Endpoint, Function, TaskGroup


class Catalogue:
    """What is registered with the service, and stays.

    Args:
        database: where the tables are.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._database.close()

    @property
    def database(self) -> sqlite3.Connection:
        """Where the tables are, for the part of the service that keeps agents."""
        return self._database

    def _one(self, sql: str, *parameters: object) -> Any:
        return self._database.execute(sql, parameters).fetchone()

    def token(self) -> str:
        """The bearer token of the service's clients, made once and kept."""
        self._database.execute(
            "INSERT OR IGNORE INTO settings VALUES ('token', ?)", (secrets.token_urlsafe(32),)
        )
        return str(self._one("SELECT value FROM settings WHERE name = 'token'")[0])

    def add_function(
        self,
        name: str,
        code: str,
        *,
        function_id: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Register a function, or register it anew under the id given, and return its id."""
        function_id = function_id or str(uuid.uuid4())
        self._database.execute(
            "INSERT OR REPLACE INTO functions VALUES (?, ?, ?, ?, ?, 0)",
            (function_id, name, code, description, json.dumps(metadata or {})),
        )
        return function_id

    def function(self, function_id: str) -> Function | None:
        """The function of this id."""
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
        """Know the function no longer; its code stays, for the tasks that are open."""
        self._database.execute("UPDATE functions SET deleted = 1 WHERE id = ?", (function_id,))

    def unknown_functions(self, function_ids: Iterable[str]) -> list[str]:
        """Those of the ids that are not registered."""
        sql = "SELECT 1 FROM functions WHERE id = ? AND NOT deleted"
        return [wanted for wanted in function_ids if self._one(sql, wanted) is None]

    def add_endpoint(self, name: str, *, endpoint_id: str | None = None) -> str:
        """Add an endpoint and return its id."""
        endpoint_id = endpoint_id or str(uuid.uuid4())
        self._database.execute(
            "INSERT INTO endpoints (id, name) VALUES (?, ?)", (endpoint_id, name)
        )
        return endpoint_id

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this id."""
        row = self._one("SELECT id, name, registration FROM endpoints WHERE id = ?", endpoint_id)
        return None if row is None else _endpoint(row)

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint, in the order of their making."""
        sql = "SELECT id, name, registration FROM endpoints ORDER BY rowid"
        return [_endpoint(row) for row in self._database.execute(sql)]

    def whitelist(self, endpoint_id: str) -> list[str]:
        """The functions that the endpoint may run, in the order of their adding; none: any."""
        sql = "SELECT function_id FROM whitelists WHERE endpoint_id = ? ORDER BY rowid"
        return [row[0] for row in self._database.execute(sql, (endpoint_id,))]

    def add_to_whitelist(self, endpoint_id: str, function_ids: Iterable[str]) -> None:
        """Let the endpoint run these functions too."""
        rows = [(endpoint_id, function_id) for function_id in function_ids]
        self._database.executemany("INSERT OR IGNORE INTO whitelists VALUES (?, ?)", rows)

    def remove_from_whitelist(self, endpoint_id: str, function_id: str) -> None:
        """Let the endpoint no longer run this function."""
        sql = "DELETE FROM whitelists WHERE endpoint_id = ? AND function_id = ?"
        self._database.execute(sql, (endpoint_id, function_id))

    def add_container(self, document: Mapping[str, Any]) -> str:
        """Note a container, which nothing here runs in, and return its id."""
        container_id = str(uuid.uuid4())
        self._database.execute(
            "INSERT INTO containers VALUES (?, ?)", (container_id, json.dumps(document))
        )
        return container_id

    def container(self, container_id: str) -> dict[str, Any] | None:
        """What was told of the container of this id."""
        row = self._one("SELECT document FROM containers WHERE id = ?", container_id)
        return None if row is None else json.loads(row[0])

    def add_task_group(self, *, queued: bool, group_id: str | None = None) -> str:
        """Make a task group, with a result queue or without, and return its id."""
        group_id = group_id or str(uuid.uuid4())
        self._database.execute("INSERT INTO task_groups VALUES (?, ?)", (group_id, queued))
        return group_id

    def task_group(self, group_id: str) -> TaskGroup | None:
        """The task group of this id."""
        row = self._one("SELECT id, queued FROM task_groups WHERE id = ?", group_id)
        return None if row is None else TaskGroup(row[0], bool(row[1]))

    def queued_task_groups(self) -> list[str]:
        """The ids of the groups that have a result queue and tasks that are not forgotten."""
        rows = self._database.execute(
            "SELECT id FROM task_groups WHERE queued"
            " AND EXISTS (SELECT 1 FROM tasks WHERE group_id = task_groups.id)"
        )
        return [row[0] for row in rows]

    def give_queue(self, group_id: str) -> None:
        """Note that the group has a result queue from now on."""
        self._database.execute("UPDATE task_groups SET queued = 1 WHERE id = ?", (group_id,))


def _endpoint(row: tuple[str, str, str | None]) -> Endpoint:
    endpoint_id, name, registration = row
    return Endpoint(endpoint_id, name, None if registration is None else json.loads(registration))
