"""The same program with the official executors and ours, async and blocking, on one service."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from funcx_async.local import LocalService
from tests.oracles.departures import DEPARTURES
from tests.oracles.interpreters import interpreter

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(280)]

PROGRAM = Path(__file__).parent / "same_program.py"
LIMIT = 240.0
OURS = {"sdk": "v3", "funcx": "v2"}
CLIENTS = ("sdk", "funcx", "async v3", "blocking v3", "async v2", "blocking v2")


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=4) as running:
        yield running


async def run(service: LocalService, home: Path, client: str, *arguments: str) -> Any:
    """What the program has to tell, with one client."""
    python = interpreter(client) if client in OURS else sys.executable
    # The official SDK goes to localhost:5000 whatever it is told; our service is its proxy.
    proxy = {"HTTP_PROXY": service.url} if client == "sdk" else {}
    process = await asyncio.create_subprocess_exec(
        *(python, str(PROGRAM), client, *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=proxy
        | {
            "HOME": str(home),
            "LOCAL_URL": service.url,
            "LOCAL_TOKEN": service.token,
            "LOCAL_ENDPOINT": service.endpoint_id,
            "PATH": os.environ["PATH"],
        },
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, f"{client} failed; standard error says how"
    return json.loads(out)


async def run_all(service: LocalService, home: Path, arguments: dict[str, list[str]]) -> Any:
    """What the program has to tell with each client, all at the same time."""
    runs = [run(service, home, client, *arguments[client]) for client in CLIENTS]
    return dict(zip(CLIENTS, await asyncio.gather(*runs), strict=True))


async def test_each_step_gives_what_it_gives_with_the_official_executors(
    service: LocalService, tmp_path: Path
):
    seen = await run_all(service, tmp_path, {client: ["steps"] for client in CLIENTS})
    for dialect in OURS.values():
        assert seen[f"async {dialect}"] == seen[f"blocking {dialect}"]
    departed = {
        (official, step): (outcome, seen[f"async {dialect}"][step])
        for official, dialect in OURS.items()
        for step, outcome in seen[official].items()
        if outcome != seen[f"async {dialect}"][step]
    }
    listed = {(each.official, each.step) for each in DEPARTURES}
    assert {where: both for where, both in departed.items() if where not in listed} == {}
    assert listed - departed.keys() == set(), "these differ no more: take them off the list"


async def test_each_client_reloads_what_the_others_left(service: LocalService, tmp_path: Path):
    """Each leaves one group for each: a classic service hands a result out once."""
    count = str(len(CLIENTS))
    left = await run_all(service, tmp_path, {client: ["leave", count] for client in CLIENTS})
    arguments = {
        reader: ["take", *(left[writer][number] for writer in CLIENTS)]
        for number, reader in enumerate(CLIENTS)
    }
    taken = await run_all(service, tmp_path, arguments)
    for number, reader in enumerate(CLIENTS):
        values = sorted([*(str(value + number) for value in range(5)), "TaskExecutionFailed"])
        assert taken[reader] == [values] * len(CLIENTS), f"what {reader} found"
