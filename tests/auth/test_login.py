"""Logins of people, by the real globus_sdk against a local issuer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import globus_sdk
import pytest
from globus_sdk.token_storage import MemoryTokenStorage, SQLiteTokenStorage, TokenStorageData
from globus_sdk.token_storage.legacy import SQLiteAdapter

from funcx_async import AuthenticationFailed, FuncXClient, ServiceUnavailable
from funcx_async.auth.login import NATIVE_CLIENT_ID, SharedLoginAuth, shared_login
from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE
from tests.auth.issuer import CLIENT_ID, CODE, IDENTITY, PERSON, SECRET, Issuer

LIMIT = 30.0


def stored(issuer: Issuer, *, expires_in: float = 3600, refresh: bool = True) -> TokenStorageData:
    return TokenStorageData(
        resource_server=RESOURCE_SERVER,
        identity_id=IDENTITY,
        scope=SCOPE,
        access_token=issuer.new_token(),
        refresh_token=issuer.new_token("refresh") if refresh else None,
        expires_at_seconds=int(time.time() + expires_in),
        token_type="Bearer",
    )


@contextlib.contextmanager
def user_app(issuer: Issuer, *, refresh: bool = True, **times: Any) -> Iterator[globus_sdk.UserApp]:
    """An app of the caller's, logged in; it prompts as its makers meant it to."""
    storage = MemoryTokenStorage()
    data = stored(issuer, refresh=refresh, **times)
    storage.store_token_data_by_resource_server({RESOURCE_SERVER: data})
    config = globus_sdk.GlobusAppConfig(token_storage=storage, request_refresh_tokens=refresh)
    with globus_sdk.UserApp("test", client_id=NATIVE_CLIENT_ID, config=config) as app:
        yield app


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def ask(prompt: str = "") -> str:
        asked.append(prompt)
        raise EOFError

    monkeypatch.setattr("builtins.input", ask)
    return asked


# An app of the caller's -------------------------------------------------------------------------


async def test_the_tokens_of_an_app_are_sent(issuer: Issuer):
    with user_app(issuer) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            await asyncio.gather(*(client.get_version() for _ in range(30)))
    assert issuer.log == {"served": 30}


async def test_an_app_renews_a_token_that_has_ended_once_for_all(issuer: Issuer):
    with user_app(issuer, expires_in=-5) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            await asyncio.gather(*(client.get_version() for _ in range(30)))
    assert issuer.log == {"refresh_token": 1, "served": 30}


async def test_an_app_renews_a_token_that_is_refused(issuer: Issuer):
    with user_app(issuer) as app:
        issuer.revoke_all()
        async with FuncXClient(issuer.url, auth=app) as client:
            assert await client.get_version() == {"api": "1"}
    assert issuer.log == {"refused": 1, "refresh_token": 1, "served": 1}


async def test_a_program_s_app_asks_for_its_tokens(issuer: Issuer):
    config = globus_sdk.GlobusAppConfig(token_storage="memory")
    with globus_sdk.ClientApp(
        "test", client_id=CLIENT_ID, client_secret=SECRET, config=config
    ) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            await client.get_version()
            issuer.revoke_all()
            await client.get_version()
    assert issuer.log["served"] == 2


async def test_a_program_s_app_with_a_revoked_secret_says_so(issuer: Issuer):
    issuer.secret = None
    config = globus_sdk.GlobusAppConfig(token_storage="memory")
    with globus_sdk.ClientApp(
        "test", client_id=CLIENT_ID, client_secret=SECRET, config=config
    ) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            with pytest.raises(AuthenticationFailed, match="does not renew the login") as caught:
                await client.get_version()
    assert SECRET not in str(caught.value)


async def test_an_app_without_a_login_fails_and_asks_nobody(
    issuer: Issuer, nobody_is_asked: list[str]
):
    config = globus_sdk.GlobusAppConfig(token_storage="memory", request_refresh_tokens=True)
    with globus_sdk.UserApp("test", client_id=NATIVE_CLIENT_ID, config=config) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            with pytest.raises(AuthenticationFailed, match="python -m funcx_async login"):
                await client.get_version()
    assert not nobody_is_asked
    assert not issuer.log


