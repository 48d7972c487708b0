"""The tests' own proxy does exactly what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.proxy import Proxy

TIMEOUT = 30


class Peer(asyncio.Protocol):
    """One end of a connection, and what came there."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.arrivals: list[int] = []
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self.error: Exception | None = None
        self._wanted: tuple[int, asyncio.Event] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.arrivals.append(len(data))
        if self._wanted is not None and len(self.received) >= self._wanted[0]:
            self._wanted[1].set()

    def eof_received(self) -> bool:
        self.ended.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.closed.set()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def got(self, count: int) -> bytes:
        if len(self.received) < count:
            self._wanted = count, asyncio.Event()
            await asyncio.wait_for(self._wanted[1].wait(), TIMEOUT)
        return bytes(self.received)


class Place:
    """A server, the proxy before it, and who has connected."""

    def __init__(self, proxy: Proxy, accepted: asyncio.Queue[Peer]) -> None:
        self.proxy = proxy
        self._accepted = accepted
        self.peers: list[Peer] = []

    async def connect(self) -> tuple[Peer, Peer]:
        """Return a client's end and the server's."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Peer, "127.0.0.1", self.proxy.port)
        server = await asyncio.wait_for(self._accepted.get(), TIMEOUT)
        self.peers += [client, server]
        return client, server


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    accepted: asyncio.Queue[Peer] = asyncio.Queue()

    class Accepted(Peer):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            accepted.put_nowait(self)

    server = await asyncio.get_running_loop().create_server(Accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Proxy(f"tcp://127.0.0.1:{port}") as proxy:
        place = Place(proxy, accepted)
        yield place
    server.close()
    for peer in place.peers:
        peer.transport.abort()
        await peer.closed.wait()


async def turns(count: int = 20) -> None:
    """Let whatever is under way happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_bytes_and_ends_pass_in_both_directions(place: Place):
    client, server = await place.connect()
    client.send(b"question")
    assert await server.got(8) == b"question"
    client.transport.write_eof()
    await asyncio.wait_for(server.ended.wait(), TIMEOUT)
    server.send(b"answer")
    assert await client.got(6) == b"answer"
    assert (place.proxy.upward.passed, place.proxy.downward.passed) == (8, 6)
    server.transport.close()
    await asyncio.wait_for(client.ended.wait(), TIMEOUT)
    await asyncio.wait_for(place.proxy.seen("closed"), TIMEOUT)
    assert place.proxy.open_connections == 0


async def test_much_passes_whole_and_in_order(place: Place):
    client, server = await place.connect()
    much = bytes(range(256)) * 40_000
    client.send(much)
    assert await server.got(len(much)) == much


async def test_the_address_in_a_url_is_the_proxys(place: Place):
    port = place.proxy.port
    assert place.proxy.before("http://localhost:1/v2?a=b") == f"http://127.0.0.1:{port}/v2?a=b"
    assert place.proxy.before("amqp://u:p@h:1//") == f"amqp://u:p@127.0.0.1:{port}//"


async def test_a_reset_after_so_many_bytes_lets_these_and_no_more_pass(place: Place):
    client, server = await place.connect()
    place.proxy.downward.reset(after=4)
    server.send(b"abcdef")
    await asyncio.wait_for(client.closed.wait(), TIMEOUT)
    assert client.received == b"abcd"
    assert isinstance(client.error, ConnectionResetError)
    await asyncio.wait_for(server.closed.wait(), TIMEOUT)
    assert isinstance(server.error, ConnectionResetError)


async def test_a_cut_after_so_many_bytes_is_an_end_in_good_order(place: Place):
    client, server = await place.connect()
    place.proxy.downward.cut(after=4)
    server.send(b"abcdef")
    for peer in (client, server):
        await asyncio.wait_for(peer.ended.wait(), TIMEOUT)
    assert client.received == b"abcd"
    client.transport.close()
    server.transport.close()
    await asyncio.wait_for(client.closed.wait(), TIMEOUT)
    assert client.error is None


