"""Tasks on their way to an agent, and their results on the way back."""

from __future__ import annotations

import asyncio
import json

import aio_pika
import pytest

from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.local.agents.link import EmbeddedLink
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.models import Result
from tests.brokers import with_rabbitmq
from tests.local.agents.stand_in import LIMIT, StandIn, stand_in
from tests.local.dialogue import code, messages_of, next_of, payload, rest_of, task_id_of, value

SEVEN = "00\ngARLBy4=\n"


async def test_a_task_goes_to_the_agent_and_its_result_to_rest_and_queue(rest, agent):
    await agent.come_online()
    function_id = await rest.register(len)
    (task_id,) = await agent.submit(function_id, payload("four"), create_queue=True)
    user_endpoint = await agent.obey()
    task = await user_endpoint.tasks.next()
    assert task.headers["task_uuid"] == task_id
    assert task.headers["function_uuid"] == function_id
    assert task.headers["result_serializers"] == []
    document = json.loads(task.body[1:])
    assert task.body[:1] == b"\x01"
    assert document["message_type"] == "task"
    assert document["data"]["task_id"] == task_id
    assert document["data"]["task_buffer"] == code(len) + payload("four")

    await task.ack()
    await user_endpoint.answer(encode_result(Result(task_id, SEVEN)))
    await rest.executed(1)
    (document,) = await rest.documents([task_id])
    assert value(document) == 7
    group = rest.service.faults.count("published")
    assert group == 1


async def test_results_come_over_the_queue_of_the_group(rest, agent):
    await agent.come_online()
    function_id = await rest.register(len)
    body = {"tasks": {function_id: [payload("x")]}, "create_queue": True}
    answer = (await rest.http.post(f"/v3/endpoints/{agent.id}/submit", json=body)).json()
    async with messages_of(rest, answer["task_group_id"]) as received:
        task_id = await (await agent.obey()).run_next()
        assert task_id_of(await next_of(received)) == task_id


async def test_a_remote_error_fails_the_task(rest, agent):
    await agent.come_online()
    (task_id,) = await agent.submit(await rest.register(len), payload(1))
    await (await agent.obey()).run_next(error="Traceback: TypeError")
    await rest.executed(1)
    (document,) = await rest.documents([task_id])
    assert (document["status"], document["exception"]) == ("failed", "Traceback: TypeError")


async def test_what_a_submit_asks_for_reaches_task_and_user_endpoint(rest, agent):
    await agent.come_online()
    await agent.submit(
        await rest.register(len),
        payload("x"),
        resource_specification={"num_nodes": 2},
        result_serializers=["globus_compute_sdk.serialize.JSONData"],
        user_endpoint_config={"partition": "debug"},
        user_runtime={"python": {"version": "3.11.7"}},
    )
    user_endpoint = await agent.obey()
    assert user_endpoint.options == {"partition": "debug"}
    assert user_endpoint.runtime == {"python": {"version": "3.11.7"}}
    task = await user_endpoint.tasks.next()
    assert json.loads(task.headers["resource_specification"]) == {"num_nodes": 2}
    assert task.headers["result_serializers"] == ["globus_compute_sdk.serialize.JSONData"]


async def test_each_configuration_is_a_user_endpoint_of_its_own(rest, agent):
    await agent.come_online()
    function_id = await rest.register(len)
    await agent.submit(function_id, payload("a"), user_endpoint_config={"n": 1, "m": 2})
    first = await agent.obey()
    await agent.submit(function_id, payload("b"), user_endpoint_config={"n": 2})
    second = await agent.obey()
    await agent.submit(function_id, payload("c"), user_endpoint_config={"m": 2, "n": 1})
    assert first.name != second.name
    await second.run_next()
    await first.run_next()
    await first.run_next()
    await rest.executed(3)
    assert agent.commands.empty


async def test_tasks_wait_for_an_agent_that_is_offline(rest, agent):
    (task_id,) = await agent.submit(await rest.register(len), payload("x"))
    (document,) = await rest.documents([task_id])
    assert document["status"] == "waiting-for-ep"
    await agent.come_online()
    (document,) = await rest.documents([task_id])
    assert document["status"] == "waiting-for-nodes"
    assert await (await agent.obey()).run_next() == task_id
    await rest.executed(1)


