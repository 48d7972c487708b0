"""Agents that log in, register, are locked and deleted."""

from __future__ import annotations

import uuid

import aio_pika
import httpx
import pytest

from funcx_async.local import LocalService
from tests.brokers import with_rabbitmq
from tests.local.agents.stand_in import REGISTRATION
from tests.local.dialogue import payload, rest_of

SCOPES = "https://auth.globus.org/scopes/facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all openid"


async def test_an_agent_is_told_of_as_it_told_of_itself(rest, agent):
    document = (await rest.http.get(f"/v2/endpoints/{agent.id}")).json()
    assert document["uuid"] == agent.id
    assert document["name"] == "stand-in"
    assert document["endpoint_version"] == "4.19.0"
    listed = (await rest.http.get("/v2/endpoints")).json()
    assert [each["uuid"] for each in listed] == [rest.service.endpoint_id, agent.id]


async def test_an_agent_keeps_its_id_when_it_registers_again(rest, agent):
    before = agent.id
    await agent.register(display_name="another name")
    assert agent.id == before
    document = (await rest.http.get(f"/v2/endpoints/{agent.id}")).json()
    assert document["display_name"] == "another name"


async def test_a_service_that_has_forgotten_an_agent_takes_it_again(rest, agent):
    known = str(uuid.uuid4())
    answer = await rest.http.put(f"/v3/endpoints/{known}", json=REGISTRATION)
    assert answer.json()["endpoint_id"] == known


async def test_the_old_route_registers_too(rest):
    known = str(uuid.uuid4())
    body = {**REGISTRATION, "endpoint_uuid": known}
    answer = await rest.http.post("/v2/endpoints", json=body)
    assert answer.json()["endpoint_id"] == known


async def test_status_follows_the_heartbeats(rest, agent):
    assert (await agent.status())["status"] == "offline"
    await agent.come_online()
    assert (await agent.status())["status"] == "online"
    await agent.go_offline()
    assert (await agent.status())["status"] == "offline"


async def test_status_tells_of_workers_and_open_tasks(rest, agent):
    await agent.come_online()
    await agent.submit(await rest.register(len), payload("a"), payload("b"))
    user_endpoint = await agent.obey()
    await user_endpoint.run_next()
    await rest.executed(1)
    details = (await agent.status())["details"]
    assert details["total_workers"] == 3
    assert details["outstanding_tasks"] == 1


async def test_only_allowed_functions_run(rest, agent):
    allowed, other = await rest.register(len), await rest.register(abs)
    await agent.register(allowed_functions=[allowed])
    route = f"/v3/endpoints/{agent.id}"
    listed = (await rest.http.get(f"{route}/allowed_functions")).json()
    assert listed == {"endpoint_id": agent.id, "restricted": True, "functions": [allowed]}
    refused = await rest.http.post(f"{route}/submit", json={"tasks": {other: [payload(1)]}})
    assert refused.json()["code"] == "FUNCTION_NOT_PERMITTED"
    await agent.register()
    assert not (await rest.http.get(f"{route}/allowed_functions")).json()["restricted"]


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_a_lock_ends_the_agent_and_keeps_it_out(rest, agent, amqp_url, version):
    await agent.come_online()
    answer = await rest.http.post(f"/{version}/endpoints/{agent.id}/lock")
    assert answer.json()["endpoint_id"] == agent.id
    assert answer.json()["lock_expiration_timestamp"] > "2026"
    await agent.beat()  # of one that has not ended yet
    assert (await agent.status())["status"] == "offline"
    again = await rest.http.put(f"/v3/endpoints/{agent.id}", json=REGISTRATION)
    assert (again.status_code, again.json()["code"]) == (423, "RESOURCE_LOCKED")


