from __future__ import annotations

import base64
import math
import random
from typing import Any

import dill
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize import (
    AllDataStrategies,
    DillDataBase64,
    FuncXSerializer,
    JSONData,
    SerializationStrategy,
    unpack_buffers,
)
from tests.serialize.test_plain import values
from tests.vectors_of import vectors_of

STRATEGIES: dict[str, SerializationStrategy] = {
    "00": DillDataBase64(),
    "11": JSONData(),
    "13": AllDataStrategies(),
}


@pytest.mark.parametrize("vector", vectors_of("data", "data_funcx"))
def test_data_is_written_byte_for_byte_as_official_packages_write_it(vector: Any) -> None:
    strategy = STRATEGIES[vector["strategy"]]
    value = eval(vector["input_repr"])
    if "encode_error" in vector:
        with pytest.raises(SerializationError):
            strategy.serialize(value)
    else:
        assert strategy.serialize(value) == vector["wire"]


@pytest.mark.parametrize(
    "vector", [p for p in vectors_of("data", "data_funcx") if "wire" in p.values[0]]
)
def test_data_is_read_as_official_packages_read_it(vector: Any) -> None:
    assert repr(FuncXSerializer().deserialize(vector["wire"])) == vector["decodes_to_repr"]


@pytest.mark.parametrize("vector", vectors_of("submits", "submits_funcx"))
def test_arguments_are_packed_as_official_packages_pack_them(vector: Any) -> None:
    serializer = FuncXSerializer()
    tasks = vector["body"]["tasks"]
    wires = (
        [wire for _, _, wire in tasks]
        if isinstance(tasks, list)
        else [wire for wires in tasks.values() for wire in wires]
    )
    written = {
        serializer.serialize_arguments(eval(task[-2]), eval(task[-1]))
        for task in vector["tasks_repr"]
    }
    assert written == set(wires)


def test_the_combined_strategy_reads_json_first_and_the_pickle_where_there_is_no_json() -> None:
    strategy = AllDataStrategies()
    assert strategy.deserialize(strategy.serialize((1, (2,)))) == [1, [2]]
    assert strategy.deserialize(strategy.serialize({1, 2})) == {1, 2}


def test_the_combined_strategy_goes_on_to_the_pickle_where_the_json_is_broken() -> None:
    payload = AllDataStrategies().serialize((1,)).replace("[1]", "[1[")
    assert AllDataStrategies().deserialize(payload) == (1,)


def iter_of_nothing() -> Any:
    yield from ()


def test_the_combined_strategy_says_of_each_part_why_it_cannot_be_written() -> None:
    with pytest.raises(
        SerializationError, match=r"the value cannot .* by JSONData: .*; by DillDataBase64: "
    ):
        AllDataStrategies().serialize(iter_of_nothing())


