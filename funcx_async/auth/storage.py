"""Where tokens of client credentials outlive the process: a SQLite file of our own.

It is never the file of the official tools. Whatever is wrong with it, tokens are then kept in
memory alone: a program without a home directory works as well.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from funcx_async._process import CREDENTIALS, confined

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

    Args:
        path: the file; it and its directory are made when the first token is stored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_told = False

    def load(self, key: TokenKey) -> StoredToken | None:
        """Give the token that is stored for ``key``, or None."""
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
        """Forget the token ``text``; another one, which may have come meanwhile, stays."""
        if not self._path.exists():
            return
        with self._tolerant(), closing(self._connect()) as connection, connection:
            connection.execute(
                "delete from token where client_id = ? and scope = ? and auth_url = ? and text = ?",
                (*key, text),
            )

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(self._path, flags, 0o600))
        self._path.chmod(0o600)  # whoever made it
        connection = sqlite3.connect(self._path, timeout=5.0)
        try:
            connection.execute(_SCHEMA)
        except BaseException:  # interrupted as well
            connection.close()
            raise
        return connection

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
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


def token_file(variables: Mapping[str, str]) -> TokenFile:
    """Give the file of this user; nothing is touched yet."""
    directory = variables.get(DIRECTORY_VARIABLE)
    try:
        return TokenFile(
            (Path(directory) if directory else Path.home() / ".funcx_async") / "tokens.db"
        )
    except RuntimeError:  # this user has no home
        return TokenFile(Path(os.devnull) / "tokens.db")
