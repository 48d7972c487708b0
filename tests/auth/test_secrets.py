"""Promise: tokens, secrets and passwords appear in no log line, repr or exception."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from funcx_async import AuthenticationFailed, FuncXClient, FuncXError, FuncXExecutor
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.source import SourceLost
from funcx_async.auth import ClientCredentials
from funcx_async.auth.login import SharedLoginAuth
from funcx_async.auth.resolve import credentials_of
from funcx_async.local import LocalService
from funcx_async.models import ResultQueueAddress
from tests.auth.issuer import CLIENT_ID, SECRET, Issuer
from tests.auth.test_login import keep, place_of, stored

WRONG = "a-password-that-is-not-right"


def add(a: int, b: int) -> int:
    return a + b


class Watch:
    """Everything that people might get to see."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._seen: list[str] = []

    def see(self, *shown: object) -> None:
        self._seen += [f"{each!r} {each}" for each in shown]

    @contextlib.contextmanager
    def failing(self, kind: type[Exception] = FuncXError) -> Any:
        """A failure that is expected, with everything that led to it."""
        with pytest.raises(kind) as caught:
            yield
        self.see(caught.value, vars(caught.value))
        self._seen += traceback.format_exception(caught.value)

    def assert_hides(self, secrets: list[str]) -> None:
        assert all(len(secret) > 8 for secret in secrets)
        written = logging.Formatter().format
        everything = "\n".join([*self._seen, *map(written, self._caplog.records)])
        assert [secret for secret in secrets if secret in everything] == []


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture) -> Watch:
    caplog.set_level(logging.DEBUG)
    return Watch(caplog)


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as service:
        yield service


async def test_those_of_client_credentials(
    issuer: Issuer, watch: Watch, home: Any, caplog: pytest.LogCaptureFixture
):
    auth = ClientCredentials(CLIENT_ID, SECRET, auth_url=issuer.url, storage=home / "tokens.db")
    async with FuncXClient(issuer.url, auth=auth) as client:
        await client.get_version()
        issuer.revoke_all()
        await client.get_version()
        issuer.refuse_all = True
        with watch.failing(AuthenticationFailed):
            await client.get_version()
        issuer.secret = None
        with watch.failing(AuthenticationFailed):
            await client.get_version()
        issuer.token_status = 500
        with watch.failing():
            await client.get_version()
        issuer.token_status, issuer.token_body = 200, f'{{"access_token": ["{SECRET}"]}}'.encode()
        with watch.failing():
            await client.get_version()
        watch.see(client, auth)
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    watch.assert_hides(issuer.secrets())


async def test_those_of_the_environment(issuer: Issuer, watch: Watch):
    variables = {
        "GLOBUS_COMPUTE_CLIENT_ID": CLIENT_ID,
        "GLOBUS_COMPUTE_CLIENT_SECRET": "not-the-secret",
        "GLOBUS_SDK_SERVICE_URL_AUTH": issuer.url,
    }
    auth = credentials_of("production", variables)
    assert auth is not None
    with watch.failing(AuthenticationFailed):
        await auth.token()
    watch.assert_hides(["not-the-secret"])


async def test_those_of_a_login(issuer: Issuer, watch: Watch, home: Any):
    place = place_of(home)
    keep(place, stored(issuer, expires_in=-5))
    auth = SharedLoginAuth(place)
    async with FuncXClient(issuer.url, auth=auth) as client:
        await client.get_version()
        issuer.revoke_all()
        await client.get_version()
        issuer.revoke_all()
        issuer.refresh.clear()
        with watch.failing(AuthenticationFailed):
            await client.get_version()
        watch.see(client, auth, place)
    watch.assert_hides(issuer.secrets())


async def test_those_of_a_service_and_its_broker(service: LocalService, watch: Watch):
    async with service.client() as client:
        address = await client.get_result_queue_address()
        password = urlsplit(address.connection_url).password or ""
        async with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
            future = executor.submit(add, 1, 2)
            assert await asyncio.wait_for(future, 30) == 3
            watch.see(executor, client, future, service, address)
    async with FuncXClient(service.url, auth="a-token-that-is-wrong") as client:
        with watch.failing(AuthenticationFailed):
            await client.get_endpoint_status(service.endpoint_id)
        with watch.failing(AuthenticationFailed):
            await client.submit(service.endpoint_id, {"f": ["p"]})
        watch.see(client)
    watch.assert_hides([password, service.token, "a-token-that-is-wrong"])


async def test_the_password_that_a_broker_refuses(service: LocalService, watch: Watch):
    async with service.client() as client:
        right = await client.get_result_queue_address()
    parts = urlsplit(right.connection_url)
    url = right.connection_url.replace(parts.password or "?", WRONG)
    wrong = ResultQueueAddress(right.queue_prefix, url)

    async def address() -> ResultQueueAddress:
        return wrong

    with watch.failing(SourceLost):
        async with AmqpSource(address).open("group"):
            pytest.fail("the broker took a wrong password")
    watch.see(wrong)
    watch.assert_hides([WRONG, parts.password or ""])
