"""The journal's file: an SQLite database that one process uses at a time.

What :meth:`Store.commit` has written outlives a killed process and, as far as disk and system
keep their word, a power failure: each commit waits for the disk (``synchronous = FULL``). Many
writes go in one, so that this costs a millisecond for a batch and not for a task.

The lock is SQLite's own, held from opening to the end of the process, whatever that end is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec

from funcx_async._core.book import (
    Accept,
    Entry,
    Failure,
    Intend,
    Outcome,
    Remove,
    Settle,
    Stage,
    Write,
)
from funcx_async.errors import JournalError
from funcx_async.models import Result

APPLICATION_ID: Final = 0x66784A31
"""SQLite's mark of whose file it is."""

SCHEMA_VERSION: Final = 1

READ_SIZE: Final = 4_000_000
"""Outcomes of about so many bytes are read at once."""

SCHEMA: Final = """
CREATE TABLE service (url TEXT NOT NULL, api TEXT NOT NULL);
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    endpoint_id TEXT NOT NULL,
    function_id TEXT,
    task_group_id TEXT,
    task_id TEXT,
    outcome_kind TEXT,
    outcome BLOB
);
"""

_STATEMENTS: Final[dict[type[Write], str]] = {
    Intend: "INSERT INTO tasks (number, key, endpoint_id, function_id, task_group_id)"
    " VALUES (?, ?, ?, ?, ?)",
    Accept: "UPDATE tasks SET task_group_id = ?, task_id = ? WHERE number = ?",
    Settle: "UPDATE tasks SET outcome_kind = ?, outcome = ? WHERE number = ?",
    Remove: "DELETE FROM tasks WHERE number = ?",
}

_OUTCOMES: Final[Mapping[str, type[Result | Failure]]] = {
    "result": Result,
    "failure": Failure,
}


class Store:
    """See the module.

    Args:
        path: the file; it is made, for its owner alone, if it is not there.
        service_url: the root of the service whose tasks it keeps.
        api: the dialect that this service is spoken to in.

    Raises:
        JournalError: if the file cannot be used; its message says why.
        ValueError: if it keeps tasks of another service.
    """

    def __init__(self, path: Path, service_url: str, api: str) -> None:
        self._path = path
        with self._in_words("opened"):
            _make(path)
            self._database = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            with self._in_words("opened"):
                self._prepare()
                self._belong_to(service_url, api)
        except BaseException:  # interrupted as well
            self._database.close()
            raise

    def entries(self) -> list[Entry[Any]]:
        """Give what it holds, the oldest first; outcomes are left where they are.

        Raises:
            JournalError: if that cannot be read.
        """
        with self._in_words("read"):
            rows = self._database.execute(
                "SELECT number, key, endpoint_id, function_id, task_group_id, task_id,"
                " outcome_kind IS NOT NULL FROM tasks ORDER BY number"
            )
            return [
                Entry(
                    number,
                    key,
                    endpoint_id,
                    _stage(task_id, settled=settled),
                    function_id=function_id,
                    task_group_id=task_group_id,
                    task_id=task_id,
                )
                for number, key, endpoint_id, function_id, task_group_id, task_id, settled in rows
            ]

    def outcomes(self, numbers: Sequence[int]) -> list[Outcome | None]:
        """Give the outcomes of the first of these tasks: as many as are good to have at once.

        None stands for a task that has none. At least one is given.

        Raises:
            JournalError: if they cannot be read.
        """
        found: list[Outcome | None] = []
        size = 0
        with self._in_words("read"):
            for number in numbers:
                kind, outcome = self._outcome(number)
                size += len(outcome)
                found.append(msgspec.json.decode(outcome, type=_OUTCOMES[kind]) if kind else None)
                if size > READ_SIZE:
                    break
        return found

    def commit(self, writes: Iterable[Write]) -> None:
        """Write all or nothing, in order; afterwards it is on disk.

        Raises:
            JournalError: if it cannot be written.
        """
        with self._in_words("written"):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for kind, alike in groupby(writes, type):
                    self._database.executemany(_STATEMENTS[kind], map(_parameters, alike))
                self._database.execute("COMMIT")
            except BaseException:  # all of it or nothing
                if self._database.in_transaction:  # SQLite may have rolled back by itself
                    self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file, and give it free."""
        with self._in_words("closed"):
            self._database.close()

    # How it is done -----------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Take the file for this process, and see whether it is a journal."""
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        tables = self._one("SELECT count(*) FROM sqlite_master")
        mark, version = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        if tables and mark != APPLICATION_ID:
            raise JournalError(
                f"{self._path} is a database of another program, not a journal: name another file."
            )
        if tables and version != SCHEMA_VERSION:
            raise JournalError(
                f"{self._path} is a journal of format {version}, and this version of funcx_async "
                f"reads format {SCHEMA_VERSION}: use the version that wrote it, or another file."
            )
        if not tables:
            self._database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("BEGIN EXCLUSIVE")
        if not tables:
            for statement in SCHEMA.split(";"):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._database.execute("COMMIT")
        self._database.executescript("PRAGMA incremental_vacuum")  # `execute` does one page

    def _belong_to(self, service_url: str, api: str) -> None:
        """See to it that all tasks are of one service: ids of one mean nothing to another."""
        told = self._database.execute("SELECT url, api FROM service").fetchone()
        if told == (service_url, api):
            return
        if told is not None and self._one("SELECT count(*) FROM tasks"):
            raise ValueError(
                f"{self._path} keeps tasks of the service {told[0]} (api {told[1]}), and this "
                f"executor submits to {service_url} (api {api}): give each service a journal of "
                "its own."
            )
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("DELETE FROM service")
        self._database.execute("INSERT INTO service VALUES (?, ?)", (service_url, api))
        self._database.execute("COMMIT")

    def _outcome(self, number: int) -> tuple[str | None, bytes]:
        rows = self._database.execute(
            "SELECT outcome_kind, outcome FROM tasks WHERE number = ? AND outcome_kind IS NOT NULL",
            (number,),
        )
        with closing(rows):
            return rows.fetchone() or (None, b"")

    def _one(self, query: str) -> Any:
        with closing(self._database.execute(query)) as rows:
            return rows.fetchone()[0]

    @contextmanager
    def _in_words(self, done: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.DecodeError, KeyError) as error:
            raise JournalError(
                f"The journal {self._path} cannot be {done}: {_reason(error)}"
            ) from error


