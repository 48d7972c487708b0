"""What is kept of tasks that ended, and asked for where nothing is kept."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from funcx_async import (
    FuncXClient,
    FuncXExecutor,
    FuncXFuture,
    NotFound,
    ServiceUnavailable,
    SubmitUncertain,
    TaskTimedOut,
)
from funcx_async.fastapi import TaskBoard, TaskView
from funcx_async.fastapi import board as board_module
from funcx_async.local import LocalService

TIMEOUT = 30


def repeat(letter: str, times: int) -> str:
    return letter * times


def a_set_of_locks() -> Any:
    return {1, 2}, {(1, 2): 3}, complex(1, 2)


def read(path: str) -> str:
    from pathlib import Path

    return Path(path).read_text()


@pytest.fixture
async def executor(service: LocalService) -> AsyncIterator[FuncXExecutor]:
    async with service.executor() as made:
        yield made


async def finished(board: TaskBoard, *futures: Any) -> list[str]:
    task_ids = [await board.accepted(future) for future in futures]
    async for _ in board.watch(task_ids):
        pass
    return task_ids


async def test_answers_that_nobody_asks_for_make_room(
    service: LocalService, executor: FuncXExecutor
):
    board = TaskBoard(executor, keep_bytes=6_000)
    futures = [executor.submit(repeat, letter, 1_000) for letter in "abcdefgh"]
    task_ids = await finished(board, *futures)
    assert repr(board) == "<TaskBoard 0 open, 4 kept>"
    asked = service.faults.count("batch_status")
    for letter, task_id in zip("abcdefgh", task_ids, strict=True):
        document = json.loads((await board.get(task_id)).document)
        assert document == {"task_id": task_id, "status": "success", "result": letter * 1_000}
    assert service.faults.count("batch_status") > asked  # for the evicted ones
    assert repr(board) == "<TaskBoard 0 open, 4 kept>"


async def test_an_answer_that_is_larger_than_the_limit_is_asked_for_each_time(
    executor: FuncXExecutor,
):
    board = TaskBoard(executor, keep_bytes=100)
    (task_id,) = await finished(board, executor.submit(repeat, "x", 1_000))
    assert repr(board) == "<TaskBoard 0 open, 0 kept>"
    for _ in range(2):
        assert json.loads((await board.get(task_id)).document)["result"] == "x" * 1_000


async def test_it_makes_no_other_answer_go(service: LocalService, executor: FuncXExecutor):
    board = TaskBoard(executor, keep_bytes=5_000)
    (small,) = await finished(board, executor.submit(repeat, "x", 10))
    await finished(board, executor.submit(repeat, "x", 10_000))
    assert repr(board) == "<TaskBoard 0 open, 1 kept>"
    asked = service.faults.count("batch_status")
    assert json.loads((await board.get(small)).document)["result"] == "x" * 10
    assert service.faults.count("batch_status") == asked


async def test_result_and_error_of_a_view_are_values(executor: FuncXExecutor):
    board = TaskBoard(executor)
    good, bad = await finished(
        board, executor.submit(repeat, "x", 3), executor.submit(divmod, 1, 0)
    )
    view = await board.get(good)
    assert (view.result, view.error) == ("xxx", None)
    view = await board.get(bad)
    assert view.result is None
    assert view.error is not None
    assert view.error.error == "TaskExecutionFailed"
    assert "ZeroDivisionError" in view.error.detail
    pending = TaskView.pending(good)
    assert (pending.result, pending.error) == (None, None)


async def test_a_value_that_json_cannot_hold_is_a_success_with_a_remedy(executor: FuncXExecutor):
    board = TaskBoard(executor)
    (task_id,) = await finished(board, executor.submit(a_set_of_locks))
    document = json.loads((await board.get(task_id)).document)
    assert document["status"] == "success"
    assert document["error"]["error"] == "NotRepresentable"
    assert "plain values" in document["error"]["detail"]


async def test_who_waits_for_a_service_that_takes_no_task_is_told_in_time_and_it_is_not_sent(
    service: LocalService, executor: FuncXExecutor
):
    service.faults.refuse("submit", status=503, retry_after=100)
    board = TaskBoard(executor)
    future = executor.submit(repeat, "x", 1)
    with pytest.raises(ServiceUnavailable, match=r"no task for 0\.3 s.*not sent"):
        await asyncio.wait_for(board.accepted(future, timeout=0.3), TIMEOUT)
    assert future.cancelled()
    assert repr(board) == "<TaskBoard 0 open, 0 kept>"


async def test_the_time_limit_of_a_task_is_its_own(service: LocalService, executor: FuncXExecutor):
    service.faults.refuse("submit", status=503, retry_after=100)
    future = executor.options(timeout=0.2).submit(repeat, "x", 1)
    with pytest.raises(TaskTimedOut):
        await TaskBoard(executor).accepted(future, timeout=TIMEOUT)


async def test_of_a_task_that_is_under_way_nobody_can_say_that_it_was_not_sent(
    service: LocalService, executor: FuncXExecutor
):
    await executor.submit(repeat, "x", 1)
    with service.faults.hold_replies("submit"):
        future = executor.submit(repeat, "x", 2)
        with pytest.raises(SubmitUncertain, match="may run twice"):
            await asyncio.wait_for(TaskBoard(executor).accepted(future, timeout=0.5), TIMEOUT)
    assert await future == "xx"


async def test_tasks_of_another_board_are_followed_by_asking(
    service: LocalService, executor: FuncXExecutor
):
    ours, theirs = TaskBoard(executor), TaskBoard(executor)
    with service.faults.endpoint_offline():
        task_ids = [await theirs.accepted(executor.submit(repeat, "x", n)) for n in range(1, 4)]
        watching = [asyncio.create_task(last_words(ours, task_ids)) for _ in range(5)]
        await service.faults.seen("batch_status")
    for told in await asyncio.gather(*watching):
        assert told == {task_id: "x" * n for n, task_id in enumerate(task_ids, 1)}


async def test_who_watches_hears_of_what_another_one_asked_for(
    service: LocalService, executor: FuncXExecutor
):
    ours, theirs = TaskBoard(executor), TaskBoard(executor)
    with service.faults.endpoint_offline():
        future = executor.submit(repeat, "x", 1)
        task_id = await theirs.accepted(future)
        watching = ours.watch([task_id])
        assert (await anext(watching)).status == "pending"
    await future
    assert (await ours.get(task_id)).done
    assert [view.status async for view in watching] == ["success"]


def fail_at_first(marker: str) -> str:
    from pathlib import Path

    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return "at last"
    raise OSError("not yet")


async def test_a_task_that_is_tried_again_keeps_the_id_that_clients_know(
    executor: FuncXExecutor, tmp_path: Path
):
    board = TaskBoard(executor)
    stubborn = executor.options(retries=1, retry_on=lambda error: True)
    future = stubborn.submit(fail_at_first, str(tmp_path / "marker"))
    (task_id,) = await finished(board, future)
    assert future.task_id != task_id
    document = json.loads((await board.get(task_id)).document)
    assert document == {"task_id": task_id, "status": "success", "result": "at last"}
    assert repr(board) == "<TaskBoard 0 open, 1 kept>"


async def test_who_stops_watching_is_forgotten_and_the_others_hear_on(
    service: LocalService, executor: FuncXExecutor
):
    board = TaskBoard(executor)
    with service.faults.endpoint_offline():
        task_id = await board.accepted(executor.submit(repeat, "x", 1))
        leaver, stayer = board.watch([task_id]), board.watch([task_id])
        assert [(await anext(each)).status for each in (leaver, stayer)] == ["pending"] * 2
        await leaver.aclose()
    assert [view.status async for view in stayer] == ["success"]


async def test_who_watches_a_task_whose_future_is_given_up_hears_its_end_from_the_service(
    service: LocalService, executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(board_module, "POLL_INTERVAL", 0.1)
    board = TaskBoard(executor)
    with service.faults.endpoint_offline():
        task_id = await board.accepted(executor.submit(repeat, "x", 1))
        watching = board.watch([task_id])
        assert (await anext(watching)).status == "pending"
        hearing = asyncio.create_task(anext(watching))
        await executor.reload_tasks()
    assert (await asyncio.wait_for(hearing, TIMEOUT)).status == "success"
    assert [view async for view in watching] == []


async def test_a_result_that_was_told_and_not_kept_is_not_fetched_again(
    service: LocalService,
    executor: FuncXExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(board_module, "POLL_INTERVAL", 0.1)
    asked: list[str] = []
    ask = executor.funcx_client.get_batch_status

    async def noted(task_ids: Any) -> Any:
        asked.extend(task_ids)
        return await ask(task_ids)

    monkeypatch.setattr(executor.funcx_client, "get_batch_status", noted)
    os.mkfifo(gate := tmp_path / "gate")
    ours, theirs = TaskBoard(executor, keep_bytes=1_000), TaskBoard(executor)
    large = await ours.accepted(executor.submit(repeat, "x", 10_000))
    open_one = await theirs.accepted(executor.submit(read, str(gate)))
    watching = ours.watch([large, open_one])
    while not (view := await anext(watching)).done:
        pass
    assert view.task_id == large
    asked.clear()
    last = asyncio.create_task(anext(watching))
    try:
        await service.faults.seen("batch_status", service.faults.count("batch_status") + 3)
        assert set(asked) == {open_one}
    finally:
        gate.write_text("go on")
    assert (await asyncio.wait_for(last, TIMEOUT)).task_id == open_one


class Strangers(httpx.AsyncBaseTransport):
    """A service that knows no task; the client keeps the budget of the hosted one for it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if request.url.path.endswith("batch_status"):
            asked = json.loads(await request.aread())["task_ids"]
            unknown = {"status": "failed", "reason": "Unknown task id"}
            return httpx.Response(200, json={"results": dict.fromkeys(asked, unknown)})
        if "/tasks/" in request.url.path:
            return httpx.Response(404, json={"code": "TASK_NOT_FOUND", "reason": "unknown"})
        return httpx.Response(200, json={"function_uuid": str(uuid.uuid4())})


