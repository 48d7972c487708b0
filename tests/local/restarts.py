"""A service that is killed and started again, and a task that shows when it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from funcx_async import FuncXClient, FuncXExecutor
from tests.local.commands import command, exports
from tests.local.dialogue import LIMIT


class Restarted:
    """One file, one port, one service after another in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self._options = ("local", "--workers", "1", "--database", str(folder / "service.sqlite"))
        self._port = "0"
        self.told: dict[str, str] = {}
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Start a service; what it says to export."""
        starting = command(*self._options, "--port", self._port)
        self._process = await self._stack.enter_async_context(starting)
        self.told = await exports(self._process)
        self._port = self.url.rpartition(":")[2]

    async def kill(self) -> None:
        """End it without a last word, as ``kill -9`` does."""
        self._process.kill()
        await asyncio.wait_for(self._process.communicate(), LIMIT)

    async def aclose(self) -> None:
        """End the last one."""
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """The service's root."""
        return self.told["FUNCX_ASYNC_SERVICE_URL"]

    @property
    def token(self) -> str:
        """The bearer token of its clients."""
        return self.told["FUNCX_ASYNC_TOKEN"]

    @property
    def endpoint_id(self) -> str:
        """Its endpoint."""
        return self.told["FUNCX_ASYNC_ENDPOINT_ID"]

    def client(self) -> FuncXClient:
        """A client of the service."""
        return FuncXClient(self.url, auth=self.token)

    def executor(self, client: FuncXClient) -> FuncXExecutor:
        """An executor on the service's endpoint."""
        return FuncXExecutor(self.endpoint_id, funcx_client=client)


class Gate:
    """A task that waits, and says when it began: over named pipes, so that nobody polls."""

    def __init__(self, folder: Path) -> None:
        self.begun, self.go = str(folder / "begun"), str(folder / "go")
        os.mkfifo(self.begun)
        os.mkfifo(self.go)

    async def reached(self) -> None:
        """Return when the task has begun."""
        text = await asyncio.wait_for(asyncio.to_thread(Path(self.begun).read_text), LIMIT)
        assert text == "begun"

    async def open(self) -> None:
        """Let it end."""
        await asyncio.wait_for(asyncio.to_thread(Path(self.go).write_text, "go"), LIMIT)


def pass_through(begun: str, go: str) -> str:
    """Run on the worker."""
    from pathlib import Path

    Path(begun).write_text("begun")
    return Path(go).read_text()
