"""Endpoints: listed, described, registered, stopped, deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from funcx_async import FuncXClient, NotFound, ResponseIncomplete, ResponseNotUnderstood
from funcx_async._service.documents import EndpointMetadata, EndpointSummary
from funcx_async.local import LocalService
from tests.service.answering import ENDPOINT, FUNCTION, answering

DOCUMENTED = {
    "uuid": ENDPOINT,
    "name": "cluster",
    "display_name": "The Cluster",
    "multi_user": True,
    "public": False,
    "endpoint_config": "engine: x",
    "user_config_template": "{{ n }}",
    "user_config_schema": {"type": "object"},
    "description": "fast",
    "hostname": "login1",
    "local_user": "root",
    "ip_address": "192.0.2.1",
    "endpoint_version": "4.19.0",
    "sdk_version": "4.19.0",
    "subscription_uuid": FUNCTION,
}


@pytest.mark.parametrize(
    ("role", "line"),
    [
        (None, "GET /v2/endpoints"),
        ("any", "GET /v2/endpoints?role=any"),
        ("owner", "GET /v2/endpoints?role=owner"),
    ],
)
async def test_endpoints_are_listed_by_role(role: Any, line: str):
    raw = {"uuid": ENDPOINT, "name": "a", "display_name": None, "owner": "me"}
    client, asked = answering([raw])
    assert await client.get_endpoints(role) == [EndpointSummary(ENDPOINT, "a", None, "me", raw=raw)]
    assert asked.line == line


async def test_another_role_is_not_asked_for():
    client, asked = answering([])
    with pytest.raises(ValueError, match="'any' or 'owner'"):
        await client.get_endpoints("admin")  # type: ignore[arg-type]
    assert not asked.requests


@pytest.mark.parametrize("answer", [{}, [1], None])
async def test_a_list_that_is_none_is_not_understood(answer: Any):
    client, _ = answering(answer)
    with pytest.raises(ResponseNotUnderstood):
        await client.get_endpoints()


async def test_a_listed_endpoint_without_an_id_is_an_incomplete_answer():
    client, _ = answering([{"name": "a"}])
    with pytest.raises(ResponseIncomplete):
        await client.get_endpoints()


async def test_an_endpoint_is_described_with_all_that_is_documented():
    client, asked = answering({**DOCUMENTED, "newer_field": [1]})
    metadata = await client.get_endpoint_metadata(UUID(ENDPOINT))
    assert asked.line == f"GET /v2/endpoints/{ENDPOINT}"
    renamed = {"uuid": "endpoint_id", "subscription_uuid": "subscription_id"}
    for name, value in DOCUMENTED.items():
        assert getattr(metadata, renamed.get(name, name)) == value
    assert metadata.raw["newer_field"] == [1]


async def test_what_is_not_told_of_an_endpoint_is_none():
    client, _ = answering({"name": "old", "public": "perhaps"})
    metadata = await client.get_endpoint_metadata(ENDPOINT)
    assert metadata == EndpointMetadata(ENDPOINT, "old", raw={"name": "old", "public": "perhaps"})


async def test_an_endpoint_s_configuration_is_not_in_its_repr():
    client, _ = answering({**DOCUMENTED, "endpoint_config": "token: secret"})
    assert "secret" not in repr(await client.get_endpoint_metadata(ENDPOINT))


REGISTERED = {
    "endpoint_id": ENDPOINT,
    "command_queue_info": {"connection_url": "amqps://u:secret@h", "queue": "c"},
    "heartbeat_queue_info": {"connection_url": "amqps://u:secret@h", "exchange": "e"},
}


async def test_a_new_endpoint_is_registered_with_what_is_set_alone():
    client, asked = answering(REGISTERED)
    registration = await client.register_endpoint(
        "cluster", multi_user=False, display_name=None, metadata={}, public=False, admins=[]
    )
    assert asked.line == "POST /v3/endpoints"
    assert asked.body == {"endpoint_name": "cluster", "public": False}
    assert registration.endpoint_id == ENDPOINT
    assert registration.command_queue_info == REGISTERED["command_queue_info"]
    assert registration.task_queue_info is None
    assert "secret" not in repr(registration)


async def test_a_known_endpoint_is_registered_anew_with_everything_that_can_be_said():
    client, asked = answering(REGISTERED)
    policy, subscription, admin = uuid4(), uuid4(), uuid4()
    await client.register_endpoint(
        "cluster",
        UUID(ENDPOINT),
        metadata={"hostname": "login1"},
        multi_user=True,
        display_name="The Cluster",
        allowed_functions=[UUID(FUNCTION)],
        auth_policy=policy,
        subscription_id=subscription,
        public=True,
        high_assurance=False,
        admins=(admin,),
    )
    assert asked.line == f"PUT /v3/endpoints/{ENDPOINT}"
    assert asked.body == {
        "endpoint_name": "cluster",
        "display_name": "The Cluster",
        "multi_user": True,
        "metadata": {"hostname": "login1"},
        "allowed_functions": [FUNCTION],
        "authentication_policy": str(policy),
        "subscription_uuid": str(subscription),
        "admins": [str(admin)],
        "public": True,
        "high_assurance": False,
    }


async def test_an_unknown_option_of_an_endpoint_is_a_type_error():
    client, asked = answering(REGISTERED)
    with pytest.raises(TypeError, match="colour"):
        await client.register_endpoint("cluster", colour="red")  # type: ignore[call-arg]
    assert not asked.requests


async def test_a_classic_endpoint_brings_its_id():
    client, asked = answering(REGISTERED, api="v2")
    with pytest.raises(ValueError, match="endpoint_id"):
        await client.register_endpoint("cluster")
    with pytest.raises(ValueError, match="admins"):
        await client.register_endpoint("cluster", ENDPOINT, admins=["me"])
    assert not asked.requests
    await client.register_endpoint("cluster", ENDPOINT, multi_user=True, metadata={"a": 1})
    assert asked.line == "POST /v2/endpoints"
    assert asked.body == {
        "endpoint_name": "cluster",
        "endpoint_uuid": ENDPOINT,
        "multi_tenant": True,
        "metadata": {"a": 1},
    }


@pytest.mark.parametrize(
    ("api", "line", "body"),
    [
        ("v3", f"POST /v3/endpoints/{ENDPOINT}/lock", None),
        ("v2", f"POST /v2/endpoints/{ENDPOINT}/lock", {}),
    ],
)
async def test_an_endpoint_is_stopped_until_its_lock_expires(api: Any, line: str, body: Any):
    client, asked = answering({"lock_expiration_timestamp": "2026-11-23T12:00:00"}, api=api)
    lock = await client.stop_endpoint(ENDPOINT)
    assert (asked.line, asked.body) == (line, body)
    assert (lock.endpoint_id, lock.lock_expiration_timestamp) == (ENDPOINT, "2026-11-23T12:00:00")


@pytest.mark.parametrize("api", ["v2", "v3"])
async def test_an_endpoint_is_deleted(api: Any):
    client, asked = answering({"result": 302}, api=api)
    await client.delete_endpoint(ENDPOINT)
    assert (asked.line, asked.body) == (f"DELETE /v2/endpoints/{ENDPOINT}", None)


async def test_the_local_service_lists_and_describes_its_endpoint(
    service: LocalService, client: FuncXClient
):
    for role in (None, "any", "owner"):
        (listed,) = await client.get_endpoints(role)  # type: ignore[arg-type]
        assert listed.endpoint_id == service.endpoint_id
        assert listed.name
        assert listed.owner
    metadata = await client.get_endpoint_metadata(service.endpoint_id)
    assert metadata.name == listed.name
    unset = {name for name in DOCUMENTED if metadata.raw.get(name) is None}
    assert unset <= {"subscription_uuid", "user_config_template", "user_config_schema"}
    assert metadata.ip_address == "127.0.0.1"
    assert (await client.get_endpoint_status(service.endpoint_id)).status == "online"


async def test_the_local_service_says_what_it_does_not_know(client: FuncXClient):
    nobody = uuid4()
    for call in (
        client.get_endpoint_metadata,
        client.get_endpoint_status,
        client.get_allowed_functions,
        client.get_whitelist,
    ):
        with pytest.raises(NotFound, match=str(nobody)):
            await call(nobody)