@pytest.mark.parametrize("expires_in", [-5, 2])
async def test_an_app_whose_login_has_ended_fails_and_asks_nobody(
    issuer: Issuer, nobody_is_asked: list[str], expires_in: float
):
    with user_app(issuer, refresh=False, expires_in=expires_in) as app:
        async with FuncXClient(issuer.url, auth=app) as client:
            with pytest.raises(AuthenticationFailed):
                await client.get_version()
    assert not nobody_is_asked
    assert not issuer.log


async def test_an_app_whose_login_was_revoked_says_so(issuer: Issuer):
    with user_app(issuer, expires_in=-5) as app:
        issuer.refresh.clear()
        async with FuncXClient(issuer.url, auth=app) as client:
            with pytest.raises(AuthenticationFailed, match=r"does not renew the login \(400"):
                await client.get_version()


async def test_an_app_whose_storage_belongs_to_one_thread_says_how_to_make_it(
    issuer: Issuer, home: Path
):
    with contextlib.closing(SQLiteTokenStorage(home / "own.db")) as storage:
        config = globus_sdk.GlobusAppConfig(token_storage=storage, request_refresh_tokens=True)
        with globus_sdk.UserApp("test", client_id=NATIVE_CLIENT_ID, config=config) as app:
            async with FuncXClient(issuer.url, auth=app) as client:
                with pytest.raises(AuthenticationFailed, match="check_same_thread"):
                    await client.get_version()


# The login shared with the official tools -------------------------------------------------------


def place_of(home: Path, **options: Any) -> Any:
    return shared_login("production", {"GLOBUS_COMPUTE_USER_DIR": str(home / "gc")}, **options)


def keep(place: Any, data: TokenStorageData) -> None:
    """Store a login as the official tools do."""
    place.directory.mkdir()
    with contextlib.closing(SQLiteTokenStorage(place.file, namespace=place.namespace)) as storage:
        storage.store_token_data_by_resource_server({RESOURCE_SERVER: data})


def kept(place: Any) -> TokenStorageData:
    with contextlib.closing(SQLiteTokenStorage(place.file, namespace=place.namespace)) as storage:
        data = storage.get_token_data(RESOURCE_SERVER)
    assert data is not None
    return data


async def test_a_login_of_the_official_tools_is_used_and_renewed_in_their_file(
    issuer: Issuer, home: Path
):
    place = place_of(home)
    keep(place, stored(issuer, expires_in=-5))
    before = kept(place)
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        await asyncio.gather(*(client.get_version() for _ in range(20)))
    assert issuer.log == {"refresh_token": 1, "served": 20}
    after = kept(place)
    assert after.access_token in issuer.live
    assert after.refresh_token == before.refresh_token
    assert after.identity_id == IDENTITY


async def test_a_login_that_the_service_refuses_is_renewed(issuer: Issuer, home: Path):
    place = place_of(home)
    keep(place, stored(issuer))
    issuer.revoke_all()
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        assert await client.get_version() == {"api": "1"}
    assert kept(place).access_token in issuer.live


async def test_without_a_login_the_error_names_the_command_and_makes_no_file(
    issuer: Issuer, home: Path
):
    place = place_of(home)
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        with pytest.raises(AuthenticationFailed, match="python -m funcx_async login"):
            await client.get_version()
        assert not place.directory.exists()
        keep(place, stored(issuer))
        assert await client.get_version() == {"api": "1"}, "a login made meanwhile counts"


async def test_a_login_for_another_environment_does_not_count(issuer: Issuer, home: Path):
    keep(place_of(home), stored(issuer))
    variables = {"GLOBUS_COMPUTE_USER_DIR": str(home / "gc")}
    elsewhere = SharedLoginAuth(shared_login("preview", variables))
    async with FuncXClient(issuer.url, auth=elsewhere) as client:
        with pytest.raises(AuthenticationFailed, match="MissingTokenError"):
            await client.get_version()


async def test_a_revoked_login_names_the_command(issuer: Issuer, home: Path):
    place = place_of(home)
    keep(place, stored(issuer, expires_in=-5))
    issuer.refresh.clear()
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        with pytest.raises(AuthenticationFailed, match="python -m funcx_async login"):
            await client.get_version()


