"""The service through an HTTP proxy: requests, whole executors, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import trustme

from funcx_async import (
    FuncXClient,
    FuncXExecutor,
    RequestRefused,
    ResponseLost,
    ServiceUnavailable,
    SubmitUncertain,
    gather,
)
from funcx_async.auth import ClientCredentials
from funcx_async.local import LocalService
from funcx_async.models import ResultQueueAddress
from tests.connect_proxy import ConnectProxy, Place, new_login, tls_before
from tests.executor.tasks import add

TIMEOUT = 60
HOST = "compute.invalid"
BROKER = "broker.invalid"
AUTH = "auth.invalid"
DEAD = "http://127.0.0.1:9"


class FarClient(FuncXClient):
    """A client of a service whose broker is far away, too."""

    async def get_result_queue_address(self) -> ResultQueueAddress:
        address = await super().get_result_queue_address()
        login = urlsplit(address.connection_url).netloc.rpartition("@")[0]
        return ResultQueueAddress(address.queue_prefix, f"amqps://{login}@{BROKER}/")


class Far:
    """A service behind names that only a proxy knows.

    Attributes:
        service: the service.
        places: what a proxy has to know.
    """

    def __init__(self, service: LocalService, places: dict[str, Place]) -> None:
        self.service = service
        self.places = places

    def client(self, scheme: str = "https", timeout: float | None = None) -> FuncXClient:
        return FarClient(f"{scheme}://{HOST}", auth=self.service.token, timeout=timeout)


@asynccontextmanager
async def running(authority: trustme.CA) -> AsyncIterator[Far]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, BROKER, AUTH).configure_cert(context)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(LocalService(workers=1))
        async with service.client() as client:
            queue = (await client.get_result_queue_address()).connection_url
        web, broker = (("127.0.0.1", urlsplit(url).port or 0) for url in (service.url, queue))
        places = {f"{HOST}:80": web}
        for target, place in (
            (f"{HOST}:443", web),
            (f"{AUTH}:443", web),
            (f"{BROKER}:5671", broker),
        ):
            port = await stack.enter_async_context(tls_before(place, context))
            places[target] = ("127.0.0.1", port)
        yield Far(service, places)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
async def far(authority: trustme.CA) -> AsyncIterator[Far]:
    async with running(authority) as far:
        yield far


@pytest.fixture(autouse=True)
def environment(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment trusts the authority, and names no proxy."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    for name in ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def proxy(far: Far, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy(far.places, login=new_login()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        yield proxy


# Requests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "target"), [("https", f"{HOST}:443"), ("http", f"{HOST}:80")])
async def test_requests_go_through_it(far: Far, proxy: ConnectProxy, scheme: str, target: str):
    async with far.client(scheme) as client:
        for _ in range(2):
            assert await client.get_version()
    assert proxy.asked == [target], "one connection serves all requests"


async def test_a_proxy_may_itself_speak_tls(
    far: Far, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with ConnectProxy(far.places, login=new_login(), context=context) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with far.client() as client:
            assert await client.get_version()
        assert proxy.asked == [f"{HOST}:443"]


async def test_a_service_on_this_machine_needs_no_proxy(far: Far, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, DEAD)
    async with far.service.executor() as executor:
        assert await executor.submit(add, 1) == 2


async def test_no_proxy_excepts_the_service(
    far: Far, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_PROXY", HOST)
    async with far.client() as client:
        with pytest.raises(ServiceUnavailable, match="cannot be reached for"):
            await client.get_version()  # nobody else knows the name
    assert not proxy.asked


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_wrong_login_fails_at_once_and_is_told(
    far: Far, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, scheme: str
):
    variable = f"{scheme.upper()}_PROXY"
    monkeypatch.setenv(variable, proxy.url_for(new_login()))
    async with far.client(scheme) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.get_version()
    assert caught.value.status == 407
    assert str(caught.value) == (
        f"the proxy http://{proxy.address} ({variable}) does not accept the login that {variable} "
        "gives (407 Proxy Authentication Required). Correct name and "
        "password there; a `:`, `/`, `@`, `%` or `#` in them is written as %3A, %2F, %40, %25 or "
        "%23."
    )


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_missing_login_is_told_with_how_to_give_it(
    far: Far, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, scheme: str
):
    variable = f"{scheme.upper()}_PROXY"
    monkeypatch.setenv(variable, proxy.url_for(None))
    async with far.client(scheme) as client:
        with pytest.raises(RequestRefused, match=f"wants a login.*name:password@.*{variable}"):
            await client.get_version()


async def test_what_the_proxy_forbids_is_refused_and_what_it_cannot_reach_may_be_tried_again(
    far: Far, proxy: ConnectProxy
):
    proxy.refusals[f"{HOST}:443"] = 403
    async with far.client() as client:
        with pytest.raises(RequestRefused, match=f"does not allow connections to {HOST}:443"):
            await client.get_version()
        proxy.refusals[f"{HOST}:443"] = 502
        with pytest.raises(ServiceUnavailable, match=f"does not reach {HOST}:443"):
            await client.get_version()
        del proxy.refusals[f"{HOST}:443"]
        assert await client.get_version()


@pytest.mark.parametrize(
    ("silent", "answer"),
    [
        pytest.param(True, None, id="is silent"),
        pytest.param(False, b"HTTP/1.1 ", id="hangs up in the middle"),
        pytest.param(False, b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="is none"),
    ],
)
async def test_where_a_proxy_does_not_connect_the_service_certainly_took_nothing(
    far: Far, proxy: ConnectProxy, silent: bool, answer: bytes | None
):
    function_id = str(uuid4())
    async with far.client(timeout=0.5) as client:
        proxy.silent, proxy.answer = silent, answer
        with pytest.raises(ServiceUnavailable, match="cannot be reached through") as caught:
            await client.submit(far.service.endpoint_id, {function_id: ["payload"]})
    assert not isinstance(caught.value, ResponseLost)


async def test_where_it_connects_and_the_answer_is_lost_nobody_can_know(
    far: Far, proxy: ConnectProxy
):
    async with far.client(timeout=1) as client:
        await client.get_version()
        with far.service.faults.hold_replies("submit"), pytest.raises(SubmitUncertain):
            await client.submit(far.service.endpoint_id, {str(uuid4()): ["payload"]})


async def test_a_proxy_that_is_down_is_named(far: Far, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"{DEAD.replace('//', '//jane:hush-hush@')}")
    async with far.client() as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.get_version()
    assert f"cannot be reached through the proxy {DEAD} (HTTPS_PROXY)" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_a_variable_that_holds_no_proxy_is_told_when_the_client_is_made(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("HTTPS_PROXY", "http://jane:hush-hush@gate:port")
    with pytest.raises(ValueError, match="HTTPS_PROXY must hold a proxy's URL") as caught:
        FuncXClient(f"https://{HOST}", auth="a-token")
    assert "hush-hush" not in str(caught.value)


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("funcx_async._net.http.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://gate")
    with pytest.raises(ValueError, match=r"ALL_PROXY.*pip install 'httpx\[socks\]'"):
        FuncXClient(f"https://{HOST}", auth="a-token")


# Tokens -----------------------------------------------------------------------------------------


def credentials() -> ClientCredentials:
    return ClientCredentials("client", "its-long-secret", auth_url=f"https://{AUTH}")


async def test_tokens_are_asked_for_through_it(far: Far, proxy: ConnectProxy):
    async with FuncXClient(f"https://{HOST}", auth=credentials()) as client:
        with pytest.raises(RequestRefused):  # that service makes none
            await client.get_version()
    assert proxy.asked == [f"{AUTH}:443"]


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        pytest.param(DEAD, ServiceUnavailable, f"through the proxy {DEAD}", id="down"),
        pytest.param("http://[gate", ServiceUnavailable, "HTTPS_PROXY must hold", id="no URL"),
    ],
)
async def test_a_proxy_that_is_in_the_way_of_tokens_is_told(
    monkeypatch: pytest.MonkeyPatch, told: str, error: type[Exception], words: str
):
    async with FuncXClient(f"https://{HOST}", auth=credentials()) as client:
        monkeypatch.setenv("HTTPS_PROXY", told)
        with pytest.raises(error, match=words.replace("[", r"\[")):
            await client.get_version()


async def test_a_login_that_the_proxy_refuses_is_told_for_tokens_as_well(
    far: Far, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
):
    async with FuncXClient(f"https://{HOST}", auth=credentials()) as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url_for(new_login()))
        with pytest.raises(RequestRefused, match="does not accept the login"):
            await client.get_version()


# Executors --------------------------------------------------------------------------------------


async def test_tasks_run_with_the_proxy_as_the_only_way(far: Far, proxy: ConnectProxy):
    async with (
        far.client() as client,
        FuncXExecutor(
            far.service.endpoint_id, funcx_client=client, result_transport="amqp"
        ) as executor,
    ):
        futures = [executor.submit(add, number) for number in range(300)]
        assert await asyncio.wait_for(gather(*futures), TIMEOUT) == list(range(1, 301))
        assert set(proxy.asked) == {f"{HOST}:443", f"{BROKER}:5671"}


async def test_when_the_proxy_goes_and_comes_back_the_executor_goes_on_through_it(
    far: Far, proxy: ConnectProxy
):
    async with (
        far.client() as client,
        FuncXExecutor(
            far.service.endpoint_id, funcx_client=client, result_transport="amqp"
        ) as executor,
    ):
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
        await proxy.die()
        future = executor.submit(add, 2)
        await proxy.rise()
        assert await asyncio.wait_for(future, TIMEOUT) == 3
        assert executor.stats.reconnects == 1
        assert proxy.asked.count(f"{BROKER}:5671") == 2


async def test_where_the_proxy_lets_no_amqp_through_results_are_asked_for(
    far: Far,
    proxy: ConnectProxy,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(
        "funcx_async._service.rest.is_loopback", lambda url: True
    )  # lifts its budget
    proxy.refusals[f"{BROKER}:5671"] = 403
    async with (
        far.client() as client,
        FuncXExecutor(far.service.endpoint_id, funcx_client=client) as executor,
    ):
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    assert f"does not allow connections to {BROKER}:5671" in caplog.text
