"""The command line in this process, a service, and an environment that names it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from funcx_async.cli import main
from funcx_async.local import LocalService
from tests.cli.front import Front
from tests.cli.looking import Checks, Doctor


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


# The doctor ------------------------------------------------------------------------------------


@pytest.fixture
async def front(told: LocalService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Front]:
    """Something before the service that changes its answers; the environment names it."""
    front = Front(told.url, told.token)
    await front.start()
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", front.url)
    yield front
    await front.aclose()


@pytest.fixture
async def secrets(told: LocalService) -> list[str]:
    """What the command must not print."""
    url = (await told.client().get_result_queue_address()).connection_url
    return [told.token, url.rpartition("@")[0].rpartition(":")[2]]


@pytest.fixture
def doctor(command: Command, secrets: list[str]) -> Doctor:
    """Runs the command; the checks by name. It says no secret, and ends with 1 if one failed."""

    async def run(*words: str) -> Checks:
        ended = await command("doctor", "--json", *words)
        assert ended.err == ""
        assert not [secret for secret in secrets if secret in ended.out]
        checks = {check["name"]: check for check in ended.document["checks"]}
        for check in checks.values():
            assert check["remedy"] or check["status"] != "FAIL", check
            assert not re.search(r"[^.]\.\.( |$)", f"{check['found']} {check['remedy']}"), check
        failed = any(check["status"] == "FAIL" for check in checks.values())
        assert ended.code == failed
        assert ended.document["works"] is not failed
        return checks

    return run


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A certificate authority that nobody knows, and its certificate in a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return authority
