"""Client credentials against a real token endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from funcx_async import AuthenticationFailed, FuncXClient, ServiceUnavailable
from funcx_async.auth import ClientCredentials
from tests.auth.issuer import CLIENT_ID, SECRET, Issuer

LIMIT = 60.0


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def credentials(issuer: Issuer, clock: Clock, storage: Path | None = None) -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, SECRET, auth_url=issuer.url, storage=storage, clock=clock)


def client_of(issuer: Issuer, auth: ClientCredentials, timeout: float = 60) -> FuncXClient:
    return FuncXClient(issuer.url, auth=auth, timeout=timeout)


async def test_a_hundred_requests_at_once_need_one_token(issuer: Issuer, clock: Clock):
    async with client_of(issuer, credentials(issuer, clock)) as client:
        answers = await asyncio.gather(*(client.get_version() for _ in range(100)))
    assert answers == [{"api": "1"}] * 100
    assert issuer.log == {"client_credentials": 1, "served": 100}


async def test_clients_may_share_credentials(issuer: Issuer, clock: Clock):
    shared = credentials(issuer, clock)
    async with client_of(issuer, shared) as one, client_of(issuer, shared) as two:
        await asyncio.gather(one.get_version(), two.get_version())
    assert issuer.log["client_credentials"] == 1


async def test_a_token_that_is_due_is_replaced_behind_the_requests(issuer: Issuer, clock: Clock):
    auth = credentials(issuer, clock)
    async with client_of(issuer, auth) as client:
        await client.get_version()
        clock.now += issuer.lifetime - 200  # due, for it lives for an hour, but good
        issuer.asked.clear()
        issuer.hold.clear()
        assert await client.get_version() == {"api": "1"}, "it does not wait for the new one"
        await asyncio.wait_for(issuer.asked.wait(), LIMIT)
        await asyncio.gather(*(client.get_version() for _ in range(10)))
        issuer.hold.set()
        clock.now += 200  # the old one has ended
        await client.get_version()
    assert issuer.log == {"client_credentials": 2, "served": 13}


async def test_while_its_issuer_is_down_a_good_token_serves_on(issuer: Issuer, clock: Clock):
    async with client_of(issuer, credentials(issuer, clock)) as client:
        await client.get_version()
        clock.now += issuer.lifetime - 200
        issuer.token_status = 503
        for _ in range(5):
            await client.get_version()
        clock.now += 200
        with pytest.raises(ServiceUnavailable, match=f"no token for the client {CLIENT_ID} now"):
            await client.get_version()
    assert issuer.log["served"] == 6
    assert issuer.log["client_credentials"] <= 3, "it is not asked at every request"


async def test_a_refused_token_is_replaced_and_the_request_sent_once_more(
    issuer: Issuer, clock: Clock, home: Path
):
    async with client_of(issuer, credentials(issuer, clock, home / "tokens.db")) as client:
        await client.get_version()
        issuer.revoke_all()
        await asyncio.gather(*(client.get_version() for _ in range(20)))
        assert issuer.log["client_credentials"] == 2
        assert issuer.log["served"] == 21
        assert issuer.log["refused"] <= 20


async def test_a_service_that_refuses_every_token_is_asked_twice(issuer: Issuer, clock: Clock):
    issuer.refuse_all = True
    async with client_of(issuer, credentials(issuer, clock)) as client:
        with pytest.raises(AuthenticationFailed, match="not live"):
            await client.get_version()
    assert issuer.log == {"client_credentials": 2, "refused": 2}


@pytest.mark.parametrize("secret", ["another", None])
async def test_a_refused_secret_says_which_client_and_what_to_do(
    issuer: Issuer, clock: Clock, secret: str | None
):
    issuer.secret = secret
    async with client_of(issuer, credentials(issuer, clock)) as client:
        with pytest.raises(AuthenticationFailed, match=r"does not accept the secret") as caught:
            await client.get_version()
    assert CLIENT_ID in str(caught.value)
    assert "https://app.globus.org/settings/developers" in str(caught.value)
    assert caught.value.code == "invalid_client"
    assert SECRET not in str(caught.value)
    assert issuer.log["served"] == 0


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (500, b"", ServiceUnavailable, "Try again later"),
        (429, b"", ServiceUnavailable, "429"),
        (
            400,
            b'{"error": "invalid_scope"}',
            AuthenticationFailed,
            "invalid_scope.*Check the scope",
        ),
        (400, b'{"error": "Do not quote me"}', AuthenticationFailed, r"no token \(400\)"),
        (404, b"<html>", AuthenticationFailed, "GLOBUS_SDK_SERVICE_URL_AUTH"),
        (302, b"", AuthenticationFailed, "302"),
        (401, b"", AuthenticationFailed, "does not accept the secret"),
        (200, b"<html>", AuthenticationFailed, "not the answer of an OAuth 2"),
        (200, b"[" * 100_000, AuthenticationFailed, "not the answer of an OAuth 2"),
        (200, b'{"access_token": "a b"}', AuthenticationFailed, "not a bearer token"),
    ],
)
async def test_whatever_is_answered_instead_of_a_token_is_said(
    issuer: Issuer, clock: Clock, status: int, body: bytes, error: type[Exception], says: str
):
    issuer.token_status, issuer.token_body = status, body
    async with client_of(issuer, credentials(issuer, clock)) as client:
        with pytest.raises(error, match=says):
            await client.submit("endpoint", {"function": ["payload"]})
    assert not issuer.log["served"]


async def test_a_token_endpoint_that_is_gone_can_be_tried_again(issuer: Issuer, clock: Clock):
    auth = ClientCredentials(CLIENT_ID, SECRET, auth_url="http://127.0.0.1:9", clock=clock)
    async with client_of(issuer, auth) as client:
        with pytest.raises(ServiceUnavailable, match="ConnectError"):
            await client.submit("endpoint", {"function": ["payload"]})


async def test_a_submit_that_still_waits_for_its_token_is_certainly_not_taken(
    issuer: Issuer, clock: Clock
):
    issuer.hold.clear()
    async with client_of(issuer, credentials(issuer, clock), timeout=0.05) as client:
        with pytest.raises(ServiceUnavailable, match="no token in time"):
            await client.submit("endpoint", {"function": ["payload"]})


async def test_who_gives_up_leaves_the_others_their_token(issuer: Issuer, clock: Clock):
    issuer.hold.clear()
    async with client_of(issuer, credentials(issuer, clock)) as client:
        first = asyncio.create_task(client.get_version())
        await asyncio.wait_for(issuer.asked.wait(), LIMIT)
        others = [asyncio.create_task(client.get_version()) for _ in range(5)]
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        issuer.hold.set()
        await asyncio.wait_for(asyncio.gather(*others), LIMIT)
    assert issuer.log == {"client_credentials": 1, "served": 5}


async def test_event_loops_share_one_token_and_one_request_for_it(issuer: Issuer, clock: Clock):
    shared = credentials(issuer, clock)
    issuer.hold.clear()
    here, ready = asyncio.get_running_loop(), threading.Barrier(5, timeout=LIMIT)

    async def ask() -> None:
        async with client_of(issuer, shared) as client:
            await asyncio.to_thread(ready.wait)
            await client.get_version()

    threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(issuer.asked.wait(), LIMIT)
    issuer.hold.set()
    for thread in threads:
        await here.run_in_executor(None, thread.join, LIMIT)
    assert issuer.log == {"client_credentials": 1, "served": 5}


async def test_the_end_of_the_loop_that_asked_does_not_leave_others_waiting(
    issuer: Issuer, clock: Clock
):
    shared = credentials(issuer, clock)
    issuer.hold.clear()
    left = threading.Event()

    async def ask() -> None:
        async with client_of(issuer, shared) as client:
            task = asyncio.create_task(client.get_version())
            await asyncio.to_thread(left.wait, LIMIT)
            task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(ask(),))
    thread.start()
    await asyncio.wait_for(issuer.asked.wait(), LIMIT)
    async with client_of(issuer, shared) as client:
        waiting = asyncio.create_task(client.get_version())
        await asyncio.sleep(0)
        left.set()
        await asyncio.to_thread(thread.join, LIMIT)
        issuer.hold.set()
        assert await asyncio.wait_for(waiting, LIMIT) == {"api": "1"}


# Storage ----------------------------------------------------------------------------------------


async def test_another_process_finds_the_token(issuer: Issuer, clock: Clock, home: Path):
    file = home / "new" / "tokens.db"
    for _ in range(2):
        async with client_of(issuer, credentials(issuer, clock, file)) as client:
            await client.get_version()
    assert issuer.log == {"client_credentials": 1, "served": 2}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert SECRET.encode() not in file.read_bytes()


async def test_a_stored_token_that_is_refused_is_stored_no_more(
    issuer: Issuer, clock: Clock, home: Path
):
    file = home / "tokens.db"
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    issuer.revoke_all()
    for _ in range(2):
        async with client_of(issuer, credentials(issuer, clock, file)) as client:
            await client.get_version()
    assert issuer.log == {"client_credentials": 2, "served": 3, "refused": 1}


async def test_a_stored_token_that_has_ended_is_not_sent(issuer: Issuer, clock: Clock, home: Path):
    file = home / "tokens.db"
    for _ in range(2):
        async with client_of(issuer, credentials(issuer, clock, file)) as client:
            await client.get_version()
        clock.now += issuer.lifetime
    assert issuer.log == {"client_credentials": 2, "served": 2}


async def test_a_stored_token_that_is_due_serves_while_its_issuer_is_down(
    issuer: Issuer, clock: Clock, home: Path
):
    file = home / "tokens.db"
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    clock.now += issuer.lifetime - 200
    issuer.token_status = 500
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        assert await client.get_version() == {"api": "1"}


async def test_another_client_id_or_scope_has_a_token_of_its_own(
    issuer: Issuer, clock: Clock, home: Path
):
    file = home / "tokens.db"
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    others = [
        ClientCredentials("another-id", SECRET, auth_url=issuer.url, storage=file, clock=clock),
        ClientCredentials(
            CLIENT_ID, SECRET, scope="openid", auth_url=issuer.url, storage=file, clock=clock
        ),
    ]
    for other in others:
        async with client_of(issuer, other) as client:
            with contextlib.suppress(AuthenticationFailed):  # the issuer knows no other id
                await client.get_version()
    assert issuer.log["client_credentials"] == 3


@pytest.mark.parametrize("obstacle", ["no database", "a directory", "a link", "in a file"])
async def test_a_file_that_cannot_be_used_leaves_the_token_in_memory(
    issuer: Issuer,
    clock: Clock,
    home: Path,
    obstacle: str,
    caplog: pytest.LogCaptureFixture,
):
    file = home / "tokens.db"
    if obstacle == "no database":
        file.write_text("this is not a database, and stays what it is" * 20)
    elif obstacle == "a directory":
        file.mkdir()
    elif obstacle == "a link":
        (home / "elsewhere").touch()
        file.symlink_to(home / "elsewhere")
    else:
        file.touch()
        file /= "tokens.db"
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
        await client.get_version()
    assert issuer.log == {"client_credentials": 1, "served": 2}
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["kept in memory alone" in record.getMessage() for record in warnings] == [True]


async def test_a_file_that_others_could_read_is_closed_to_them(
    issuer: Issuer, clock: Clock, home: Path
):
    file = home / "tokens.db"
    file.touch(mode=0o644)
    file.chmod(0o644)
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
@pytest.mark.parametrize("foreign", ["the file", "its directory"])
async def test_a_file_of_another_user_is_neither_read_nor_written(
    issuer: Issuer, clock: Clock, home: Path, foreign: str, caplog: pytest.LogCaptureFixture
):
    file = home / "tokens" / "tokens.db"
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    os.chown(file if foreign == "the file" else file.parent, 12_345, -1)
    before = file.read_bytes()
    async with client_of(issuer, credentials(issuer, clock, file)) as client:
        await client.get_version()
    assert issuer.log == {"client_credentials": 2, "served": 2}
    assert file.read_bytes() == before
    assert "belongs to the user 12345" in caplog.text


def test_sqlite_is_imported_where_a_token_is_stored_and_not_before():
    program = (
        "import sys, funcx_async.auth, funcx_async.client; assert 'sqlite3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT)


# Construction -----------------------------------------------------------------------------------


def test_a_secret_goes_to_no_plain_http_address():
    with pytest.raises(ValueError, match="https"):
        ClientCredentials(CLIENT_ID, SECRET, auth_url="http://auth.globus.org")


@pytest.mark.parametrize(("client_id", "secret"), [("", SECRET), (CLIENT_ID, "")])
def test_both_halves_are_needed(client_id: str, secret: str):
    with pytest.raises(ValueError, match="one of them is empty"):
        ClientCredentials(client_id, secret)


def test_a_repr_shows_whose_they_are_and_no_secret():
    shown = repr(ClientCredentials(CLIENT_ID, SECRET))
    assert CLIENT_ID in shown
    assert SECRET not in shown


# A callable -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ReadTimeout("of the caller's own request"), ServiceUnavailable),
        (OSError("no network"), ServiceUnavailable),
        (TimeoutError(), ServiceUnavailable),
        (KeyError("TOKEN"), AuthenticationFailed),
        (AuthenticationFailed("as it is"), AuthenticationFailed),
    ],
)
async def test_a_source_that_fails_leaves_no_doubt_about_a_submit(
    raised: Exception, expected: type[Exception]
):
    async def source() -> str:
        raise raised

    async with FuncXClient("http://127.0.0.1:9", auth=source) as client:
        with pytest.raises(expected) as caught:
            await client.submit("endpoint", {"function": ["payload"]})
    assert raised in (caught.value, caught.value.__cause__)
