"""Result messages, against what official packages write and whatever else may come."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import string
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from funcx_async._service.messages import (
    EXECUTION_FAILED,
    MalformedMessage,
    decode_outcome,
    decode_result,
    encode_result,
    read_string,
    spelled_alike,
)
from funcx_async.models import Result
from funcx_async.serialize.payloads import LARGE
from tests.vectors_of import vectors_of

TASK_ID = "bfd18c1e-4685-540b-bf5c-99613c30da18"

KINDS_OF_REFUSED = {
    "version 2": "version",
    "no version byte": "version",
    "empty": "empty",
    "version byte only": "json",
    "not json": "json",
    "wrong type": "type",
    "unknown type": "type",
    "no task id": "fields",
    "no data": "fields",
    "bad uuid": "task id",
    "data is a number": "fields",
    "bad utf-8": "encoding",
}


def wire_of(vector: dict[str, Any]) -> bytes:
    return base64.b64decode(vector["wire_b64"])


def message(**data: Any) -> bytes:
    return b"\x01" + json.dumps({"message_type": "result", "data": data}).encode()


VALID = [
    parameter
    for parameter in vectors_of("results", "results_funcx")
    if parameter.values[0].get("accepted", True)
]


@pytest.mark.parametrize("vector", VALID)
def test_what_official_packages_accept_is_read_alike(vector: dict[str, Any]) -> None:
    result = decode_result(wire_of(vector))
    assert result.task_id == vector["task_id"]
    assert (result.error_code is not None) == vector["is_error"]
    if "data" in vector:
        assert result.data == vector["data"]
    if "error_details" in vector:
        assert result.error_code == vector["error_details"]["code"]


@pytest.mark.parametrize(
    "vector", [parameter for parameter in VALID if "accepted" not in parameter.values[0]]
)
def test_what_is_written_is_what_official_packages_write(vector: dict[str, Any]) -> None:
    wire = wire_of(vector)
    data = json.loads(wire[1:])["data"]
    written = encode_result(
        decode_result(wire),
        user_message=(data["error_details"] or {}).get("user_message", EXECUTION_FAILED),
        task_statuses=data["task_statuses"],
        classic="details" not in data,
    )
    assert written == wire


@pytest.mark.parametrize("vector", vectors_of("results", accepted=False))
def test_what_official_packages_refuse_is_refused_with_its_kind(vector: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        decode_result(wire_of(vector))
    assert refusal.value.kind == KINDS_OF_REFUSED[vector["name"]]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"\x01[]", "fields", id="a list"),
        pytest.param(b"\x01null", "fields", id="null"),
        pytest.param(b'\x01{"message_type":5}', "fields", id="a number as type"),
        pytest.param(b'\x01{"message_type":"result"}', "fields", id="no data"),
        pytest.param(b'\x01{"message_type":"result","data":null}', "fields", id="null data"),
        pytest.param(message(task_id=TASK_ID, data=None), "fields", id="null in data"),
        pytest.param(message(task_id=5, data="x"), "fields", id="a number as task id"),
        pytest.param(message(task_id="", data="x"), "task id", id="an empty task id"),
        pytest.param(
            message(task_id=TASK_ID, data="x", error_details={}), "fields", id="error without code"
        ),
        pytest.param(
            message(task_id=TASK_ID, data="x", error_details="bad"), "fields", id="error as text"
        ),
        pytest.param(message(task_id=TASK_ID, data="x") + b"}", "json", id="more after the end"),
        pytest.param(b"\x01" + b'{"message_type":' * 20_000, "fields", id="deeply nested type"),
        pytest.param(
            b'\x01{"message_type":"result","data":{"details":' + b'{"a":' * 20_000,
            "json",
            id="deeply nested details",
        ),
    ],
)
def test_anything_that_is_not_a_result_is_refused_with_its_kind(body: bytes, kind: str) -> None:
    for decode in (decode_result, lambda body: spelled_alike(decode_outcome(body))):
        with pytest.raises(MalformedMessage) as refusal:
            decode(body)
        assert refusal.value.kind == kind
        assert str(refusal.value)


def test_details_are_read_or_passed_over() -> None:
    body = message(task_id=TASK_ID, data="x", details=[])
    with pytest.raises(MalformedMessage) as refusal:
        decode_result(body)
    assert refusal.value.kind == "fields"
    assert decode_outcome(body) == Result(TASK_ID, "x")


def test_a_result_is_an_error_exactly_when_it_has_error_details() -> None:
    details = {"code": "MaxResultSizeExceeded", "user_message": "too large"}
    assert decode_result(message(task_id=TASK_ID, data="x", error_details=None)).error_code is None
    failed = decode_result(message(task_id=TASK_ID, data="x", error_details=details))
    assert failed.error_code == "MaxResultSizeExceeded"


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(TASK_ID.upper(), id="upper case"),
        pytest.param(TASK_ID.replace("-", ""), id="without hyphens"),
        pytest.param("{" + TASK_ID + "}", id="in braces"),
    ],
)
def test_a_task_id_has_one_spelling_here_whatever_came(spelling: str) -> None:
    body = message(task_id=spelling, data="x")
    assert decode_result(body).task_id == TASK_ID
    assert decode_outcome(body).task_id == spelling, "a caller that does not know the id asks again"
    assert spelled_alike(decode_outcome(body)).task_id == TASK_ID


def test_a_result_without_data_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="no data"):
        encode_result(Result(TASK_ID, None))


def test_half_a_surrogate_pair_in_a_traceback_is_written_as_an_escape() -> None:
    failed = Result(TASK_ID, "No such file: 'caf\udce9'", error_code="RemoteExecutionError")
    assert decode_result(encode_result(failed)).data == "No such file: 'caf\\udce9'"


def test_details_of_the_worker_travel() -> None:
    result = Result(TASK_ID, "00\n", details={"python_version": "3.11.7", "endpoint_id": None})
    assert decode_result(encode_result(result)) == result


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(task_id=st.uuids(), data=texts, code=st.none() | texts)
def test_what_is_written_is_read_back(task_id: Any, data: str, code: str | None) -> None:
    result = Result(str(task_id), data, error_code=code)
    assert decode_result(encode_result(result)) == result


def test_a_damaged_message_is_read_or_refused_and_nothing_else() -> None:
    dice = random.Random(20_231)
    whole = message(task_id=TASK_ID, data="00\ngAROLg==\n", details={"os": "Linux"})
    pieces = [b"", b'"', b"{", b"}", b"[", b"null", b"\xff", b"\x00", b"\\ud800", b"9e999"]
    read = 0
    for _ in range(10_000):
        body = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(body))
            body[place : place + dice.randint(0, 5)] = dice.choice(pieces)
        with contextlib.suppress(MalformedMessage):
            read += bool(decode_result(bytes(body)).task_id)
    assert 0 < read < 10_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "task_id": json_values | st.just(TASK_ID),
            "data": json_values | st.just("x"),
            "details": json_values,
            "error_details": json_values,
            "task_statuses": json_values,
        },
    )
)
def test_a_message_of_any_fields_is_read_or_refused_and_nothing_else(data: Any) -> None:
    body = message(**data)
    with contextlib.suppress(MalformedMessage):
        result = decode_result(body)
        assert result.task_id == TASK_ID
        assert decode_outcome(body) == structs.replace(result, details=None)
    with contextlib.suppress(MalformedMessage):
        assert spelled_alike(decode_outcome(body)).task_id == TASK_ID


lines = st.lists(st.text(max_size=12) | st.binary(max_size=60).map(lambda b: b.hex())).map(
    "\n".join
)


@given(lines, st.integers(4, 40), st.booleans())
@example("a\\nb" * 9, 8, False)
@example("\U0001f600\n" * 5, 20, True)
def test_a_string_is_read_the_same_in_steps(text: str, step: int, ascii_only: bool):
    written = msgspec.Raw(json.dumps(text, ensure_ascii=ascii_only).encode(errors="surrogatepass"))
    try:
        whole = msgspec.json.decode(written, type=str)
    except msgspec.DecodeError:
        with pytest.raises(msgspec.DecodeError):
            read_string(written, step=step)
    else:
        assert read_string(written, step=step) == whole


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b"12", id="a number"),
        pytest.param(b'["a\\nb"]', id="a list"),
        pytest.param(b'"a\\nb\\x"', id="an escape that there is not"),
        pytest.param(b'"a\\nb\xff"', id="not UTF-8"),
    ],
)
def test_what_is_no_string_is_refused_in_steps_too(written: bytes):
    for step in (4, 100):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            read_string(msgspec.Raw(written), step=step)


HALF_PAIRS = [
    pytest.param(rb"File \udce9.py", r"File \udce9.py", id="low"),
    pytest.param(rb"File \ud83d", r"File \ud83d", id="high at the end"),
    pytest.param(
        rb"\ud83d\ud83d\ude00 \u00e9", "\\ud83d\N{GRINNING FACE} é", id="high before a pair"
    ),
    pytest.param(rb"\\udce9 \\\udce9", r"\udce9 \\udce9", id="behind backslashes"),
]


@pytest.mark.parametrize(("written", "read"), HALF_PAIRS)
@pytest.mark.parametrize("decode", [decode_result, decode_outcome])
@pytest.mark.parametrize("more", [0, LARGE], ids=["small", "large"])
def test_half_a_surrogate_pair_is_written_with_backslashes(
    decode: Any, written: bytes, read: str, more: int
) -> None:
    """As the classic packer writes each byte of a file name that is not UTF-8."""
    text = json.dumps({"task_id": TASK_ID, "data": "?", "error_details": None})
    data = text.encode().replace(b"?", written + b" " * more)
    result = decode(b"\x01" + b'{"message_type": "result", "data": %b}' % data)
    assert result == Result(TASK_ID, read + " " * more)
