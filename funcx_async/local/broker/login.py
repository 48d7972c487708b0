"""Who may log in, and the few steps of doing so."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pamqp import base, commands, decode
from pamqp.common import FieldTable

from funcx_async.local.broker.channel import Session
from funcx_async.local.broker.protocol import HardError

CHANNEL_MAX = 2047
FRAME_MAX = 131_072
SMALLEST_FRAME_MAX = 4096  # the protocol's minimum
FRAME_MAX_BEFORE_LOGIN = 8192  # strangers need not send more

CAPABILITIES: FieldTable = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "consumer_priorities": False,
    "direct_reply_to": False,
    "exchange_exchange_bindings": False,
    "per_consumer_qos": True,
    "publisher_confirms": True,
}


class Users:
    """Names and passwords; neither ever shows in a repr or a message."""

    def __init__(self) -> None:
        self._passwords: dict[str, bytes] = {}
        self._refusals = 0

    def add(self, user: str, password: str) -> None:
        """Add a user, or change a password."""
        self._passwords[user] = password.encode()

    def remove(self, user: str) -> None:
        """Remove a user."""
        self._passwords.pop(user, None)

    def refuse(self, times: int) -> None:
        """Refuse the next logins, right or wrong."""
        self._refusals = times

    @property
    def to_refuse(self) -> int:
        """How many logins will be refused."""
        return self._refusals

    def admits(self, user: str, password: str) -> bool:
        """Return whether a login is valid."""
        if self._refusals > 0:
            self._refusals -= 1
            return False
        expected = self._passwords.get(user)
        return expected is not None and hmac.compare_digest(expected, password.encode())


class Login:
    """The steps from the first greeting to an open connection.

    Attributes:
        session: what was agreed on, once it was.
        done: whether the connection is open.
    """

    def __init__(self, users: Users, heartbeat: int) -> None:
        """Begin; ``heartbeat`` is what is offered, in seconds."""
        self.session: Session | None = None
        self.done = False
        self._users = users
        self._heartbeat = heartbeat
        self._user: str | None = None
        self._capabilities: frozenset[str] = frozenset()

    def greeting(self) -> commands.Connection.Start:
        """Return the broker's first method."""
        properties: FieldTable = {"product": "funcx_async", "capabilities": CAPABILITIES}
        return commands.Connection.Start(
            server_properties=properties, mechanisms="PLAIN AMQPLAIN", locales="en_US"
        )

    def receive(self, method: base.Frame) -> base.Frame | None:
        """Process the client's next method, and return the answer if there is one.

        Raises:
            HardError: it is the wrong one, the login is refused, or there is no agreement.
        """
        match method:
            case commands.Connection.StartOk() if self._user is None:
                return self._started(method)
            case commands.Connection.TuneOk() if self._user and self.session is None:
                self.session = self._agree(self._user, method)
                return None
            case commands.Connection.Open() if self.session is not None:
                if method.virtual_host != "/":
                    raise HardError(530, f"vhost {method.virtual_host} not found")
                self.done = True
                return commands.Connection.OpenOk()
            case _:
                raise HardError(503, f"{method.name} is out of turn", told=False)

    def _started(self, method: commands.Connection.StartOk) -> commands.Connection.Tune:
        capabilities = (method.client_properties or {}).get("capabilities")
        if isinstance(capabilities, Mapping):
            self._capabilities = frozenset(name for name, has in capabilities.items() if has)
        user, password = _read_credentials(method.mechanism, method.response)
        if not self._users.admits(user, password):
            raise HardError(
                403,
                "Login was refused using authentication mechanism "
                f"{method.mechanism}. For details see the broker logfile.",
                told="authentication_failure_close" in self._capabilities,
            )
        self._user = user
        return commands.Connection.Tune(CHANNEL_MAX, FRAME_MAX, self._heartbeat)

    def _agree(self, user: str, method: commands.Connection.TuneOk) -> Session:
        _check_limit("channel_max", method.channel_max, 1, CHANNEL_MAX)
        _check_limit("frame_max", method.frame_max, SMALLEST_FRAME_MAX, FRAME_MAX)
        return Session(
            user, self._capabilities, method.channel_max, method.frame_max, method.heartbeat
        )


def _check_limit(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:  # 0 asks for no limit, which no broker grants
        sentence = f"failed to negotiate connection parameters: negotiated {name} = {value} is not "
        raise HardError(530, f"{sentence}between {least} and {most}")


def _read_credentials(mechanism: str, response: str | bytes) -> tuple[str, str]:
    encoded = response.encode() if isinstance(response, str) else response
    try:
        if mechanism == "PLAIN":
            _, user, password = encoded.decode().split("\0")
            return user, password
        if mechanism == "AMQPLAIN":  # a table without its length
            _, table = decode.field_table(len(encoded).to_bytes(4) + encoded)
            return str(table["LOGIN"]), str(table["PASSWORD"])
    except Exception:  # ValueError, KeyError, or what pamqp stumbles over
        # "from None": the response holds a password
        raise HardError(501, f"malformed {mechanism} response", told=False) from None
    raise HardError(503, f"unknown authentication mechanism {mechanism!r}", told=False)
