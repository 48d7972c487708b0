"""A program under a pseudo-terminal: what is typed, and what it shows."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO

TIMEOUT = 30
PROMPT = ">>> "
CTRL_C, CTRL_D, CTRL_P = b"\x03", b"\x04", b"\x10"


class Terminal:
    """Types into a program, and sees what it shows.

    Args:
        process: the program.
        controller: the other side of its terminal.
    """

    def __init__(self, process: asyncio.subprocess.Process, controller: int) -> None:
        self.process = process
        self._controller = controller
        self._shown = ""
        self._lines = 0
        self._more = asyncio.Event()
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(controller, self._read)

    def _read(self) -> None:
        try:
            text = os.read(self._controller, 65536)
        except OSError:  # the other side is closed
            text = b""
        if not text:
            asyncio.get_running_loop().remove_reader(self._controller)
            self._ended.set()
        self._shown += text.decode(errors="replace").replace("\r", "")
        self._more.set()

    def press(self, keys: bytes) -> None:
        """Press keys, and wait for nothing."""
        os.write(self._controller, keys)

    def paste(self, text: str) -> None:
        """Paste a text as terminals do that were asked to say so, and press Enter."""
        self.press(b"\x1b[200~" + text.replace("\n", "\r").encode() + b"\x1b[201~\r")

    async def until(self, text: str) -> str:
        """Wait until ``text`` is shown, and give all up to it."""
        async with asyncio.timeout(TIMEOUT):
            while text not in self._shown:
                self._more.clear()
                await self._more.wait()
        seen, _, self._shown = self._shown.partition(text)
        return seen

    async def type(self, line: str) -> str:
        """Type a line, and give what is shown until the next prompt after its answer."""
        self._lines += 1
        self.press(f"{line}\nprint('answer', {self._lines})\n".encode())
        shown = await self.until(f"answer {self._lines}")
        await self.until(PROMPT)
        return shown

    async def interrupt(self) -> None:
        """Press Ctrl-C until it is seen, and wait for the prompt.

        Of 100 that come within microseconds after a key or a prompt, Python's readline module
        misses two, here as at its own prompt: it looks for signals when they interrupt its wait for
        a key, so not for one that comes just before. People are never that quick.
        """
        seen = asyncio.ensure_future(self.until("KeyboardInterrupt"))
        while not seen.done():
            self.press(CTRL_C)
            await asyncio.wait([seen], timeout=2)
        await seen
        await self.until(PROMPT)

    async def leave(self, line: str) -> str:
        """Type the last line, and give all that is shown until the end."""
        return await self.end(line.encode() + b"\n")

    async def end(self, keys: bytes = CTRL_D) -> str:
        """Press what ends the program, and give all that is shown until the end."""
        self.press(keys)
        async with asyncio.timeout(TIMEOUT):
            await self.process.wait()
            await self._ended.wait()
        return self._shown

    async def close(self) -> None:
        """End the program, if it has not ended."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._controller)
        os.close(self._controller)


@asynccontextmanager
async def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: IO[bytes] | None = None,
    kind: str = "dumb",
) -> AsyncIterator[Terminal]:
    """Run a program under a terminal for a ``with`` block.

    Args:
        command: the program and its arguments.
        environment: its variables.
        output: where it writes to, instead of the terminal.
        kind: what the terminal can do.
    """
    controller, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=terminal,
        stdout=output or terminal,
        stderr=terminal,
        env={**environment, "TERM": kind},
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # Ctrl-C is for it
    )
    os.close(terminal)
    shown = Terminal(process, controller)
    try:
        yield shown
    finally:
        await shown.close()
