"""What is open, and word of what is settled."""

from __future__ import annotations

import asyncio

import pytest

from funcx_async.errors import TooManyOpenTasks
from funcx_async.futures.future import FuncXFuture
from funcx_async.session.open_tasks import OpenTasks
from funcx_async.settings.settings import Settings

TIMEOUT = 30.0


def opened(limit: int | None = None) -> OpenTasks:
    return OpenTasks(Settings(max_in_flight=limit), asyncio.get_running_loop(), None)


def added(tasks: OpenTasks, endpoint_id: str | None = "ep") -> FuncXFuture[int]:
    future: FuncXFuture[int] = FuncXFuture()
    tasks.add(future, endpoint_id)
    return future


async def test_word_of_what_is_settled_comes_once_for_all_of_it():
    tasks = opened()
    for endpoint_id in ("a", "b", "a", None):
        tasks.done(added(tasks, endpoint_id), tasks.loop)
    assert sorted(await asyncio.wait_for(tasks.news(), TIMEOUT)) == ["a", "b"]
    assert tasks.open_futures == []


async def test_word_that_comes_while_nobody_listens_is_not_lost():
    tasks = opened()
    for _ in range(3):
        tasks.done(added(tasks), tasks.loop)
        assert await asyncio.wait_for(tasks.news(), TIMEOUT) == ["ep"]


async def test_word_comes_from_other_threads():
    tasks = opened()
    news = asyncio.create_task(tasks.news())
    await asyncio.to_thread(tasks.done, added(tasks), None)
    assert await asyncio.wait_for(news, TIMEOUT) == ["ep"]


async def test_a_look_is_word_of_nothing():
    tasks = opened()
    tasks.look()
    assert await asyncio.wait_for(tasks.news(), TIMEOUT) == []


async def test_there_is_room_again_once_word_is_taken_of_what_is_settled():
    tasks = opened(limit=2)
    first, _ = added(tasks), added(tasks)
    with pytest.raises(TooManyOpenTasks, match="2 tasks are open, and max_in_flight is 2"):
        tasks.refuse_too_many()
    room = asyncio.create_task(tasks.room())
    tasks.look()
    await tasks.news()  # there is none yet: the one who waits has to go on waiting
    tasks.done(first, tasks.loop)
    await tasks.news()
    await asyncio.wait_for(room, TIMEOUT)
    tasks.refuse_too_many()


async def test_tasks_are_counted_by_endpoint():
    tasks = opened()
    future = added(tasks, "a")
    added(tasks, "b")
    added(tasks, "a")
    assert (tasks.open_at("a"), tasks.open_at("b"), tasks.open_at("c")) == (2, 1, 0)
    tasks.remove(future)
    assert tasks.open_at("a") == 1
