"""What we write is read by the official SDK, and the other way round, in its own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funcx_async.serialize import (
    AllCodeStrategies,
    AllDataStrategies,
    FuncXSerializer,
    JSONData,
    PureSourceTextInspect,
)
from funcx_async.serialize.serializer import STRATEGIES
from tests.oracles.interpreters import interpreter
from tests.serialize import application as app
from tests.serialize.bare_worker import BareWorker, started
from tests.serialize.test_by_value import CASES

pytestmark = pytest.mark.oracle

ROOT = Path(__file__).parent.parent.parent

READER = r"""
import json, sys
from globus_compute_sdk.serialize import ComputeSerializer
serializer = ComputeSerializer()
for line in sys.stdin:
    task = json.loads(line)
    packed = serializer.pack_buffers([task["function"]]) + task["arguments"]
    try:
        function, args, kwargs = serializer.unpack_and_deserialize(packed)
        answer = {"name": function.__name__, "value": repr(function(*args, **kwargs))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    assert "funcx_async" not in sys.modules
    print(json.dumps(answer), flush=True)
"""

WRITER = r"""
import json
from globus_compute_sdk.serialize import *
from globus_compute_sdk.serialize import concretes
values = [None, (1, "two", 3.0), {"k": [1, {"z": None}]}, "caf\u00e9 \u2603", [1] * 1002]
def plain(a, b=2):
    return a + b
written = []
for strategy in concretes.SELECTABLE_DATA_STRATEGIES:
    written += [[strategy.identifier, repr(value), strategy().serialize(value)] for value in values]
code = ComputeSerializer().serialize(plain)
print(json.dumps([written, code]))
"""


@pytest.fixture(scope="module")
def official() -> Iterator[BareWorker]:
    with started([interpreter("sdk"), "-I", "-c", READER]) as reader:
        yield reader


@pytest.mark.parametrize(("function", "args"), CASES)
def test_the_official_reader_runs_what_we_send(
    official: BareWorker, function: Any, args: tuple[Any, ...]
) -> None:
    if function is map:
        assert official.run(lambda fn, items: list(map(fn, items)), *args) == "[1]"
    else:
        assert official.run(function, *args) == repr(function(*args))


@pytest.mark.parametrize("data", [JSONData, AllDataStrategies])
@pytest.mark.parametrize("code", [AllCodeStrategies, PureSourceTextInspect])
def test_the_official_reader_reads_our_other_strategies(
    official: BareWorker, code: Any, data: Any
) -> None:
    serializer = FuncXSerializer(code, data)
    function = serializer.serialize_function(alone)
    assert official.run_serialized(function, serializer.serialize_arguments((3,), {})) == "6"


@pytest.mark.parametrize("size", [1_000, 1_001, 2_000])
@pytest.mark.parametrize("kind", [list, set, dict.fromkeys])
def test_the_official_reader_reads_round_sizes(official: BareWorker, kind: Any, size: int) -> None:
    assert official.run(alone_sum, kind(range(size))) == repr(sum(range(size)))


def alone_sum(numbers: Any) -> int:
    """Needs nothing from outside itself."""
    return sum(numbers)


def alone(x: int) -> int:
    """Needs nothing from outside itself."""
    return x * 2


def test_the_official_reader_runs_wrapped_callables_under_their_names(official: BareWorker) -> None:
    assert official.run(app.awaited, 1) == "4"
    assert official.name_of(app.Adder(1), 2) == "Adder"


def test_we_read_what_the_official_package_writes() -> None:
    answer = subprocess.run(
        [interpreter("sdk"), "-I", "-c", WRITER], capture_output=True, text=True, check=True
    )
    written, code = json.loads(answer.stdout)
    serializer = FuncXSerializer()
    for identifier, value, payload in written:
        read = serializer.deserialize(payload)
        assert identifier in STRATEGIES
        if identifier == "00\n":
            assert repr(read) == value
            assert serializer.serialize(read) == payload
        else:
            assert json.dumps(read) == json.dumps(eval(value))
    assert code.startswith("01\n")
