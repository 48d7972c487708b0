"""Functions: by source, asked for, deleted, allowed."""

from __future__ import annotations

import logging
import platform
from typing import Any
from uuid import UUID, uuid4

import pytest

from funcx_async import (
    FuncXClient,
    NotFound,
    ResponseIncomplete,
    ResponseNotUnderstood,
    SerializationError,
)
from funcx_async._service.documents import AllowedFunctions, FunctionDocument
from funcx_async.local import LocalService
from tests.service.answering import ENDPOINT, FUNCTION, answering
from tests.vectors_of import vectors_of

SOURCE = "def plain(a, b):\n    return a + b\n"


async def test_source_is_registered_as_the_official_client_does_it():
    (vector,) = (
        each for each in vectors_of("registrations") if str(each.id).endswith("source_code")
    )
    (entry,) = vector.values
    assert isinstance(entry, dict)
    client, asked = answering({"function_uuid": FUNCTION})
    assert await client.register_source_code(SOURCE, "plain") == FUNCTION
    assert asked.line == entry["route"]
    body = entry["body"]
    assert asked.body == {
        **body,
        "meta": {**body["meta"], "python_version": platform.python_version()},
    }


async def test_source_takes_the_options_of_a_function_and_versions_of_its_own():
    client, asked = answering({"function_uuid": FUNCTION})
    meta = {"python_version": "3.14.1", "sdk_version": "9.9"}
    group = uuid4()
    await client.register_source_code(
        SOURCE, "plain", "adds", metadata=meta, public=True, group=group
    )
    assert asked.body == {
        "function_name": "plain",
        "function_code": SOURCE,
        "serialized": False,
        "meta": meta,
        "description": "adds",
        "public": True,
        "group": str(group),
    }
    await client.register_source_code(SOURCE, "plain", ha_endpoint_id=UUID(ENDPOINT))
    assert asked.body["ha_endpoint_id"] == ENDPOINT


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        pytest.param((len, "len"), {}, TypeError, id="a function"),
        pytest.param((SOURCE, "not a name"), {}, ValueError, id="no name"),
        pytest.param((SOURCE, None), {}, ValueError, id="no text"),
        pytest.param(("#" * 10_000_001, "f"), {}, SerializationError, id="too large"),
        pytest.param(
            (SOURCE, "plain"),
            {"ha_endpoint_id": ENDPOINT, "public": True},
            ValueError,
            id="options that exclude each other",
        ),
    ],
)
async def test_what_is_no_source_is_not_sent(
    arguments: Any, options: dict[str, Any], error: type[Exception]
):
    client, asked = answering({"function_uuid": FUNCTION})
    with pytest.raises(error):
        await client.register_source_code(*arguments, **options)
    assert not asked.requests


async def test_the_classic_service_cannot_be_told_source():
    client, asked = answering({"function_uuid": FUNCTION}, api="v2")
    with pytest.raises(ValueError, match="classic"):
        await client.register_source_code(SOURCE, "plain")
    assert not asked.requests


async def test_what_the_service_says_of_protected_functions_is_logged(
    caplog: pytest.LogCaptureFixture,
):
    client, _ = answering({"function_uuid": FUNCTION, "ha_warning": "mind the data"})
    with caplog.at_level(logging.WARNING, "funcx_async"):
        await client.register_function(print)
    assert "mind the data" in caplog.text


async def test_a_function_is_asked_for_and_its_document_kept_whole():
    raw = {
        "function_uuid": FUNCTION,
        "function_name": "plain",
        "function_code": "x" * 1000,
        "description": None,
        "metadata": {"python_version": "3.11.7", "sdk_version": "4.19.0"},
        "newer_field": 1,
    }
    client, asked = answering(raw)
    document = await client.get_function(UUID(FUNCTION))
    assert asked.line == f"GET /v2/functions/{FUNCTION}"
    assert document == FunctionDocument(
        FUNCTION, "plain", "x" * 1000, None, {**raw["metadata"]}, raw=raw
    )
    assert "xxx" not in repr(document)


async def test_a_field_of_another_type_than_documented_is_none_and_the_rest_is_there():
    client, _ = answering(
        {"function_uuid": FUNCTION, "function_name": ["plain"], "metadata": "3.11"}
    )
    document = await client.get_function(FUNCTION)
    assert (document.function_name, document.metadata) == (None, None)
    assert document.raw["function_name"] == ["plain"]


