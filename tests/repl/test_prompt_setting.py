"""What is there at the prompt: an endpoint or a service, and what Python's own prompt has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from funcx_async.local import LocalService
from tests.repl.prompt import prompt
from tests.repl.terminal import CTRL_P, PROMPT


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


def variables(service: LocalService) -> dict[str, str]:
    return {"FUNCX_ASYNC_SERVICE_URL": service.url, "FUNCX_ASYNC_TOKEN": service.token}


# The endpoint ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["words", "one word", "variable"])
async def test_an_endpoint_is_named_by_words_or_by_a_variable(
    tmp_path: Path, service: LocalService, how: str
):
    endpoint_id = service.endpoint_id
    words = {"words": ["--endpoint", endpoint_id], "one word": [f"--endpoint={endpoint_id}"]}
    named = {"FUNCX_ASYNC_ENDPOINT_ID": endpoint_id} if how == "variable" else {}
    async with prompt(tmp_path, *words.get(how, []), **variables(service), **named) as terminal:
        assert f"the endpoint {endpoint_id}" in await terminal.until(PROMPT)
        assert "1024" in await terminal.type("await fxe.submit(pow, 2, 10)")
        assert "NameError" in await terminal.type("service")
        assert (await terminal.end()).strip() == ""
        assert terminal.process.returncode == 0


async def test_tasks_that_go_on_are_told_of(tmp_path: Path, service: LocalService):
    endpoint = ["--endpoint", service.endpoint_id]
    with service.faults.endpoint_offline():
        async with prompt(tmp_path, *endpoint, **variables(service)) as terminal:
            await terminal.until(PROMPT)
            await terminal.type("future = fxe.submit(pow, 2, 10)")
            await terminal.type("await future.submitted()")
            shown = await terminal.end()
    _, told, how = shown.partition("Tasks keep running. To await them: ")
    assert told
    async with prompt(tmp_path, *endpoint, **variables(service)) as terminal:
        await terminal.until(PROMPT)
        await terminal.type(f"futures = {how.strip()}")
        assert "[1024]" in await terminal.type("await gather(*futures)")


# As at Python's own prompt -----------------------------------------------------------------------


async def test_the_startup_file_is_run_and_may_await(tmp_path: Path):
    file = tmp_path / "startup.py"
    file.write_text(
        "import math\nprint('from the startup file')\n"
        "def area(radius) -> float:\n    return math.pi * radius**2\n"
        "await asyncio.sleep(0)\ndefault = await fxe.submit(pow, 2, 5)\n"
    )
    async with prompt(tmp_path, PYTHONSTARTUP=str(file)) as terminal:
        assert "from the startup file" in await terminal.until("funcx_async on")
        await terminal.until(PROMPT)
        assert "3.14" in await terminal.type("await fxe.submit(area, 1)")
        assert "32" in await terminal.type("default")
        assert "<class 'float'>" in await terminal.type("area.__annotations__")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(b"name = 1\n1 / 0\n", "line 2, in <module>", id="an exception"),
        pytest.param(b"name = \n", "SyntaxError", id="no Python"),
        pytest.param(b"name = '\xff'\n", "Could not read PYTHONSTARTUP", id="no text"),
        pytest.param(b"# coding: klingon\n", "Could not read PYTHONSTARTUP", id="no encoding"),
        pytest.param(b"raise KeyboardInterrupt", "KeyboardInterrupt", id="an interruption"),
        pytest.param(None, "Could not read PYTHONSTARTUP", id="no file"),
    ],
)
async def test_what_is_wrong_with_the_startup_file_is_shown(
    tmp_path: Path, text: bytes | None, error: str
):
    file = tmp_path / "startup.py"
    if text is not None:
        file.write_bytes(text)
    async with prompt(tmp_path, PYTHONSTARTUP=str(file)) as terminal:
        shown = await terminal.until("funcx_async on")
        assert error in shown
        assert "repl" not in shown  # no line of ours in it
        await terminal.until(PROMPT)
        assert "42" in await terminal.type("40 + 2")


@pytest.mark.parametrize("variable", [True, False], ids=["PYTHON_HISTORY", "home"])
async def test_lines_are_there_again_the_next_time(tmp_path: Path, variable: bool):
    home = tmp_path / "home"
    home.mkdir()
    file = tmp_path / "lines" if variable else home / ".python_history"
    named = {"PYTHON_HISTORY": str(file)} if variable else {}
    async with prompt(home, **named) as terminal:
        await terminal.until(PROMPT)
        terminal.press(b"print('on' + 'ce')\n")
        await terminal.until("once")
        await terminal.until(PROMPT)
        await terminal.end()
    assert "print('on' + 'ce')" in file.read_text().splitlines()
    assert sorted(home.iterdir()) == ([] if variable else [file])
    async with prompt(home, **named) as terminal:
        await terminal.until(PROMPT)
        terminal.press(CTRL_P + b"\n")
        await terminal.until("once")


async def test_lines_that_the_startup_file_reads_and_keeps_do_not_double(tmp_path: Path):
    lines, startup = tmp_path / "lines", tmp_path / "startup.py"
    lines.write_text("'the first'\n")
    startup.write_text(
        "import atexit, readline\n"
        f"readline.read_history_file({str(lines)!r})\n"
        f"atexit.register(readline.write_history_file, {str(lines)!r})\n"
    )
    variables = {"PYTHONSTARTUP": str(startup), "PYTHON_HISTORY": str(lines)}
    for line in ("'the second'", "'the third'"):
        async with prompt(tmp_path, **variables) as terminal:
            await terminal.until(PROMPT)
            terminal.press(f"{line}\n".encode())
            await terminal.until(f"{line}\n{line}\n")
            await terminal.until(PROMPT)
            await terminal.end()
    assert lines.read_text().splitlines() == ["'the first'", "'the second'", "'the third'"]


async def test_tab_completes_what_is_there(tmp_path: Path):
    async with prompt(tmp_path) as terminal:
        await terminal.until(PROMPT)
        await terminal.type("remarkable = 40 + 2")
        terminal.press(b"remar\t\n")
        assert "remarkable" in await terminal.until("42")


async def test_what_is_printed_may_go_elsewhere(tmp_path: Path):
    output = tmp_path / "output"
    with output.open("wb") as file:
        async with prompt(tmp_path, output=file) as terminal:
            await terminal.until(PROMPT)
            terminal.press(b"await fxe.submit(pow, 2, 10)\n")
            await terminal.until(PROMPT)
            await terminal.end()
    assert output.read_text() == "1024\n"
