"""A worker as bare as can be: a fresh interpreter that can import dill and nothing else of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dill

from funcx_async.serialize import DillCode, FuncXSerializer

_PROGRAM = r"""
import base64, json, os, sys, uuid
sys.path.append(sys.argv[1])
import dill

def read(payload):
    if payload.startswith("12\n"):
        return read(unpack(payload[3:])[0])
    if payload.startswith("st\n"):
        name, text = payload[3:].split(":", 1)
        namespace = {}
        exec(text, namespace)
        return namespace[name]
    assert payload[:3] in ("00\n", "01\n"), payload
    return dill.loads(base64.b64decode(payload[3:]))

def unpack(packed):
    length, _, rest = packed.partition("\n")
    first, rest = rest[: int(length)], rest[int(length) :]
    return first, rest.partition("\n")[2]

for line in sys.stdin:
    task = json.loads(line)
    os.environ["GC_TASK_UUID"] = str(uuid.uuid4())
    try:
        function = read(task["function"])
        args, kwargs = map(read, unpack(task["arguments"]))
        answer = {"name": function.__name__, "value": repr(function(*args, **kwargs))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    for ours in ("funcx_async", "pytest", "tests"):
        assert ours not in sys.modules, ours
    print(json.dumps(answer), flush=True)
"""


class BareWorker:
    """Runs serialized tasks in its process; of source and compiled code it takes the source."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._serializer = FuncXSerializer(DillCode)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """Send a compiled function and arguments; returns the repr of the value."""
        return self.run_serialized(
            self._serializer.serialize_function(function),
            self._serializer.serialize_arguments(args, kwargs),
        )

    def run_serialized(self, function: str, arguments: str) -> str:
        answer = self._ask(function, arguments)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def name_of(self, function: Callable[..., Any], *args: Any) -> str:
        """The name that the worker sees."""
        serialized = self._serializer.serialize_function(function)
        return self._ask(serialized, self._serializer.serialize_arguments(args, {}))["name"]

    def _ask(self, function: str, arguments: str) -> dict[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps({"function": function, "arguments": arguments}),
            file=self._process.stdin,
            flush=True,
        )
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def started_bare_worker(folder: Path) -> Iterator[BareWorker]:
    """Start a worker; the folder will hold what it may import."""
    (folder / "dill").symlink_to(Path(dill.__file__).parent, target_is_directory=True)
    with started([sys.executable, "-I", "-S", "-c", _PROGRAM, str(folder)]) as worker:
        yield worker


@contextmanager
def started(command: list[str]) -> Iterator[BareWorker]:
    """Start a program that answers as the bare worker does."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield BareWorker(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(10)
