"""The journal's file: what is in it comes back, and what cannot be used says why."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from funcx_async._core.book import Accept, Failure, Intend, Remove, Settle, Stage
from funcx_async._journal.store import SCHEMA_VERSION, Store
from funcx_async.errors import JournalError
from funcx_async.models import Result

SERVICE = "http://127.0.0.1:8000"
RESULT = Result("t1", "00\ngARLKi4=\n", None, "1700000000", {"python_version": "3.11", "n": [1]})
FAILURE = Failure("RequestRefused", "No: \u201cnever\u201d.", {"status": 403, "code": None})


def opened(path: Path, url: str = SERVICE, api: str = "v3") -> closing[Store]:
    return closing(Store(path, url, api))


def test_what_was_written_comes_back_in_another_process(path: Path):
    with opened(path) as store:
        store.commit(
            [
                Intend(1, "a", "endpoint", "f", None),
                Intend(2, "b", "endpoint", None, "group"),
                Intend(3, "c\N{SNOWMAN}", "endpoint", "f", "group"),
                Accept(1, "group", "t1"),
                Settle(2, FAILURE),
            ]
        )
        store.commit([Accept(3, "group", "t3")])
        store.commit([Settle(1, RESULT)])
    with opened(path) as store:
        entries = store.entries()
        outcomes = store.outcomes([1, 2, 3, 4])
    assert [
        (entry.number, entry.key, entry.stage, entry.function_id, entry.task_group_id)
        for entry in entries
    ] == [
        (1, "a", Stage.SETTLED, "f", "group"),
        (2, "b", Stage.SETTLED, None, "group"),
        (3, "c\N{SNOWMAN}", Stage.ACCEPTED, "f", "group"),
    ]
    assert [entry.task_id for entry in entries] == ["t1", None, "t3"]
    assert {entry.endpoint_id for entry in entries} == {"endpoint"}
    assert {entry.ticket for entry in entries} == {None}
    assert outcomes == [RESULT, FAILURE, None, None]


def test_few_large_outcomes_are_read_at_once_and_at_least_one(path: Path):
    results = [Result(str(number), "x" * 1_500_000) for number in range(5)]
    huge = Result("huge", "x" * 5_000_000)
    with opened(path) as store:
        for number, result in enumerate([*results, huge], 1):
            store.commit([Intend(number, str(number), "e", "f", None), Settle(number, result)])
        assert store.outcomes([1, 2, 3, 4, 5]) == results[:3]
        assert store.outcomes([4, 5]) == results[3:]
        assert store.outcomes([6, 1]) == [huge]


def test_a_commit_is_all_or_nothing(path: Path):
    with opened(path) as store:
        store.commit([Intend(1, "a", "endpoint", "f", None)])
        with pytest.raises(JournalError, match="cannot be written: UNIQUE"):
            store.commit(
                [Remove(1), Intend(2, "b", "e", "f", None), Intend(3, "b", "e", "f", None)]
            )
        assert [entry.key for entry in store.entries()] == ["a"]
        store.commit([Remove(1), Intend(1, "b", "endpoint", "f", None)])
        assert [entry.key for entry in store.entries()] == ["b"]


def test_the_file_is_for_its_owner_alone(path: Path):
    before = os.umask(0)
    try:
        with opened(path) as store:
            store.commit([Intend(1, "a", "endpoint", "f", None)])
            files = list(path.parent.iterdir())
            assert len(files) > 1, "what SQLite writes ahead is in a file of its own"
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        os.umask(before)


def test_the_file_shrinks_when_its_tasks_are_confirmed(path: Path):
    large = Result("t", "x" * 1_000_000)
    with opened(path) as store:
        store.commit([Intend(1, "a", "endpoint", "f", None), Settle(1, large)])
        store.commit([Remove(1)])
    with opened(path):
        pass
    assert path.stat().st_size < 100_000


def test_one_user_at_a_time(path: Path):
    with opened(path):
        with pytest.raises(JournalError, match="another executor uses it"):
            Store(path, SERVICE, "v3")
        program = f"from funcx_async._journal.store import Store; Store({str(path)!r}, 'u', 'v3')"
        other = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
        )
        assert "another executor uses it" in other.stderr
    with opened(path) as store:
        assert store.entries() == []


def test_a_killed_user_leaves_the_file_free_and_everything_in_it(path: Path):
    program = textwrap.dedent(f"""
        import os, signal
        from funcx_async._core.book import Intend
        from funcx_async._journal.store import Store
        store = Store({str(path)!r}, {SERVICE!r}, "v3")
        for number in range(1, 101):
            store.commit([Intend(number, str(number), "endpoint", "f", None)])
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    ended = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert ended.returncode == -signal.SIGKILL
    with opened(path) as store:
        assert len(store.entries()) == 100


def test_a_journal_that_holds_tasks_belongs_to_one_service(path: Path):
    with opened(path) as store:
        store.commit([Intend(1, "a", "endpoint", "f", None)])
    for url, api in (("http://127.0.0.1:9999", "v3"), (SERVICE, "v2")):
        with pytest.raises(ValueError, match=f"{SERVICE} .api v3.* submits to {url} .api {api}"):
            Store(path, url, api)
    with opened(path) as store:
        store.commit([Remove(1)])
    with opened(path, "http://127.0.0.1:9999"):
        pass


