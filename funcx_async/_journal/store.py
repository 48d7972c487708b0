"""The journal's file: an SQLite database that one process uses at a time.

What :meth:`Store.commit` has written outlives a killed process and, as far as disk and system
keep their word, a power failure: each commit waits for the disk (``synchronous = FULL``). Many
writes go in one, so that this costs a millisecond for a batch and not for a task.

A lock file of its own, ``PATH.lock``, keeps other executors out, from opening to the end of the
process, whatever that end is. SQLite's lock would be lost as soon as anything in this process reads
the journal's file and closes it.

Each row has checksums: a value that was changed on disk is found when it is read.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import sys
import weakref
import zlib
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

SCHEMA_VERSION: Final = 2

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
    request TEXT,
    outcome_kind TEXT,
    outcome BLOB,
    intent_check INTEGER NOT NULL,
    receipt_check INTEGER NOT NULL,
    outcome_check INTEGER
);
"""

_STATEMENTS: Final[dict[type[Write], str]] = {
    # A further attempt takes the place of the one before, whose outcome is kept until then.
    Intend: "INSERT INTO tasks (number, key, endpoint_id, function_id, request, task_group_id,"
    " intent_check, receipt_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (number) DO UPDATE SET function_id = excluded.function_id,"
    " request = excluded.request, task_group_id = excluded.task_group_id, task_id = NULL,"
    " intent_check = excluded.intent_check, receipt_check = excluded.receipt_check,"
    " outcome_kind = NULL, outcome = NULL, outcome_check = NULL",
    Accept: "UPDATE tasks SET task_group_id = ?, task_id = ?, receipt_check = ? WHERE number = ?",
    Settle: "UPDATE tasks SET outcome_kind = ?, outcome = ?, outcome_check = ? WHERE number = ?",
    Remove: "DELETE FROM tasks WHERE number = ?",
}

_OUTCOMES: Final[Mapping[str, type[Result | Failure]]] = {
    "result": Result,
    "failure": Failure,
}


class Store:
    """The file of a journal, which one executor uses at a time.

    Args:
        path: the file; it is made, for its owner alone, if it is not there.
        service_url: the root of the service whose tasks it keeps.
        api: the dialect that this service is spoken to in.

    Raises:
        JournalError: if the file cannot be used; its message says why.
        ValueError: if it keeps tasks of another service.
    """

    def __init__(self, path: Path, service_url: str, api: str) -> None:
        self._path = path = Path(path)
        with self._in_words("opened"):
            for name in (path, *(path.with_name(path.name + end) for end in _COMPANIONS)):
                _check_owner(name)
            self._lock = _Lock(path.with_name(path.name + ".lock"))
        try:
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
        except BaseException:
            self._lock.release()
            raise

    def entries(self) -> list[Entry[Any]]:
        """Return what it holds, the oldest first, without outcomes.

        Raises:
            JournalError: if that cannot be read.
        """
        with self._in_words("read"):
            rows = self._database.execute(
                "SELECT number, key, endpoint_id, function_id, request, intent_check,"
                " task_group_id, task_id, receipt_check, outcome_kind IS NOT NULL FROM tasks"
                " ORDER BY number"
            )
            return [_entry(*row) for row in rows]

    def outcomes(self, numbers: Sequence[int]) -> list[Outcome | None]:
        """Return the outcomes of the first of these tasks: as many as are good to have at once.

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
        try:
            with self._in_words("closed"):
                self._database.close()
        finally:
            self._lock.release()

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
        """Check that all tasks are of one service: ids of one mean nothing to another."""
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
            "SELECT outcome_kind, outcome, outcome_check FROM tasks"
            " WHERE number = ? AND outcome_kind IS NOT NULL",
            (number,),
        )
        with closing(rows):
            row = rows.fetchone()
        if row is None:
            return None, b""
        kind, outcome, check = row
        _compare(check, number, kind, outcome)
        return kind, outcome

    def _one(self, query: str) -> Any:
        with closing(self._database.execute(query)) as rows:
            return rows.fetchone()[0]

    @contextmanager
    def _in_words(self, done: str) -> Iterator[None]:
        try:
            yield
        except _Damaged as error:
            message = f"The journal {self._path} cannot be {done}: {_REASONS['SQLITE_CORRUPT']}"
            raise JournalError(message) from error
        except (sqlite3.Error, OSError, msgspec.DecodeError, UnicodeError, KeyError) as error:
            raise JournalError(
                f"The journal {self._path} cannot be {done}: {_reason(error)}"
            ) from error


def _make(path: Path) -> None:
    """Create the file if it is not there: SQLite would make it readable for everybody.

    One that is there is not even opened: to close it would undo SQLite's lock on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _stage(task_id: str | None, *, settled: bool) -> Stage:
    if settled:
        return Stage.SETTLED
    return Stage.INTENDED if task_id is None else Stage.ACCEPTED