async def test_deleting_fails_what_is_open_and_removes_the_queues(rest, agent, amqp_url):
    (task_id,) = await agent.submit(await rest.register(len), payload("x"))
    assert (await rest.http.delete(f"/v2/endpoints/{agent.id}")).json() == {"result": 302}
    await rest.executed(1)
    assert "was deleted" in (await rest.documents([task_id]))[0]["exception"]
    gone = await rest.http.get(f"/v2/endpoints/{agent.id}")
    assert gone.json()["code"] == "ENDPOINT_NOT_FOUND"
    address = agent.registration["command_queue_info"]
    if amqp_url is not None:
        await rest.service.aclose()  # which waits until RabbitMQ has done it
    async with await aio_pika.connect(address["connection_url"]) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue(address["queue"], passive=True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("PUT", "/v3/endpoints/{}", id="register"),
        pytest.param("POST", "/v3/endpoints/{}/lock", id="lock"),
        pytest.param("DELETE", "/v2/endpoints/{}", id="delete"),
    ],
)
async def test_the_services_own_endpoint_is_no_agent(rest, method, path):
    own = path.format(rest.service.endpoint_id)
    answer = await rest.http.request(method, own, json=REGISTRATION)
    assert (answer.status_code, answer.json()["code"]) == (403, "ENDPOINT_ACCESS_FORBIDDEN")
    unknown = path.format(uuid.uuid4())
    if method != "PUT":
        assert (await rest.http.request(method, unknown)).status_code == 404


async def test_what_the_service_does_not_keep_is_not_promised(rest):
    for promise in ({"high_assurance": True}, {"authentication_policy": str(uuid.uuid4())}):
        answer = await rest.http.post("/v3/endpoints", json={**REGISTRATION, **promise})
        assert answer.status_code == 422
        assert "high assurance" in answer.text


async def test_an_agent_logs_in_with_the_token_of_the_service(rest):
    environment = rest.service.agent_environment
    credentials = (
        environment["GLOBUS_COMPUTE_CLIENT_ID"],
        environment["GLOBUS_COMPUTE_CLIENT_SECRET"],
    )
    login = {"grant_type": "client_credentials", "scope": SCOPES}
    async with httpx.AsyncClient(base_url=environment["GLOBUS_SDK_SERVICE_URL_AUTH"]) as http:
        answer = (await http.post("/v2/oauth2/token", data=login, auth=credentials)).json()
        servers = [answer["resource_server"], answer["other_tokens"][0]["resource_server"]]
        assert servers == ["funcx_service", "auth.globus.org"]
        bearer = {"Authorization": f"Bearer {answer['access_token']}"}
        user = (await http.get("/v2/oauth2/userinfo", headers=bearer)).json()
        assert user["identity_set"] == [{**user["identity_set"][0], "sub": user["sub"]}]
        wrong = await http.post("/v2/oauth2/token", data=login, auth=(credentials[0], "wrong"))
        assert (wrong.status_code, wrong.json()["code"]) == (401, "USER_UNAUTHENTICATED")
        assert (await http.get("/v2/oauth2/userinfo")).status_code == 401
        odd = await http.post("/v2/oauth2/token", data={"grant_type": "password"}, auth=credentials)
        assert odd.status_code == 400


async def test_port_5000_needs_no_proxy(amqp_url, rest):
    assert rest.service.agent_environment["HTTP_PROXY"] == rest.service.url


async def test_port_of_the_embedded_broker_is_not_that_of_a_rabbitmq():
    with pytest.raises(ValueError, match="amqp_port"):
        LocalService(amqp_url="amqp://127.0.0.1/", amqp_port=5673)


async def test_a_service_without_agents_says_so():
    async with LocalService(workers=1) as service, rest_of(service) as rest:
        answer = await rest.http.post("/v3/endpoints", json=REGISTRATION)
        assert answer.status_code == 403
        assert "agents=True" in answer.json()["reason"]
        assert "agents=True" in (await rest.http.post("/v2/oauth2/token")).json()["reason"]
        with pytest.raises(RuntimeError, match="takes no agents"):
            _ = service.agent_environment


async def test_no_password_is_shown(rest, agent, amqp_url, caplog):
    await agent.come_online()
    assert "guest" not in repr(rest.service)
    assert rest.service.token not in caplog.text


@pytest.mark.parametrize("amqp_url", with_rabbitmq(), indirect=True)
async def test_queues_of_agents_that_are_forgotten_go_with_the_service(rest, agent, amqp_url):
    await rest.service.aclose()
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue(
                agent.registration["heartbeat_queue_info"]["queue"], passive=True
            )


async def test_an_address_that_others_reach_is_warned_about(caplog):
    async with LocalService(workers=1, host="0.0.0.0"):
        assert "others can reach it" in caplog.text


async def test_a_loopback_address_is_not(caplog):
    async with LocalService(workers=1, host="127.0.0.1"):
        assert "others can reach it" not in caplog.text
