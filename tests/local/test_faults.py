"""Each fault does what it says, as often as it says, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import aio_pika
import aiormq
import httpx
import pytest

from funcx_async.local import Faults, LocalService
from tests.brokers import require, with_rabbitmq
from tests.local.dialogue import (
    LIMIT,
    QUEUE_PREFIX,
    Rest,
    connected,
    messages_of,
    next_of,
    payload,
    task_id_of,
    value,
)


async def submitted(rest: Rest, count: int = 1, **fields: object) -> tuple[str, list[str]]:
    """Submit tasks that give their number; their group, which has a queue, and their ids."""
    function_id = await rest.register(abs)
    payloads = [payload(number) for number in range(count)]
    return await rest.submit(function_id, *payloads, create_queue=True, **fields)


async def test_a_route_is_refused_as_often_as_asked(rest: Rest):
    faults = rest.service.faults
    faults.refuse("endpoints", status=429, times=2, code="TOO_MANY", reason="slow", retry_after=7)
    for _ in range(2):
        answer = await rest.http.get("/v2/endpoints")
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "7"
        assert answer.json() == {
            "status": "Failed",
            "code": "TOO_MANY",
            "error_args": [],
            "reason": "slow",
            "http_status_code": 429,
        }
    assert (await rest.http.get("/v2/endpoints")).status_code == 200
    assert faults.count("endpoints") == 3


async def test_a_refused_submit_takes_nothing(rest: Rest):
    function_id = await rest.register(abs)
    rest.service.faults.refuse("submit")
    answer = await rest.post({function_id: [payload(1)]})
    assert (answer.status_code, answer.json()["code"]) == (503, "HTTP_503")
    assert rest.service.faults.count("accepted") == 0


async def test_a_lost_reply_has_done_its_work(rest: Rest):
    function_id = await rest.register(abs)
    rest.service.faults.lose_replies("submit")
    with pytest.raises(httpx.RemoteProtocolError):
        await rest.post({function_id: [payload(1)]})
    await rest.executed(1)
    assert (await rest.post({function_id: [payload(1)]})).status_code == 200


async def test_a_truncated_reply_is_half_a_document(rest: Rest):
    rest.service.faults.truncate_replies("endpoints")
    answer = await rest.http.get("/v2/endpoints")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert (await rest.http.get("/v2/endpoints")).json()


async def test_results_overtake_a_reply_that_is_held(either: Rest):
    group_id, _ = await submitted(either)
    await either.executed(1)
    async with messages_of(either, group_id) as messages:
        await next_of(messages)
        with either.service.faults.hold_replies("submit") as hold:
            submitting = asyncio.create_task(submitted(either, task_group_id=group_id))
            await asyncio.wait_for(hold.seen(), LIMIT)
            early = await next_of(messages)
            assert hold.held == 1
            assert not submitting.done()
        _, (task_id,) = await asyncio.wait_for(submitting, LIMIT)
        assert task_id_of(early) == task_id


async def test_a_hold_ends_once_and_a_new_one_ends_the_old(rest: Rest):
    first = rest.service.faults.hold_replies("endpoints")
    waiting = asyncio.create_task(rest.http.get("/v2/endpoints"))
    await asyncio.wait_for(first.seen(), LIMIT)
    second = rest.service.faults.hold_replies("endpoints")
    assert (await asyncio.wait_for(waiting, LIMIT)).status_code == 200
    assert first.over
    first.release()
    assert not second.over
    second.release()
    second.release()
    assert (await rest.http.get("/v2/endpoints")).status_code == 200
    assert second.held == 0


async def test_a_dropped_result_is_on_rest_alone(either: Rest):
    either.service.faults.drop_results()
    group_id, (dropped, sent) = await submitted(either, 2)
    await either.executed(2)
    assert either.service.faults.count("dropped") == either.service.faults.count("published") == 1
    async with messages_of(either, group_id) as messages:
        got = task_id_of(await next_of(messages))
    assert got in (dropped, sent)
    assert [value(document) for document in await either.documents([dropped, sent])] == [0, 1]


async def test_a_duplicated_result_comes_twice(either: Rest):
    either.service.faults.duplicate_results()
    group_id, (task_id,) = await submitted(either)
    async with messages_of(either, group_id) as messages:
        assert [task_id_of(await next_of(messages)) for _ in range(2)] == [task_id] * 2
    assert either.service.faults.count("published") == 2


async def test_a_high_assurance_result_comes_without_its_value(either: Rest):
    either.service.faults.high_assurance_results()
    group_id, (task_id,) = await submitted(either)
    async with messages_of(either, group_id) as messages:
        message = await next_of(messages)
    assert message.headers["high_assurance"] is True
    assert task_id_of(message) == task_id
    assert json.loads(message.body[1:])["data"]["data"] == ""
    assert value((await either.documents([task_id]))[0]) == 0


async def test_results_come_backwards_in_groups(either: Rest):
    with either.service.faults.hold_results() as straight:
        group_id, ids = await submitted(either, 5)
        await asyncio.wait_for(straight.seen(5), LIMIT)
        assert either.service.faults.count("published") == 0
    async with messages_of(either, group_id) as messages:
        order = [task_id_of(await next_of(messages)) for _ in range(5)]
        assert sorted(order) == sorted(ids)
        with either.service.faults.reorder_results(3) as hold:
            await submitted(either, 5, task_group_id=group_id)
            await asyncio.wait_for(hold.seen(5), LIMIT)
            first = [await next_of(messages) for _ in range(3)]
            assert either.service.faults.count("published") == 8
        remaining = [await next_of(messages) for _ in range(2)]
    for some in (first, remaining):
        ends = [json.loads(message.body[1:])["data"]["task_statuses"][1] for message in some]
        assert len({task_id_of(message) for message in some}) == len(some)
        assert all(end["state"] == "execution-end" for end in ends)


async def test_a_window_of_one_cannot_be_reordered(service):
    with pytest.raises(ValueError, match="2 or more"):
        service.faults.reorder_results(1)


async def test_any_message_can_be_put_on_a_queue(either: Rest):
    group_id, _ = await submitted(either)
    await either.executed(1)
    either.service.faults.publish(group_id, b"nonsense", headers={"high_assurance": True})
    async with messages_of(either, group_id) as messages:
        await next_of(messages)
        message = await next_of(messages)
    assert message.body == b"nonsense"
    assert message.headers == {"high_assurance": True}


async def test_an_endpoint_that_is_offline_lets_tasks_wait(rest: Rest):
    status = f"/v2/endpoints/{rest.service.endpoint_id}/status"
    with rest.service.faults.endpoint_offline(), rest.service.faults.endpoint_offline() as inner:
        inner.release()
        _, ids = await submitted(rest, 3)
        answer = (await rest.http.get(status)).json()
        assert answer["status"] == "offline"
        assert answer["details"]["pending_tasks"] == 3
        assert {document["status"] for document in await rest.documents(ids)} == {"waiting-for-ep"}
    await rest.executed(3)
    assert (await rest.http.get(status)).json()["status"] == "online"


async def test_amqp_connections_are_cut(rest: Rest):
    group_id, _ = await submitted(rest)
    async with connected(rest) as connection:
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())
        rest.service.faults.disconnect()
        await asyncio.wait_for(closed.wait(), LIMIT)
    async with messages_of(rest, group_id) as messages:
        await next_of(messages)


async def test_amqp_channels_are_closed(rest: Rest):
    group_id, _ = await submitted(rest)
    async with connected(rest) as connection, connection.channel() as channel:
        closed = asyncio.Event()
        channel.close_callbacks.add(lambda *_: closed.set())
        queue = await channel.get_queue(QUEUE_PREFIX + group_id, ensure=False)
        async with queue.iterator():
            rest.service.faults.close_channels(group_id)
            await asyncio.wait_for(closed.wait(), LIMIT)
        assert not connection.is_closed


async def test_amqp_consumers_are_cancelled(rest: Rest):
    group_id, _ = await submitted(rest)
    async with messages_of(rest, group_id) as first:
        await next_of(first)
        rest.service.faults.cancel_consumers()
        _, (task_id,) = await submitted(rest, task_group_id=group_id)
        await rest.executed(2)
        async with messages_of(rest, group_id) as second:
            assert task_id_of(await next_of(second)) == task_id
        assert first.empty()


async def test_a_deleted_queue_is_made_again_by_the_next_submit(either: Rest):
    group_id, _ = await submitted(either)
    await either.executed(1)
    await either.service.faults.delete_queues()
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        async with messages_of(either, group_id):
            pass
    _, (task_id,) = await submitted(either, task_group_id=group_id)
    async with messages_of(either, group_id) as messages:
        assert task_id_of(await next_of(messages)) == task_id


async def test_amqp_logins_are_refused(rest: Rest):
    rest.service.faults.refuse_logins(2)
    for _ in range(2):
        with pytest.raises(aiormq.exceptions.AMQPError):
            async with connected(rest):
                pass
    async with connected(rest) as connection:
        assert not connection.is_closed


async def test_half_open_connections_come_to_life_again(rest: Rest):
    group_id, _ = await submitted(rest)
    async with messages_of(rest, group_id) as messages:
        await next_of(messages)
        with rest.service.faults.stall():
            await submitted(rest, task_group_id=group_id)
            await rest.executed(2)
            assert messages.empty()
        await next_of(messages)


async def test_a_route_that_is_none_is_refused_with_those_that_are(service):
    for fault in (service.faults.refuse, service.faults.lose_replies, service.faults.hold_replies):
        with pytest.raises(ValueError, match=r"'sumbit'.*submit"):
            fault("sumbit")
    with pytest.raises(ValueError, match=r"'sumbit'.*executed"):
        service.faults.count("sumbit")


async def test_a_wait_for_what_is_not_counted_ends_at_once(service):
    with pytest.raises(ValueError, match="counted"):
        await service.faults.seen("sumbit")


async def test_what_only_the_embedded_broker_can_do_is_refused_elsewhere():
    if not with_rabbitmq():
        pytest.skip("no RabbitMQ here")
    async with LocalService(workers=1, amqp_url=require()) as service:
        faults = service.faults
        for fault in (
            faults.disconnect,
            faults.close_channels,
            faults.cancel_consumers,
            faults.refuse_logins,
            faults.stall,
        ):
            with pytest.raises(RuntimeError, match=rf"{fault.__name__}\(\) works on the embedded"):
                fault()


async def test_tasks_wait_while_results_pile_up(rest: Rest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("funcx_async.local.publisher.CROWDED_BYTES", 100_000)
    monkeypatch.setattr("funcx_async.local.dispatch.CATCH_UP", 3600.0)
    function_id = await rest.register(bytes)
    group_id, _ = await rest.submit(function_id, *[payload(50_000)] * 200, create_queue=True)
    status = f"/v2/endpoints/{rest.service.endpoint_id}/status"
    await rest.executed(2)
    assert (await rest.http.get(status)).json()["details"]["pending_tasks"] > 100
    async with messages_of(rest, group_id) as messages:
        for _ in range(200):
            await next_of(messages)


async def test_tasks_do_not_wait_for_ever_for_a_consumer(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("funcx_async.local.publisher.CROWDED_BYTES", 100)
    monkeypatch.setattr("funcx_async.local.dispatch.CATCH_UP", 0.01)
    await submitted(rest, 100)
    await rest.executed(100)


async def test_after_a_reset_nothing_is_wrong_and_nothing_was_counted(rest: Rest):
    faults = rest.service.faults
    function_id = await rest.register(abs)
    held = faults.hold_replies("endpoints")
    waiting = asyncio.create_task(rest.http.get("/v2/endpoints"))
    await asyncio.wait_for(held.seen(), LIMIT)
    faults.refuse("submit", times=5)
    faults.truncate_replies("submit")
    faults.drop_results(5)
    faults.refuse_logins(5)
    offline, stalled = faults.endpoint_offline(), faults.stall()
    faults.reset()
    assert held.over
    assert offline.over
    stalled.release()
    assert (await asyncio.wait_for(waiting, LIMIT)).status_code == 200
    assert faults.count("endpoints") == faults.count("register") == 0
    group_id, (task_id,) = await rest.submit(function_id, payload(-1), create_queue=True)
    async with messages_of(rest, group_id) as messages:
        assert task_id_of(await next_of(messages)) == task_id
    assert faults.count("submit") == faults.count("accepted") == 1


@pytest.mark.parametrize("times", [0, -1])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda faults, times: faults.refuse("submit", times=times), id="refuse"),
        pytest.param(lambda faults, times: faults.lose_replies("submit", times), id="lose"),
        pytest.param(lambda faults, times: faults.truncate_replies("submit", times), id="truncate"),
        pytest.param(lambda faults, times: faults.drop_results(times), id="drop"),
        pytest.param(lambda faults, times: faults.duplicate_results(times), id="duplicate"),
        pytest.param(lambda faults, times: faults.high_assurance_results(times), id="empty"),
        pytest.param(lambda faults, times: faults.refuse_logins(times), id="logins"),
    ],
)
async def test_a_fault_that_would_never_happen_is_refused(
    service: LocalService, fault: Callable[[Faults, int], None], times: int
):
    with pytest.raises(ValueError, match=f"at least once, not {times} times"):
        fault(service.faults, times)


@pytest.mark.parametrize("status", [200, 302, 399, 600])
def test_a_status_that_refuses_nothing_is_refused(status: int):
    with pytest.raises(ValueError, match=f"from 400 to 599, not by {status}"):
        LocalService(workers=1).faults.refuse("submit", status=status)
