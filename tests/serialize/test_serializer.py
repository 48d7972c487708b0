from __future__ import annotations

from typing import Any

import pytest

import funcx_async.serialize as package
from funcx_async.errors import DeserializationError
from funcx_async.serialize import (
    AllDataStrategies,
    DillCode,
    DillDataBase64,
    FuncXSerializer,
    JSONData,
    PickleCode,
    PureSourceTextInspect,
)
from funcx_async.serialize.serializer import ANY_CODE, ANY_DATA, STRATEGIES
from tests.serialize import application

CONCRETES = "globus_compute_sdk.serialize.concretes."


def test_the_identifiers_are_the_official_ones() -> None:
    assert {type(known).__name__: known.identifier for known in STRATEGIES.values()} == {
        "DillDataBase64": "00\n",
        "DillCode": "01\n",
        "PickleCode": "02\n",
        "DillCodeTextInspect": "03\n",
        "DillCodeSource": "04\n",
        "CombinedCode": "10\n",
        "JSONData": "11\n",
        "AllCodeStrategies": "12\n",
        "AllDataStrategies": "13\n",
        "PureSourceTextInspect": "st\n",
        "PureSourceDill": "sd\n",
    }
    assert all(hasattr(package, type(known).__name__) for known in STRATEGIES.values())


def test_callables_go_by_the_strategy_for_code_and_the_rest_by_that_for_data() -> None:
    serializer = FuncXSerializer()
    assert serializer.serialize(len)[:3] == "01\n"
    assert serializer.serialize(application.Point)[:3] == "01\n"
    assert serializer.serialize([len])[:3] == "00\n"


@pytest.mark.parametrize(
    "like",
    [
        pytest.param(JSONData, id="class"),
        pytest.param(JSONData(), id="instance"),
        pytest.param(CONCRETES + "JSONData", id="import path"),
        pytest.param("globus_compute_sdk.serialize.JSONData", id="shorter import path"),
    ],
)
def test_a_strategy_may_be_given_in_every_official_way(like: Any) -> None:
    assert FuncXSerializer(strategy_data=like).serialize([1]) == "11\n[1]"
    assert FuncXSerializer(allowed_deserializers=[like]).deserialize("11\n[1]") == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"strategy_code": JSONData}, "JSONData is a strategy for data", id="kind"),
        pytest.param({"strategy_data": DillCode()}, "DillCode is a strategy for code", id="kind 2"),
        pytest.param({"strategy_data": "json"}, "'json' is not a known strategy", id="name"),
        pytest.param({"strategy_data": dict}, "not a known strategy", id="class"),
        pytest.param({"allowed_deserializers": [DillCode]}, "strategy for data", id="no data"),
        pytest.param({"allowed_deserializers": [ANY_CODE]}, "strategy for data", id="no data 2"),
        pytest.param({"allowed_deserializers": [JSONData, ANY_DATA]}, "mixed", id="mixed data"),
        pytest.param(
            {"allowed_deserializers": [JSONData, ANY_CODE, DillCode]}, "mixed", id="mixed code"
        ),
        pytest.param({"allowed_deserializers": "JSONData"}, "not a known", id="a name for a list"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FuncXSerializer(**arguments)


READABLE = {
    "00\n": DillDataBase64().serialize([1]),
    "01\n": DillCode().serialize(len),
    "11\n": JSONData().serialize([1]),
    "13\n": AllDataStrategies().serialize([1]),
    "st\n": "st\nf:def f(): return 1",
}


@pytest.mark.parametrize(
    ("allowed", "read"),
    [
        pytest.param(None, {"00\n", "01\n", "11\n", "13\n", "st\n"}, id="no list"),
        pytest.param([], set(), id="an empty list"),
        pytest.param([JSONData], {"11\n"}, id="JSON alone"),
        pytest.param([JSONData, DillCode], {"11\n", "01\n"}, id="JSON and compiled code"),
        pytest.param([AllDataStrategies], {"13\n"}, id="a combined one admits its parts"),
        pytest.param([ANY_DATA], {"00\n", "11\n", "13\n"}, id="any data and no code"),
        pytest.param([JSONData, ANY_CODE], {"11\n", "01\n", "st\n"}, id="JSON and any code"),
        pytest.param((like for like in [JSONData]), {"11\n"}, id="an iterator"),
    ],
)
def test_only_what_is_allowed_is_read(allowed: Any, read: set[str]) -> None:
    serializer = FuncXSerializer(allowed_deserializers=allowed)
    for identifier, payload in READABLE.items():
        if identifier in read:
            serializer.deserialize(payload)
        else:
            with pytest.raises(DeserializationError, match="not allowed") as refusal:
                serializer.deserialize(payload)
            assert refusal.value.payload == payload


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        pytest.param(None, None, id="no list"),
        pytest.param([ANY_DATA], None, id="any data"),
        pytest.param([], None, id="an empty list"),
        pytest.param([JSONData], [CONCRETES + "JSONData"], id="JSON alone"),
        pytest.param(
            [JSONData, PureSourceTextInspect, PickleCode],
            [CONCRETES + "JSONData", CONCRETES + "PureSourceTextInspect"],
            id="what can only be read is not asked for",
        ),
        pytest.param(
            [JSONData, ANY_CODE], [CONCRETES + "JSONData", CONCRETES + "DillCode"], id="any code"
        ),
    ],
)
def test_an_endpoint_is_asked_for_what_may_be_read(allowed: Any, asked: list[str] | None) -> None:
    assert FuncXSerializer(allowed_deserializers=allowed).result_serializers == asked


def test_a_serializer_that_may_read_nothing_says_so_and_still_writes() -> None:
    serializer = FuncXSerializer(allowed_deserializers=[])
    assert repr(serializer).endswith("reads 0 strategies>")
    with pytest.raises(DeserializationError, match=r"\(allowed: nothing\)"):
        serializer.deserialize(serializer.serialize([1]))
    with pytest.raises(DeserializationError, match=r"\(allowed: nothing\)"):
        serializer.without_source().deserialize(READABLE["11\n"])


def test_a_serializer_tells_what_it_does() -> None:
    assert repr(FuncXSerializer()) == "<FuncXSerializer AllCodeStrategies, DillDataBase64>"
    limited = FuncXSerializer(strategy_data=JSONData, allowed_deserializers=[JSONData])
    assert repr(limited) == "<FuncXSerializer AllCodeStrategies, JSONData, reads 1 strategies>"


def test_buffers_are_packed_as_the_official_facade_packs_them() -> None:
    packed = FuncXSerializer.pack_buffers(["11\n1", "é"])
    assert packed == "4\n11\n11\né"
    assert FuncXSerializer.unpack_buffers(packed) == ["11\n1", "é"]
