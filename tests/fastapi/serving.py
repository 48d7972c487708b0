"""A real uvicorn in a process of its own, and a reader of what it streams."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from funcx_async.local import LocalService

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 30


def pointing_at(service: LocalService) -> dict[str, str]:
    """The environment variables that lead to a local service."""
    return {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }


@dataclass
class Server:
    """A uvicorn that runs."""

    url: str
    process: asyncio.subprocess.Process
    port: int
    told: str = field(default="", init=False)

    async def stopped(self) -> str:
        """Ask it to stop, and give what it wrote when it has."""
        self.process.terminate()
        return await self.ended()

    async def ended(self) -> str:
        _, told = await asyncio.wait_for(self.process.communicate(), TIMEOUT)
        self.told = told.decode()
        return self.told


@asynccontextmanager
async def served(
    app: str, *options: str, variables: Mapping[str, str], port: int = 0
) -> AsyncIterator[Server]:
    """Serve an application; at the end of the context it is killed if it still runs."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(1_024)
        port = listening.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "uvicorn",
            app,
            "--fd",
            str(listening.fileno()),
            *options,
            env=os.environ | variables,
            pass_fds=[listening.fileno()],
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, port)
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await server.ended()


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT)


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The server-sent events of a response: name and document."""
    name, text = "message", ""
    async for line in response.aiter_lines():
        word, _, rest = line.partition(": ")
        if word == "event":
            name = rest
        elif word == "data":
            text += rest
        elif not line and text:
            yield name, json.loads(text)
            name, text = "message", ""