async def test_invented_ids_do_not_keep_tasks_from_being_submitted():
    transport = Strangers()
    client = FuncXClient("https://service.test", auth="a-token", transport=transport)
    executor = FuncXExecutor(str(uuid.uuid4()), funcx_client=client)
    board = TaskBoard(executor)
    gets = [asyncio.create_task(board.get(str(uuid.uuid4()))) for _ in range(120)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):  # the budget of 20 requests renews itself after 10 s
        await client.register_source_code("def f(): ...", "f")
        answers = await asyncio.gather(*gets, return_exceptions=True)
    assert {type(answer) for answer in answers} == {NotFound}
    assert len(transport.paths) <= 4


async def test_more_lookups_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(board_module, "MAX_LOOKUPS", 10)
    client = FuncXClient("https://service.test", auth="a-token", transport=Strangers())
    board = TaskBoard(FuncXExecutor(str(uuid.uuid4()), funcx_client=client))
    gets = [asyncio.create_task(board.get(str(uuid.uuid4()))) for _ in range(30)]
    answers = await asyncio.wait_for(asyncio.gather(*gets, return_exceptions=True), TIMEOUT)
    refused = [each for each in answers if isinstance(each, ServiceUnavailable)]
    assert (len(refused), refused[0].retry_after) == (20, 10.0)
    with pytest.raises(NotFound):  # there is room again
        await asyncio.wait_for(board.get(str(uuid.uuid4())), TIMEOUT)


