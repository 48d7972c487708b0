"""Where tokens of client credentials outlive the process: a SQLite file of this package.

It is never the file of the official tools. If it cannot be used, or another user could write it,
tokens are kept in memory only; so a program without a home directory works, too.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from funcx_async._process import CREDENTIALS, confined

if TYPE_CHECKING:
    import sqlite3  # imported where it is used: few programs store tokens

_log = logging.getLogger("funcx_async.auth")

DIRECTORY_VARIABLE = "FUNCX_ASYNC_USER_DIR"
"""The environment variable that names another directory than ``~/.funcx_async``."""

_SCHEMA = """
create table if not exists token (
    client_id text not null, scope text not null, auth_url text not null,
    text text not null, issued_at real not null, expires_at real not null,
    primary key (client_id, scope, auth_url)
)
"""


class TokenKey(NamedTuple):
    """Whose token it is, for what, and from where."""

    client_id: str
    scope: str
    auth_url: str


@confined(CREDENTIALS)
class StoredToken(NamedTuple):
    """A token with its times in Unix seconds."""

    text: str
    issued_at: float
    expires_at: float

    def __repr__(self) -> str:
        return f"StoredToken(issued_at={self.issued_at}, expires_at={self.expires_at})"


class TokenFile:
    """Tokens in a SQLite file that only its owner can read; blocking, from any thread or process.

    A file or directory that belongs to another user, and a symbolic link, are not used.

    Args:
        path: the file; it and its directory are created when the first token is stored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_told = False

    def load(self, key: TokenKey) -> StoredToken | None:
        """Return the token that is stored for ``key``, or None."""
        row = None
        if not self._path.exists():
            return None
        with self._tolerant(), closing(self._connect()) as connection:
            row = connection.execute(
                "select text, issued_at, expires_at from token "
                "where client_id = ? and scope = ? and auth_url = ?",
                key,
            ).fetchone()
        return None if row is None else StoredToken(*row)

    def store(self, key: TokenKey, token: StoredToken) -> None:
        """Store ``token`` in place of whatever is there for ``key``."""
        with self._tolerant(), closing(self._connect()) as connection, connection:
            connection.execute(
                "insert or replace into token values (?, ?, ?, ?, ?, ?)", (*key, *token)
            )

    def drop(self, key: TokenKey, text: str) -> None:
        """Delete the token ``text``; a newer one stays."""
        if not self._path.exists():
            return
        with self._tolerant(), closing(self._connect()) as connection, connection:
            connection.execute(
                "delete from token where client_id = ? and scope = ? and auth_url = ? and text = ?",
                (*key, text),
            )

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(self._path.parent.stat(), stat.S_ISDIR)
        descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600
        )
        try:
            _require_own(os.fstat(descriptor), stat.S_ISREG)
            self._path.chmod(0o600)  # it may be older than this rule
        finally:
            os.close(descriptor)
        connection = sqlite3.connect(self._path, timeout=5.0)
        try:
            connection.execute(_SCHEMA)
        except BaseException:  # interrupted as well
            connection.close()
            raise
        return connection

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except (OSError, sqlite3.Error) as error:
            level = logging.DEBUG if self._is_told else logging.WARNING
            self._is_told = True
            _log.log(
                level,
                "Tokens are kept in memory alone: %s cannot be used (%s: %s).",
                self._path,
                type(error).__name__,
                error,
            )


def _require_own(found: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Raise OSError for what is of another kind, or belongs to another user."""
    if not is_kind(found.st_mode):
        raise OSError("it is not a file in a directory")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise OSError(f"it, or its directory, belongs to the user {found.st_uid}")


def token_file(variables: Mapping[str, str]) -> TokenFile:
    """Return the file of this user; nothing is touched yet."""
    directory = variables.get(DIRECTORY_VARIABLE)
    try:
        return TokenFile(
            (Path(directory) if directory else Path.home() / ".funcx_async") / "tokens.db"
        )
    except RuntimeError:  # this user has no home
        return TokenFile(Path(os.devnull) / "tokens.db")
