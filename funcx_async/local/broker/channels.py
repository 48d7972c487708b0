"""The channels of one connection: which are open, which are closing, and what arrives for each."""

from __future__ import annotations

from pamqp import base, commands

from funcx_async.local.broker import publishing
from funcx_async.local.broker.channel import Channel, Session
from funcx_async.local.broker.dispatch import perform
from funcx_async.local.broker.errors import HardError, ProtocolError, SoftError
from funcx_async.local.broker.framing import HEADER, METHOD, Frame, decode_method, encode_method
from funcx_async.local.broker.outbox import Outbox
from funcx_async.local.broker.topology import Topology


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
                publishing.content_header(channel, frame.payload, self._max_body)
            else:
                publishing.content_body(channel, frame.payload)
        except ProtocolError as error:
            error.method = commands.Basic.Publish.index if method is None else method.index
            if channel is None or not isinstance(error, SoftError):
                raise
            self.close(channel, error)

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
            if channel.confirms is not None:
                channel.confirms.flush()

    def pump(self) -> None:
        """Deliver again, after the outbox had no room."""
        for channel in list(self.open.values()):
            channel.pump_all()

    def abandon(self) -> None:
        """Let everything go, without a word to the client; the connection is at its end."""
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
