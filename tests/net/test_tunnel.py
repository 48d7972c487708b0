"""Deliveries through a proxy that is asked by CONNECT, in bulk and one by one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from funcx_async._net import tunnel
from funcx_async._results import amqp
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.source import SourceLost
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.models import ResultQueueAddress
from tests.connect_proxy import ConnectProxy, Place, new_login, place_of, tls_before
from tests.results.test_amqp import collect

TIMEOUT = 60
PREFIX = "funcx-async-test-"
NAME = "broker.invalid"
GLOBUS = "compute.amqps.globus.org"
Opener = Callable[..., AmqpSource]

VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=[True, False], ids=["in bulk", "one by one"])
def source(request: pytest.FixtureRequest) -> Opener:
    """Both ways of reading keep one contract."""
    return partial(AmqpSource, in_bulk=request.param)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


class Far:
    """A broker with a queue, to which only a proxy knows the way.

    Attributes:
        place: where it listens, with TLS.
        plain: where it listens, without.
        asked: how often its address was asked for.
    """

    def __init__(self, broker: EmbeddedBroker, place: Place, plain: Place) -> None:
        self.broker = broker
        self.place = place
        self.plain = plain
        self.asked = 0

    def address(self, url: str) -> Callable[[], Awaitable[ResultQueueAddress]]:
        async def given() -> ResultQueueAddress:
            self.asked += 1
            return ResultQueueAddress(PREFIX, url)

        return given

    @property
    def with_tls(self) -> Callable[[], Awaitable[ResultQueueAddress]]:
        return self.address(f"amqps://u:p@{NAME}/")

    @property
    def without_tls(self) -> Callable[[], Awaitable[ResultQueueAddress]]:
        return self.address(f"amqp://u:p@{NAME}:5672/")

    @property
    def places(self) -> dict[str, Place]:
        return {f"{NAME}:5671": self.place, f"{NAME}:5672": self.plain}

    def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            self.broker.publish(PREFIX + "g", body)


@asynccontextmanager
async def far_broker(context: ssl.SSLContext) -> AsyncIterator[Far]:
    async with EmbeddedBroker() as broker, tls_before(place_of(broker), context) as port:
        broker.add_user("u", "p")
        broker.declare_queue(PREFIX + "g")
        yield Far(broker, ("127.0.0.1", port), place_of(broker))


@pytest.fixture
async def far(authority: trustme.CA, trusted: None) -> AsyncIterator[Far]:
    async with far_broker(certificate(authority, NAME)) as far:
        yield far


@pytest.fixture
async def proxy(far: Far, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy(far.places, login=new_login()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        yield proxy


# The way through --------------------------------------------------------------------------------


async def test_deliveries_come_through_it_with_tls_inside(
    far: Far, proxy: ConnectProxy, source: Opener
):
    bodies = [bytes([number]) * 10_000 for number in range(50)]
    far.publish(*bodies)
    async with source(far.with_tls).open("g") as deliveries:
        got = await collect(deliveries, 50)
    assert [delivery.body for delivery in got] == bodies
    assert proxy.asked == [f"{NAME}:5671"]


async def test_and_without_tls(far: Far, proxy: ConnectProxy, source: Opener):
    far.publish(b"x")
    async with source(far.without_tls).open("g") as deliveries:
        assert (await collect(deliveries, 1))[0].body == b"x"
    assert proxy.asked == [f"{NAME}:5672"]


async def test_deliveries_are_taken_in_bulk_there_too(far: Far, proxy: ConnectProxy):
    far.publish(*[b"x"] * 20)
    async with AmqpSource(far.with_tls).open("g") as deliveries:
        await collect(deliveries, 20)
    assert deliveries.in_bulk == 20


async def test_a_proxy_may_itself_speak_tls(
    far: Far, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, source: Opener
):
    far.publish(b"x" * 300_000)
    context = certificate(authority, "127.0.0.1")
    async with ConnectProxy(far.places, login=new_login(), context=context) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with source(far.with_tls).open("g") as deliveries:
            assert (await collect(deliveries, 1))[0].body == b"x" * 300_000
        assert proxy.asked == [f"{NAME}:5671"]


async def test_no_proxy_excepts_the_broker(
    far: Far, proxy: ConnectProxy, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_PROXY", NAME)
    with pytest.raises(SourceLost, match=NAME):  # nobody else knows the name
        async with source(far.with_tls).open("g"):
            pass
    assert not proxy.asked


async def test_a_broker_on_this_machine_needs_none(far: Far, proxy: ConnectProxy, source: Opener):
    far.publish(b"x")
    async with source(far.address(far.broker.url("u", "p"))).open("g") as deliveries:
        await collect(deliveries, 1)
    assert not proxy.asked


async def test_when_it_dies_the_connection_is_lost_and_made_again_through_it(
    far: Far, proxy: ConnectProxy, source: Opener
):
    opener = source(far.with_tls)
    async with opener.open("g") as deliveries:
        waiting = asyncio.create_task(deliveries.next_burst())
        await proxy.die()
        with pytest.raises(SourceLost):
            await asyncio.wait_for(waiting, TIMEOUT)
    with pytest.raises(SourceLost, match="cannot be reached"):
        async with opener.open("g"):
            pass
    await proxy.rise()
    far.publish(b"x")
    async with opener.open("g") as deliveries:
        await collect(deliveries, 1)
    assert far.asked == 3, "each time with fresh credentials"
    assert proxy.asked == [f"{NAME}:5671"] * 2


# What goes wrong --------------------------------------------------------------------------------


async def failure(opener: AmqpSource) -> str:
    with pytest.raises(SourceLost) as caught:
        async with opener.open("g"):
            pass
    return str(caught.value)


async def test_a_wrong_login_is_told_with_the_variable_and_without_the_login(
    far: Far, proxy: ConnectProxy, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    name, wrong = new_login()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url_for((name, wrong)))
    told = await failure(source(far.with_tls))
    assert told == (
        f"{NAME}: the proxy http://{proxy.address} (HTTPS_PROXY) does not accept the login that "
        "HTTPS_PROXY gives (407 Proxy Authentication Required). Correct name and "
        "password there; a `:`, `/`, `@`, `%` or `#` in them is written as %3A, %2F, %40, %25 or "
        "%23."
    )


async def test_a_missing_login_is_told_with_how_to_give_it(
    far: Far, proxy: ConnectProxy, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url_for(None))
    told = await failure(source(far.with_tls))
    assert "wants a login (407 Proxy Authentication Required)" in told
    assert f"http://name:password@{proxy.address} in HTTPS_PROXY" in told


@pytest.mark.parametrize(
    ("status", "words"), [(403, "does not allow connections to"), (502, "does not reach")]
)
async def test_a_refusal_is_told_with_what_was_refused(
    far: Far, proxy: ConnectProxy, source: Opener, status: int, words: str
):
    proxy.refusals[f"{NAME}:5671"] = status
    told = await failure(source(far.with_tls))
    assert f"the proxy http://{proxy.address} (HTTPS_PROXY) {words} {NAME}:5671 ({status}" in told


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another with an empty line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: y", id="half an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nmore", id="a yes that goes on"),
        pytest.param(b"x" * 100_000, id="too much"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, id="too much of a head"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x16", id="TLS"),
        pytest.param(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n", id="a web server"),
    ],
)
async def test_what_does_not_answer_as_a_proxy_is_told_so(
    far: Far, proxy: ConnectProxy, source: Opener, answer: bytes
):
    proxy.answer = answer
    assert "does not answer as a proxy does" in await failure(source(far.with_tls))


async def test_another_protocol_is_known_by_its_first_bytes(far: Far, monkeypatch):
    """Such a server waits for what its own clients would say."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        told = await asyncio.wait_for(failure(AmqpSource(far.with_tls)), TIMEOUT)
    assert "does not answer as a proxy does" in told
    assert f"Is 127.0.0.1:{port} the proxy's address and port" in told
    assert told.endswith("Correct HTTPS_PROXY.")