def test_what_is_not_a_journal_is_left_as_it_is(path: Path):
    path.write_text("Dear diary, " * 100)
    with pytest.raises(JournalError, match="it is not a journal"):
        Store(path, SERVICE, "v3")
    assert path.read_text() == "Dear diary, " * 100
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE diary (day TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="a database of another program"):
        Store(path, SERVICE, "v3")
    assert path.read_bytes() == before


def test_a_journal_of_another_format_is_named(path: Path):
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError, match=f"format {SCHEMA_VERSION + 1}.*{SCHEMA_VERSION}"):
        Store(path, SERVICE, "v3")


def test_a_damaged_journal_is_said_to_be_damaged(path: Path):
    with opened(path) as store:
        store.commit(
            [Intend(number, "k" * 200 + str(number), "e", "f", None) for number in range(1, 500)]
        )
    content = bytearray(path.read_bytes())
    assert len(content) > 20 * 4096
    content[4096 : 15 * 4096] = b"\xa5" * (14 * 4096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="it is damaged"), opened(path) as store:
        store.entries()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        pytest.param("nowhere/journal", "no such file or directory", id="no such directory"),
        pytest.param(".", "no file can be opened there", id="a directory"),
        pytest.param("file/journal", "not a directory", id="a file for a directory"),
    ],
)
def test_a_place_where_no_file_can_be_says_so(tmp_path: Path, place: str, words: str):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=f"cannot be opened: {words}. Check the path"):
        Store(tmp_path / place, SERVICE, "v3")


def test_a_full_disk_loses_nothing_that_was_written(path: Path):
    """The limit of file sizes stands in for the disk."""
    program = textwrap.dedent(f"""
        import json, resource
        from pathlib import Path
        from funcx_async._core.book import Intend, Settle
        from funcx_async.errors import JournalError
        from funcx_async._journal.store import Store
        from funcx_async.models import Result
        store = Store(Path({str(path)!r}), {SERVICE!r}, "v3")
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
        written = 0
        try:
            for number in range(1, 100):
                large = Result("t", "x" * 20_000)
                store.commit([Intend(number, str(number), "e", "f", None), Settle(number, large)])
                written = number
        except JournalError as error:
            print(json.dumps([written, str(error), len(store.entries())]))
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    written, words, readable = json.loads(ended.stdout)
    assert 5 < written < 99
    assert readable == written
    assert "cannot be written: the disk" in words
    with opened(path) as store:
        assert len(store.entries()) == written
        assert None not in store.outcomes(range(1, written + 1))


# Neighbours, and bytes that changed ---------------------------------------------------------------


def test_reading_the_file_in_its_process_lets_nobody_else_in(path: Path):
    with opened(path) as store:
        store.commit([Intend(1, "a", "endpoint", "f", None)])
        assert path.read_bytes()
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from funcx_async._journal.store import Store; Store({str(path)!r}, 'u', 'v3')",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "another executor uses it" in other.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_keep_the_file_of_a_parent_that_ended(path: Path):
    program = textwrap.dedent(f"""
        import os, sys
        from funcx_async._journal.store import Store
        store = Store({str(path)!r}, {SERVICE!r}, "v3")
        if os.fork() == 0:
            print("forked", flush=True)
            sys.stdin.read()  # lives on until the test ends
        os._exit(0)
    """)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as parent:
        assert parent.wait(30) == 0
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"forked\n"
        with opened(path) as store:
            assert store.entries() == []
        assert parent.stdin is not None
        parent.stdin.close()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_file_that_others_may_read_is_closed_to_them(path: Path):
    with opened(path) as store:
        store.commit([Intend(1, "a", "endpoint", "f", None)])
    for file in path.parent.iterdir():
        file.chmod(0o666)
    with opened(path) as store:
        store.commit([Remove(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("end", ["", "-wal", ".lock"])
def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path, end: str):
    target = tmp_path / "target"
    target.touch()
    path.with_name(path.name + end).symlink_to(target)
    with pytest.raises(JournalError, match="symbolic link"):
        Store(path, SERVICE, "v3")
    assert target.read_bytes() == b""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
@pytest.mark.parametrize("end", ["", "-wal", ".lock"])
def test_a_file_of_another_user_is_refused(path: Path, end: str):
    file = path.with_name(path.name + end)
    file.touch()
    os.chown(file, 12_345, 12_345)
    with pytest.raises(JournalError, match="belongs to another user"):
        Store(path, SERVICE, "v3")


def everything_in(store: Store) -> list[object]:
    return [*store.entries(), *store.outcomes([1])]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tasks SET key = 'b'",
        "UPDATE tasks SET key = CAST(X'ff' AS TEXT)",
        "UPDATE tasks SET endpoint_id = 'elsewhere'",
        "UPDATE tasks SET task_group_id = 'another'",
        "UPDATE tasks SET task_id = 'another'",
        "UPDATE tasks SET task_id = NULL",
        "UPDATE tasks SET outcome = X'ff'",
        "UPDATE tasks SET outcome = replace(outcome, 'mine', 'ours')",
        "UPDATE tasks SET outcome_kind = 'failure'",
        "UPDATE tasks SET outcome_kind = CAST(X'ff' AS TEXT)",
    ],
)
def test_a_value_that_was_changed_is_damage(path: Path, change: str):
    with opened(path) as store:
        accepted = Accept(1, "group", "task")
        result = Settle(1, Result("task", "mine"))
        store.commit([Intend(1, "a", "endpoint", "f", None), accepted, result])
        assert store.outcomes([1]) == [Result("task", "mine")]
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(change)
    with opened(path) as store, pytest.raises(JournalError, match="cannot be read"):
        everything_in(store)