async def test_ids_of_nobodys_making_leave_no_answer_and_push_none_out(executor: FuncXExecutor):
    board = TaskBoard(executor, keep_bytes=5_000)
    (task_id,) = await finished(board, executor.submit(repeat, "x", 10))
    nobodys = [str(uuid.uuid4()) for _ in range(500)]
    told = [json.loads(view.document) async for view in board.watch(nobodys)]
    assert {each["task_id"] for each in told} == set(nobodys)
    assert {(each["status"], each["error"]["error"]) for each in told} == {("failed", "NotFound")}
    assert repr(board) == "<TaskBoard 0 open, 1 kept>"
    assert json.loads((await board.get(task_id)).document)["result"] == "x" * 10
    with pytest.raises(NotFound) as refused:  # as before it was watched
        await board.get(nobodys[0])
    assert refused.value.task_id == nobodys[0]


async def test_small_answers_take_no_more_memory_than_they_may(executor: FuncXExecutor):
    """What an answer takes beside its document is most of it, and is counted as well."""
    limit = 2_000_000
    board = TaskBoard(executor, keep_bytes=limit)
    tracemalloc.start()
    try:
        for number in range(10_000):
            future: FuncXFuture[int] = FuncXFuture(str(uuid.uuid4()))
            await board.accepted(future)
            future.fulfil(number)
        del future
        await asyncio.sleep(0)  # the loop lets go of timers that are over
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert limit / 2 < taken < 1.2 * limit


@pytest.mark.parametrize("others", [0, 50_000])
async def test_watching_costs_nothing_for_what_others_have_open(
    executor: FuncXExecutor, others: int
):
    board = TaskBoard(executor)
    for number in range(others):
        await board.accepted(FuncXFuture(f"other {number}"))
    futures = [FuncXFuture[int](f"ours {number}") for number in range(500)]
    task_ids = [await board.accepted(future) for future in futures]
    watching = board.watch(task_ids)
    assert {(await anext(watching)).status for _ in task_ids} == {"pending"}
    began = time.process_time()
    for future in futures:
        future.fulfil(1)
        assert (await anext(watching)).done
    assert time.process_time() - began < 0.2
    assert [view async for view in watching] == []


async def last_words(board: TaskBoard, task_ids: list[str]) -> dict[str, str]:
    views = [view async for view in board.watch(task_ids) if view.done]
    return {view.task_id: json.loads(view.document)["result"] for view in views}


async def test_task_whose_state_cannot_be_read_is_shown_as_failed_and_the_others_as_they_are():
    entries = {
        "bad": {"status": "success", "result": ["no text"]},
        "not unicode": {"status": "failed", "exception": "ValueError: \udce9"},
        "good": {"status": "success", "result": "00\ngARLKi4=\n"},
    }
    answer = json.dumps({"response": "batch", "results": entries})
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=answer))
    async with (
        FuncXClient("http://127.0.0.1:9", auth="t", transport=transport) as client,
        FuncXExecutor(str(uuid.uuid4()), funcx_client=client) as executor,
        asyncio.timeout(TIMEOUT),
    ):
        views = {view.task_id: view async for view in TaskBoard(executor).watch(entries)}
    assert {task_id: view.status for task_id, view in views.items()} == {
        "bad": "failed",
        "not unicode": "failed",
        "good": "success",
    }
    errors = {task_id: view.error.detail for task_id, view in views.items() if view.error}
    assert "cannot be read" in errors["bad"]
    assert errors["not unicode"] == r"ValueError: \udce9"
