"""One client's connection: its login, its channels, its heartbeats, and its end.

There is no task per connection. Everything happens inside the callbacks of the transport, of a
few timers, and of the queues; when the last of these is cancelled, nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from dataclasses import dataclass
from typing import cast

from pamqp import base, commands

from funcx_async.local.broker.channel import Channel, Session
from funcx_async.local.broker.login import FRAME_MAX_BEFORE_LOGIN, Login, Users
from funcx_async.local.broker.methods import content_body, content_header, perform
from funcx_async.local.broker.outbox import Outbox
from funcx_async.local.broker.protocol import (
    BODY,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    PROTOCOL_HEADER,
    Frame,
    FrameReader,
    HardError,
    ProtocolError,
    SoftError,
    decode_method,
    encode_method,
)
from funcx_async.local.broker.queues import Volume, Watch
from funcx_async.local.broker.topology import Topology

TICKS_PER_INTERVAL = 2  # a client gives up after two silent intervals, so one lost does no harm
SILENT_TICKS_LIMIT = 4
logger = logging.getLogger("funcx_async.local.broker")
CLOSE_BY_RESET = struct.pack("ii", 1, 0)  # the value of SO_LINGER: linger, for no time
CONTENT = frozenset({HEADER, BODY})


@dataclass(frozen=True, slots=True)
class BrokerContext:
    """What all connections of a broker share.

    Attributes:
        heartbeat: what clients are offered, in seconds.
        handshake_timeout: seconds that a client has to log in.
        close_timeout: seconds that a client has to agree to being closed.
        max_body: the largest message body taken, in bytes.
        connections: those that are open; each adds and removes itself.
    """

    loop: asyncio.AbstractEventLoop
    users: Users
    heartbeat: int
    topology: Topology
    volume: Volume
    watch: Watch
    handshake_timeout: float
    close_timeout: float
    max_body: int
    connections: set[Connection]


class Channels:
    """Opens and closes channels and passes frames to them.

    Attributes:
        open: the open channels by number.
    """

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        topology: Topology,
        *,
        owner: object,
        max_body: int,
    ) -> None:
        """Begin without any; ``owner`` is whom exclusive queues belong to."""
        self.open: dict[int, Channel] = {}
        self._session = session
        self._outbox = outbox
        self._topology = topology
        self._owner = owner
        self._max_body = max_body
        self._closing: set[int] = set()  # closed by the broker; the client has yet to agree

    def receive(self, frame: Frame) -> None:
        """Do what a frame asks.

        Raises:
            HardError: it costs the client its connection.
        """
        method = decode_method(frame.payload) if frame.kind == METHOD else None
        if frame.channel in self._closing:
            self._receive_closing(frame.channel, method)
            return
        channel = self.open.get(frame.channel)
        try:
            if channel is None:
                self._open_channel(frame.channel, method)
            elif method is not None:
                self._perform(channel, method)
            elif frame.kind == HEADER:
                content_header(channel, frame.payload, self._max_body)
            else:
                content_body(channel, frame.payload)
        except ProtocolError as error:
            error.method = commands.Basic.Publish.index if method is None else method.index
            if channel is None or not isinstance(error, SoftError):
                raise
            self.close(channel, error)

    @property
    def receiving(self) -> bool:
        """Whether a message is incomplete, so that reading on is the way to free memory."""
        return any(channel.incoming is not None for channel in self.open.values())

    def close(self, channel: Channel, error: SoftError) -> None:
        """Close a channel and tell the client why."""
        number = channel.number
        del self.open[number]
        self._closing.add(number)
        channel.close()
        close = commands.Channel.Close(error.code, error.text, *divmod(error.method, 1 << 16))
        self._send(number, close)

    def flush_confirms(self) -> None:
        """Confirm what was published in the frames received so far."""
        for channel in self.open.values():
            channel.flush_confirms()

    def pump(self) -> None:
        """Deliver again, after the outbox had no room."""
        for channel in list(self.open.values()):
            channel.pump_all()

    def abandon(self) -> None:
        """Release every channel without notifying the client; the connection has ended."""
        channels = list(self.open.values())
        self.open.clear()
        for channel in channels:
            channel.close()

    def _perform(self, channel: Channel, method: base.Frame) -> None:
        if isinstance(method, commands.Channel.Close):
            del self.open[channel.number]
            channel.close()
            self._send(channel.number, commands.Channel.CloseOk())
        elif isinstance(method, commands.Channel.Open):
            raise HardError(504, "second 'channel.open' seen")
        else:
            perform(channel, method)

    def _open_channel(self, number: int, method: base.Frame | None) -> None:
        if not isinstance(method, commands.Channel.Open):
            raise HardError(504, "expected 'channel.open'")
        limit = self._session.channel_max
        if len(self.open) >= limit:
            raise HardError(
                530,
                f"number of channels opened ({len(self.open)}) has reached the negotiated "
                f"channel_max ({limit})",
            )
        self.open[number] = Channel(
            number, self._session, self._outbox, self._topology, self._owner
        )
        self._send(number, commands.Channel.OpenOk())

    def _receive_closing(self, number: int, method: base.Frame | None) -> None:
        if isinstance(method, commands.Channel.CloseOk):
            self._closing.discard(number)
        elif isinstance(method, commands.Channel.Close):  # both sides closed at once
            self._send(number, commands.Channel.CloseOk())

    def _send(self, number: int, method: base.Frame) -> None:
        self._outbox.write(encode_method(number, method))


class Connection(asyncio.Protocol):
    """A client's connection, from its first byte to its last.

    Attributes:
        channels: its channels, once it is logged in.
    """

    _transport: asyncio.Transport
    _outbox: Outbox

    def __init__(self, context: BrokerContext, *, stalled: bool = False) -> None:
        self.channels: Channels | None = None
        self._context = context
        self._login = Login(context.users, context.heartbeat)
        self._reader = FrameReader(FRAME_MAX_BEFORE_LOGIN)
        self._greeted = False
        self._stalled = stalled
        self._blocked = False  # publishers are held up
        self._closing = False  # told to close; what still arrives is read and dropped
        self._garbled = False  # where the next frame begins is unknown
        self._heard = False  # since the last tick of the heartbeat
        self._silent_ticks = 0
        self._heartbeat: asyncio.TimerHandle | None = None
        self._deadline = context.loop.call_later(context.handshake_timeout, self.abort)

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._outbox = Outbox(self._context.loop, self._transport, self._on_room)
        self._context.connections.add(self)
        self._context.watch.changed()
        self.stall(self._stalled)

    def data_received(self, data: bytes) -> None:
        """Do what the client asks."""
        self._heard = True
        if not self._garbled:
            self._reader.feed(data)
            self._read()

    def pause_writing(self) -> None:
        """Stop writing: the client reads too slowly."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """Write again: the client has caught up."""
        self._outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        logger.debug("connection of %s ended: %s", self._name(), exc or "closed")
        self._deadline.cancel()
        self._abandon()
        self._context.connections.discard(self)
        self._context.watch.changed()

    # what the broker calls

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read them."""
        return self._outbox.unsent

    def close(self, error: HardError) -> None:
        """Close the connection with a reason, and wait until the client agrees."""
        if self._closing or self._transport.is_closing():
            return
        logger.debug("closing the connection of %s: %s", self._name(), error)
        self._closing = True
        self._abandon()
        if not error.told:
            self._hang_up()
            return
        ids = divmod(error.method, 1 << 16)
        self._send(commands.Connection.Close(error.code, error.text, *ids))
        self._set_deadline()
        # Read on: a socket closed with bytes unread is reset, and the reason never arrives.
        self._listen()

    def abort(self) -> None:
        """Cut the connection at once, by a reset."""
        raw: socket.socket | None = self._transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_BY_RESET)
        self._transport.abort()

    def stall(self, stalled: bool) -> None:
        """Play dead: neither read nor write; or go on."""
        self._stalled = stalled
        self._outbox.stall(stalled)
        self._listen()

    def unblock(self) -> None:
        """Read from a publisher again that was blocked."""
        if self._blocked:
            self._blocked = False
            self._announce(commands.Connection.Unblocked())
            self._listen()

    # reading

    def _deaf(self) -> bool:
        """Return whether reading is paused."""
        if self._closing or self._stalled:
            return self._stalled
        return self._blocked or not self._outbox.admits_replies()

    def _listen(self) -> None:
        """Read from the socket, or not, as the state of things is."""
        if self._deaf():
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            self._context.loop.call_soon(self._read)  # frames may be here already

    def _read(self) -> None:
        try:
            while not (self._deaf() or self._transport.is_closing()):
                if not self._greeted:
                    if not self._greet():
                        break
                elif (frame := self._reader.take()) is None:
                    break
                else:
                    self._receive(frame)
        except HardError as error:
            self._garbled = error.code == 501
            self.close(error)
        if self.channels is not None:
            self.channels.flush_confirms()
        if self._deaf():
            self._transport.pause_reading()

    def _greet(self) -> bool:
        opening = self._reader.take_protocol_header()
        if opening is None:
            return False
        if opening != PROTOCOL_HEADER:
            # The protocol's way to say which version would have been right.
            self._outbox.write(PROTOCOL_HEADER)
            self._hang_up()
            return False
        self._greeted = True
        self._send(self._login.greeting())
        return True

    def _receive(self, frame: Frame) -> None:
        if frame.channel == 0 and frame.kind == METHOD:
            self._control(decode_method(frame.payload))
        elif self._closing or (frame.kind == HEARTBEAT and frame.channel == 0):
            return
        elif frame.kind == HEARTBEAT or frame.channel == 0:
            raise HardError(505, f"type {frame.kind} on channel {frame.channel}")
        elif not self._login.done or self.channels is None:
            raise HardError(504, f"a frame on channel {frame.channel} before login", told=False)
        else:
            self.channels.receive(frame)
            if frame.kind in CONTENT and self._context.volume.over and not self.channels.receiving:
                self._block()

    def _control(self, method: base.Frame) -> None:
        if isinstance(method, commands.Connection.Close):
            self._abandon()
            self._send(commands.Connection.CloseOk())
            self._hang_up()
        elif self._closing:
            if isinstance(method, commands.Connection.CloseOk):
                self._hang_up()
        elif not self._login.done:
            self._take_login_step(method)
        elif isinstance(method, commands.Connection.UpdateSecret):
            self._send(commands.Connection.UpdateSecretOk())
        else:
            error = HardError(504, "unexpected method in connection state running")
            error.method = method.index
            raise error

    def _take_login_step(self, method: base.Frame) -> None:
        try:
            answer = self._login.receive(method)
        except HardError as error:
            error.method = 0 if error.code == 403 else method.index
            raise
        if answer is not None:
            self._send(answer)
        session = self._login.session
        if session is None:
            return
        self._reader.frame_max = session.frame_max
        if not self._login.done:
            return
        self._deadline.cancel()
        context = self._context
        self.channels = Channels(
            session, self._outbox, context.topology, owner=self, max_body=context.max_body
        )
        if session.heartbeat:  # not before open-ok is sent: clients would take it for garbage
            self._schedule_beat(session.heartbeat)
        logger.debug("user %s logged in", session.user)

    # the rest

    def _on_room(self) -> None:
        if self.channels is not None:
            self.channels.pump()
        self._listen()

    def _block(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._announce(commands.Connection.Blocked("low on memory"))

    def _announce(self, method: base.Frame) -> None:
        session = self._login.session
        if session is not None and "connection.blocked" in session.capabilities:
            self._send(method)

    def _schedule_beat(self, interval: float) -> None:
        pause = interval / TICKS_PER_INTERVAL
        self._heartbeat = self._context.loop.call_later(pause, self._beat, interval)

    def _beat(self, interval: float) -> None:
        """Send a heartbeat unless something else was sent; give up a client that is silent."""
        self._schedule_beat(interval)
        if not self._outbox.sent:
            self._outbox.write(HEARTBEAT_FRAME)
            self._outbox.flush()
        self._outbox.sent = False
        # A client that is not read cannot be heard.
        heard = self._heard or self._blocked or self._stalled
        self._silent_ticks = 0 if heard else self._silent_ticks + 1
        self._heard = False
        if self._silent_ticks >= SILENT_TICKS_LIMIT:
            self.abort()

    def _send(self, method: base.Frame) -> None:
        self._outbox.write(encode_method(0, method))

    def _hang_up(self) -> None:
        """Close once everything is sent, or the client does not take it in time."""
        self._outbox.close()
        self._set_deadline()

    def _set_deadline(self) -> None:
        self._deadline.cancel()
        self._deadline = self._context.loop.call_later(self._context.close_timeout, self.abort)

    def _abandon(self) -> None:
        """Release all that the client held."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        if self.channels is not None:
            self.channels.abandon()
        self._context.topology.delete_owned(self)

    def _name(self) -> str:
        session = self._login.session
        return session.user if session is not None else "a client before login"