async def test_an_agent_that_died_with_acknowledged_tasks_gets_them_again(rest, agent):
    await agent.come_online()
    ids = await agent.submit(await rest.register(len), payload("a"), payload("b"))
    first = await agent.obey()
    await (await first.tasks.next()).ack()  # as agents do, before they run it
    await agent.register()
    await agent.come_online()
    second = await agent.obey()
    assert [await second.run_next(), await second.run_next()] == ids
    await rest.executed(2)


async def test_a_second_result_of_a_task_counts_for_nothing(rest, agent):
    await agent.come_online()
    function_id = await rest.register(len)
    (task_id,) = await agent.submit(function_id, payload("x"))
    user_endpoint = await agent.obey()
    await user_endpoint.run_next()
    await user_endpoint.answer(encode_result(Result(task_id, "late", "RemoteExecutionError")))
    await agent.submit(function_id, payload("y"))
    await user_endpoint.run_next()
    await rest.executed(2)
    (document,) = await rest.documents([task_id])
    assert value(document) == 7


async def test_what_is_no_result_harms_nothing(rest, agent, caplog):
    await agent.come_online()
    await agent.submit(await rest.register(len), payload("x"))
    user_endpoint = await agent.obey()
    for body in (b"", b"\x02{}", b"\x01{", b'\x01{"message_type":"task","data":{}}'):
        await user_endpoint.answer(body)
    await user_endpoint.run_next()
    await rest.executed(1)
    assert caplog.text.count("sent no result") == 4


async def test_an_agent_settles_its_own_tasks_alone(rest, agent, amqp_url):
    await agent.come_online()
    function_id = await rest.register(len)
    with rest.service.faults.endpoint_offline():
        _, (foreign,) = await rest.submit(function_id, payload("four"))
        await agent.submit(function_id, payload("x"))
        user_endpoint = await agent.obey()
        await user_endpoint.answer(encode_result(Result(foreign, SEVEN)))
        await user_endpoint.run_next()
        await rest.executed(1)
        assert (await rest.documents([foreign]))[0]["status"] == "waiting-for-ep"
    await rest.executed(2)
    assert value((await rest.documents([foreign]))[0]) == 4


async def test_a_user_endpoint_that_does_not_start_fails_its_tasks(rest, agent):
    await agent.come_online()
    (task_id,) = await agent.submit(await rest.register(len), payload("x"))
    await agent.fail_to_start("no engine of this name")
    await rest.executed(1)
    (document,) = await rest.documents([task_id])
    assert document["status"] == "failed"
    assert "no engine of this name" in document["exception"]


async def test_classic_tasks_run_on_agents_too(rest, agent):
    await agent.come_online()
    function_id = await rest.register(len)
    triples = [[function_id, agent.id, payload("x")]]
    answer = await rest.http.post("/v2/submit", json={"tasks": triples})
    (result,) = answer.json()["results"]
    assert await (await agent.obey()).run_next() == result["task_uuid"]
    await rest.executed(1)


async def test_a_task_that_no_message_can_hold_fails(rest, agent):
    await agent.come_online()
    source = f"def large():\n    return {'x' * 9_000_000!r}\n"
    body = {"function_name": "large", "function_code": source, "serialized": False}
    function_id = (await rest.http.post("/v3/functions", json=body)).json()["function_uuid"]
    (task_id,) = await agent.submit(function_id, payload("y" * 6_500_000))
    await rest.executed(1)
    (document,) = await rest.documents([task_id])
    assert "TaskTooLarge" in document["exception"]


