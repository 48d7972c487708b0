"""What is open, and word of what is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier, BrokenBarrierError

import pytest

from funcx_async._futures.future import FuncXFuture
from funcx_async._session.open_tasks import OpenTasks
from funcx_async.errors import TooManyOpenTasks
from funcx_async.events import Counts

TIMEOUT = 30.0


def opened(limit: int | None = None) -> OpenTasks:
    return OpenTasks(asyncio.get_running_loop(), None, limit)


def added(tasks: OpenTasks, endpoint_id: str | None = "ep") -> FuncXFuture[int]:
    future: FuncXFuture[int] = FuncXFuture()
    tasks.add(future, endpoint_id)
    return future


async def test_word_of_what_is_settled_comes_once_for_all_of_it():
    tasks = opened()
    for endpoint_id in ("a", "b", "a", None):
        tasks.done(added(tasks, endpoint_id), asyncio.get_running_loop())
    assert sorted(await asyncio.wait_for(tasks.settled(), TIMEOUT)) == ["a", "b"]
    assert tasks.futures == []


async def test_word_that_comes_while_nobody_listens_is_not_lost():
    tasks = opened()
    for _ in range(3):
        tasks.done(added(tasks), asyncio.get_running_loop())
        assert await asyncio.wait_for(tasks.settled(), TIMEOUT) == ["ep"]


async def test_word_comes_from_other_threads():
    tasks = opened()
    news = asyncio.create_task(tasks.settled())
    await asyncio.to_thread(tasks.done, added(tasks), None)
    assert await asyncio.wait_for(news, TIMEOUT) == ["ep"]


async def test_a_look_is_word_of_nothing():
    tasks = opened()
    tasks.wake()
    assert await asyncio.wait_for(tasks.settled(), TIMEOUT) == []


async def test_there_is_room_again_once_word_is_taken_of_what_is_settled():
    tasks = opened(limit=2)
    first, _ = added(tasks), added(tasks)
    with pytest.raises(TooManyOpenTasks, match="2 tasks are open, and max_in_flight is 2"):
        tasks.admit(FuncXFuture(), "ep")
    room = asyncio.create_task(tasks.wait_for_capacity())
    tasks.wake()
    await tasks.settled()  # there is none yet: the one who waits has to go on waiting
    tasks.done(first, asyncio.get_running_loop())
    await tasks.settled()
    await asyncio.wait_for(room, TIMEOUT)
    tasks.admit(FuncXFuture(), "ep")


async def test_tasks_are_counted_by_endpoint():
    tasks = opened()
    future = added(tasks, "a")
    added(tasks, "b")
    added(tasks, "a")
    assert (tasks.at("a"), tasks.at("b"), tasks.at("c")) == (2, 1, 0)
    tasks.remove(future)
    assert tasks.at("a") == 1


async def test_there_is_room_again_where_a_task_could_not_be_submitted():
    tasks = opened(limit=1)
    future = added(tasks)
    room = asyncio.create_task(tasks.wait_for_capacity())
    await asyncio.to_thread(tasks.remove, future)
    await asyncio.wait_for(tasks.settled(), TIMEOUT)
    await asyncio.wait_for(room, TIMEOUT)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What these calls return, each made in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [each.result() for each in [threads.submit(call) for call in calls]]


class Meeting:
    """A place where two threads meet, unless something keeps one of them out for good."""

    def __init__(self) -> None:
        self._barrier = Barrier(2)

    def __call__(self) -> None:
        with suppress(BrokenBarrierError):
            self._barrier.wait(timeout=0.5)


async def test_two_threads_never_take_the_same_last_place():
    meeting = Meeting()

    class Limit(int):
        """A limit that both threads compare with at the same time, if they can."""

        def __le__(self, other: int) -> bool:
            meeting()
            return int(self) <= other

    tasks = opened(limit=Limit(1))

    def admit() -> bool:
        try:
            tasks.admit(FuncXFuture(), "ep")
        except TooManyOpenTasks:
            return False
        return True

    admitted = await asyncio.to_thread(at_once, admit, admit)
    assert sorted(admitted) == [False, True]
    assert len(tasks) == 1


async def test_what_two_threads_count_at_once_is_counted_twice():
    meeting = Meeting()

    class Word(str):
        """A name that both threads look up at the same time, if they can."""

        __slots__ = ()

        def __hash__(self) -> int:
            meeting()
            return hash(str(self))

    counts = Counts()
    word = Word("retried")
    await asyncio.to_thread(at_once, partial(counts.count, word), partial(counts.count, word))
    assert counts.by_name()["retried"] == 2
