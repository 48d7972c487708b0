"""One login for the official SDK and for us: in its file, by its rules."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from funcx_async import FuncXClient
from funcx_async.auth.login import SharedLoginAuth, shared_login
from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE
from tests.auth.issuer import CODE, IDENTITY, Issuer

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]

HERE = Path(__file__).parent
LIMIT = 60.0
AUTH = "auth.globus.org"
AUTH_SCOPES = "openid urn:globus:auth:scope:auth.globus.org:manage_projects"


@pytest.fixture
async def issuer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Issuer]:
    issuer = Issuer()
    await issuer.start()
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", issuer.url)
    yield issuer
    await issuer.aclose()


async def run(python: str, home: Path, *words: str, said: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *(python, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "GLOBUS_SDK_SERVICE_URL_AUTH": os.environ["GLOBUS_SDK_SERVICE_URL_AUTH"],
        },
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(said.encode()), LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, "standard error says why"
    return out.decode()


async def official(python: str, home: Path, *words: str) -> str:
    return await run(python, home, str(HERE / "official_login.py"), *words)


def login_of(issuer: Issuer, resource_server: str, scope: str, expires_in: float) -> dict[str, Any]:
    return {
        "resource_server": resource_server,
        "identity_id": IDENTITY,
        "scope": scope,
        "access_token": issuer.new_token(),
        "refresh_token": issuer.new_token("refresh"),
        "expires_at_seconds": int(time.time() + expires_in),
        "token_type": "Bearer",
    }


def is_intact(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("pragma integrity_check").fetchone() == ("ok",)


async def test_the_official_sdk_s_login_is_ours_and_what_we_renew_is_its(
    official_python: str, issuer: Issuer, tmp_path: Path
):
    ours = login_of(issuer, RESOURCE_SERVER, SCOPE, expires_in=-5)
    login = {RESOURCE_SERVER: ours, AUTH: login_of(issuer, AUTH, AUTH_SCOPES, expires_in=3600)}
    await official(official_python, tmp_path, "write", json.dumps(login))
    before = json.loads(await official(official_python, tmp_path, "read"))
    assert before["tokens"] == login

    place = shared_login("production", {"GLOBUS_COMPUTE_USER_DIR": f"{tmp_path}/.globus_compute"})
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        assert await client.get_version() == {"api": "1"}
        issuer.live.discard(issuer.issued[-1])
        assert await client.get_version() == {"api": "1"}
    assert issuer.log["refresh_token"] == 2

    assert is_intact(place.file)
    after = json.loads(await official(official_python, tmp_path, "read"))
    assert after["login_required"] is False
    assert {**after, "tokens": None} == {**before, "tokens": None}
    assert after["tokens"][AUTH] == login[AUTH]
    renewed = after["tokens"][RESOURCE_SERVER]
    assert renewed["access_token"] in issuer.live
    changing = {"access_token": None, "expires_at_seconds": None}
    assert {**renewed, **changing} == {**ours, **changing}


async def test_a_login_by_our_command_is_the_official_sdk_s(
    official_python: str, issuer: Issuer, tmp_path: Path
):
    await run(sys.executable, tmp_path, "-m", "funcx_async", "login", said=f"{CODE}\n")
    seen = json.loads(await official(official_python, tmp_path, "read"))
    assert seen["login_required"] is False
    assert seen["namespaces"] == ["user/production"]
    assert set(seen["tokens"]) == {RESOURCE_SERVER, AUTH}
    assert set(seen["tokens"][AUTH]["scope"].split()) == set(AUTH_SCOPES.split())
