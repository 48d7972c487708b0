"""``python -m funcx_async``: a prompt with an executor, under a pseudo-terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.repl.prompt import prompt
from tests.repl.terminal import CTRL_C, PROMPT, Terminal


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with prompt(tmp_path) as shown:
        banner = await shown.until(PROMPT)
        assert max(map(len, banner.splitlines())) < 80  # as wide as terminals are
        assert "a local service" in banner
        yield shown


async def test_a_function_typed_there_runs_and_ctrl_d_leaves_without_a_word(terminal: Terminal):
    await terminal.type("def add(a): return a + 2\n")
    assert "42" in await terminal.type("await fxe.submit(add, 40)")
    assert "Source for any Python" in await terminal.type("print(explain(add, 40))")
    await terminal.type("import time; future = fxe.submit(time.sleep, 100)")
    await terminal.type("await future.submitted()")
    await terminal.type("waiting = asyncio.create_task(asyncio.wait_for(future, 90))")
    assert (await terminal.end()).strip() == ""
    assert terminal.process.returncode == 0


@pytest.mark.parametrize(
    ("line", "code", "last"),
    [
        ("exit()", 0, ""),
        ("exit(3)", 3, ""),
        ("import sys; sys.exit('enough')", 1, "enough"),
        ("async def leave(): exit(4)\n\nawait leave()", 4, ""),
    ],
)
async def test_exit_gives_the_exit_code(terminal: Terminal, line: str, code: int, last: str):
    shown = await terminal.leave(line)
    assert terminal.process.returncode == code
    assert "Traceback" not in shown
    assert shown.splitlines()[-1].endswith(last)


async def test_what_a_statement_raises_is_shown_and_the_prompt_goes_on(terminal: Terminal):
    shown = await terminal.type("def halve(x): return x / 0\n\nhalve(1)")
    assert "ZeroDivisionError" in shown
    assert "repl" not in shown  # no line of ours in it
    shown = await terminal.type("await fxe.submit(halve, 1)")
    assert "TaskExecutionFailed" in shown
    assert "ZeroDivisionError" in shown
    assert "SyntaxError" in await terminal.type("def")
    assert "42" in await terminal.type("40 + 2")


# Pasting ----------------------------------------------------------------------------------------


@pytest.fixture
async def pasting(tmp_path: Path) -> AsyncIterator[Terminal]:
    """At a terminal that says what is pasted."""
    async with prompt(tmp_path, kind="xterm") as shown:
        await shown.until(PROMPT)
        yield shown


BLOCK = """from math import floor
def halved(x):
    half = x / 2

    return floor(half)

[halved(n) for n in (20, 41)]
print('far', await fxe.submit(halved, 85))"""


@pytest.mark.parametrize("end", ["", "\n", "\n\n"], ids=["as it is", "a newline", "an empty line"])
async def test_what_is_pasted_runs_whole_with_its_empty_lines(pasting: Terminal, end: str):
    pasting.paste(BLOCK + end)
    await pasting.until("[10, 20]")
    await pasting.until("far 42")
    await pasting.until(PROMPT)
    assert "Source for any Python" in await pasting.type("print(explain(halved, 1))")


async def test_what_is_pasted_and_fails_ends_there(pasting: Terminal):
    pasting.paste("print('fi' + 'rst')\n1 / 0\nprint('la' + 'ter')\n")
    await pasting.until("first")
    assert "ZeroDivisionError" in await pasting.until(PROMPT)
    assert "later" not in await pasting.type("'next'")
    pasting.paste("print('fi' + 'rst')\ndef wrong(:\n    pass\n")
    shown = await pasting.until("SyntaxError")
    assert "first" not in shown


async def test_what_is_pasted_in_part_goes_on_as_typed(pasting: Terminal):
    pasting.paste("def tripled(x):\n\n    return (x +")
    pasting.press(b"x + x)\n\n")
    await pasting.until(PROMPT)
    assert "42" in await pasting.type("tripled(14)")


# Ctrl-C -----------------------------------------------------------------------------------------


async def test_ctrl_c_ends_the_line_or_the_statement_and_nothing_else(terminal: Terminal):
    await terminal.type("future = fxe.submit(pow, 2, 5)")
    terminal.press(b"a line that is")
    await terminal.until("a line that is")
    await terminal.interrupt()
    terminal.press(b"print('beg' + 'un'); await asyncio.sleep(1000)\n")
    await terminal.until("begun")
    await terminal.interrupt()
    terminal.press(b"while True: print('ro' + 'und')\n\n")
    await terminal.until("round")
    await terminal.interrupt()
    assert "32" in await terminal.type("await future")


async def test_ctrl_c_in_quick_succession_leaves_other_tasks_alone(terminal: Terminal):
    await terminal.type("import time")
    await terminal.type("async def busy(): print('bu' + 'sy'); time.sleep(0.5); return 'whole'\n")
    terminal.press(b"other = asyncio.create_task(busy()); await asyncio.sleep(1000)\n")
    await terminal.until("busy\n")
    for _ in range(2):
        terminal.press(CTRL_C)
        await terminal.until("^C")
    await terminal.until("KeyboardInterrupt")
    await terminal.until(PROMPT)
    assert "whole" in await terminal.type("await other")


async def test_ctrl_c_ends_a_statement_that_does_not_let_itself_be_cancelled(terminal: Terminal):
    stay = """async def stay():
    while True:
        asyncio.get_running_loop().call_later(0.1, print, 'wai' + 'ting')
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
"""
    await terminal.type(stay)
    terminal.press(b"await stay()\n")
    await terminal.until("waiting")
    terminal.press(CTRL_C)
    await terminal.until("waiting")
    await terminal.interrupt()
    assert "32" in await terminal.type("await fxe.submit(pow, 2, 5)")


async def test_ctrl_c_ends_what_holds_the_loop_up(terminal: Terminal):
    hold = """async def hold():
    await asyncio.sleep(0.1)
    print('he' + 'ld')
    while True:
        pass
"""
    await terminal.type(hold)
    terminal.press(b"task = asyncio.create_task(hold())\n")
    await terminal.until("held\n")
    terminal.press(b"print('ne' + 'ver')\n")
    await terminal.until("'ver')\n")
    await terminal.interrupt()
    assert "KeyboardInterrupt" in await terminal.type("task.exception()")
    assert "32" in await terminal.type("await fxe.submit(pow, 2, 5)")
