"""The strategies for code, against the vectors of the official packages."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize import (
    AllCodeStrategies,
    CombinedCode,
    DillCode,
    DillCodeSource,
    DillCodeTextInspect,
    FuncXSerializer,
    PickleCode,
    PureSourceDill,
    PureSourceTextInspect,
    SerializationStrategy,
    pack_buffers,
    unpack_buffers,
)
from tests.serialize import application
from tests.vectors_of import vectors_of

SOURCE_STRATEGIES: dict[str, SerializationStrategy] = {
    "03": DillCodeTextInspect(),
    "04": DillCodeSource(),
    "st": PureSourceTextInspect(),
    "sd": PureSourceDill(),
}

BEGINNING = """\
import functools

OFFSET = 100


def traced(fn):
    @functools.wraps(fn)
    def wrapper(*a, **k):
        return ("traced", fn(*a, **k))

    return wrapper


def around(n):
"""

END = """\
    return closure


closure = around(5)
"""


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module that the vectors were made from, as far as they show it."""
    sources = {
        parameter.values[0]["function_name"]: parameter.values[0]["source"]
        for parameter in vectors_of("code", strategy="st")
    }
    closure = sources.pop("closure")
    folder = tmp_path_factory.mktemp("public")
    text = "\n\n".join([BEGINNING + closure + END, *sources.values()])
    (folder / "public.py").write_text(text, "utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("public")
    sys.path.remove(str(folder))
    del sys.modules["public"]


def function_of(public: ModuleType, vector: dict[str, Any]) -> Callable[..., Any]:
    name = vector["function_name"]
    function: Callable[..., Any] = getattr(public, "square" if name == "<lambda>" else name)
    return function


def of_this_python(vector: dict[str, Any]) -> bool:
    """Whether reading the vector is safe: compiled code of another Python may crash this one."""
    return vector["strategy"] not in ("01", "10", "12") or sys.version_info[:2] == (3, 11)


WRITTEN = [p for p in vectors_of("code", "code_funcx") if "wire" in p.values[0]]


@pytest.mark.parametrize(
    "vector", [p for p in WRITTEN if p.values[0]["strategy"] in SOURCE_STRATEGIES]
)
def test_source_is_written_byte_for_byte_as_official_packages_write_it(
    public: ModuleType, vector: dict[str, Any]
) -> None:
    assert vector["deterministic"]
    strategy = SOURCE_STRATEGIES[vector["strategy"]]
    assert strategy.serialize(function_of(public, vector)) == vector["wire"]


@pytest.mark.parametrize("vector", [p for p in WRITTEN if of_this_python(p.values[0])])
def test_code_is_read_as_official_packages_read_it(vector: dict[str, Any]) -> None:
    serializer = FuncXSerializer()
    if "decode_error" in vector:
        with pytest.raises(DeserializationError):
            serializer.deserialize(vector["wire"])
        return
    function = serializer.deserialize(vector["wire"])
    args, kwargs = eval(vector["args_repr"]), eval(vector["kwargs_repr"])
    expected = vector["decoded_call"]
    if "raises" in expected:
        with pytest.raises(NameError) as failure:
            function(*args, **kwargs)
        assert f"{failure.type.__name__}: {failure.value}" == expected["raises"]
    else:
        assert repr(function(*args, **kwargs)) == expected["returns_repr"]


@pytest.mark.parametrize("vector", vectors_of("code", strategy="01"))
@pytest.mark.parametrize("strategy", [DillCode(), CombinedCode()], ids=["01", "10"])
def test_compiled_code_comes_back_with_the_globals_that_it_uses(
    public: ModuleType, vector: dict[str, Any], strategy: SerializationStrategy
) -> None:
    function = function_of(public, vector)
    again = FuncXSerializer().deserialize(strategy.serialize(function))
    args, kwargs = eval(vector["args_repr"]), eval(vector["kwargs_repr"])
    assert repr(again(*args, **kwargs)) == vector["local"]["returns_repr"]


@pytest.mark.parametrize("vector", vectors_of("registrations", strategy="st"))
def test_a_function_is_registered_framed_once(public: ModuleType, vector: dict[str, Any]) -> None:
    named = {"function_name": vector["body"]["function_name"]}
    written = PureSourceTextInspect().serialize(function_of(public, named))
    assert pack_buffers([written]) == vector["body"]["function_code"]


def test_the_parts_of_12_are_source_and_then_compiled_code(public: ModuleType) -> None:
    parts = unpack_buffers(AllCodeStrategies().serialize(public.plain)[3:])
    assert [part[:3] for part in parts] == ["st\n", "01\n"]


def test_12_carries_what_works_where_there_is_no_source() -> None:
    namespace: dict[str, Any] = {}
    exec("def function(): return 5", namespace)
    payload = AllCodeStrategies().serialize(namespace["function"])
    assert [part[:3] for part in unpack_buffers(payload[3:])] == ["01\n"]
    assert FuncXSerializer().deserialize(payload)() == 5


def test_the_parts_of_10_are_the_two_that_classic_readers_want(public: ModuleType) -> None:
    payload = CombinedCode().serialize(public.plain)
    assert payload[:3] == "10\n"
    assert payload[3:].split(":")[::2] == ["04\n", "01\n"]


def test_02_can_be_read_and_not_written() -> None:
    assert PickleCode().deserialize("02\ngARjYnVpbHRpbnMKbGVuCi4=\n") is len
    with pytest.raises(SerializationError, match="use DillCode"):
        PickleCode().serialize(len)


@pytest.mark.parametrize("strategy", SOURCE_STRATEGIES.values(), ids=SOURCE_STRATEGIES.keys())
def test_without_source_the_error_says_what_to_use(strategy: SerializationStrategy) -> None:
    namespace: dict[str, Any] = {}
    exec("def function(): return 5", namespace)
    for function in (namespace["function"], len, application.Adder(1)):
        with pytest.raises(SerializationError, match="use DillCode"):
            strategy.serialize(function)


@pytest.mark.parametrize("strategy", SOURCE_STRATEGIES.values(), ids=SOURCE_STRATEGIES.keys())
def test_the_text_of_another_program_is_not_taken_for_the_source(
    strategy: SerializationStrategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["import sys\n"]  # as Python 3.13 keeps what `python -c` runs
    monkeypatch.setitem(linecache.cache, "<string>", (11, None, lines, "<string>"))
    namespace: dict[str, Any] = {}
    exec("def function(): return 5", namespace)
    with pytest.raises(SerializationError, match="use DillCode"):
        strategy.serialize(namespace["function"])


def test_a_payload_of_another_strategy_is_refused_by_name() -> None:
    with pytest.raises(DeserializationError, match=r"'00\\n'.*DillCode"):
        DillCode().deserialize("00\ngAROLg==\n")