@pytest.mark.parametrize("answer", [{}, {"function_uuid": None}, {"function_uuid": 7}])
async def test_a_function_without_an_id_is_an_incomplete_answer(answer: dict[str, Any]):
    client, _ = answering(answer)
    with pytest.raises(ResponseIncomplete, match="no id"):
        await client.get_function(FUNCTION)


@pytest.mark.parametrize("answer", [[], "OK", None, 3])
async def test_another_document_is_not_understood(answer: Any):
    client, _ = answering(answer)
    with pytest.raises(ResponseNotUnderstood):
        await client.get_function(FUNCTION)


@pytest.mark.parametrize("api", ["v2", "v3"])
async def test_a_function_is_deleted(api: Any):
    client, asked = answering({"result": 302}, api=api)
    await client.delete_function(FUNCTION)
    assert asked.line == f"DELETE /v2/functions/{FUNCTION}"
    assert asked.body is None


async def test_allowed_functions_are_told():
    raw = {"endpoint_id": ENDPOINT, "restricted": True, "functions": [FUNCTION]}
    client, asked = answering(raw)
    allowed = await client.get_allowed_functions(ENDPOINT)
    assert asked.line == f"GET /v3/endpoints/{ENDPOINT}/allowed_functions"
    assert allowed == AllowedFunctions(ENDPOINT, True, [FUNCTION], raw=raw)


@pytest.mark.parametrize("wrong", ["", "..", "../endpoints", "a/b", "a b", "a?b", "ü", "a\n"])
async def test_what_cannot_be_an_id_leads_to_no_other_path(wrong: str):
    client, asked = answering({})
    for call in (
        client.get_function,
        client.delete_function,
        client.get_allowed_functions,
        client.get_task,
        client.get_task_group,
        client.get_endpoint_metadata,
        client.get_endpoint_status,
        client.stop_endpoint,
        client.delete_endpoint,
        client.get_whitelist,
        client.get_container_build_status,
    ):
        with pytest.raises(ValueError, match="is not the id of one"):
            await call(wrong)
    assert not asked.requests


async def test_no_id_at_all_is_a_type_error():
    client, asked = answering({})
    with pytest.raises(TypeError, match="a text or a UUID"):
        await client.get_function(None)  # type: ignore[arg-type]
    assert not asked.requests


async def test_the_local_service_knows_functions_until_they_are_deleted(
    service: LocalService, client: FuncXClient
):
    function_id = await client.register_source_code(SOURCE, "plain", "adds")
    document = await client.get_function(function_id)
    assert (document.function_name, document.description) == ("plain", "adds")
    assert document.metadata == {
        "python_version": platform.python_version(),
        "sdk_version": "4.19.0",
    }
    await client.delete_function(function_id)
    with pytest.raises(NotFound, match=function_id):
        await client.get_function(function_id)
    with pytest.raises(NotFound, match=function_id):
        await client.delete_function(function_id)
    with pytest.raises(NotFound, match=function_id):
        await client.submit(service.endpoint_id, {function_id: ["x"]})


async def test_the_local_service_tells_what_its_endpoint_may_run(
    service: LocalService, client: FuncXClient
):
    allowed = await client.get_allowed_functions(service.endpoint_id)
    assert (allowed.restricted, allowed.functions) == (False, [])
    function_id = await client.register_function(abs)
    await client.add_to_whitelist(service.endpoint_id, function_id)
    allowed = await client.get_allowed_functions(service.endpoint_id)
    assert (allowed.restricted, allowed.functions) == (True, [function_id])
    await client.delete_from_whitelist(service.endpoint_id, [UUID(function_id)])
    assert await client.get_whitelist(service.endpoint_id) == []


async def test_a_warning_of_the_service_reaches_the_log_without_control_characters(
    caplog: pytest.LogCaptureFixture,
):
    client, _ = answering({"function_uuid": FUNCTION, "ha_warning": "look\x1b[31m out"})
    await client.register_function(len)
    assert r"look\x1b[31m out" in caplog.text
    assert "\x1b" not in caplog.text
