"""The journal as an executor uses it: what may go on when, and what is there the next time."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from funcx_async import (
    ExecutorClosed,
    FuncXFuture,
    JournalError,
    RequestRefused,
    SubmitUncertain,
)
from funcx_async._core.book import Failure, Stage
from funcx_async._journal import Journal, store
from funcx_async._journal.journal import error_of, failure_of
from funcx_async.models import Result
from tests.journal.conftest import Reopen


def submitted(journal: Journal, key: str | None = "k") -> FuncXFuture[Any]:
    future: FuncXFuture[Any] = FuncXFuture()
    journal.reserve(future, key, "endpoint")
    future.add_done_callback(journal.done)
    return future


async def taken(journal: Journal, key: str, task_id: str) -> FuncXFuture[Any]:
    future = submitted(journal, key)
    await journal.intend([(future, "f")], None)
    await journal.accept([(future, task_id)], "group")
    return future


def held(journal: Journal) -> dict[str, Stage]:
    return {entry.key: entry.stage for entry in journal.unconfirmed()}


async def test_what_was_awaited_is_there_the_next_time(reopen: Reopen):
    journal = reopen()
    await taken(journal, "accepted", "t1")
    await taken(journal, "settled", "t2")
    await journal.intend([(submitted(journal, "intended"), "f")], "group")
    submitted(journal, "reserved")
    journal.receive(Result("t2", "42"))
    journal = reopen()
    assert held(journal) == {
        "accepted": Stage.ACCEPTED,
        "settled": Stage.SETTLED,
        "intended": Stage.INTENDED,
    }
    settled = [entry for entry in journal.unconfirmed() if entry.key == "settled"]
    assert await journal.outcomes(settled) == [Result("t2", "42")]
    assert repr(journal).endswith("3 unconfirmed>")


async def test_without_a_key_one_is_made(journal: Journal):
    first, second = submitted(journal, None), submitted(journal, None)
    assert first.key
    assert first.key != second.key


async def test_a_key_is_refused_until_it_is_confirmed(journal: Journal):
    await taken(journal, "k", "t")
    with pytest.raises(ValueError, match="'k'"):
        submitted(journal, "k")
    await journal.confirm(["k"])
    submitted(journal, "k")
    with pytest.raises(KeyError, match="unknown"):
        await journal.confirm(["k", "unknown"])


async def test_a_cancelled_task_leaves_its_key_free(journal: Journal):
    assert submitted(journal).cancel()
    submitted(journal)


async def test_a_failure_here_is_kept_with_all_that_it_says(reopen: Reopen):
    journal = reopen()
    uncertain = SubmitUncertain(
        "Who knows?", task_group_id="group", candidate_task_ids=["t1", "t2"], request_id="r"
    )
    submitted(journal, "uncertain").fail(uncertain)
    submitted(journal, "refused").fail(RequestRefused("No.", status=403, code="X", reason="so"))
    submitted(journal, "by hand").set_exception(OSError("disk"))
    submitted(journal, "closed").fail(ExecutorClosed("The end."))
    journal = reopen()
    entries = journal.unconfirmed()
    outcomes = await journal.outcomes(entries)
    assert [entry.key for entry in entries] == ["uncertain", "refused", "by hand"]
    again = [error_of(failure) for failure in outcomes if isinstance(failure, Failure)]
    assert [type(error).__name__ for error in again] == [
        "SubmitUncertain",
        "RequestRefused",
        "FuncXError",
    ]
    assert vars(again[0]) == vars(uncertain)
    assert vars(again[1])["status"] == 403
    assert str(again[2]) == "OSError: disk"


def test_an_error_of_a_kind_not_known_here_is_still_an_error():
    assert str(error_of(Failure("NewError", "What is this?"))) == "What is this?"
    assert str(error_of(Failure("annotations", "What is this?"))) == "What is this?"
    assert failure_of(ExecutorClosed("x")).kind == "ExecutorClosed"


async def test_a_failure_told_in_another_thread_is_kept(reopen: Reopen):
    journal = reopen()
    future = submitted(journal)
    # Not on this loop, so that it is called where the future is settled.
    future.remove_done_callback(journal.done)
    thread = threading.Thread(target=_fail_elsewhere, args=(future, journal))
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    assert held(reopen()) == {"k": Stage.SETTLED}


def _fail_elsewhere(future: FuncXFuture[Any], journal: Journal) -> None:
    future.add_done_callback(journal.done)
    future.fail(RequestRefused("No."))


async def test_acknowledgements_wait_for_the_disk(journal: Journal):
    called: list[str] = []
    journal.when_committed(lambda: called.append("nothing to wait for"))
    assert called == ["nothing to wait for"]
    await taken(journal, "k", "t")
    journal.receive(Result("t", "42"))
    journal.when_committed(lambda: called.append("on disk"))
    assert "on disk" not in called
    await journal.committed()
    assert "on disk" in called


async def test_many_writes_behind_one_another_are_all_there(reopen: Reopen):
    journal = reopen()
    futures = [submitted(journal, str(number)) for number in range(5_000)]
    await journal.intend([(future, "f") for future in futures], "group")
    tasks = [(future, f"t{future.key}") for future in futures]
    await journal.accept(tasks, "group")
    for _, task_id in tasks:
        journal.receive(Result(task_id, task_id))
    journal = reopen()
    entries = journal.unconfirmed()
    outcomes = await journal.outcomes(entries)
    assert len(entries) == 5_000
    assert outcomes == [Result(f"t{entry.key}", f"t{entry.key}") for entry in entries]


async def test_a_cancelled_wait_changes_nothing(reopen: Reopen):
    journal = reopen()
    future = submitted(journal)
    waiting = asyncio.create_task(journal.intend([(future, "f")], None))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await journal.accept([(future, "t")], "group")
    assert held(reopen()) == {"k": Stage.ACCEPTED}


async def test_a_journal_that_is_dropped_gives_the_file_free(path: Path, reopen: Reopen):
    dropped = Journal(path, service_url="u", api="v3")
    thread = next(t for t in threading.enumerate() if t.name == "funcx_async journal")
    del dropped
    gc.collect()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    reopen()


async def test_two_journals_on_one_file_are_one_too_many(path: Path, journal: Journal):
    journal.wait_until_open()
    second = Journal(path, service_url="http://127.0.0.1:8000", api="v3")
    with pytest.raises(JournalError, match="another executor uses it"):
        await second.until_open()
    with pytest.raises(JournalError, match="another executor uses it"):
        second.wait_until_open()
    with pytest.raises(JournalError, match="another executor uses it"):
        submitted(second)
    assert repr(second) == f"<Journal {path} unusable>"
    assert repr(journal) == f"<Journal {path} 0 unconfirmed>"
    await second.aclose()


async def test_error_of_a_journal_that_cannot_be_opened_keeps_no_frame_of_the_last_time(
    path: Path, journal: Journal
):
    journal.wait_until_open()
    second = Journal(path, service_url="http://127.0.0.1:8000", api="v3")
    lengths = []
    for _ in range(4):
        with pytest.raises(JournalError) as waiting:
            await second.until_open()
        with pytest.raises(JournalError) as submitting:
            submitted(second)
        lengths.append([len(waiting.traceback), len(submitting.traceback)])
    assert lengths == lengths[:1] * 4
    await second.aclose()


async def test_a_cancelled_wait_for_the_file_leaves_it_to_be_opened(
    path: Path, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
):
    gate = threading.Event()

    class SlowStore(store.Store):
        """A file that is opened once the gate is open, as on a slow disk."""

        def __init__(self, *place: Any) -> None:
            assert gate.wait(10)
            super().__init__(*place)

    monkeypatch.setattr(store, "Store", SlowStore)
    journal = reopen()
    waiting = asyncio.create_task(journal.until_open())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert repr(journal) == f"<Journal {path} opening>"
    gate.set()
    await journal.until_open()
    submitted(journal)
    assert held(journal) == {"k": Stage.RESERVED}


async def test_a_forked_child_that_ends_does_no_harm(path: Path, reopen: Reopen):
    """The child ends as Python programs do, all objects freed, while the parent writes on."""
    program = textwrap.dedent(f"""
        import asyncio, os, sys
        from pathlib import Path
        from funcx_async import FuncXFuture
        from funcx_async._journal import Journal

        async def opened():
            return Journal(Path({str(path)!r}), service_url="http://127.0.0.1:8000", api="v3")

        async def intend(key):
            future = FuncXFuture()
            journal.reserve(future, key, "endpoint")
            await journal.intend([(future, "f")], None)

        runner = asyncio.Runner()
        journal = runner.run(opened())
        runner.run(intend("a"))
        child = os.fork()
        if child == 0:
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        runner.run(intend("b"))
        os.kill(os.getpid(), 9)
    """)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        timeout=30,
        check=False,
        capture_output=True,
    )
    assert ended.returncode == -9, ended.stderr
    assert held(reopen()) == dict.fromkeys("ab", Stage.INTENDED)


async def test_when_the_disk_is_full_nothing_is_sent_and_nothing_acknowledged(reopen: Reopen, path):
    """The limit of file sizes stands in for the disk."""
    program = textwrap.dedent(f"""
        import asyncio, json, os, resource
        from pathlib import Path
        from funcx_async import FuncXFuture, JournalError
        from funcx_async._journal import Journal
        from funcx_async.models import Result

        async def main():
            journal = Journal(Path({str(path)!r}), service_url="http://127.0.0.1:8000", api="v3")
            for key in "ab":
                future = FuncXFuture()
                journal.reserve(future, key, "endpoint")
                await journal.intend([(future, "f")], None)
                await journal.accept([(future, key)], "group")
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
            acknowledged, refused = [], []
            journal.receive(Result("a", "x" * 1_000_000))
            journal.when_committed(lambda: acknowledged.append("a"))
            for attempt in (
                journal.committed,
                lambda: journal.confirm(["b"]),
                lambda: asyncio.to_thread(journal.reserve, FuncXFuture(), "c", "endpoint"),
            ):
                try:
                    await attempt()
                except JournalError as error:
                    refused.append(str(error))
            journal.when_committed(lambda: acknowledged.append("b"))
            await journal.aclose()
            print(json.dumps([acknowledged, refused]))

        asyncio.run(main())
    """)
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], timeout=30, check=True, capture_output=True
    )
    acknowledged, refused = json.loads(ended.stdout)
    assert acknowledged == []
    assert len(refused) == 3
    assert all("cannot be written" in words for words in refused)
    assert b"Nothing is submitted or acknowledged any more" in ended.stderr
    assert held(reopen()) == {"a": Stage.ACCEPTED, "b": Stage.ACCEPTED}
