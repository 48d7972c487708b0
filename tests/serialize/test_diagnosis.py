from __future__ import annotations

import asyncio
import functools
import os
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from funcx_async.errors import SerializationError
from funcx_async.serialize import FuncXSerializer, JSONData

serializer = FuncXSerializer()


def stream() -> Iterator[int]:
    yield 1


class Session:
    def __init__(self) -> None:
        self.source = stream()


class Hollow:
    def __reduce__(self) -> Any:
        raise RuntimeError("out of order")


source = stream()


def reads_global() -> Any:
    return next(source)


def calls_it() -> Any:
    return reads_global()


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        pytest.param((1, {"f": stream()}), {}, r"^args\[1\]\['f'\] .*generator", id="in a dict"),
        pytest.param((), {"k": [stream()]}, r"^kwargs\['k'\]\[0\] .*generator", id="a keyword"),
        pytest.param((Session(),), {}, r"^args\[0\]\.source .*generator", id="an attribute"),
        pytest.param((reads_global,), {}, r"^source \(a global of reads_global\(\)\)", id="global"),
        pytest.param((calls_it,), {}, r"^source \(a global of reads_global\(\)\)", id="farther"),
        pytest.param((calls_it, {1}), {"{x}": 1}, r"^source \(a global", id="braces in a name"),
        pytest.param(({"{x}": stream()},), {}, r"^args\[0\]\['\{x\}'\] ", id="braces in a key"),
        pytest.param(
            (functools.partial(reads_global, stream()),),
            {},
            r"^(source|args\[0\]\.args\[0\])",
            id="partial",
        ),
        pytest.param((Session().__init__,), {}, r"^args\[0\]\.__self__\.source ", id="method"),
        pytest.param((Hollow(),), {}, r"^args\[0\] .*Hollow; RuntimeError: out of order", id="own"),
        pytest.param((deep(),), {}, r"^args cannot .*nested too deeply", id="depth"),
    ],
)
def test_the_culprit_is_named_by_its_path(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        serializer.serialize_arguments(args, kwargs)


def test_a_default_and_a_closure_are_named_with_their_function() -> None:
    def with_default(x: Any = source) -> Any:
        return x

    def with_keyword(*, x: Any = source) -> Any:
        return x

    inner = stream()

    def with_closure() -> Any:
        return inner

    for function, message in (
        (with_default, r"default 0 of .*with_default\(\)"),
        (with_keyword, r"the default of x of .*with_keyword\(\)"),
        (with_closure, r"inner in the closure of .*with_closure\(\)"),
    ):
        with pytest.raises(SerializationError, match=message):
            serializer.serialize_function(function)


def test_a_class_attribute_is_named_with_its_class() -> None:
    class Holder:
        held = stream()

    with pytest.raises(SerializationError, match=r"Holder\.held .*generator"):
        serializer.serialize_function(Holder)


def test_the_remedy_fits_the_kind() -> None:
    with pytest.raises(SerializationError, match="Send list"):
        serializer.serialize_arguments((stream(),), {})
    with (
        socket.socket() as connection,
        pytest.raises(SerializationError, match="Open it inside the function"),
    ):
        serializer.serialize_arguments((connection,), {})
    with (
        os.scandir() as entries,
        pytest.raises(SerializationError, match="Make it inside the function"),
    ):
        serializer.serialize_arguments((entries,), {})


async def test_an_awaitable_is_to_be_awaited_first() -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(SerializationError, match=r"args\[0\] .*Await it here"):
        serializer.serialize_arguments((future,), {})


def test_what_json_cannot_say_is_named_too() -> None:
    with pytest.raises(
        SerializationError, match=r"^args\[0\]\['x'\] cannot be sent: it is of type set"
    ):
        FuncXSerializer(strategy_data=JSONData).serialize_arguments(({"x": {1}},), {})


@pytest.mark.parametrize(
    "written",
    [pytest.param(FuncXSerializer(), id="pickle"), pytest.param(JSONData(), id="json")],
)
def test_the_cause_brings_no_frames_of_the_libraries_below(written: Any):
    with pytest.raises(SerializationError) as caught:
        written.serialize([stream()])
    assert caught.value.__cause__ is not None
    assert "File " not in "".join(traceback.format_exception(caught.value.__cause__))


def test_the_cause_brings_the_frames_of_what_the_object_itself_does():
    with pytest.raises(SerializationError) as caught:
        serializer.serialize([Hollow()])
    assert "in __reduce__" in "".join(traceback.format_exception(caught.value.__cause__))
