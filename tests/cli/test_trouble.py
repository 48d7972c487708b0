"""What commands say where something is in the way: a service, a module, a value, a terminal."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from funcx_async.cli.printing import harmless, ids_first, printable
from funcx_async.local import LocalService
from tests.cli.conftest import Command, variables_of

LIMIT = 30.0


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of the user's own that are not easy."""
    (tmp_path / "script.py").write_text("import sys\ndef f(): return 1\nsys.exit()\n")
    (tmp_path / "odd.py").write_text(
        "class Mute:\n"
        "    def __repr__(self): raise KeyError('no words')\n"
        "def mute(): return Mute()\n"
        "def nothing(): return [float('nan'), float('inf')]\n"
        "def colourful(): raise RuntimeError('\\x1b[31mred\\x1b[2J')\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("odd", None)


# A service that is not there --------------------------------------------------------------------


async def test_a_service_that_is_down_is_given_up_soon(told, command: Command, monkeypatch):
    monkeypatch.setattr("funcx_async.cli.run.RETRIED", 0.3)
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", f"http://127.0.0.1:{closed_port()}")
    ended = await command("run", "math:sqrt", "4")
    assert (ended.code, ended.out) == (1, "")
    assert "cannot be reached" in ended.err
    assert len(ended.err.splitlines()) == 1


@asynccontextmanager
async def running(service: LocalService, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "funcx_async", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables_of(service)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_ctrl_c_before_anything_was_submitted_says_so(service: LocalService):
    with service.faults.hold_replies("register"):
        seen = service.faults.count("register")
        async with running(service, "run", "math:sqrt", "4") as process:
            await asyncio.wait_for(service.faults.seen("register", seen + 1), LIMIT)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == ["Interrupted; nothing was submitted."]


async def test_a_token_that_is_refused_is_told_with_where_others_come_from(
    told, command: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", "not-this-one")
    ended = await command("endpoints")
    assert (ended.code, ended.out) == (1, "")
    assert "The service refuses the token of FUNCX_ASYNC_TOKEN" in ended.err
    assert "Export again what `python -m funcx_async local` prints" in ended.err
    assert "FuncXClient" not in ended.err
    assert "not-this-one" not in ended.err
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", "ends\n")
    ended = await command("endpoints")
    assert "FUNCX_ASYNC_TOKEN does not hold a token" in ended.err


# What a module does ------------------------------------------------------------------------------


async def test_a_script_that_ends_the_program_is_told_so(told, modules, command: Command):
    ended = await command("run", "script:f")
    assert (ended.code, ended.out) == (1, "")
    assert "Importing the module 'script' ended the program" in ended.err
    assert "if __name__ == '__main__':" in ended.err


async def test_a_result_that_cannot_be_shown_is_no_failure(told, modules, command: Command):
    says = "<Mute, which cannot be shown: KeyError>"
    assert await command("run", "odd:mute") == (0, f"{says}\n", "")
    ended = await command("run", "odd:mute", "--json")
    assert (ended.code, ended.document["result"]) == (0, says)
    assert await command("results", ended.document["task_id"]) == (0, f"{says}\n", "")


async def test_what_is_no_number_is_not_made_nothing(told, modules, command: Command):
    ended = await command("run", "odd:nothing", "--json")
    assert ended.document["result"] == "[nan, inf]"
    assert printable({"a": [1.5, None]}) == {"a": [1.5, None]}


async def test_a_remote_error_commands_no_terminal(told, modules, command: Command):
    ended = await command("run", "odd:colourful")
    assert "RuntimeError: [31mred[2J" in ended.err
    assert "\x1b" not in ended.err
    task_id = await failed_task(told)
    ended = await command("results", task_id)
    assert (ended.code, ended.out) == (1, "")
    assert "RuntimeError: [31mred" in ended.err
    assert "\x1b" not in ended.err
    assert harmless("a\tb\nc") == "a\tb\nc"


async def failed_task(service: LocalService) -> str:
    async with service.executor() as executor:
        future = executor.submit(exec, "raise RuntimeError('\x1b[31mred')")
        await asyncio.wait([future])
        return str(future.task_id)


# Words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("local", "--port", "99999"),
        ("local", "--port", "-1"),
        ("doctor", "--amqp-port", "0"),
        ("run", "math:sqrt", "4", "--amqp-port", "65536"),
    ],
    ids=" ".join,
)
async def test_a_port_that_is_none_is_not_understood(command: Command, words: tuple[str, ...]):
    ended = await command(*words)
    assert (ended.code, ended.out) == (2, "")
    assert words[-2] in ended.err
    assert "Traceback" not in ended.err


async def test_another_port_for_results_can_be_given(told, command: Command):
    url = (await told.client().get_result_queue_address()).connection_url
    port = re.findall(r":(\d+)/", url)[-1]
    assert (await command("run", "math:sqrt", "16", "--amqp-port", port)).out == "4.0\n"


@pytest.mark.parametrize(
    ("name", "extra"),
    [("login", "globus"), ("logout", "globus"), ("whoami", "globus"), ("local", "local")],
)
def test_a_missing_extra_is_named_and_ends_with_2(name: str, extra: str):
    program = (
        "import sys; sys.modules['globus_sdk'] = sys.modules['uvicorn'] = None\n"
        f"from funcx_async.cli import main; sys.exit(main(['{name}']))"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert f"pip install 'funcx-async[{extra}]'" in line


# Ids --------------------------------------------------------------------------------------------


async def test_several_groups_and_tasks_give_all_their_results(told, command: Command):
    groups = []
    for number in (3, 4):
        async with told.executor() as executor:
            assert await executor.submit(pow, number, 2) == number**2
            groups.append(str(executor.task_group_id))
    async with told.client() as client:
        (task_id,) = await client.get_task_group(groups[0])
    ended = await command("results", *groups, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert [each["result"] for each in ended.document] == [9, 16]
    ended = await command("results", task_id, groups[1], "--json")
    assert [each["result"] for each in ended.document] == [9, 16]
    nobody = str(uuid4())
    ended = await command("results", task_id, nobody)
    assert (ended.code, ended.out) == (1, f"{task_id}  9\n")
    assert f"No task and no task group has the id {nobody}." in ended.err


@pytest.mark.parametrize("width", [80, 60, 40])
def test_ids_are_never_cut(width: int):
    an_id = str(uuid4())
    table = ids_first("endpoint", "name", "status")
    table.add_row(an_id, "a name that needs quite some room", "online")
    out = Console(file=io.StringIO(), width=width)
    out.print(table)
    assert isinstance(out.file, io.StringIO)
    printed = out.file.getvalue()
    if width > 40:
        assert an_id in printed
    first = "".join(re.findall(r"^│([^│]*)│", printed, re.MULTILINE))
    assert an_id in first.replace(" ", ""), "all of it, if on two lines"


async def test_what_is_piped_is_not_filled_with_blanks(told, command: Command):
    ended = await command("doctor", "--endpoint", str(uuid4()))
    assert "→ Check --endpoint" in ended.out
    assert not [line for line in ended.out.splitlines() if line != line.rstrip()]
