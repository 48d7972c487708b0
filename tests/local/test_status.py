"""The status page's contents, who may read them, and the history that they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from funcx_async.local import LocalService
from funcx_async.local.history import BATCHES, FAILURES, SPAN, STEPS, History, step_of
from tests.brokers import require, with_rabbitmq
from tests.local.dialogue import Rest, payload, rest_of


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def status_of(rest: Rest) -> dict[str, Any]:
    answer = await rest.http.get("/status.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def key_of(service: LocalService) -> str:
    return service.status_url.partition("#")[2]


# Who may read it --------------------------------------------------------------------------------


async def test_the_page_is_for_everybody_and_holds_nothing(service: LocalService, rest: Rest):
    await rest.run(add, 1, 2)
    async with httpx.AsyncClient(base_url=service.url) as http:
        answer = await http.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    for secret in (service.token, key_of(service), service.endpoint_id, "add"):
        assert f">{secret}<" not in answer.text
        assert len(secret) < 10 or secret not in answer.text


async def test_the_page_may_do_nothing_but_run_its_own_script_and_ask_its_own_service(
    service: LocalService,
):
    async with httpx.AsyncClient(base_url=service.url) as http:
        answer = await http.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "://" not in answer.text.replace("http://www.w3.org/2000/svg", ""), "nothing from afar"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic eDp5", "Bearer \xe9"])
async def test_what_it_shows_is_not_for_everybody(service: LocalService, header: str | None):
    headers = {} if header is None else {"Authorization": header.encode()}
    async with httpx.AsyncClient(base_url=service.url) as http:
        answer = await http.get("/status.json", headers=headers)
    assert answer.status_code == 401
    assert "tasks" not in answer.json()


async def test_the_key_lets_its_owner_look_and_do_nothing_else(service: LocalService):
    headers = {"Authorization": f"Bearer {key_of(service)}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as http:
        shown = await http.get("/status.json")
        others = [
            await http.get("/v2/endpoints"),
            await http.get("/v2/get_amqp_result_connection_url"),
            await http.post(f"/v3/endpoints/{service.endpoint_id}/submit", json={"tasks": {}}),
        ]
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert [answer.status_code for answer in others] == [401] * 3
    for secret in (service.token, key_of(service)):
        assert secret not in shown.text
        assert secret not in repr(service)


async def test_the_key_is_new_at_each_start_where_the_token_is_not(tmp_path: Path):
    keys, tokens = set(), set()
    for _ in range(2):
        async with LocalService(workers=1, database=tmp_path / "service.db") as service:
            keys.add(key_of(service))
            tokens.add(service.token)
            assert key_of(service) not in (tmp_path / "service.db").read_text("latin-1")
    assert (len(keys), len(tokens)) == (2, 1)


def test_before_the_start_there_is_no_page():
    with pytest.raises(RuntimeError, match="not running"):
        LocalService(workers=1).status_url  # noqa: B018


# What it shows ----------------------------------------------------------------------------------


async def test_it_shows_tasks_batches_latencies_and_the_endpoint(service: LocalService, rest: Rest):
    good, bad = await rest.register(add), await rest.register(fail)
    group, _ = await rest.submit(good, *[payload(number, 1) for number in range(5)])
    await rest.post({good: [payload(1, 1)], bad: [payload(), payload()]})
    await rest.executed(8)
    shown = await status_of(rest)
    assert shown["tasks"] == {"waiting": 0, "running": 0, "done": 6, "failed": 2}
    assert shown["batch_count"] == 2
    second, first = shown["batches"]
    assert (first["functions"], first["size"], first["done"]) == (["add"], 5, 5)
    assert (second["functions"], second["done"], second["failed"]) == (["add", "fail"], 1, 2)
    assert (first["group"], first["endpoint"]) == (group, service.endpoint_id)
    seconds = shown["seconds"]
    assert sum(each["taken"] for each in seconds) == 8
    assert sum(each["done"] for each in seconds) == 6
    assert sum(each["failed"] for each in seconds) == 2
    assert sum(some for each in seconds for _, some in each["latencies"]) == 8
    (endpoint,) = shown["endpoints"]
    assert endpoint == {
        "id": service.endpoint_id,
        "name": "local workers",
        "online": True,
        "workers": 1,
        "busy": 0,
        "open": 0,
    }
    assert shown["broker"] == "embedded broker"
    assert not shown["faults"]


async def test_failed_tasks_are_shown_with_function_and_error(rest: Rest):
    bad = await rest.register(fail)
    _, first = await rest.submit(bad, payload())
    await rest.executed(1)
    _, others = await rest.submit(bad, *[payload()] * FAILURES)
    await rest.executed(1 + FAILURES)
    failures = (await status_of(rest))["failures"]
    assert len(failures) == FAILURES, "only the latest are kept"
    assert {each["task"] for each in failures} == set(others)
    assert first[0] not in others
    assert {(each["function"], each["error"]) for each in failures} == {
        ("fail", "ValueError: on purpose")
    }
    assert all(isinstance(each["at"], float) for each in failures)


async def test_it_shows_what_waits_for_an_endpoint_that_is_offline(rest: Rest):
    function_id = await rest.register(add)
    with rest.service.faults.endpoint_offline():
        await rest.submit(function_id, payload(1, 2), payload(1, 2))
        shown = await status_of(rest)
        assert shown["tasks"]["waiting"] == 2
        assert not shown["endpoints"][0]["online"]
        assert shown["endpoints"][0]["open"] == 2
        assert shown["faults"] == [{"what": "the endpoint is offline", "times": None}]
    await rest.executed(2)
    assert (await status_of(rest))["tasks"]["waiting"] == 0


async def test_it_shows_the_faults_that_are_in_force(rest: Rest):
    faults = rest.service.faults
    faults.refuse("submit", status=503, times=2)
    faults.refuse("submit", status=413)
    faults.lose_replies("register", times=4)
    faults.truncate_replies("tasks")
    faults.drop_results(7)
    faults.duplicate_results()
    faults.refuse_logins(3)
    holds = [faults.hold_replies("version"), faults.reorder_results(5), faults.stall()]
    shown = {fault["what"]: fault["times"] for fault in (await status_of(rest))["faults"]}
    assert shown == {
        "submit: refused with 503": 2,
        "submit: refused with 413": 1,
        "register: the answer is lost": 4,
        "tasks: the answer is cut in half": 1,
        "the result is not published": 7,
        "the result is published twice": 1,
        "the broker refuses a login": 3,
        "version: answers are held back": None,
        "results go out backwards, 5 at a time": None,
        "the broker is stalled": None,
    }
    for hold in holds:
        hold.release()
    faults.reset()
    assert not (await status_of(rest))["faults"]
    with faults.hold_results():
        (fault,) = (await status_of(rest))["faults"]
        assert fault["what"] == "results are held back"


async def test_tasks_of_an_earlier_service_are_counted_without_a_latency(tmp_path: Path):
    file = tmp_path / "service.db"
    async with LocalService(workers=1, database=file) as service, rest_of(service) as rest:
        service.faults.endpoint_offline()
        await rest.submit(await rest.register(add), payload(1, 2))
    async with LocalService(workers=1, database=file) as service, rest_of(service) as rest:
        await rest.executed(1)
        shown = await status_of(rest)
    assert shown["tasks"] == {"waiting": 0, "running": 0, "done": 1, "failed": 0}
    assert not any(each["latencies"] for each in shown["seconds"])


@pytest.mark.parametrize("broker", with_rabbitmq())
async def test_of_a_rabbitmq_it_shows_the_place_and_no_password(broker: str):
    async with LocalService(workers=1, amqp_url=require()) as service, rest_of(service) as rest:
        shown = await status_of(rest)
    assert shown["broker"].startswith("RabbitMQ at ")
    assert "@" not in json.dumps(shown)


# The history ------------------------------------------------------------------------------------


def test_what_is_older_than_its_span_is_forgotten():
    clock = Clock()
    history = History(clock)
    for _ in range(SPAN + 50):
        batch = history.taken("g", "e", ["f"], 1)
        history.settled(batch, clock.now, failed=False)
        clock.now += 1
    assert len(history.seconds()) == SPAN - 1
    assert history.done == SPAN + 50
    clock.now += SPAN
    assert history.seconds() == []
    assert len(history.batches()) == BATCHES
    assert history.batch_count == SPAN + 50


def test_a_clock_that_is_set_back_loses_nothing():
    clock = Clock()
    history = History(clock)
    batch = history.taken("g", "e", ["f"], 2)
    clock.now -= 3600
    history.settled(batch, clock.now, failed=False)
    history.settled(history.taken("g", "e", ["f"], 1), clock.now, failed=True)
    (second,) = history.seconds()
    assert (second["taken"], second["done"], second["failed"]) == (3, 1, 1)
    assert second["latencies"] == [(0, 2)]


@pytest.mark.parametrize(
    ("latency", "step"), [(-1.0, 0), (0.0, 0), (0.001, 6), (0.01, 13), (1.0, 26), (1e6, STEPS - 1)]
)
def test_latencies_are_kept_by_half_octaves(latency: float, step: int):
    assert step_of(latency) == step
