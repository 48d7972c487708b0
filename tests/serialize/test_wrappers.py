from __future__ import annotations

import functools
from typing import Any

import pytest

from funcx_async.errors import SerializationError
from funcx_async.serialize import FuncXSerializer
from tests.serialize import application as app
from tests.serialize.bare_worker import BareWorker


@pytest.mark.parametrize(
    ("function", "args", "name", "value"),
    [
        pytest.param(functools.partial(app.add, 1), (2,), "add", "10", id="a partial"),
        pytest.param(
            functools.partial(functools.partial(app.add, 1), c=0), (2,), "add", "3", id="nested"
        ),
        pytest.param(app.Adder(1), (2,), "Adder", "6", id="a callable object"),
        pytest.param(app.awaited, (1,), "awaited", "4", id="an async function"),
        pytest.param(functools.partial(app.awaited, 1), (), "awaited", "4", id="an async partial"),
        pytest.param(app.AsyncAdder(), (1,), "AsyncAdder", "4", id="an async callable object"),
        pytest.param(app.AsyncAdder().__call__, (1,), "__call__", "4", id="an async method"),
        pytest.param(app.timed, (1,), "awaited", "4", id="a wrapper around an async function"),
        pytest.param(lambda: 1, (), "<lambda>", "1", id="a lambda"),
        pytest.param(app.cached, (1,), "cached", "4", id="a cached function"),
    ],
)
def test_the_worker_finds_a_name_and_calls_it_synchronously(
    worker: BareWorker, function: Any, args: tuple[Any, ...], name: str, value: str
) -> None:
    assert worker.name_of(function, *args) == name
    assert worker.run(function, *args) == value


async def streamed() -> Any:
    yield 1


@pytest.mark.parametrize("function", [app.generated, streamed, functools.partial(app.generated)])
def test_a_generator_function_is_refused_because_its_value_cannot_come_back(function: Any) -> None:
    with pytest.raises(SerializationError, match="generator function"):
        FuncXSerializer().serialize_function(function)


@pytest.mark.parametrize("value", [None, 3, "len", [len]])
def test_what_is_not_callable_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="callable"):
        FuncXSerializer().serialize_function(value)


def test_a_plain_function_is_not_wrapped() -> None:
    serializer = FuncXSerializer()
    assert serializer.serialize_function(app.add) == serializer.serialize(app.add)
