"""An executor with a journal: what another one, later, is given back."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from funcx_async import (
    DeserializationError,
    DillDataBase64,
    FuncXClient,
    FuncXExecutor,
    FuncXFuture,
    FuncXSerializer,
    JournalError,
    JSONData,
    RequestRefused,
    ResultExpired,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskTimedOut,
    gather,
)
from funcx_async._core.backoff import Backoff
from funcx_async._core.book import Accept, Intend, Settle
from funcx_async._journal import store
from funcx_async._journal.store import Store
from funcx_async._session import task_retry
from funcx_async.local import LocalService
from tests.executor.tasks import add, fail
from tests.executor.test_faults import logged
from tests.executor.wire import until

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.journal"


async def resumed(executor: FuncXExecutor) -> dict[str, FuncXFuture[Any]]:
    return {key: future async for key, future in executor.resume()}


async def in_a_process_that_ends(
    service: LocalService, path: Path, main: Callable[[FuncXExecutor], Awaitable[None]]
) -> None:
    """Run ``main`` on a loop of its own that ends with it, and with all that is open."""

    async def run() -> None:
        async with FuncXClient(service.url, auth=service.token) as client:
            await main(FuncXExecutor(service.endpoint_id, funcx_client=client, journal=path))

    async with asyncio.timeout(TIMEOUT):
        await asyncio.to_thread(asyncio.run, run())


async def outcomes(futures: dict[str, FuncXFuture[Any]]) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT):
        values = await gather(*futures.values(), return_exceptions=True)
    return dict(zip(futures, values, strict=True))


async def test_results_stay_until_they_are_confirmed(service, path):
    async with service.executor(journal=path) as executor:
        futures = [executor.options(key=f"run-{n}").submit(add, n) for n in range(5)]
        assert [future.key for future in futures] == [f"run-{n}" for n in range(5)]
        assert await gather(*futures) == [1, 2, 3, 4, 5]
        await executor.confirm("run-0", "run-1")
    async with service.executor(journal=path) as executor:
        again = await resumed(executor)
        assert {key: future.done() for key, future in again.items()} == {
            "run-2": True,
            "run-3": True,
            "run-4": True,
        }
        assert await outcomes(again) == {"run-2": 3, "run-3": 4, "run-4": 5}
        assert [future.task_id for future in again.values()] == [f.task_id for f in futures[2:]]
        await executor.confirm(*again)
        assert await resumed(executor) == {}


async def test_what_failed_is_given_back_as_it_failed(service, path):
    async with service.executor(journal=path) as executor:
        before = await outcomes(
            {
                "raised": executor.options(key="raised").submit(fail, "no"),
                "refused": executor.options(key="refused", endpoint_id=uuid4()).submit(add, 1),
            }
        )
    for _ in range(2):
        async with service.executor(journal=path) as executor:
            after = await outcomes(await resumed(executor))
        assert isinstance(after["raised"], TaskExecutionFailed)
        assert isinstance(after["refused"], RequestRefused)
        assert list(after) == list(before)
        for key in after:
            assert str(after[key]) == str(before[key])
            assert vars(after[key]) == vars(before[key])


async def test_what_is_open_is_awaited_again_and_nothing_is_cancelled(service, path):
    async def main(executor: FuncXExecutor) -> None:
        await executor.options(key="old").submit(add, 1).submitted()

    with service.faults.endpoint_offline():
        await in_a_process_that_ends(service, path, main)
        executor = service.executor(journal=path)
        mine = executor.options(key="new").submit(add, 2)
        await mine.submitted()
        again = await resumed(executor)
        assert list(again) == ["old", "new"]
        assert again["new"] is mine
        assert again["old"].running()
        assert (await resumed(executor))["old"] is again["old"]
        with pytest.raises(ValueError, match="'old' already"):
            executor.options(key="old").submit(add, 1)
    assert await outcomes(again) == {"old": 2, "new": 3}
    assert executor.stats.orphans == 0
    await executor.shutdown()
    async with service.executor(journal=path) as executor:
        assert await outcomes(await resumed(executor)) == {"old": 2, "new": 3}


async def test_results_that_come_before_anybody_resumes_are_kept(service, path):
    groups: list[str | None] = []

    async def main(executor: FuncXExecutor) -> None:
        old = [executor.options(key=f"old {n}").submit(add, n) for n in range(3)]
        await asyncio.gather(*(future.submitted() for future in old))
        groups.append(executor.task_group_id)

    with service.faults.endpoint_offline():
        await in_a_process_that_ends(service, path, main)
        executor = service.executor(journal=path, task_group_id=groups[0])
        new = executor.submit(add, 10)
        await new.submitted()
    assert await asyncio.wait_for(new, TIMEOUT) == 11
    await executor.shutdown()
    assert executor.stats.orphans == 0
    executor = service.executor(journal=path)
    again = await resumed(executor)
    assert all(future.done() for future in again.values()), "each was in the journal"
    assert sorted((await outcomes(again)).values()) == [1, 2, 3, 11]
    await executor.shutdown()


async def test_a_submit_that_was_under_way_is_uncertain(service, path):
    hold = service.faults.hold_replies("submit")

    async def main(executor: FuncXExecutor) -> None:
        executor.options(key="k").submit(add, 1)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(hold.seen(), loop))

    loop = asyncio.get_running_loop()
    with hold:
        await in_a_process_that_ends(service, path, main)
    for _ in range(2):
        async with service.executor(journal=path) as executor:
            again = await outcomes(await resumed(executor))
            assert isinstance(again["k"], SubmitUncertain)
            # anyio before 4.16 ends the request with an error as the client is closed, later ones
            # let it be canceled with its loop.
            told = ("'k' was being sent", "The service did not answer submitting 1 task(s)")
            assert any(words in str(again["k"]) for words in told)
    async with service.executor(journal=path) as executor:
        await executor.confirm("k")
        assert await executor.options(key="k").submit(add, 1) == 2


async def test_what_was_certainly_not_taken_was_never_submitted(service, path, caplog):
    async def main(executor: FuncXExecutor) -> None:
        executor.options(key="k").submit(add, 1)
        await asyncio.wait_for(logged("sent again"), TIMEOUT)

    caplog.set_level(logging.INFO, "funcx_async")
    service.faults.refuse("submit", status=503, retry_after=60)
    await in_a_process_that_ends(service, path, main)
    async with service.executor(journal=path) as executor:
        assert await resumed(executor) == {}


async def test_a_task_that_the_service_forgot_is_settled_by_that(service, path):
    async def main(executor: FuncXExecutor) -> None:
        await executor.options(key="k").submit(add, 1).submitted()

    with service.faults.endpoint_offline():
        await in_a_process_that_ends(service, path, main)

        def answer(request: httpx.Request) -> httpx.Response:
            (task_id,) = json.loads(request.content)["task_ids"]
            unknown = {"task_id": task_id, "status": "Failed", "reason": "Unknown task id"}
            return httpx.Response(200, json={"response": "batch", "results": {task_id: unknown}})

        client = FuncXClient(service.url, auth="t", transport=httpx.MockTransport(answer))
        options = {"funcx_client": client, "journal": path, "result_transport": "polling"}
        async with service.executor(**options) as executor:
            assert isinstance((await outcomes(await resumed(executor)))["k"], ResultExpired)
        await client.aclose()
    async with service.executor(journal=path) as executor:
        assert isinstance((await outcomes(await resumed(executor)))["k"], ResultExpired)


async def test_a_result_that_cannot_be_read_is_kept_until_it_can(service, path):
    serializer = FuncXSerializer(allowed_deserializers=[JSONData])
    async with service.executor(journal=path, serializer=serializer) as executor:
        target = executor.options(key="k", result_serializers=[DillDataBase64])
        before = await outcomes({"k": target.submit(add, 1)})
        assert isinstance(before["k"], DeserializationError)
    async with service.executor(journal=path) as executor:
        assert await outcomes(await resumed(executor)) == {"k": 2}


async def test_keys_are_checked_at_once(service, path, executor):
    with pytest.raises(ValueError, match="no journal to keep the task 'k'"):
        executor.options(key="k")
    with pytest.raises(ValueError, match="no journal"):
        executor.resume()
    with pytest.raises(ValueError, match="no journal"):
        await executor.confirm("k")
    assert executor.submit(add, 1).key is None
    async with service.executor(journal=path) as kept:
        for key, error in ((7, TypeError), ("", ValueError), ("\ud800", ValueError)):
            with pytest.raises(error, match="key of a task must"):
                kept.options(key=key)
        first = kept.options(key="k").submit(add, 1)
        with pytest.raises(ValueError, match="'k' already"):
            kept.options(key="k").submit(add, 1)
        assert await first == 2
        with pytest.raises(KeyError, match="no task with the key 'unknown'"):
            await kept.confirm("k", "unknown")
        await kept.confirm("k")
        await kept.confirm()
        assert await kept.options(key="k").submit(add, 2) == 3
        made = kept.submit(add, 3)
        assert made.key
        assert await made == 4
        assert made.key in await resumed(kept)
    for journal in (7, b"bytes"):
        with pytest.raises(TypeError, match="journal must be the path of a file"):
            service.executor(journal=journal)


async def test_one_executor_at_a_time_and_one_service(service, path):
    async with service.executor(journal=path) as executor:
        await executor.submit(add, 1)
        with pytest.raises(JournalError, match="another executor uses it"):
            service.executor(journal=path).submit(add, 1)
    client = FuncXClient("http://127.0.0.1:9", auth="t")
    other = service.executor(journal=path, funcx_client=client)
    with pytest.raises(ValueError, match=f"{service.url} .*http://127.0.0.1:9 "):
        other.resume()
    async with service.executor(journal=path) as executor:
        assert len(await resumed(executor)) == 1


async def test_the_loop_goes_on_while_the_journal_is_opened(service, path, monkeypatch):
    turn = threading.Event()

    class SlowStore(Store):
        """A file that is opened after the loop had a turn, as on a slow disk."""

        def __init__(self, *place: Any) -> None:
            assert turn.wait(TIMEOUT / 3), "the loop has no turn"
            super().__init__(*place)

    monkeypatch.setattr(store, "Store", SlowStore)
    executor = service.executor(journal=path)
    asyncio.get_running_loop().call_soon(turn.set)
    async with executor:
        assert await executor.submit(add, 1) == 2


async def test_once_the_file_is_free_the_executor_that_it_was_refused_to_may_use_it(service, path):
    refused = service.executor(journal=path)
    async with service.executor(journal=path) as executor:
        assert await executor.options(key="k").submit(add, 1) == 2
        with pytest.raises(JournalError, match="another executor uses it"):
            async with refused:
                pass
        with pytest.raises(JournalError, match="another executor uses it"):
            await refused.confirm("k")
    async with refused:
        await refused.confirm("k")
        assert await resumed(refused) == {}


async def test_tasks_may_be_submitted_from_other_threads(service, path):
    async with service.executor(journal=path) as executor:
        futures = await asyncio.gather(
            *(asyncio.to_thread(executor.options(key=str(n)).submit, add, n) for n in range(20))
        )
        assert await gather(*futures) == list(range(1, 21))
    async with service.executor(journal=path) as executor:
        assert len(await resumed(executor)) == 20


async def test_a_key_is_free_again_after_a_cancellation(service, path, caplog):
    caplog.set_level(logging.INFO, "funcx_async")
    service.faults.refuse("submit", status=503, retry_after=60)
    async with service.executor(journal=path) as executor:
        future = executor.options(key="k").submit(add, 1)
        await asyncio.wait_for(logged("sent again"), TIMEOUT)
        assert future.cancel()
        assert executor.options(key="k").submit(add, 1).cancel()
        assert await resumed(executor) == {}


async def test_after_a_reload_results_still_go_to_the_journal(service, path):
    async with service.executor(journal=path) as executor:
        with service.faults.endpoint_offline():
            future = executor.options(key="k").submit(add, 1)
            await future.submitted()
            (again,) = await executor.reload_tasks()
            assert future.cancelled()
        assert await asyncio.wait_for(again, TIMEOUT) == 2
    async with service.executor(journal=path) as executor:
        assert await outcomes(await resumed(executor)) == {"k": 2}


async def test_classic_tasks_are_resumed_as_well(service, path):
    async with service.executor(journal=path, funcx_client=service.client(api="v2")) as executor:
        assert await executor.options(key="done").submit(add, 1) == 2
        with service.faults.endpoint_offline():
            opened = executor.options(key="open").submit(add, 2)
            await opened.submitted()
            assert list(await resumed(executor)) == ["done", "open"]
        assert await asyncio.wait_for(opened, TIMEOUT) == 3
    with pytest.raises(ValueError, match=r"api v2.*api v3"):
        service.executor(journal=path).resume()
    async with service.executor(journal=path, funcx_client=service.client(api="v2")) as executor:
        assert await outcomes(await resumed(executor)) == {"done": 2, "open": 3}


async def test_an_executor_whose_loop_was_closed_takes_its_journal_along(service, path):
    """In a process of its own: what a closed loop leaves behind, Python complains about."""
    program = textwrap.dedent(f"""
        import asyncio
        from funcx_async import FuncXClient, FuncXExecutor

        client = FuncXClient({service.url!r}, auth={service.token!r})
        executor = FuncXExecutor(
            {service.endpoint_id!r}, funcx_client=client, journal={str(path)!r}
        )

        async def first():
            print(await executor.options(key="k").submit(pow, 2, 5))

        async def second():
            async with executor:
                async for key, future in executor.resume():
                    print(key, await future)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(first())
        loop.close()
        asyncio.run(second())
    """)
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, timeout=TIMEOUT
    )
    assert ended.stdout.split() == [b"32", b"k", b"32"], ended.stderr


# The disk -----------------------------------------------------------------------------------------


def break_at(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    """From the first write of this kind on, nothing can be written."""
    commit, broken = Store.commit, []

    def commit_or_not(self: Store, writes: Iterable[Any]) -> None:
        writes = list(writes)
        if broken or any(isinstance(write, kind) for write in writes):
            broken.append(True)
            raise JournalError("The journal cannot be written: the disk is full.")
        commit(self, writes)

    monkeypatch.setattr(Store, "commit", commit_or_not)


async def test_without_an_intent_on_disk_nothing_is_sent(service, path, monkeypatch):
    break_at(monkeypatch, Intend)
    async with service.executor(journal=path) as executor:
        with pytest.raises(JournalError, match="disk is full"):
            await executor.submit(add, 1)
        with pytest.raises(JournalError, match="disk is full"):
            executor.submit(add, 1)
        with pytest.raises(JournalError, match="disk is full"):
            await resumed(executor)
    assert service.faults.count("submit") == 0


async def test_without_a_receipt_on_disk_the_result_comes_all_the_same(service, path, monkeypatch):
    break_at(monkeypatch, Accept)
    async with service.executor(journal=path) as executor:
        assert await executor.options(key="k").submit(add, 1) == 2
    monkeypatch.undo()
    async with service.executor(journal=path) as executor:
        assert isinstance((await outcomes(await resumed(executor)))["k"], SubmitUncertain)


async def test_what_is_not_on_disk_is_not_acknowledged(service, path, monkeypatch):
    break_at(monkeypatch, Settle)
    async with service.executor(journal=path) as executor:
        assert await executor.options(key="k").submit(add, 1) == 2
        with pytest.raises(JournalError, match="disk is full"):
            await executor.confirm("k")
        looked = service.faults.count("batch_status")
    monkeypatch.undo()
    async with service.executor(journal=path) as executor:
        assert await outcomes(await resumed(executor)) == {"k": 2}
        assert service.faults.count("batch_status") == looked, "it came from the queue"


# Retries and time limits --------------------------------------------------------------------------


def fail_times(times: int, path: Path) -> str:
    """Fail so many times, then succeed; the file counts."""
    with path.open("a") as file:
        file.write("x")
    if path.stat().st_size <= times:
        raise ValueError("not yet")
    return f"attempt {path.stat().st_size}"


async def test_a_task_that_failed_is_submitted_again_and_its_last_outcome_is_kept(
    service, path, tmp_path
):
    async with service.executor(journal=path) as executor:
        view = executor.options(key="k", retries=2, retry_on=TaskExecutionFailed)
        future = view.submit(fail_times, 1, tmp_path / "attempts")
        assert await asyncio.wait_for(future, TIMEOUT) == "attempt 2"
        last = future.task_id
    async with service.executor(journal=path) as executor:
        again = await resumed(executor)
        assert await outcomes(again) == {"k": "attempt 2"}
        assert again["k"].task_id == last
        await executor.confirm("k")
        assert await resumed(executor) == {}


@pytest.mark.parametrize("retry_on", [TaskExecutionFailed, (TaskExecutionFailed, ResultExpired)])
async def test_a_process_that_ends_between_two_attempts_leaves_the_next_one_to_its_successor(
    service, path, tmp_path, monkeypatch, retry_on
):
    attempts = tmp_path / "attempts"

    async def main(executor: FuncXExecutor) -> None:
        view = executor.options(key="k", retries=2, retry_on=retry_on)
        future = view.submit(fail_times, 2, attempts)
        await asyncio.wait_for(future.submitted(), TIMEOUT)
        await until(lambda: not future.sent)

    with monkeypatch.context() as patch:
        patch.setattr(task_retry, "Backoff", lambda: Backoff(first=TIMEOUT))
        await in_a_process_that_ends(service, path, main)
    assert attempts.read_text() == "x"
    async with service.executor(journal=path) as executor:
        again = await resumed(executor)
        assert await outcomes(again) == {"k": "attempt 3"}
        await executor.confirm("k")
    async with service.executor(journal=path) as executor:
        assert await resumed(executor) == {}


async def test_without_attempts_left_a_failure_is_given_back_as_it_is(service, path, tmp_path):
    attempts = tmp_path / "attempts"
    async with service.executor(journal=path) as executor:
        view = executor.options(key="k", retries=1, retry_on=TaskExecutionFailed)
        with pytest.raises(TaskExecutionFailed, match="not yet"):
            await asyncio.wait_for(view.submit(fail_times, 9, attempts), TIMEOUT)
    async with service.executor(journal=path) as executor:
        failed = (await outcomes(await resumed(executor)))["k"]
        assert isinstance(failed, TaskExecutionFailed)
    assert attempts.read_text() == "xx"


async def test_a_task_whose_submit_became_uncertain_at_a_crash_is_submitted_again(service, path):
    with service.faults.hold_replies("submit") as hold:

        async def sending(executor: FuncXExecutor) -> None:
            executor.options(key="k", retries=1).submit(add, 1)
            await until(lambda: hold.held > 0)

        await in_a_process_that_ends(service, path, sending)
    async with service.executor(journal=path) as executor:
        assert await outcomes(await resumed(executor)) == {"k": 2}


async def test_a_key_whose_task_is_cancelled_between_two_attempts_is_free(
    service, path, tmp_path, monkeypatch
):
    monkeypatch.setattr(task_retry, "Backoff", lambda: Backoff(first=TIMEOUT))
    attempts = tmp_path / "attempts"
    async with service.executor(journal=path) as executor:
        view = executor.options(key="k", retries=1, retry_on=TaskExecutionFailed)
        future = view.submit(fail_times, 9, attempts)
        await asyncio.wait_for(future.submitted(), TIMEOUT)
        await until(lambda: not future.sent)
        assert future.cancel()
        assert await executor.options(key="k").submit(add, 1) == 2
        await executor.confirm("k")
    async with service.executor(journal=path) as executor:
        assert await resumed(executor) == {}


async def test_a_task_that_is_resumed_keeps_its_time_limit(service, path):
    async def main(executor: FuncXExecutor) -> None:
        view = executor.options(key="k", timeout=1.5)
        await asyncio.wait_for(view.submit(add, 1).submitted(), TIMEOUT)

    with service.faults.endpoint_offline():
        await in_a_process_that_ends(service, path, main)
        async with service.executor(journal=path) as executor:
            timed_out = (await outcomes(await resumed(executor)))["k"]
    assert isinstance(timed_out, TaskTimedOut)
    assert "1.5 s of its timeout" in str(timed_out)
