"""Functions arrive from wherever people write them: script, REPLs, modules."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serialize.bare_worker import BareWorker

ROOT = Path(__file__).parent.parent.parent

SESSION = """\
import functools
import json as js
import pathlib
large = "x" * 5_000_000
busy = (number for number in ())
offset = 3

class Box: __init__, grown = lambda me, x: setattr(me, "x", x), lambda me: Box(me.x + offset)

def shift(x): return x + offset

async def later(x): return shift(x)

def run(x, box): return js.dumps([shift(x), box.grown().x, isinstance(box, Box)])

"""
# One line each: the plain REPL of asyncio in 3.13.0 takes no more at a simple terminal.

DUMP = """\
from funcx_async.serialize import FuncXSerializer
serializer = FuncXSerializer()
functions = [run, functools.partial(run, 1), later, lambda x, box: shift(box.x)]
written = [serializer.serialize_function(function) for function in functions]
arguments = serializer.serialize_arguments((1, Box(1)), {})
"""

TELL = "pathlib.Path(path).write_text(js.dumps([written, arguments]))"


def check(worker: BareWorker, answer: Path) -> None:
    """Run on the worker what a session wrote."""
    functions, arguments = json.loads(answer.read_text())
    run, run_partly, later, shifted = functions
    assert worker.run_serialized(run, arguments) == repr("[4, 4, true]")
    assert worker.run_serialized(shifted, arguments) == "4"
    one = worker.run_serialized(later, "28\n00\ngASVBQAAAAAAAABLAYWULg==\n12\n00\ngAR9lC4=\n")
    assert one == "4"
    assert len(later) < 12_000  # source and compiled code
    assert all(len(text) < 12_000 for text in (run, run_partly, shifted, arguments))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "PYTHON_BASIC_REPL": "1"}


def test_from_a_script(worker: BareWorker, tmp_path: Path) -> None:
    script, answer = tmp_path / "script.py", tmp_path / "answer.json"
    script.write_text(f"path = {str(answer)!r}\n{SESSION}{DUMP}{TELL}\n")
    subprocess.run([sys.executable, script], check=True, env=environment(), timeout=60)
    check(worker, answer)


def test_from_a_module_of_ones_own(worker: BareWorker, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SESSION)
    script, answer = tmp_path / "script.py", tmp_path / "answer.json"
    script.write_text(f"path = {str(answer)!r}\nfrom mine import *\n{DUMP}{TELL}\n")
    subprocess.run([sys.executable, script], check=True, env=environment(), timeout=60)
    check(worker, answer)


@pytest.mark.parametrize(
    "repl",
    [
        pytest.param(["-m", "asyncio"], id="asyncio"),
        pytest.param(["-i"], id="plain"),
    ],
)
def test_from_a_repl_at_a_terminal(worker: BareWorker, tmp_path: Path, repl: list[str]) -> None:
    answer = tmp_path / "answer.json"
    typed = f"path = {str(answer)!r}\n{SESSION}{DUMP}{TELL}\n"
    said = converse([sys.executable, *repl], typed)
    assert answer.exists(), said
    check(worker, answer)


def test_the_source_strategies_do_not_take_another_modules_text() -> None:
    attempts = (
        "from funcx_async.serialize import PureSourceDill, DillCodeSource\n"
        "offset = PureSourceDill().serialize(shift)\n"
        "offset = DillCodeSource().serialize(shift)\n"
    )
    said = converse([sys.executable, "-m", "asyncio"], SESSION + attempts)
    assert said.count("SerializationError: ") == 2
    assert said.count("use DillCode") == 2


def converse(command: list[str], typed: str, **extra: str) -> str:
    """Type lines into a program at a terminal, each at its prompt, then end of file."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment(), **extra},
        close_fds=True,
    ) as process:
        os.close(slave)
        said = heard_until(master, ">>> ")
        for line in typed.splitlines():
            os.write(master, f"{line}\n".encode())
            said += heard_until(master, ">>> ", "... ")
        os.write(master, b"\x04")
        process.wait(30)
    os.close(master)
    return said


def heard_until(terminal: int, *prompts: str) -> str:
    said = ""
    while not said.endswith(prompts):
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, f"no prompt came: {said[-2000:]}"
        said += os.read(terminal, 65_536).decode("utf-8", "replace")
    return said