async def test_what_a_proxy_says_before_its_answer_is_passed_over(
    far: Far, proxy: ConnectProxy, source: Opener
):
    proxy.answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n"
    assert "(403 Forbidden). Ask its operators" in await failure(source(far.with_tls))


@pytest.mark.parametrize("url", ["with_tls", "without_tls"])
async def test_a_proxy_that_hangs_up_after_a_yes_is_a_loss(
    far: Far, proxy: ConnectProxy, source: Opener, url: str
):
    proxy.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    assert await failure(source(getattr(far, url)))


async def test_a_proxy_that_is_silent_is_given_up(
    far: Far, proxy: ConnectProxy, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tunnel, "REACH_TIMEOUT", 0.05)
    proxy.silent = True
    told = await failure(source(far.with_tls))
    assert f"the proxy http://{proxy.address} (HTTPS_PROXY) does not connect to" in told
    assert f"{NAME}:5671 in time (0.05 s)" in told


async def test_while_a_proxy_is_silent_the_wait_can_be_cancelled(
    far: Far, proxy: ConnectProxy, source: Opener
):
    proxy.silent = True

    async def connect() -> None:
        async with source(far.with_tls).open("g"):
            pass

    connecting = asyncio.create_task(connect())
    await asyncio.wait_for(proxy.seen.reached("asked", 1), TIMEOUT)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(connecting, TIMEOUT)