def _make(path: Path) -> None:
    """Make the file if it is not there: SQLite would have it readable for everybody.

    One that is there is not even opened: to close it would undo this process's lock on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _stage(task_id: str | None, *, settled: bool) -> Stage:
    if settled:
        return Stage.SETTLED
    return Stage.INTENDED if task_id is None else Stage.ACCEPTED


def _parameters(write: Write) -> tuple[Any, ...]:
    match write:
        case Intend():
            return (
                write.number,
                write.key,
                write.endpoint_id,
                write.function_id,
                write.task_group_id,
            )
        case Accept():
            return write.task_group_id, write.task_id, write.number
        case Settle():
            kind = "result" if isinstance(write.outcome, Result) else "failure"
            return kind, msgspec.json.encode(write.outcome), write.number
        case Remove():
            return (write.number,)


def _reason(error: Exception) -> str:
    """Say what is wrong, and what to do about it."""
    code = getattr(error, "sqlite_errorname", "")
    for beginning, words in _REASONS.items():
        if code.startswith(beginning):
            return words
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}. Check the path, and who may write there."
    return f"{error}."


_REASONS: Final[Mapping[str, str]] = {
    "SQLITE_BUSY": "another executor uses it. Give each executor a file of its own, and let the "
    "earlier one end first.",
    "SQLITE_NOTADB": "it is not a journal. Name another file.",
    "SQLITE_CORRUPT": "it is damaged. What is in it cannot be trusted: move it away, and look the "
    "task groups up.",
    "SQLITE_FULL": "the disk is full. Make room, and start the executor anew.",
    "SQLITE_IOERR": "the disk reports an error, or a limit of file sizes was reached.",
    "SQLITE_READONLY": "it may only be read. Check who may write there.",
    "SQLITE_CANTOPEN": "no file can be opened there. Check the path, and who may write there.",
}
