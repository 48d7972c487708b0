"""Calls in threads, which keep nobody: no loop, no program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest

from funcx_async._results.decoding import in_thread

TIMEOUT = 60


async def test_what_is_called_gives_its_value_or_its_error():
    assert await in_thread(lambda: 42) == 42
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_where_no_thread_is_to_be_had_it_is_called_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    """Else the future that waits for it would be open for ever."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await in_thread(lambda: 42) == 42


async def test_a_program_ends_though_a_call_does_not():
    """As a pickle may do, which is any code."""
    program = """
        import asyncio, threading
        from funcx_async._results.decoding import in_thread

        begun = threading.Event()

        def for_ever():
            begun.set()
            threading.Event().wait()

        async def main():
            call = asyncio.create_task(in_thread(for_ever))
            await asyncio.to_thread(begun.wait)
            call.cancel()
            await asyncio.wait([call])
            print("cancelled", call.cancelled())

        asyncio.run(main())
    """
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        timeout=TIMEOUT / 2,
        text=True,
    )
    assert ended.stdout == "cancelled True\n", ended.stderr
