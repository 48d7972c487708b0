"""Ten thousand values, by all strategies for data, in both directions, against the official SDK."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from funcx_async._service.messages import decode_result, encode_result
from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.models import Result
from funcx_async.serialize import (
    AllDataStrategies,
    DillDataBase64,
    FuncXSerializer,
    JSONData,
    SerializationStrategy,
    pack_buffers,
    unpack_buffers,
)
from tests.oracles.interpreters import interpreter

pytestmark = [pytest.mark.oracle, pytest.mark.proof, pytest.mark.timeout(300)]

COUNTS = {"00\n": 4_000, "11\n": 3_000, "13\n": 3_000}
TASK_ID = "2018a859-359a-4eb7-a7de-75cdd635f4db"

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False, allow_infinity=False),
)
keys = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner),
        st.frozensets(keys),
        st.sets(keys),
    ),
    max_leaves=12,
)
jsonable = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=12,
)
by_strategy: list[tuple[SerializationStrategy, st.SearchStrategy[Any]]] = [
    (DillDataBase64(), values),
    (JSONData(), jsonable),
    (AllDataStrategies(), st.one_of(values, jsonable)),
]


def drawn(source: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many values, the same ones in each run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(source)
    def take(value: Any) -> None:
        found.append(value)

    while len(found) < count:
        take()
    return found[:count]


def ours(strategy: SerializationStrategy, value: Any) -> str | None:
    try:
        return strategy.serialize(value)
    except SerializationError:
        return None


def answers(lines: list[str]) -> list[dict[str, Any]]:
    program = Path(__file__).parent / "official_serializer.py"
    ended = subprocess.run(
        [interpreter("sdk"), "-I", str(program)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(("strategy", "source"), by_strategy, ids=["00", "11", "13"])
def test_values_pass_between_us_and_the_official_package_in_both_directions(
    strategy: SerializationStrategy, source: st.SearchStrategy[Any]
) -> None:
    serializer = FuncXSerializer()
    count = COUNTS[strategy.identifier]
    cases = [value for value in drawn(source, count) if "nan" not in ascii(value)]
    assert len(cases) > 0.9 * count
    payloads = [ours(strategy, value) for value in cases]
    bodies = [encode_result(Result(TASK_ID, payload or "")) for payload in payloads]
    lines = [
        json.dumps(
            [type(strategy).__name__, ascii(value), payload, TASK_ID, body.decode("latin-1")]
        )
        for value, payload, body in zip(cases, payloads, bodies, strict=True)
    ]
    for value, payload, answer in zip(cases, payloads, answers(lines), strict=True):
        written = answer["written"]
        assert (payload is None) == (written is None), value
        assert answer["body"] == (payload or "")
        assert decode_result(answer["result"].encode("latin-1")).data == (written or "")
        assert unpack_buffers(answer["pack"]) == [written or "", "caf\u00e9"]
        assert pack_buffers([written or "", "caf\u00e9"]) == answer["pack"]
        if payload is None or written is None:
            continue
        read_by_them = eval(answer["read"], {"inf": math.inf})
        read_by_us = serializer.deserialize(written)
        assert equal(read_by_them, serializer.deserialize(payload))
        assert equal(read_by_us, read_by_them)
        if strategy.identifier == "00\n":
            assert equal(read_by_us, value)


def equal(one: Any, other: Any) -> bool:
    """Equal and of one type; zeros of both signs are told apart."""
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and bool(one == other)


def test_what_cannot_be_read_is_one_error_there_and_here() -> None:
    lines = [
        json.dumps(
            ["JSONData", "1", bad, TASK_ID, encode_result(Result(TASK_ID, "")).decode("latin-1")]
        )
        for bad in ("xx\n1", "11\n{", "00\n!!")
    ]
    for answer in answers(lines):
        assert "Error" in answer["read"]
    for bad in ("xx\n1", "11\n{", "00\n!!"):
        with pytest.raises(DeserializationError):
            FuncXSerializer().deserialize(bad)
