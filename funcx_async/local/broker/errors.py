"""What a client can do wrong, in the words and numbers of AMQP 0-9-1.

A *soft* error costs the client its channel, a *hard* one its connection. Codes and the shape of
the texts are RabbitMQ's, since clients and people have learnt to read those.
"""

from __future__ import annotations

NAMES = {
    320: "CONNECTION_FORCED",
    403: "ACCESS_REFUSED",
    404: "NOT_FOUND",
    405: "RESOURCE_LOCKED",
    406: "PRECONDITION_FAILED",
    501: "FRAME_ERROR",
    502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID",
    504: "CHANNEL_ERROR",
    505: "UNEXPECTED_FRAME",
    506: "RESOURCE_ERROR",
    530: "NOT_ALLOWED",
    540: "NOT_IMPLEMENTED",
    541: "INTERNAL_ERROR",
}

LONGEST_TEXT = 255  # a reply text is a short string: at most 255 bytes


class ProtocolError(Exception):
    """The base of both kinds.

    Attributes:
        code: the reply code, one of :data:`NAMES`.
        text: the reply text, ``NAME - sentence``, short enough for the wire.
        method: pamqp's number of the method at fault, class and method in one; 0 if none is.
    """

    def __init__(self, code: int, sentence: str) -> None:
        text = f"{NAMES.get(code, 'ERROR')} - {sentence}"
        self.code = code
        self.method = 0
        self.text = text.encode()[:LONGEST_TEXT].decode(errors="ignore")
        super().__init__(self.text)


class SoftError(ProtocolError):
    """Closes the channel on which it happened; the connection goes on."""


class HardError(ProtocolError):
    """Closes the connection.

    Attributes:
        told: whether the client is told why. Before login a broker hangs up in silence.
    """

    def __init__(self, code: int, sentence: str, *, told: bool = True) -> None:
        super().__init__(code, sentence)
        self.told = told
