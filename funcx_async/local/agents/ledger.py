"""What the service remembers of agents, their user endpoints, and the tasks sent to them."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UserEndpointEntry:
    """A process that an agent starts, one for each configuration that users ask for.

    Attributes:
        id: the user endpoint's id.
        endpoint_id: its agent.
        options: the configuration as JSON.
        runtime: the environment of the last who submitted to it, as JSON.
        session: the process that reported last.
    """

    id: str
    endpoint_id: str
    options: str
    runtime: str
    session: str | None


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task as it is sent.

    Attributes:
        function_id: the function that it runs.
        resources: its resource specification as JSON; empty if it has none.
        serializers: the result serializers as JSON.
        buffer: function and arguments.
    """

    function_id: str
    resources: str
    serializers: str
    buffer: str


class Ledger:
    """The tables about agents.

    Args:
        database: where the store keeps its tables.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def put(self, endpoint_id: str, name: str, registration: Mapping[str, Any]) -> None:
        """Store an agent's registration, or replace it."""
        self._database.execute(
            "INSERT INTO endpoints (id, name, registration) VALUES (?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET name = excluded.name, registration = excluded.registration",
            (endpoint_id, name, json.dumps(registration)),
        )

    def allow_only(self, endpoint_id: str, function_ids: Iterable[str]) -> None:
        """Restrict an endpoint to these functions; with none, it may run any."""
        self._database.execute("DELETE FROM whitelists WHERE endpoint_id = ?", (endpoint_id,))
        rows = [(endpoint_id, function_id) for function_id in function_ids]
        self._database.executemany("INSERT OR IGNORE INTO whitelists VALUES (?, ?)", rows)

    def remove(self, endpoint_id: str) -> None:
        """Forget an agent and its user endpoints."""
        for sql in (
            "DELETE FROM whitelists WHERE endpoint_id = ?",
            "DELETE FROM user_endpoints WHERE endpoint_id = ?",
            "DELETE FROM endpoints WHERE id = ?",
        ):
            self._database.execute(sql, (endpoint_id,))

    def user_endpoint(self, endpoint_id: str, options: str) -> UserEndpointEntry:
        """Return the agent's user endpoint of this configuration, and make it if needed."""
        self._database.execute(
            "INSERT OR IGNORE INTO user_endpoints (id, endpoint_id, options) VALUES (?, ?, ?)",
            (str(uuid.uuid4()), endpoint_id, options),
        )
        rows = self._database.execute(
            "SELECT id, endpoint_id, options, runtime, session FROM user_endpoints"
            " WHERE endpoint_id = ? AND options = ?",
            (endpoint_id, options),
        )
        return UserEndpointEntry(*rows.fetchone())

    def user_endpoints(self, endpoint_id: str) -> list[UserEndpointEntry]:
        """Return the agent's user endpoints."""
        rows = self._database.execute(
            "SELECT id, endpoint_id, options, runtime, session FROM user_endpoints"
            " WHERE endpoint_id = ? ORDER BY rowid",
            (endpoint_id,),
        )
        return [UserEndpointEntry(*row) for row in rows]

    def keep_runtime(self, endpoint_id: str, options: str, runtime: str) -> None:
        """Store the environment of the last submitter to a user endpoint."""
        entry = self.user_endpoint(endpoint_id, options)
        if entry.runtime != runtime:
            sql = "UPDATE user_endpoints SET runtime = ? WHERE id = ?"
            self._database.execute(sql, (runtime, entry.id))

    def keep_session(self, user_endpoint_id: str, session: str) -> None:
        """Store which process a user endpoint is now."""
        sql = "UPDATE user_endpoints SET session = ? WHERE id = ?"
        self._database.execute(sql, (session, user_endpoint_id))

    def parcel(self, task_id: str) -> TaskMessage | None:
        """Return the message of a task, or None if it is settled or unknown."""
        rows = self._database.execute(
            "SELECT function_id, resources, serializers, code || payload FROM tasks"
            " JOIN functions ON functions.id = function_id"
            " WHERE tasks.id = ? AND settled_at IS NULL AND payload IS NOT NULL",
            (task_id,),
        )
        row = rows.fetchone()
        return None if row is None else TaskMessage(*row)

    def mark_sent(self, task_id: str) -> None:
        """Mark a task as sent to the broker."""
        self._database.execute("UPDATE tasks SET sent = 1 WHERE id = ?", (task_id,))

    def forget_sent(self) -> None:
        """Mark all open tasks as not sent."""
        self._database.execute("UPDATE tasks SET sent = 0 WHERE sent AND settled_at IS NULL")

    def sent(self, task_ids: Iterable[str]) -> set[str]:
        """Return those of the tasks that the broker was given."""
        rows = self._database.execute(
            "SELECT id FROM tasks WHERE sent AND id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(task_ids)),),
        )
        return {row[0] for row in rows}
