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

from funcx_async.cli.printing import ids_first, json_value
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
    monkeypatch.setattr("funcx_async.cli.run.RETRY_DEADLINE", 0.3)
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
    assert "The service rejects the token in FUNCX_ASYNC_TOKEN" in ended.err
    assert "Export the variables that `python -m funcx_async local` prints" in ended.err
    assert "FuncXClient" not in ended.err
    assert "not-this-one" not in ended.err
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", "ends\n")
    ended = await command("endpoints")
    assert "FUNCX_ASYNC_TOKEN does not hold a token" in ended.err


# What a module does ------------------------------------------------------------------------------


async def test_a_script_that_ends_the_program_is_told_so(told, modules, command: Command):
    ended = await command("run", "script:f")
    assert (ended.code, ended.out) == (1, "")
    assert "Importing the module 'script' called sys.exit()" in ended.err
    assert "if __name__ == '__main__':" in ended.err


async def test_result_that_cannot_be_printed_fails_with_its_task_id(told, modules, command):
    says = "its result is a Mute that cannot be printed (KeyError: 'no words')"
    ended = await command("run", "odd:mute")
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.err
    assert re.search(r"Task [0-9a-f-]{36} succeeded, but", ended.err)
    ended = await command("run", "odd:mute", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert says in ended.document["error"]
    task_id = ended.document["task_id"]
    assert f"Task {task_id} succeeded, but" in ended.document["error"]
    ended = await command("results", task_id)
    assert (ended.code, ended.out) == (1, "")
    assert f"Task {task_id} succeeded, but {says}" in ended.err
    ended = await command("results", task_id, "--json")
    assert ended.code == 1
    assert says in ended.document[0]["error"]


async def test_what_is_no_number_is_not_made_nothing(told, modules, command: Command):
    ended = await command("run", "odd:nothing", "--json")
    assert ended.document["result"] == "[nan, inf]"
    assert json_value({"a": [1.5, None]}) == {"a": [1.5, None]}


async def test_a_remote_error_commands_no_terminal(told, modules, command: Command):
    ended = await command("run", "odd:colourful")
    assert r"RuntimeError: \x1b[31mred\x1b[2J" in ended.err
    assert "\x1b" not in ended.err
    task_id = await failed_task(told)
    ended = await command("results", task_id)
    assert (ended.code, ended.out) == (1, "")
    assert r"RuntimeError: \x1b[31mred" in ended.err
    assert "\x1b" not in ended.err


async def failed_task(service: LocalService) -> str:
    async with service.executor() as executor:
        future = executor.submit(exec, "raise RuntimeError('\x1b[31mred')")
        await asyncio.wait([future])
        return str(future.task_id)


# What a console can print -----------------------------------------------------------------------

PRINTED = [
    pytest.param("utf-8", ["greek"], "λ = 0.5 µm", id="UTF-8"),
    pytest.param("ascii", ["greek"], r"\u03bb = 0.5 \xb5m", id="ASCII"),
    pytest.param("cp1252", ["greek"], r"\u03bb = 0.5 µm", id="cp1252"),
    pytest.param("cp1252", ["greek", "--json"], r'"\u03bb = 0.5 \u00b5m"', id="cp1252 JSON"),
    pytest.param("utf-8", ["odd"], r"file-\udcff", id="surrogate"),
    pytest.param("utf-8", ["odd", "--json"], r'"file-\udcff"', id="surrogate JSON"),
    pytest.param("utf-8", ["large"], "1" + 5_000 * "0", id="integer"),
    pytest.param("utf-8", ["large", "--json"], "1" + 5_000 * "0", id="integer JSON"),
    pytest.param("utf-8", ["nested"], f"[{'1' + 5_000 * '0'}]", id="integer in a list"),
]


@pytest.mark.parametrize("command", ["run", "results"])
@pytest.mark.parametrize(("encoding", "words", "says"), PRINTED)
async def test_no_result_is_lost_on_any_console(
    service: LocalService, tmp_path: Path, command: str, encoding: str, words: list[str], says: str
):
    (tmp_path / "mine.py").write_text(
        "def greek(): return 'λ = 0.5 µm'\n"
        "def odd(): return 'file-\\udcff'\n"
        "def large(): return 10**5_000\n"
        "def nested(): return [10**5_000]\n",
        encoding="utf-8",
    )
    name, *options = words
    task = [f"mine:{name}"]
    if command == "results":
        executed = service.faults.count("executed")
        async with running(service, "run", "--no-wait", *task) as process:
            out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        task = [out.decode().strip()]
        await asyncio.wait_for(service.faults.seen("executed", executed + 1), LIMIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONIOENCODING", encoding)
        async with running(service, command, *task, *options) as process:
            out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    assert (process.returncode, err) == (0, b"")
    assert says in out.decode(encoding)


async def test_a_long_integer_can_be_an_argument(told, command: Command):
    number = "1" + 5_000 * "0"
    ended = await command("run", "operator:add", number, "1")
    assert (ended.code, ended.out) == (0, number[:-1] + "1\n")


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
    assert f"No task or task group has the id {nobody}." in ended.err


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