def ordered(value: Any) -> str:
    """A text that tells values and their types apart, whatever the order of a set."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}{sorted(map(ordered, value))}"
    if isinstance(value, dict):
        return f"{[(ordered(key), ordered(item)) for key, item in value.items()]}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{list(map(ordered, value))}"
    return repr(value)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(values)
def test_any_plain_value_comes_back_and_is_read_by_dill_alike(value: Any) -> None:
    payload = DillDataBase64().serialize(value)
    assert ordered(FuncXSerializer().deserialize(payload)) == ordered(value)
    assert ordered(dill.loads(base64.b64decode(payload[3:]))) == ordered(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(json_values)
def test_any_json_value_comes_back_by_every_strategy(value: Any) -> None:
    for strategy in STRATEGIES.values():
        assert strategy.deserialize(strategy.serialize(value)) == value


def test_numbers_that_json_does_not_have_travel_all_the_same() -> None:
    assert math.isnan(JSONData().deserialize(JSONData().serialize(math.nan)))


MALFORMED = {
    "nothing": "",
    "a header alone": "00\n",
    "half a header": "00",
    "an unknown header": "zz\n",
    "a header of another case": "ST\nf:",
    "not base64": "00\n!!!",
    "cut base64": "00\ngAROLg",
    "not ascii": "00\ngARé",
    "half a surrogate pair": "00\n\ud800",
    "a cut pickle": "00\ngASVBgAAAAAAAABdlCg=",
    "an unknown module": "00\ngARjbm9fc3VjaF9tb2R1bGUKeApULg==",
    "broken json": "11\n{",
    "json nested deeply": "11\n" + "[" * 100_000,
    "a json number of 5000 digits": "11\n" + "9" * 5000,
    "a cut frame": "13\n5\n11\n",
    "no parts": "13\n",
    "a part of an unknown strategy": "13\n4\nzz\n1",
    "a code part among data": "13\n5\nst\nf:",
    "colons": "10\n::::",
    "source without the name": "st\nf:def g(): pass",
    "source that is not python": "sd\nf:def f(:",
    "source that raises": "st\nf:1/0",
    "a pickle that is not a pair": "04\ngARLKi4=\n",
    "no code parts": "12\n",
    "a pickle of nothing": "02\nLg==\n",
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_payload_that_cannot_be_read_is_kept_by_the_error(payload: str) -> None:
    with pytest.raises(DeserializationError) as failure:
        FuncXSerializer().deserialize(payload)
    assert failure.value.payload == payload
    assert str(failure.value)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
def test_a_damaged_payload_is_read_or_refused_and_nothing_else(
    strategy: SerializationStrategy,
) -> None:
    dice = random.Random(20_231)
    whole = strategy.serialize({"x": [1, 2.5, "é", 2**70], "y": [None, True]})
    serializer = FuncXSerializer(allowed_deserializers=[strategy])
    read = 0
    for _ in range(1_500):
        payload = whole
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(payload))
            piece = "".join(dice.choices("AQgzx019+/=\n{[:é", k=dice.randint(0, 3)))
            payload = payload[:place] + piece + payload[place + dice.randint(0, 5) :]
        try:
            serializer.deserialize(payload)
            read += 1
        except DeserializationError:
            continue
    assert 0 < read < 1_500


class Interrupting:
    def __reduce__(self) -> Any:
        return (_interrupt, ())


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_while_reading_passes() -> None:
    payload = DillDataBase64().serialize(Interrupting())
    with pytest.raises(KeyboardInterrupt):
        FuncXSerializer().deserialize(payload)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even this fails")


class Exploding:
    def __reduce__(self) -> Any:
        return (_explode, ())


def _explode() -> None:
    raise Unspeakable


def test_a_foreign_exception_whose_text_cannot_be_had_is_still_told() -> None:
    with pytest.raises(DeserializationError, match="Unspeakable"):
        FuncXSerializer().deserialize(DillDataBase64().serialize(Exploding()))


def test_a_module_that_is_missing_here_is_named_with_the_remedy() -> None:
    with pytest.raises(DeserializationError, match=r"no_such_module.* Install or import"):
        FuncXSerializer().deserialize(MALFORMED["an unknown module"])


def test_the_parts_of_a_pack_have_their_headers() -> None:
    parts = unpack_buffers(AllDataStrategies().serialize([1])[3:])
    assert [part[:3] for part in parts] == ["11\n", "00\n"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(bytearray(b"x"), id="bytearray"),
        pytest.param(slice(1, 2), id="slice"),
        pytest.param([1 + 2j, range(3), {"e": ValueError("x", 3)}], id="mixed"),
        pytest.param(int, id="type"),
        pytest.param({"numbers": list(range(1000))}, id="a batch exactly"),
        pytest.param([{"a": 1}, {"a": 1}] * 3, id="repeated dicts"),
    ],
)
def test_values_that_are_not_plain_have_the_bytes_of_dill(value: Any) -> None:
    from funcx_async.serialize.pickled import dump

    assert dump(value) == dill.dumps(value, 4)
