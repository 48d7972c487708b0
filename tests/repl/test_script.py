"""``python -m funcx_async`` without a terminal: scripts; and without what it needs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repl.prompt import COMMAND, SOMEBODYS, environment

LIMIT = 30

Ended = subprocess.CompletedProcess[str]


def ran(home: Path, *words: str, script: str = "", without: tuple[str, ...] = ()) -> Ended:
    """Run it to its end, in an environment that lacks some packages."""
    program = (
        f"import runpy, sys; sys.modules |= dict.fromkeys({without}); "
        "runpy.run_module('funcx_async', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", program] if without else COMMAND
    return subprocess.run(
        [*command, *words],
        input=script,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=environment(home),
        check=False,
    )


def test_a_script_runs_as_it_is(tmp_path: Path):
    script = """
from math import pi
def area(radius):
    return pi * radius**2

for radius in 1, 2:
    print(round(await fxe.submit(area, radius), 2))
print("all", await gather(*(fxe.submit(pow, 2, n) for n in range(3))))
"""
    ended = ran(tmp_path, script=script)
    assert (ended.stdout, ended.stderr) == ("3.14\n12.57\nall [1, 2, 4]\n", "")
    assert ended.returncode == 0
    assert list(tmp_path.iterdir()) == []  # no history


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("", 0, ""),
        ("exit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        ("exit('enough')", 1, "enough\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("await asyncio.sleep(0); 1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("print(", 1, "SyntaxError: '(' was never closed\n"),
    ],
)
def test_the_exit_code_says_how_a_script_ended(tmp_path: Path, script: str, code: int, said: str):
    ended = ran(tmp_path, script=script)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.endswith(said)
    assert bool(ended.stderr) == bool(said)
    assert "repl" not in ended.stderr  # no line of ours in it


async def test_ctrl_c_ends_a_script(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"print('begun', flush=True); await asyncio.sleep(1000)")
    process.stdin.close()
    async with asyncio.timeout(LIMIT):
        assert await process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"Interrupted.\n")


def test_asked_for_help_it_tells_of_the_prompt_and_then_of_the_commands(tmp_path: Path):
    ended = ran(tmp_path, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    of_the_prompt, _, of_the_commands = ended.stdout.partition("\n\n")
    assert len(of_the_prompt.splitlines()) == 2
    assert "--endpoint ID" in of_the_prompt
    assert "Usage: funcx-async" in of_the_commands


# What is not there -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["--endpoint"], ["--endpoint="], ["--endpoint", SOMEBODYS, "run"], ["--endpoint", "a", "b"]],
    ids=" ".join,
)
def test_words_that_mean_nothing(tmp_path: Path, words: list[str]):
    ended = ran(tmp_path, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "accepts only `--endpoint ID`" in ended.stderr
    assert f"not `{' '.join(words)}`" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_id_that_is_none(tmp_path: Path):
    ended = ran(tmp_path, "--endpoint", "ours")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "'ours' is not the id of an endpoint" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_the_extra_local_it_names_the_extra_or_wants_an_endpoint(
    tmp_path: Path, library: str
):
    ended = ran(tmp_path, script="print(1)", without=(library,))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"needs {library}, which is not installed" in ended.stderr
    assert "pip install 'funcx-async[local]'" in ended.stderr
    assert "--endpoint ID" in ended.stderr
    assert "Traceback" not in ended.stderr

    ended = ran(tmp_path, "--endpoint", SOMEBODYS, script="print(1)", without=(library,))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_the_extra_cli_the_prompt_opens_and_commands_name_the_extra(
    tmp_path: Path, library: str
):
    ended = ran(tmp_path, script="print(await fxe.submit(pow, 2, 5))", without=(library,))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "32\n", "")
    ended = ran(tmp_path, "local", without=(library,))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'funcx-async[cli]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_the_extra_cli_help_is_of_the_prompt_and_names_the_extra(
    tmp_path: Path, library: str
):
    ended = ran(tmp_path, "--help", without=(library,))
    assert ended.returncode == 0
    assert "--endpoint ID" in ended.stdout
    assert "pip install 'funcx-async[cli]'" in ended.stderr


def test_the_command_that_serves_names_the_extra_that_it_lacks(tmp_path: Path):
    ended = ran(tmp_path, "local", without=("starlette",))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'funcx-async[local]'" in ended.stderr
    assert "Traceback" not in ended.stderr