@pytest.mark.parametrize("amqp_url", with_rabbitmq(), indirect=True)
async def test_a_service_that_is_started_again_goes_on_with_its_agents(amqp_url, tmp_path):
    """What was sent is not sent again, what waited is sent."""
    options = {"workers": 1, "amqp_url": amqp_url, "agents": True}
    database = tmp_path / "service.sqlite"
    async with (
        LocalService(**options, database=database) as service,
        rest_of(service) as rest,
        stand_in(rest) as agent,
    ):
        await agent.register()
        await agent.come_online()
        function_id = await rest.register(len)
        sent, finished = await agent.submit(function_id, payload("x"), payload("z"))
        user_endpoint = await agent.obey()
        await (await user_endpoint.tasks.next()).ack()
        assert await user_endpoint.run_next() == finished
        await rest.executed(1)
        async with asyncio.timeout(LIMIT):
            await service.faults.seen("agent_session")
        registration = agent.registration
    async with (
        LocalService(**options, database=database) as service,
        rest_of(service) as rest,
        stand_in(rest) as agent,
    ):
        agent.registration = registration
        assert (await rest.documents([sent]))[0]["status"] == "waiting-for-ep"
        await agent.come_online()
        (added,) = await agent.submit(function_id, payload("y"))
        resumed = await agent.resume(user_endpoint)
        assert await resumed.run_next() == added
        await resumed.answer(encode_result(Result(sent, SEVEN)))
        await rest.executed(2)
        assert resumed.tasks.empty
        assert value((await rest.documents([sent]))[0]) == 7
        await rest.http.delete(f"/v2/endpoints/{agent.id}")


async def test_error_text_of_an_agent_with_half_a_surrogate_pair_is_delivered(rest, agent):
    await agent.come_online()
    (task_id,) = await agent.submit(await rest.register(len), payload(1))
    user_endpoint = await agent.obey()
    await (await user_endpoint.tasks.next()).ack()
    body = encode_result(Result(task_id, "no file E.txt", "RemoteExecutionError"))
    await user_endpoint.answer(body.replace(b"E.txt", b"\\udce9.txt"))
    await rest.executed(1)
    (document,) = await rest.documents([task_id])
    assert (document["status"], document["exception"]) == ("failed", "no file \\udce9.txt")


async def test_embedded_broker_that_is_started_again_has_its_address_and_its_tasks(tmp_path):
    """What was sent is lost with the broker, so it is sent again."""
    database = tmp_path / "service.sqlite"
    async with (
        LocalService(workers=1, agents=True, database=database) as service,
        rest_of(service) as rest,
        stand_in(rest) as agent,
    ):
        await agent.register()
        await agent.come_online()
        function_id = await rest.register(len)
        sent, finished = await agent.submit(function_id, payload("x"), payload("z"))
        user_endpoint = await agent.obey()
        await (await user_endpoint.tasks.next()).ack()
        assert await user_endpoint.run_next() == finished
        await rest.executed(1)
        async with asyncio.timeout(LIMIT):
            await service.faults.seen("agent_session")
        registration = agent.registration
    async with (
        LocalService(workers=1, agents=True, database=database) as service,
        rest_of(service) as rest,
        await aio_pika.connect(registration["command_queue_info"]["connection_url"]) as connection,
        connection.channel() as channel,
    ):
        agent = StandIn(rest, channel)
        agent.registration = registration
        await agent.come_online()
        resumed = await agent.resume(user_endpoint)
        assert await resumed.run_next() == sent
        (added,) = await agent.submit(function_id, payload("y"))
        assert await resumed.run_next() == added
        await rest.executed(2)
        assert value((await rest.documents([sent]))[0]) == 7


async def test_message_that_cannot_be_taken_from_the_embedded_broker_comes_again():
    async with EmbeddedBroker() as broker:
        link = EmbeddedLink(broker)
        received: list[bytes] = []

        def receive(body: bytes) -> None:
            received.append(body)
            if len(received) == 1:
                raise RuntimeError("the disk is full")

        link.consume("queue", receive)
        for number in range(3):
            link.publish("queue", lambda number=number: aio_pika.Message(b"%d" % number))
        async with asyncio.timeout(LIMIT):
            await broker.until(lambda: broker.queued_bytes == 0)
        assert received == [b"0", b"0", b"1", b"2"]
        link.delete("queue")
        link.publish("queue", lambda: aio_pika.Message(b"kept"))
        assert broker.queue_length("queue") == 1
