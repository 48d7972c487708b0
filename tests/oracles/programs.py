"""Programs of the official packages, each run by an interpreter that has one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIMIT = 120.0


@contextlib.asynccontextmanager
async def running(
    python: str, program: str, *arguments: str, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of this folder, running; it is killed at the end, unless it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(python, str(HERE / program), *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def says(process: asyncio.subprocess.Process, word: str) -> None:
    """Wait until the program has said this, and nothing else before."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), LIMIT)
    assert line == f"{word}\n".encode()


async def last_words(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What the program saw, once it has ended."""
    out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 0, "the official program failed; standard error says how"
    document: dict[str, Any] = json.loads(out)
    return document
