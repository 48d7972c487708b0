"""The file behind a service: what is refused, and that nothing of others is touched."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from funcx_async.local import LocalService
from funcx_async.local.database import SCHEMA_VERSION, open_database
from funcx_async.local.store import Store

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.sqlite"


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """As root, for whom no file is read-only, be somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextlib.contextmanager
def folder_for_all() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_new_file_is_for_its_owner_only(path):
    open_database(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_is_made_once_and_kept(path):
    first = Store(path)
    token = first.secret("token")
    first.close()
    second = Store(path)
    assert second.secret("token") == token
    assert len(token) > 40
    second.close()


def test_a_file_of_another_version_is_refused_by_name(path):
    open_database(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match=r"service\.sqlite.*version 99"):
        open_database(path)


@pytest.mark.parametrize(
    "made_by",
    [
        pytest.param("CREATE TABLE recipes (name TEXT)", id="tables without a version"),
        pytest.param(
            f"PRAGMA user_version = {SCHEMA_VERSION}", id="a version that happens to be ours"
        ),
        pytest.param("PRAGMA application_id = 7", id="a mark of its own"),
    ],
)
def test_a_database_of_another_program_is_refused_and_left_as_it_is(path, made_by):
    other = sqlite3.connect(path)
    other.execute(made_by)
    other.execute("CREATE TABLE IF NOT EXISTS theirs (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"service\.sqlite is another program's database"):
        open_database(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_text("Dear diary, " * 100)
    with pytest.raises(ValueError, match=r"service\.sqlite is not an SQLite database"):
        open_database(path)
    assert path.read_text() == "Dear diary, " * 100


def test_an_empty_file_becomes_one(path):
    path.touch()
    open_database(path).close()
    assert path.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_that_was_cut_short_is_called_damaged(path, kept):
    store = Store(path)
    for number in range(200):
        store.add_function(f"f{number}", "code" * 100)
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=r"service\.sqlite is damaged"):
        open_database(path)


def test_a_page_that_was_overwritten_is_called_damaged(path):
    store = Store(path)
    for number in range(200):
        store.add_function(f"f{number}", "code" * 100)
    store.close()
    content = bytearray(path.read_bytes())
    content[-8192:-4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"service\.sqlite is damaged"):
        open_database(path)


def test_a_file_that_is_read_only_is_refused():
    with folder_for_all() as folder:
        path = folder / "service.sqlite"
        open_database(path).close()
        path.chmod(0o444)
        with without_privileges(), pytest.raises(PermissionError, match=r"service\.sqlite cannot"):
            open_database(path)


def test_a_file_that_is_unreadable_is_refused():
    with folder_for_all() as folder:
        path = folder / "service.sqlite"
        open_database(path).close()
        path.chmod(0)
        with without_privileges(), pytest.raises(PermissionError, match=r"service\.sqlite cannot"):
            open_database(path)


def test_a_folder_that_is_read_only_is_refused():
    with folder_for_all() as folder:
        path = folder / "service.sqlite"
        folder.chmod(0o555)
        with without_privileges(), pytest.raises(PermissionError, match=r"service\.sqlite"):
            open_database(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_database(tmp_path / "nowhere" / "service.sqlite")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(PermissionError, match="cannot be read and written"):
        open_database(tmp_path)


def test_a_file_serves_one_at_a_time(path):
    first = open_database(path)
    with pytest.raises(RuntimeError, match=r"another service uses .*service\.sqlite"):
        open_database(path)
    first.execute("INSERT INTO settings VALUES ('still', 'works')")
    first.close()
    open_database(path).close()


async def test_two_services_on_one_file_are_refused_and_the_first_goes_on(path):
    async with LocalService(workers=1, database=path) as first, first.executor() as fxe:
        second = LocalService(workers=1, database=path)
        with pytest.raises(RuntimeError, match="another service uses"):
            await second.start()
        assert repr(second) == "<LocalService, not running>"
        assert await fxe.submit(pow, 2, 5) == 32


async def test_the_token_of_a_file_is_known_once_the_service_runs(path):
    service = LocalService(workers=1, database=path)
    with pytest.raises(RuntimeError, match="not running"):
        _ = service.token
    async with service:
        token = service.token
        assert token not in repr(service)
    async with LocalService(workers=1, database=path) as again:
        assert again.token == token
    async with LocalService(workers=1, database=path, token="given") as given:
        assert given.token == "given"