async def test_a_file_that_is_no_login_is_said_and_left_alone(issuer: Issuer, home: Path):
    place = place_of(home)
    place.directory.mkdir()
    place.file.write_bytes(b"something else" * 100)
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        with pytest.raises(AuthenticationFailed, match=r"cannot be read \(DatabaseError\)"):
            await client.get_version()
    assert place.file.read_bytes() == b"something else" * 100


async def test_the_classic_dialect_looks_at_the_login_of_funcx_first(issuer: Issuer, home: Path):
    place = place_of(home, classic=True)
    assert place.classic_file == home / ".funcx" / "storage.db"
    keep(place, stored(issuer))
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        await client.get_version()
    place.classic_file.parent.mkdir()
    with contextlib.closing(SQLiteAdapter(str(place.classic_file), namespace="user/production")):
        pass
    old = stored(issuer, expires_in=-5).to_dict()
    with contextlib.closing(sqlite3.connect(place.classic_file)) as connection, connection:
        connection.execute(
            "insert into token_storage values (?, ?, json(?))",
            ("user/production", RESOURCE_SERVER, str(old).replace("'", '"')),
        )
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        await client.get_version()
    assert issuer.log == {"served": 2, "refresh_token": 1}


async def test_an_issuer_that_is_down_can_be_tried_again(
    issuer: Issuer, home: Path, monkeypatch: pytest.MonkeyPatch
):
    place = place_of(home)
    keep(place, stored(issuer, expires_in=-5))
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", lambda _: None)  # globus_sdk waits between its retries
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await client.get_version()


# The commands -----------------------------------------------------------------------------------


async def command(issuer: Issuer, home: Path, *words: str, said: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "funcx_async", *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GLOBUS_SDK_SERVICE_URL_AUTH": issuer.url,
        },
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, _ = await process.communicate(said.encode())
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_login_whoami_logout(issuer: Issuer, home: Path):
    status, said = await command(issuer, home, "login", said=f"{CODE}\n")
    assert status == 0, said
    assert f"{issuer.url}/v2/oauth2/authorize?" in said
    file = home / ".globus_compute" / "storage.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    status, said = await command(issuer, home, "whoami")
    assert (status, said) == (0, f"{PERSON}\n"), said
    status, said = await command(issuer, home, "login")
    assert (status, issuer.log["authorization_code"]) == (0, 1), "there is a login already"
    place = shared_login("production", {"HOME": str(home)})
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        await client.get_version()
    status, said = await command(issuer, home, "logout")
    assert status == 0, said
    assert "Logged out." in said
    assert issuer.live == issuer.refresh == set()
    status, said = await command(issuer, home, "logout")
    assert (status, "There was no login to end" in said) == (0, True)
    status, said = await command(issuer, home, "whoami")
    assert status == 1
    assert "python -m funcx_async login" in said


async def test_a_further_login_asks_for_what_the_service_wants(issuer: Issuer, home: Path):
    await command(issuer, home, "login", said=f"{CODE}\n")
    options = ["--session-required-single-domain", "example.org", "--session-required-mfa"]
    status, said = await command(issuer, home, "login", *options, said=f"{CODE}\n")
    assert status == 0, said
    assert "session_required_single_domain=example.org" in said
    assert "session_required_mfa=True" in said


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param("", "No code was entered: login aborted.", id="none"),
        pytest.param("wrong\n", "", id="a wrong one"),
    ],
)
async def test_a_login_that_fails_says_so_in_a_sentence(
    issuer: Issuer, home: Path, code: str, says: str
):
    status, said = await command(issuer, home, "login", said=code)
    assert status == 1
    assert f"login failed: {says}" in said
    assert "Traceback" not in said


def test_without_globus_sdk_the_error_names_the_extra(home: Path):
    program = (
        "import sys; sys.modules['globus_sdk'] = None\n"
        "from funcx_async.cli import main; sys.exit(main(['login']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert ended.returncode == 2
    assert "pip install 'funcx-async[globus]'" in ended.stderr


async def test_an_answer_that_makes_no_sense_is_said(issuer: Issuer, home: Path):
    place = place_of(home)
    keep(place, stored(issuer, expires_in=-5))
    issuer.token_body = b'{"access_token": "lonely"}'
    async with FuncXClient(issuer.url, auth=SharedLoginAuth(place)) as client:
        with pytest.raises(AuthenticationFailed, match="is not understood") as caught:
            await client.get_version()
    assert "lonely" not in str(caught.value)