async def test_bytes_are_counted_over_connections_and_a_fault_strikes_one(place: Place):
    (first, first_server), (second, second_server) = await place.connect(), await place.connect()
    place.proxy.upward.reset(after=6)
    first.send(b"1234")
    assert await first_server.got(4) == b"1234"
    second.send(b"567")
    await asyncio.wait_for(second.closed.wait(), TIMEOUT)
    await asyncio.wait_for(second_server.closed.wait(), TIMEOUT)
    assert second_server.received in (b"", b"56"), "a reset may overtake what is not read yet"
    first.send(b"5678")
    assert await first_server.got(8) == b"12345678"
    await place.proxy.seen("struck")


async def test_faults_of_one_direction_strike_one_after_the_other(place: Place):
    place.proxy.downward.cut(after=1)
    place.proxy.downward.reset(after=2)
    for expected in (b"a", b"ab"):
        client, server = await place.connect()
        server.send(b"abc")
        await asyncio.wait_for(
            client.ended.wait() if expected == b"a" else client.closed.wait(), TIMEOUT
        )
        assert client.received == expected


async def test_a_stalled_direction_waits_and_the_other_does_not(place: Place):
    client, server = await place.connect()
    place.proxy.upward.stall()
    client.send(b"question")
    server.send(b"unasked")
    assert await client.got(7) == b"unasked"
    await turns()
    assert server.received == b""
    place.proxy.restore()
    assert await server.got(8) == b"question"


async def test_a_stalled_direction_holds_up_its_sender(place: Place):
    client, _ = await place.connect()
    place.proxy.upward.stall()
    client.send(bytes(20_000_000))
    await turns()
    assert client.transport.get_write_buffer_size() > 0
    assert place.proxy.upward.passed == 0


async def test_a_connection_that_lost_bytes_stays_half_open_and_new_ones_are_sound(place: Place):
    client, server = await place.connect()
    place.proxy.swallow()
    client.send(b"lost")
    server.send(b"lost as well")
    client.transport.write_eof()
    await turns()
    place.proxy.restore()
    server.send(b"still")
    await turns()
    assert (client.received, server.received) == (b"", b"")
    assert not server.ended.is_set()
    assert not client.closed.is_set()
    other, other_server = await place.connect()
    other.send(b"sound")
    assert await other_server.got(5) == b"sound"


async def test_one_direction_alone_can_be_swallowed(place: Place):
    client, server = await place.connect()
    place.proxy.upward.swallow()
    client.send(b"lost")
    server.send(b"comes")
    assert await client.got(5) == b"comes"
    assert server.received == b""


async def test_a_reset_is_not_noticed_behind_a_direction_that_is_swallowed(place: Place):
    client, server = await place.connect()
    place.proxy.swallow()
    client.send(b"lost")
    await turns()
    client.transport.abort()
    await turns()
    assert not server.closed.is_set()
    assert not server.ended.is_set()


async def test_a_slow_direction_passes_piece_by_piece(place: Place):
    client, server = await place.connect()
    place.proxy.downward.slow(3)
    server.send(b"0123456789")
    assert await client.got(10) == b"0123456789"
    assert max(client.arrivals) < 10


async def test_who_connects_while_it_refuses_is_refused_and_later_is_not(place: Place):
    client, server = await place.connect()
    place.proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await place.connect()
    client.send(b"on")
    assert await server.got(2) == b"on"
    await place.proxy.come_back()
    await place.connect()


async def test_a_server_that_is_not_there_is_a_reset():
    async with Proxy("tcp://127.0.0.1:9") as proxy:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Peer, "127.0.0.1", proxy.port)
        await asyncio.wait_for(client.closed.wait(), TIMEOUT)
        assert isinstance(client.error, ConnectionResetError)
        await asyncio.wait_for(proxy.seen("closed"), TIMEOUT)


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_every_connection_can_be_ended_at_once(place: Place, how: str):
    pairs = [await place.connect() for _ in range(3)]
    getattr(place.proxy, how)()
    for peer in (peer for pair in pairs for peer in pair):
        waited = peer.ended if how == "cut" else peer.closed
        await asyncio.wait_for(waited.wait(), TIMEOUT)
    await asyncio.wait_for(place.proxy.seen("struck", 3), TIMEOUT)


async def test_a_target_needs_a_port():
    with pytest.raises(ValueError, match="port"):
        Proxy("http://127.0.0.1")