async def test_the_certificate_inside_must_be_the_brokers(
    authority: trustme.CA, trusted: None, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    """A proxy that puts itself between reads nothing."""
    async with (
        far_broker(certificate(authority, "another.invalid")) as far,
        ConnectProxy(far.places) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert "Hostname mismatch" in await failure(source(far.with_tls))


async def test_the_certificate_of_the_proxy_is_checked_as_well(
    far: Far, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    context = certificate(trustme.CA(), "127.0.0.1")
    async with ConnectProxy(far.places, context=context) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        told = await failure(source(far.with_tls))
        assert f"the proxy https://{proxy.address} (HTTPS_PROXY) cannot be reached" in told
        assert "certificate verify failed" in told
        assert "Name the file of its certificate authority in SSL_CERT_FILE" in told


async def test_a_proxy_that_speaks_no_tls_is_told_so(far: Far, monkeypatch: pytest.MonkeyPatch):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        told = await failure(AmqpSource(far.with_tls))
    assert "does not answer as a proxy does" in told
    assert "is it spoken to by https://" in told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        pytest.param("socks5://gate:1080", "is not an HTTP proxy", id="SOCKS"),
        pytest.param("http://jane:hush-hush@gate:port", "HTTPS_PROXY must hold", id="no URL"),
    ],
)
async def test_a_variable_that_helps_nothing_is_told(
    far: Far, source: Opener, monkeypatch: pytest.MonkeyPatch, told: str, words: str
):
    monkeypatch.setenv("HTTPS_PROXY", told)
    loss = await failure(source(far.with_tls))
    assert words in loss
    assert "hush-hush" not in loss


async def test_where_aiormq_takes_no_transport_there_is_no_way_through(
    far: Far, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp, "takes_transport", lambda: False)
    assert "aiormq knows no way through the proxy" in await failure(AmqpSource(far.with_tls))
    assert not proxy.asked


# Two ports --------------------------------------------------------------------------------------


@pytest.fixture
async def globus(authority: trustme.CA, trusted: None) -> AsyncIterator[Far]:
    """What passes for Globus's broker, which listens on two ports."""
    async with far_broker(certificate(authority, GLOBUS)) as far:
        yield far


@pytest.mark.parametrize(("given", "other"), [("", 443), (":5671", 443), (":443", 5671)])
async def test_where_a_port_of_globus_is_closed_the_other_is_tried_and_kept(
    globus: Far, source: Opener, monkeypatch: pytest.MonkeyPatch, given: str, other: int
):
    async with ConnectProxy({f"{GLOBUS}:{other}": globus.place}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        opener = source(globus.address(f"amqps://u:p@{GLOBUS}{given}/"))
        assert "does not reach" in await failure(opener)
        for _ in range(2):
            async with opener.open("g"):
                pass
        first = f"{GLOBUS}:{given.removeprefix(':') or 5671}"
        assert proxy.asked == [first, f"{GLOBUS}:{other}", f"{GLOBUS}:{other}"]


async def test_a_port_that_was_chosen_is_the_only_one(
    globus: Far, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    async with ConnectProxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        opener = source(globus.address(f"amqps://u:p@{GLOBUS}/"), port=lambda: 443)
        for _ in range(2):
            await failure(opener)
        assert proxy.asked == [f"{GLOBUS}:443"] * 2


async def test_of_other_brokers_no_other_port_is_guessed(
    far: Far, proxy: ConnectProxy, source: Opener
):
    proxy.refusals[f"{NAME}:5671"] = 403
    opener = source(far.with_tls)
    for _ in range(2):
        await failure(opener)
    assert proxy.asked == [f"{NAME}:5671"] * 2


async def test_a_broker_that_is_reached_and_says_no_is_not_asked_at_another_port(
    globus: Far, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    async with ConnectProxy({f"{GLOBUS}:5671": globus.place}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        opener = source(globus.address(f"amqps://u:wrong@{GLOBUS}/"))
        for _ in range(2):
            await failure(opener)
        assert proxy.asked == [f"{GLOBUS}:5671"] * 2


async def test_nobody_there_is_a_loss_with_the_port(source: Opener):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    far = Far(EmbeddedBroker(), ("127.0.0.1", port), ("127.0.0.1", port))
    told = await failure(source(far.address(f"amqp://u:p@127.0.0.1:{port}/")))
    assert str(port) in told
