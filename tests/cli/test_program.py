"""The program as a whole: help, refusals, interruption, and what it needs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from funcx_async.local import LocalService
from tests.cli.conftest import Command, variables_of

LIMIT = 30.0
COMMANDS = [
    *("run", "status", "results", "watch", "endpoints"),
    *("login", "logout", "whoami", "doctor", "local"),
]


async def test_help_names_every_command(command: Command):
    ended = await command("--help")
    assert (ended.code, ended.err) == (0, "")
    assert set(COMMANDS) <= set(re.findall(r"^│ (\w+) ", ended.out, re.MULTILINE))


async def test_version_prints_the_version_of_the_package(command: Command):
    ended = await command("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"funcx-async {version('funcx-async')}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_explains_itself(command: Command, name: str):
    ended = await command(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: funcx-async {name}" in ended.out
    assert "<bool>" not in ended.out


async def test_help_of_the_program_shows_flags_without_a_type(command: Command):
    assert "<bool>" not in (await command("--help")).out


async def test_whoami_names_the_token_in_use(told, command: Command):
    ended = await command("whoami")
    says = f"Requests to {told.url} use the token in FUNCX_ASYNC_TOKEN, not a login.\n"
    assert ended == (0, says, "")


async def test_whoami_without_credentials_says_how_to_set_them(
    told, command: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("FUNCX_ASYNC_TOKEN")
    ended = await command("whoami")
    assert (ended.code, ended.out) == (1, "")
    assert f"There are no credentials for {told.url}. Set FUNCX_ASYNC_SERVICE_URL" in ended.err


async def test_logout_without_a_login_says_so(command: Command):
    ended = await command("logout")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("There was no login to end")


async def test_what_fails_is_one_line(command: Command):
    ended = await command("endpoints", "--service", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("endpoints failed: There are no credentials for http://127.0.0.1:9")
    assert len(ended.err.splitlines()) == 1


def test_without_the_extra_it_names_the_extra():
    program = (
        "import sys; sys.modules['typer'] = None\n"
        "from funcx_async.cli import main; sys.exit(main(['endpoints']))"
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
    assert "pip install 'funcx-async[cli]'" in line


async def interrupted(service: LocalService, *words: str) -> tuple[int | None, str, str]:
    """Run a command until it has a task and looks for its result, then press Ctrl-C."""
    with service.faults.endpoint_offline():
        seen = service.faults.count("amqp_url")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "funcx_async", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **variables_of(service)},
        )
        try:
            async with asyncio.timeout(LIMIT):
                await service.faults.seen("amqp_url", seen + 1)
                process.send_signal(signal.SIGINT)
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_ctrl_c_is_one_line_and_130(service: LocalService):
    code, out, err = await interrupted(service, "run", "math:sqrt", "4")
    assert (code, out) == (130, "")
    (line,) = err.splitlines()
    assert line.startswith(
        "Interrupted; the task keeps running. Get its result with: funcx-async results "
    )


async def test_what_reads_may_have_seen_enough(service: LocalService):
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -W error -m funcx_async endpoints --json | true",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables_of(service)},
    )
    async with asyncio.timeout(LIMIT):
        assert await process.communicate() == (b"", b"")
