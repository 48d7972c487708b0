"""``python -m funcx_async`` as another process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from tests.local.dialogue import LIMIT


@contextlib.asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "funcx_async", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def exports(process: asyncio.subprocess.Process) -> dict[str, str]:
    """What the command says is to be exported; returns when it has said everything."""
    found = {}
    async with asyncio.timeout(LIMIT):
        async for line in process.stdout:
            words = line.decode().split()
            if words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                found[name] = value
            if "Ctrl-C" in words:
                break
    return found
