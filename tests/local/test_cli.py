"""``python -m funcx_async``, as another process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import httpx
import pytest

from funcx_async.cli import main
from tests.local.commands import command, exports
from tests.local.dialogue import LIMIT


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_other_processes_until_a_signal(ending: signal.Signals):
    async with command("local", "--workers", "1") as process:
        told = await exports(process)
        assert set(told) == {
            "FUNCX_ASYNC_SERVICE_URL",
            "FUNCX_ASYNC_TOKEN",
            "FUNCX_ASYNC_ENDPOINT_ID",
        }
        headers = {"Authorization": f"Bearer {told['FUNCX_ASYNC_TOKEN']}"}
        async with httpx.AsyncClient(headers=headers) as http:
            answer = await http.get(f"{told['FUNCX_ASYNC_SERVICE_URL']}/v2/endpoints")
        assert answer.json()[0]["uuid"] == told["FUNCX_ASYNC_ENDPOINT_ID"]
        process.send_signal(ending)
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
        assert (process.returncode, out, err) == (0, b"", b"")


async def test_what_it_says_to_export_is_all_that_a_program_needs():
    program = (
        "import asyncio\n"
        "from funcx_async import FuncXExecutor\n"
        "async def main():\n"
        "    async with FuncXExecutor() as fxe:\n"
        "        print(await fxe.submit(pow, 2, 5))\n"
        "asyncio.run(main())\n"
    )
    async with command("local", "--workers", "1") as process:
        told = await exports(process)
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("32\n", "", 0)


async def test_a_start_that_fails_is_one_sentence():
    async with command("local", "--workers", "0") as process:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 1
    assert out == b""
    assert err.decode().splitlines() == [
        "The local service failed to start: a service needs at least one worker, not 0"
    ]


async def test_a_port_that_is_taken_is_one_sentence():
    async with command("local", "--workers", "1") as first:
        told = await exports(first)
        port = told["FUNCX_ASYNC_SERVICE_URL"].rpartition(":")[2]
        async with command("local", "--workers", "1", "--port", port) as second:
            _, err = await asyncio.wait_for(second.communicate(), LIMIT)
    assert second.returncode == 1
    assert len(err.decode().splitlines()) == 1
    assert port in err.decode()


def test_without_a_command_it_prints_help(capsys):
    assert main([]) == 0
    assert "local" in capsys.readouterr().out


def test_an_unknown_command_is_refused(capsys):
    assert main(["remote"]) == 2
    assert "remote" in capsys.readouterr().err


async def test_a_file_that_is_not_its_own_is_one_sentence(tmp_path):
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary, " * 100)
    async with command("local", "--workers", "1", "--database", str(path)) as process:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    assert (process.returncode, out) == (1, b"")
    (line,) = err.decode().splitlines()
    assert line == (
        f"The local service failed to start: {path} is not an SQLite database; give another file"
    )


async def test_two_services_on_one_file_are_one_sentence(tmp_path):
    options = ("local", "--workers", "1", "--database", str(tmp_path / "service.sqlite"))
    async with command(*options) as first:
        await exports(first)
        async with command(*options) as second:
            out, err = await asyncio.wait_for(second.communicate(), LIMIT)
    assert (second.returncode, out) == (1, b"")
    (line,) = err.decode().splitlines()
    assert "another service uses" in line
