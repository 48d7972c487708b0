"""One client's connection: its login, its heartbeats, and its end.

There is no task per connection. Everything happens inside the callbacks of the transport, of a
few timers, and of the queues; when the last of these is cancelled, nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import cast

from pamqp import base, commands

from funcx_async.local.broker.channels import Channels
from funcx_async.local.broker.errors import HardError
from funcx_async.local.broker.framing import (
    BODY,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    PROTOCOL_HEADER,
    Frame,
    FrameReader,
    decode_method,
    encode_method,
)
from funcx_async.local.broker.heartbeat import Heartbeat
from funcx_async.local.broker.login import FRAME_MAX_BEFORE_LOGIN, Login
from funcx_async.local.broker.outbox import Outbox
from funcx_async.local.broker.premises import Premises

logger = logging.getLogger("funcx_async.local.broker")

CLOSE_BY_RESET = struct.pack("ii", 1, 0)  # the value of SO_LINGER: linger, for no time
CONTENT = frozenset({HEADER, BODY})


class Connection(asyncio.Protocol):
    """A client's connection, from its first byte to its last.

    Attributes:
        channels: its channels, once it is logged in.
    """

    _transport: asyncio.Transport
    _outbox: Outbox

    def __init__(self, premises: Premises[Connection], *, stalled: bool = False) -> None:
        self.channels: Channels | None = None
        self._premises = premises
        self._login = Login(premises.users, premises.offer)
        self._reader = FrameReader(FRAME_MAX_BEFORE_LOGIN)
        self._greeted = False
        self._stalled = stalled
        self._blocked = False  # publishers are held up
        self._closing = False  # told to close; what still arrives is read and dropped
        self._garbled = False  # where the next frame begins is unknown
        self._heartbeat: Heartbeat | None = None
        self._deadline = premises.loop.call_later(premises.handshake_timeout, self.abort)

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._outbox = Outbox(self._premises.loop, self._transport, self._on_room)
        self._premises.connections.add(self)
        self._premises.watch.changed()
        self.stall(self._stalled)

    def data_received(self, data: bytes) -> None:
        """Do what the client asks."""
        if self._heartbeat is not None:
            self._heartbeat.heard = True
        if not self._garbled:
            self._reader.feed(data)
            self._read()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        logger.debug("connection of %s ended: %s", self._name(), exc or "closed")
        self._deadline.cancel()
        self._abandon()
        self._premises.connections.discard(self)
        self._premises.watch.changed()

    # what the broker calls

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read them."""
        return self._outbox.unsent

    def close(self, error: HardError) -> None:
        """Tell the client that its connection is closed, and why; wait until it agrees."""
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
        """Let a publisher go on that was held up."""
        if self._blocked:
            self._blocked = False
            self._announce(commands.Connection.Unblocked())
            self._listen()

    # reading

    def _deaf(self) -> bool:
        """Whether the client is not listened to for now."""
        if self._closing or self._stalled:
            return self._stalled
        return self._blocked or not self._outbox.admits_replies()

    def _listen(self) -> None:
        """Read from the socket, or not, as the state of things is."""
        if self._deaf():
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            self._premises.loop.call_soon(self._read)  # frames may be here already

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
            if frame.kind in CONTENT and self._premises.volume.over:
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
        premises = self._premises
        self.channels = Channels(
            session, self._outbox, premises.topology, owner=self, max_body=premises.max_body
        )
        if session.heartbeat:  # not before open-ok is sent: clients would take it for garbage
            self._heartbeat = Heartbeat(premises.loop, session.heartbeat, self._beat, self.abort)
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

    def _beat(self) -> None:
        if not self._outbox.sent:
            self._outbox.write(HEARTBEAT_FRAME)
            self._outbox.flush()
        self._outbox.sent = False
        if self._heartbeat is not None and (self._blocked or self._stalled):
            self._heartbeat.heard = True  # no wonder: nobody listens

    def _send(self, method: base.Frame) -> None:
        self._outbox.write(encode_method(0, method))

    def _hang_up(self) -> None:
        """Close once everything is sent, or the client does not take it in time."""
        self._outbox.close()
        self._set_deadline()

    def _set_deadline(self) -> None:
        self._deadline.cancel()
        self._deadline = self._premises.loop.call_later(self._premises.close_timeout, self.abort)

    def _abandon(self) -> None:
        """Give everything back that the client had."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self.channels is not None:
            self.channels.abandon()
        self._premises.topology.delete_owned(self)

    def _name(self) -> str:
        session = self._login.session
        return session.user if session is not None else "a client before login"
