from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from funcx_async.local import store as store_module
from funcx_async.local.store import RESULTS_KEPT_FOR, Store


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock):
    opened = Store(clock=clock)
    yield opened
    opened.close()


def add_tasks(store: Store, *payloads: str) -> list[str]:
    function_id = store.add_function("f", "code,")
    group_id = store.add_task_group(queued=True)
    return store.add_tasks(
        [(function_id, payload) for payload in payloads], group_id=group_id, endpoint_id="e"
    )


def test_a_function_comes_back_as_it_was_registered(store):
    function_id = store.add_function(
        "f", "code", description="does it", metadata={"python_version": "3.11"}
    )
    function = store.function(function_id)
    assert (function.id, function.name, function.code) == (function_id, "f", "code")
    assert function.description == "does it"
    assert function.metadata == {"python_version": "3.11"}
    assert store.function("another") is None


def test_a_function_registered_again_under_its_id_is_replaced(store):
    store.add_function("f", "old", function_id="known")
    store.add_function("f", "new", function_id="known")
    assert store.function("known").code == "new"


def test_unknown_functions_are_told_apart(store):
    known = store.add_function("f", "code")
    assert store.unknown_function([known, "x", "y"]) == "x"
    assert store.unknown_function([known]) is None


def test_endpoints_are_listed_in_the_order_of_their_making(store):
    ids = [store.add_endpoint(f"endpoint {number}") for number in range(3)]
    assert [endpoint.id for endpoint in store.endpoints()] == ids
    assert store.endpoint(ids[1]).name == "endpoint 1"
    assert store.endpoint("another") is None


def test_a_task_group_can_be_given_a_queue_later(store):
    group_id = store.add_task_group(queued=False)
    assert store.is_queued(group_id) is False
    store.give_queue(group_id)
    assert store.is_queued(group_id)
    assert store.is_queued("another") is None


def test_only_groups_with_tasks_are_listed_for_a_restart(store):
    store.add_task_group(queued=True)
    (task_id,) = add_tasks(store, "p")
    assert store.queued_task_groups() == [store.task(task_id).group_id]


def test_ids_of_new_tasks_are_in_the_order_of_their_payloads(store):
    ids = add_tasks(store, "a", "b", "c")
    assert [store.work(task_id) for task_id in ids] == [
        ("[]", "code,a"),
        ("[]", "code,b"),
        ("[]", "code,c"),
    ]
    assert [task_id for task_id, _ in store.tasks_of_group(store.task(ids[0]).group_id)] == ids


def test_tasks_are_taken_all_or_none(store):
    group_id = store.add_task_group(queued=True)
    with pytest.raises(sqlite3.IntegrityError):
        store.add_tasks([("f", "fine"), (None, "bad")], group_id=group_id, endpoint_id="e")
    assert store.tasks_of_group(group_id) == []


def test_a_task_is_settled_once(store):
    (task_id,) = add_tasks(store, "p")
    assert store.task(task_id).settled_at is None
    assert store.settle(task_id, b"first", failed=False) == 1000.0
    settled = store.task(task_id)
    assert (settled.settled_at, settled.message) == (1000.0, b"first")
    assert store.settle(task_id, b"second", failed=True) is None
    assert store.task(task_id).message == b"first"
    assert store.settle("another", b"message", failed=False) is None


def test_a_settled_task_is_no_work_any_more(store):
    done, still_open = add_tasks(store, "p", "q")
    store.settle(done, b"message", failed=False)
    with pytest.raises(KeyError):
        store.work(done)
    with pytest.raises(KeyError):
        store.work("another")
    assert [job.task_id for job in store.open_jobs()["e"]] == [still_open]


def test_half_an_hour_after_it_was_settled_a_task_is_forgotten(store, clock):
    old, young, still_open = add_tasks(store, "p", "q", "r")
    store.settle(old, b"message", failed=False)
    clock.now += 1
    store.settle(young, b"message", failed=False)
    clock.now += RESULTS_KEPT_FOR - 0.5
    store.forget_old()
    assert store.task(old) is None
    assert store.task(young) is not None
    assert store.task(still_open) is not None


def test_the_oldest_results_go_where_they_take_too_much_room(store, clock, monkeypatch):
    monkeypatch.setattr(store_module, "RESULTS_KEPT_BYTES", 1000)
    ids = add_tasks(store, *"abcdefghijkl")
    for task_id in ids:
        clock.now += 1
        store.settle(task_id, b"x" * 100, failed=False)
    kept = [task_id for task_id in ids if store.task(task_id) is not None]
    assert kept == ids[-len(kept) :]
    assert 8 <= len(kept) <= 10


def test_what_a_file_holds_outlives_the_service(tmp_path: Path):
    first = Store(tmp_path / "service.sqlite")
    done, still_open = add_tasks(first, "p", "q")
    first.settle(done, b"message", failed=True)
    first.close()
    second = Store(tmp_path / "service.sqlite")
    assert second.task(done).message == b"message"
    assert second.task(done).failed
    assert second.work(still_open) == ("[]", "code,q")
    second.close()


def test_128_tasks_are_taken_in_a_few_milliseconds(store):
    best = float("inf")
    for _ in range(20):
        before = time.perf_counter()
        add_tasks(store, *["p" * 100] * 128)
        best = min(best, time.perf_counter() - before)
    assert best < 0.005


def test_a_result_that_was_handed_out_is_gone_but_its_task_stays_in_its_group():
    store = Store()
    group_id = store.add_task_group(queued=False)
    (task_id,) = store.add_tasks([("f", "p")], group_id=group_id, endpoint_id="e", classic=True)
    store.settle(task_id, b"result", failed=False)
    task = store.task(task_id)
    assert task is not None
    assert task.classic
    store.hand_out(task_id)
    assert store.task(task_id) is None
    assert [known for known, _ in store.tasks_of_group(group_id)] == [task_id]
    store.close()
