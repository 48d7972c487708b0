"""Five hundred browsers follow one sweep of the gateway, and the service still stops in time."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from funcx_async.local import LocalService
from tests.fastapi.serving import Server, client_of
from tests.fastapi.test_gateway import gateway

CLIENTS = 500
COLUMNS = 60
COLUMN = re.compile(rb"event: column\ndata: \{\"column\":(\d+),")


class Follower:
    """A client that keeps to the socket: five hundred of httpx would be what is measured."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.columns: list[int] = []

    async def follow(self, server: Server) -> float:
        """Follow to the end of the stream; gives when the last column came."""
        last = 0.0
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            self.open.set()
            while chunk := await frame(reader):
                self.columns += [int(each) for each in COLUMN.findall(chunk)]
                last = time.perf_counter()
                if len(self.columns) == COLUMNS:
                    self.open.set()
        finally:
            writer.close()
            await writer.wait_closed()
        return last


async def frame(reader: asyncio.StreamReader) -> bytes:
    """A chunk of the answer; empty after the last one, which only an answer in full has."""
    size = int(await reader.readuntil(b"\r\n"), 16)
    return (await reader.readexactly(size + 2))[:size]


@pytest.mark.proof
async def test_five_hundred_clients_see_a_sweep_and_the_service_stops_in_time(
    service: LocalService, tmp_path: Path
):
    async with gateway(service, tmp_path) as server:
        followers = [Follower() for _ in range(CLIENTS)]
        following = [asyncio.create_task(each.follow(server)) for each in followers]
        async with asyncio.timeout(60):
            for each in followers:
                await each.open.wait()
                each.open.clear()
        async with client_of(server) as client:
            ordered = time.perf_counter()
            await client.post("/sweeps", json={"first": 3.4, "last": 4, "columns": COLUMNS})
            slowest = 0.0
            while not all(each.open.is_set() for each in followers):
                begun = time.perf_counter()
                assert (await client.get("/healthz")).status_code == 200
                slowest = max(slowest, time.perf_counter() - begun)
        asked_to_stop = time.perf_counter()
        memory = resident(server.process.pid)
        told = await server.stopped()
        stopped = time.perf_counter()
        seen = max(await asyncio.gather(*following))
        assert "timeout graceful shutdown exceeded" not in told
        assert "Application shutdown complete" in told
        assert "Traceback" not in told
        (order,) = {tuple(each.columns) for each in followers}
        assert sorted(order) == list(range(COLUMNS))
        print(
            f"{CLIENTS} clients: {COLUMNS} columns to each within {seen - ordered:.1f} s, "
            f"/healthz answered within {slowest * 1_000:.0f} ms meanwhile, "
            f"{memory} MiB resident, stopped after {stopped - asked_to_stop:.1f} s"
        )


def resident(pid: int) -> int:
    """Mebibytes of memory that a process has; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) // 1024 if found else 0
