"""The command line in this process, a service, and an environment that names it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from funcx_async.cli import main
from funcx_async.local import LocalService


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Awaitable[Ended]]


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own, and nothing in the environment."""
    for name in os.environ:
        if name.startswith(("FUNCX_", "GLOBUS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def told(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    """The service, and an environment that names it."""
    for name, value in variables_of(service).items():
        monkeypatch.setenv(name, value)
    return service


def variables_of(service: LocalService) -> dict[str, str]:
    return {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command, in a thread: it has an event loop of its own."""

    async def run(*words: str) -> Ended:
        capsys.readouterr()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()

        def runs() -> None:
            code = main(words)
            with suppress(RuntimeError):  # the test has failed and is gone
                loop.call_soon_threadsafe(ended.set_result, code)

        # A daemon: asyncio's own threads would be waited for, also when the test has failed.
        threading.Thread(target=runs, daemon=True).start()
        code = await ended
        return Ended(code, *capsys.readouterr())

    return run
