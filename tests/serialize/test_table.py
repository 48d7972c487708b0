"""Every row of the tables of docs/serialization.md is tried as it is printed."""

from __future__ import annotations

import _queue
import array
import asyncio
import copyreg
import functools
import io
import mmap
import os
import random
import socket
import sys
import tempfile
import threading
import warnings
import xml.etree.ElementTree  # noqa: ICN001  # as people write it
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import globus_sdk
import msgspec
import numpy as np
import pytest

from funcx_async import FuncXExecutor, send_by_reference, send_by_value
from funcx_async.auth import ClientCredentials
from funcx_async.errors import SerializationError
from funcx_async.serialize import DillCode, FuncXSerializer
from tests.serialize import application as app
from tests.serialize import kinds_of_classes as kinds
from tests.serialize.bare_worker import BareWorker

PAGE = (Path(__file__).parents[2] / "docs" / "serialization.md").read_text()
serializer = FuncXSerializer(DillCode)


def rows(title: str) -> list[str]:
    """The first cells of the table below a heading."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.split("|")[1].strip() for line in lines[1:]]


def numbers() -> Iterator[int]:
    yield 1


class Struct(msgspec.Struct):
    x: int


async def waits() -> None:
    await asyncio.sleep(0)


def environment() -> Any:
    return os.environ.get("GC_TASK_UUID") is not None


# What is sent: functions that look, each with its arguments. The worker says what is seen here.

Call = tuple[Callable[..., Any], tuple[Any, ...]]

offset = 3
shout = functools.partial(str.upper, "a")
lock = threading.Lock()


def with_logger() -> str:
    return app.log.name


def reads_path() -> Callable[[], bool]:
    path = sys.path
    return lambda: path is sys.path


SENT: dict[str, list[Call]] = {
    "a function, a lambda, a closure, a recursive function": [
        (app.add, (1,)),
        (lambda x: x + offset, (1,)),
        (app.twice_counted, ()),
        (app.factorial, (5,)),
    ],
    "a decorated function": [(app.decorated, (1,)), (app.cached, (1,))],
    "a method, a class method, a static method": [
        (app.Point(3).moved, ()),
        (app.Point.at, (3,)),
        (app.Point.norm, (-3,)),
    ],
    "a builtin, a function of an installed package": [(len, ([1],)), (os.path.join, ("a", "b"))],
    "a partial, a callable object": [(shout, ()), (app.Adder(1), (2,))],
    "an async function": [(app.awaited, (1,))],
    "an attribute of your own module, `mymod.f`": [(app.by_module, ())],
    "an installed module, `xml.etree.ElementTree`": [
        (lambda: xml.etree.ElementTree.fromstring("<a/>").tag, ()),
        (lambda module: module.etree.ElementTree.fromstring("<a/>").tag, (xml,)),
    ],
    "a class of yours, an instance of one": [
        (app.use_points, (app.Point(1),)),
        (lambda kind: (kind.__module__, kind.__qualname__), (kinds.Model.Config,)),
    ],
    "a dataclass, a named tuple, a `TypedDict`, a protocol, a generic class": [
        (app.use_records, (app.Job("a"),)),
        (lambda: (kinds.Options(depth=1), kinds.Stack[int](3).items, kinds.Closing.__name__), ()),
        (lambda: sorted(kinds.Options.__annotations__), ()),
    ],
    "an enumeration": [(app.use_enums, (app.Colour.RED,)), (kinds.Operation.TWICE, (4,))],
    "an instance of a class of yours derived from `set`, `dict`, `Decimal` …": [
        (lambda it: (sorted(it), it.name), (app.Tags("t", [1]),))
    ],
    "an exception of yours": [(lambda error: (error.step, str(error)), (kinds.Failure(3, "x"),))],
    "a class with `__init_subclass__`, `__set_name__` or a metaclass": [
        (lambda: (kinds.Reader.known["csv"] is kinds.CsvReader, kinds.CsvReader.suffix), ()),
        (lambda: (kinds.Plugin.names, kinds.Csv.__name__, kinds.Table.price), ()),
        (lambda: (kinds.Good.key, kinds.Sized.size), ()),
    ],
    "a class registered with an abstract class": [
        (lambda it: isinstance(it, kinds.Shape), (kinds.Disc(),)),
    ],
    "`NewType`, `TypeVar`, `ParamSpec`, a type alias": [
        (lambda: (kinds.UserId(3), kinds.T.__name__, kinds.P.__name__), ()),
    ],
    "a bare object that your module names, `UNSET = object()`": [
        (lambda it: it is kinds.UNSET, (kinds.UNSET,)),
    ],
    "`os.environ`, `sys.path`, the registry of a library": [
        (lambda env: env is os.environ and "ONLY_HERE" not in env, (os.environ,)),
        (reads_path(), ()),
        (lambda it: it is copyreg.dispatch_table, (copyreg.dispatch_table,)),
    ],
    "a logger": [(with_logger, ()), (lambda log: log.name, (app.log,))],
    "a free lock": [(lambda it: it.acquire(blocking=False), (lock,))],
    "`io.BytesIO`, `io.StringIO`": [
        (lambda file: file.read(), (io.BytesIO(b"a"),)),
        (lambda file: file.read(), (io.StringIO("a"),)),
    ],
    "values of plain types, arrays, data frames": [
        (lambda it: it, ({"a": [1, 2.5, None, (True, b"x")]},)),
        (lambda it: it.tolist(), (array.array("i", [1, 2]),)),
        (lambda it: it.random(), (random.Random(3),)),
    ],
}


@pytest.mark.parametrize("row", rows("What is sent"))
def test_what_the_page_says_is_sent_is_on_the_worker_as_it_is_here(
    worker: BareWorker, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")
    for function, arguments in SENT[row]:
        seen = worker.run(function, *arguments)
        if arguments and arguments[0] is os.environ:
            assert seen == "True"  # it is the worker's, without this test's name
            continue
        here = function(*arguments)
        lock.locked() and lock.release()
        if row.startswith("`io."):
            arguments[0].seek(0)
            here = arguments[0].getvalue()
        expected = asyncio.run(here) if asyncio.iscoroutine(here) else here
        if isinstance(arguments[0] if arguments else None, random.Random):
            expected = random.Random(3).random()
        assert seen == repr(expected)


# What is refused: what is tried, and the place and remedy that the error names.

Refusal = tuple[Callable[[], Any], str]


def arguments(*values: Any) -> Callable[[], str]:
    return lambda: serializer.serialize_arguments(values, {})


def function(task: Callable[..., Any]) -> Callable[[], str]:
    return lambda: serializer.serialize_function(task)


def with_own_import() -> Any:
    from tests.serialize import toolbox

    return toolbox


def refusals() -> dict[str, list[Refusal]]:
    opened = tempfile.TemporaryFile()  # noqa: SIM115
    opened.write(b"abc")
    opened.flush()
    connection = socket.socket()
    held = threading.Lock()
    held.acquire()
    awaitable = waits()
    awaitable.close()
    executor = FuncXExecutor("4b116d3c-1703-4f8f-9f6f-39921e5864df")
    login = globus_sdk.AccessTokenAuthorizer("top secret")
    credentials = ClientCredentials("4b116d3c-1703-4f8f-9f6f-39921e5864df", "top secret")
    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file.name, dtype="i4", mode="w+", shape=(3,))
    return {
        "an open file": [(arguments(opened), r"args\[0\] .*send its path")],
        "`sys.stdout`, `sys.stderr`, `sys.stdin`": [
            (arguments(sys.stderr), r"read sys.stderr inside the function")
        ],
        "a socket, a database connection": [
            (arguments(connection), r"args\[0\] .*Open it inside the function")
        ],
        "a memory-mapped file, `numpy.memmap`": [
            (arguments(mmap.mmap(-1, 8)), r"args\[0\] .*send the file's path"),
            (arguments(mapped), r"args\[0\].* send the file's path"),
        ],
        "a generator": [(arguments(numbers()), r"args\[0\] .*Send list\(")],
        "a generator function as the task": [(function(numbers), "return a list")],
        "an awaitable": [(arguments(awaitable), r"args\[0\] .*Await it here and send its result")],
        "a held lock": [(arguments({"lock": held}), r"args\[0\]\['lock'\] .*held")],
        "an executor, a client, a future, credentials": [
            (arguments([executor]), r"args\[0\]\[0\] .*FuncXExecutor.* inside the function"),
            (function(lambda: credentials), r"credentials .*ClientCredentials"),
            (arguments({"login": login}), r"args\[0\]\['login'\] .*may hold credentials"),
        ],
        "your own module as a value, `dir(mymod)`": [
            (function(app.module_as_value), "read its attributes directly")
        ],
        "`import mymod` inside a function, of a module of yours": [
            (function(with_own_import), "import it at the top of the file")
        ],
        "a type or function of your own extension module": [
            (arguments(_queue.SimpleQueue), "say send_by_reference"),
            (function(zlib.crc32), "zlib"),
        ],
        "a class made by a metaclass in C, `msgspec.Struct`": [
            (arguments(Struct(1)), "Struct .*use a dataclass")
        ],
        "an enumeration of a data type that pickle cannot make again": [
            (arguments(app.Closed.ONE), "Closed.*use a plain Enum")
        ],
        "a thread": [(arguments(threading.Thread()), "start one in the function")],
        "more than 10 MB of arguments (about 7.4 MB before encoding)": [
            (arguments("x" * 11_000_000), "Keep large objects elsewhere")
        ],
    }


@pytest.fixture
def extensions() -> Iterator[None]:
    """Two extension modules count as the user's own."""
    for name in ("_queue", "zlib"):
        send_by_value(name)
    yield
    for name in ("_queue", "zlib"):
        send_by_reference(name)


@pytest.mark.parametrize("row", rows("What is refused"))
@pytest.mark.usefixtures("extensions")
@pytest.mark.filterwarnings("ignore:unclosed")
def test_what_the_page_says_is_refused_is_refused_with_the_remedy(row: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for attempt, message in refusals()[row]:
            with pytest.raises(SerializationError, match=message):
                attempt()
    assert [each for each in caught if "unclosed" not in str(each.message)] == []
