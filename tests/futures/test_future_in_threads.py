"""The cheap future among threads: what CPython's own tests of Future leave out."""

from __future__ import annotations

import concurrent.futures
import gc
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, InvalidStateError
from contextlib import suppress
from functools import partial

import pytest

from funcx_async._futures.future import FuncXFuture

TIMEOUT = 60
COUNT = 2_000


def in_threads(*calls: Callable[[], object]) -> None:
    """Run all at once, and raise what any of them raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait(TIMEOUT)
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for running in [pool.submit(run, call) for call in calls]:
            running.result(TIMEOUT)


def shuffled(futures: list[FuncXFuture[int]], seed: int) -> list[FuncXFuture[int]]:
    return random.Random(seed).sample(futures, len(futures))


def test_all_who_wait_in_threads_hear_of_every_settlement():
    futures: list[FuncXFuture[int]] = [FuncXFuture() for _ in range(COUNT)]
    called: list[int] = []

    def settle() -> None:
        for future in shuffled(futures, 1):
            future.set_result(futures.index(future))

    def sleep() -> None:
        assert [future.result(TIMEOUT) for future in futures] == list(range(COUNT))

    def wait() -> None:
        done, left = concurrent.futures.wait(futures, TIMEOUT)
        assert (len(done), len(left)) == (COUNT, 0)

    def complete() -> None:
        done = concurrent.futures.as_completed(futures, TIMEOUT)
        assert sum(future.result(0) for future in done) == sum(range(COUNT))

    def call() -> None:
        for future in shuffled(futures, 2):
            future.add_done_callback(lambda done: called.append(done.result(0)))

    in_threads(settle, sleep, sleep, wait, complete, call)
    assert sorted(called) == list(range(COUNT))


def test_of_many_who_settle_one_wins_and_everybody_hears_of_the_same():
    futures: list[FuncXFuture[int]] = [FuncXFuture() for _ in range(COUNT)]
    won: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    settle: dict[str, Callable[[FuncXFuture[int]], object]] = {
        "value": lambda future: future.set_result(1),
        "error": lambda future: future.set_exception(ZeroDivisionError()),
        "gone": lambda future: not future.done() and future.cancel(),
    }

    def act(name: str) -> None:
        for future in futures:
            with suppress(InvalidStateError):
                won[name] += settle[name](future) is not False

    def listen() -> None:
        heard.update(kind_of(future) for future in futures)

    in_threads(*[partial(act, name) for name in settle], listen)
    assert won.total() == COUNT, "each was settled once"
    assert won == Counter(kind_of(future) for future in futures) == heard


def kind_of(future: FuncXFuture[int]) -> str:
    """Wait for the outcome, and give its name."""
    try:
        future.result(TIMEOUT)
    except CancelledError:
        return "gone"
    except ZeroDivisionError:
        return "error"
    return "value"


def test_a_callback_that_is_removed_meanwhile_is_called_or_gone():
    for _ in range(200):
        settle_and_forget(FuncXFuture())


def settle_and_forget(future: FuncXFuture[int]) -> None:
    called: list[FuncXFuture[int]] = []
    removed: list[int] = []
    future.add_done_callback(called.append)
    in_threads(
        lambda: future.set_result(1),
        lambda: removed.append(future.remove_done_callback(called.append)),
    )
    assert len(called) + removed[0] == 1


def test_a_future_that_nobody_waits_for_in_a_thread_has_no_condition():
    future: FuncXFuture[int] = FuncXFuture()
    future.add_done_callback(lambda done: None)
    future.set_result(1)
    assert future.result() == 1
    held = gc.get_referents(future)
    assert not [thing for thing in held if isinstance(thing, threading.Condition)]


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_who_waits_too_long_hears_of_it(timeout: float):
    future: FuncXFuture[int] = FuncXFuture()
    with pytest.raises(TimeoutError):
        future.result(timeout)
    with pytest.raises(TimeoutError):
        future.exception(timeout)


def test_an_outcome_is_given_without_waiting_or_not_at_all():
    future: FuncXFuture[int] = FuncXFuture()
    with pytest.raises(InvalidStateError):
        future.outcome()
    future.set_result(1)
    assert future.outcome() == 1
    cancelled: FuncXFuture[int] = FuncXFuture()
    cancelled.cancel()
    with pytest.raises(CancelledError):
        cancelled.outcome()
    assert cancelled.failed