def _parameters(write: Write) -> tuple[Any, ...]:
    number = write.number
    match write:
        case Intend(_, key, endpoint_id, function_id, group, request):
            told = (number, key, endpoint_id, function_id, request)
            return (*told, group, _check(*told), _check(number, group, None))
        case Accept(_, group, task_id):
            return group, task_id, _check(number, group, task_id), number
        case Settle():
            kind = "result" if isinstance(write.outcome, Result) else "failure"
            outcome = msgspec.json.encode(write.outcome)
            return kind, outcome, _check(number, kind, outcome), number
        case Remove():
            return (write.number,)


class _Damaged(Exception):
    """A value of the journal that is not the one that was written."""


def _check(*values: object) -> int:
    """Return the checksum of values that are written together."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def _compare(check: object, *values: object) -> None:
    if check != _check(*values):
        raise _Damaged


def _entry(
    number: int,
    key: str,
    endpoint_id: str,
    function_id: str | None,
    request: str | None,
    intent_check: int,
    task_group_id: str | None,
    task_id: str | None,
    receipt_check: int,
    settled: int,
) -> Entry[Any]:
    _compare(intent_check, number, key, endpoint_id, function_id, request)
    _compare(receipt_check, number, task_group_id, task_id)
    return Entry(
        number,
        key,
        endpoint_id,
        _stage(task_id, settled=bool(settled)),
        function_id=function_id,
        task_group_id=task_group_id,
        task_id=task_id,
        request=request,
    )


# Who may use the file -----------------------------------------------------------------------------

_COMPANIONS: Final = ("-wal", "-shm", "-journal", ".lock")
"""What the names of SQLite's files beside the journal, and of its lock file, end in."""


def _check_owner(path: Path) -> None:
    """Refuse a file that another user may have put there; let no other user read our own.

    Raises:
        JournalError: if it is a symbolic link, or belongs to another user.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(found.st_mode):
        raise JournalError(
            f"The journal's file {path} is a symbolic link, which may lead anywhere: name the file "
            "itself."
        )
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise JournalError(
            f"The journal's file {path} belongs to another user, who could change it: name another "
            "file."
        )
    if stat.S_ISREG(found.st_mode) and os.name == "posix" and found.st_mode & 0o077:
        path.chmod(0o600)


class _Lock:
    """A lock on a file that only this class opens, held until it is released or the process ends.

    Args:
        path: the file; it is made if it is not there, and stays.

    Raises:
        JournalError: if another executor holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        if sys.platform != "win32":  # which has no fcntl; there SQLite's own lock is not lost
            import fcntl

            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(path, flags, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                journal, reason = path.with_suffix(""), _REASONS["SQLITE_BUSY"]
                raise JournalError(f"The journal {journal} cannot be opened: {reason}") from None
            except OSError as error:
                os.close(file)
                if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
                    raise
                return  # the file system has no such locks: SQLite's alone has to do
            except BaseException:
                os.close(file)
                raise
            self._file = file
            _locks.add(self)

    def release(self) -> None:
        """Release the lock; a forked process only lets go of what it has of it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


_locks: weakref.WeakSet[_Lock] = weakref.WeakSet()


def _forked() -> None:
    """Hold no lock of the parent's: it would outlive the parent."""
    for lock in list(_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _reason(error: Exception) -> str:
    """Return what is wrong, and what to do about it."""
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
    "SQLITE_FULL": "the disk is full. Make room, and restart the executor.",
    "SQLITE_IOERR": "the disk reports an error, or a limit of file sizes was reached.",
    "SQLITE_READONLY": "it may only be read. Check who may write there.",
    "SQLITE_CANTOPEN": "no file can be opened there. Check the path, and who may write there.",
}
