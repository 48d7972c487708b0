"""The file that outlives the service: made, checked, and kept for one service alone.

What it holds is run and trusted by the service that opens it, the bearer token of its clients
included, so a new file is for its owner's eyes only. The lock ends with the process, however that
ends.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

APPLICATION_ID: Final = 0x66784C73
"""Marks a file as a local service's: "fxLs"."""
SCHEMA_VERSION: Final = 4
SCHEMA: Final = """
CREATE TABLE functions (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, code TEXT NOT NULL, description TEXT,
    metadata TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoints (id TEXT PRIMARY KEY, name TEXT NOT NULL, registration TEXT);
CREATE TABLE user_endpoints (
    id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, options TEXT NOT NULL,
    runtime TEXT NOT NULL DEFAULT '{}', session TEXT, UNIQUE (endpoint_id, options)
);
CREATE TABLE whitelists (
    endpoint_id TEXT NOT NULL, function_id TEXT NOT NULL, UNIQUE (endpoint_id, function_id)
);
CREATE TABLE containers (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE task_groups (id TEXT PRIMARY KEY, queued INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, group_id TEXT NOT NULL,
    function_id TEXT NOT NULL, endpoint_id TEXT NOT NULL, payload TEXT, serializers TEXT NOT NULL,
    classic INTEGER NOT NULL, created_at REAL NOT NULL, settled_at REAL, failed INTEGER,
    message BLOB, handed_out INTEGER NOT NULL DEFAULT 0,
    resources TEXT NOT NULL DEFAULT '', options TEXT NOT NULL DEFAULT '{}',
    sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tasks_of_a_group ON tasks (group_id);
CREATE INDEX settled_tasks ON tasks (settled_at) WHERE settled_at IS NOT NULL;
"""
BUSY_TIMEOUT_S: Final = 0.5
"""Seconds that an earlier service may take to let go of the file."""
IN_MEMORY: Final = ":memory:"
_SMALLEST_WORD: Final = 0xFF
"""SQLite's error codes have their kind in the lowest byte."""


def open_database(database: str | Path) -> sqlite3.Connection:
    """Open a service's file, or make it.

    Args:
        database: its path, or ``":memory:"``.

    Raises:
        ValueError: it is another program's, of another version of this package, or damaged.
        RuntimeError: another service uses it.
        OSError: it can be neither read nor written, or not be made.
    """
    if str(database) != IN_MEMORY:
        _make(database)
    with _explaining_errors(database):
        # One thread at a time runs the loop, though not always the same: see funcx_async.repl.
        connection = sqlite3.connect(
            database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, database)
        except BaseException:  # interrupted as well
            connection.close()
            raise
    return connection


def _make(database: str | Path) -> None:
    """Make an empty file, unless there is one: closing it would give up a lock on it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    effective = os.access in os.supports_effective_ids
    if not os.access(database, os.R_OK | os.W_OK, effective_ids=effective):
        raise _not_ours(database, "no permission")
    _keep_from_others(Path(database))


def _keep_from_others(database: Path) -> None:
    """Refuse a file that others control, and take their permissions on one that is ours away."""
    if sys.platform == "win32" or not hasattr(os, "geteuid"):
        return
    us = {os.geteuid(), 0}
    for status, what in ((database.lstat(), "link"), (database.stat(), "file")):
        if status.st_uid not in us:
            owner = f"the {what} belongs to user {status.st_uid}, who could have code run"
            raise _not_ours(database, owner)
    if stat.S_IMODE(database.stat().st_mode) & 0o077 and database.stat().st_uid == os.geteuid():
        database.chmod(0o600)


def _prepare(connection: sqlite3.Connection, database: str | Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    new = not (application or version or tables)
    if not new and application != APPLICATION_ID:
        msg = f"{database} is another program's database; give another file"
        raise ValueError(msg)
    if not new and version != SCHEMA_VERSION:
        msg = (
            f"{database} holds tables of version {version}, this package reads version "
            f"{SCHEMA_VERSION}; give another file"
        )
        raise ValueError(msg)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if new:
        connection.executescript(
            f"BEGIN EXCLUSIVE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
        return
    connection.execute("BEGIN EXCLUSIVE")  # raises at once where nothing can be written
    connection.execute("COMMIT")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        msg = f"{database} is damaged ({verdict}); give another file, or a copy that is sound"
        raise ValueError(msg)


@contextlib.contextmanager
def _explaining_errors(database: str | Path) -> Iterator[None]:
    """Raise errors that explain SQLite's to the user who starts a service."""
    try:
        yield
    except sqlite3.Error as error:
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _SMALLEST_WORD
        if kind == sqlite3.SQLITE_BUSY:
            msg = f"another service uses {database}; give each service a file of its own"
            raise RuntimeError(msg) from None
        if kind == sqlite3.SQLITE_NOTADB:
            msg = f"{database} is not an SQLite database; give another file"
            raise ValueError(msg) from None
        if kind == sqlite3.SQLITE_CORRUPT:
            msg = f"{database} is damaged ({error}); give another file, or a copy that is sound"
            raise ValueError(msg) from None
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
            raise _not_ours(database, str(error)) from None
        msg = f"{database} cannot be used: {error}"
        raise OSError(msg) from None


def _not_ours(database: str | Path, why: str) -> PermissionError:
    msg = f"{database} cannot be read and written ({why}); a service writes it and files beside it"
    return PermissionError(msg)
