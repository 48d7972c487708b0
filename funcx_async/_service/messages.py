r"""Result messages: one byte 0x01, then compact JSON in UTF-8.

The format calls itself "messagepack protocol v1"; it is not MessagePack. Fields that are not
known are passed over, so that a newer service does not stop an older client.

Example:
    >>> from funcx_async.models import Result
    >>> task_id = "2018a859-359a-4eb7-a7de-75cdd635f4db"
    >>> decode_result(encode_result(Result(task_id, "00\ngARLKi4=\n"))).data
    '00\ngARLKi4=\n'
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from funcx_async._service.answers import decode_leniently
from funcx_async.models import Result
from funcx_async.serialize.payloads import LARGE, STEP, yield_gil

E = TypeVar("E")

EXECUTION_FAILED = "An error occurred during the execution of this task"
"""What official workers tell a user whose function raised."""

_VERSION = b"\x01"
_END_OF_LINE = rb"\n"
_QUOTE = ord('"')
_CANONICAL_UUID = re.compile("-".join(f"[0-9a-f]{{{n}}}" for n in (8, 4, 4, 4, 12))).fullmatch

MalformedKind = Literal["size", "empty", "version", "encoding", "json", "type", "fields", "task id"]


class MalformedMessage(ValueError):
    """The bytes are not a result message.

    Attributes:
        kind: what is wrong: ``size``, it was too large to be read; ``empty``; ``version``, another
            first byte; ``encoding``, not UTF-8; ``json``; ``type``, a message but not a result;
            ``fields``, one is missing or of the wrong type; ``task id``, which is not a UUID.
    """

    def __init__(self, kind: MalformedKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: MalformedKind = kind


class _ErrorDetails(msgspec.Struct, gc=False):
    code: str
    user_message: str


class _Outcome(msgspec.Struct, gc=False):
    task_id: str
    data: str
    error_details: _ErrorDetails | None = None


class _DetailedOutcome(_Outcome):
    details: dict[str, Any] | None = None


class _Envelope(msgspec.Struct, gc=False):
    message_type: Literal["result"]
    data: _Outcome


class _DetailedEnvelope(msgspec.Struct):
    message_type: Literal["result"]
    data: _DetailedOutcome


class _LargeOutcome(msgspec.Struct, gc=False):
    task_id: str
    data: msgspec.Raw
    error_details: _ErrorDetails | None = None


class _LargeEnvelope(msgspec.Struct, gc=False):
    message_type: Literal["result"]
    data: _LargeOutcome


class _AnyEnvelope(msgspec.Struct):
    message_type: str


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_large = msgspec.json.Decoder(_LargeEnvelope).decode
_decode_detailed = msgspec.json.Decoder(_DetailedEnvelope).decode
_decode_type = msgspec.json.Decoder(_AnyEnvelope).decode
_encode = msgspec.json.Encoder().encode


def decode_result(body: bytes) -> Result:
    """Read a result message.

    Args:
        body: a message as it came from the queue.

    Returns:
        The result; it is an error exactly when the message has ``error_details``.

    Raises:
        MalformedMessage: the bytes are anything else than a result.
    """
    if body[:1] != _VERSION:
        raise _other_protocol(body)
    try:
        data = _decode_detailed(body[1:]).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        data = _decode_leniently(body, _DetailedEnvelope, error).data
    error_details = data.error_details
    return spelled_alike(
        Result(
            data.task_id,
            data.data,
            None if error_details is None else error_details.code,
            None,
            data.details,
        )
    )


def decode_outcome(body: bytes) -> Result:
    """Read a result message, but pass over its ``details`` and take its task id as it is spelled.

    Looking at the id would cost a fifth of the reading, and a task that is known by it needs none;
    :func:`spelled_alike` looks at that of a result whose task is not.
    """
    if body[:1] != _VERSION:
        raise _other_protocol(body)
    data: _Outcome | _LargeOutcome
    try:
        if len(body) < LARGE:
            data = _decode(body[1:]).data
            text = data.data
        else:
            data = _decode_large(memoryview(body)[1:]).data
            text = read_string(data.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        data = _decode_leniently(body, _Envelope, error).data
        text = data.data
    error_details = data.error_details
    if error_details is None:
        return Result(data.task_id, text)
    return Result(data.task_id, text, error_details.code)


def spelled_alike(result: Result) -> Result:
    """Return a result whose task id is in the one spelling that ids have here.

    Raises:
        MalformedMessage: if it is not the UUID of a task.
    """
    task_id = result.task_id
    if _CANONICAL_UUID(task_id):
        return result
    try:
        return replace(result, task_id=str(uuid.UUID(task_id)))
    except ValueError:
        raise MalformedMessage("task id", f"{task_id[:50]!r} is not the UUID of a task") from None


def read_string(raw: msgspec.Raw, *, step: int = STEP) -> str:
    """Read a JSON string, as ``msgspec.json.decode`` does.

    It is cut behind ends of lines that are in it, of which base64 has many; a string where there is
    no such place is read at once.

    Args:
        raw: the string as it is written, with its quotation marks.
        step: how many bytes are read at once, at most.

    Raises:
        msgspec.DecodeError: it is no string, or not as JSON has it.
    """
    written = memoryview(raw)
    if not written[0] == written[-1] == _QUOTE:
        return msgspec.json.decode(raw, type=str)
    pieces: list[str] = []
    begin, end = 1, len(written) - 1
    while begin < end:
        piece = bytes(written[begin : min(begin + step, end)])
        if begin + len(piece) < end:
            cut = piece.rfind(_END_OF_LINE)
            if cut < 1 or piece[cut - 1 : cut] == b"\\":  # that may be a backslash and an n
                return msgspec.json.decode(raw, type=str)
            piece = piece[: cut + len(_END_OF_LINE)]
        pieces.append(msgspec.json.decode(b'"%b"' % piece, type=str))
        begin += len(piece)
        yield_gil()
    return "".join(pieces)


def encode_result(
    result: Result,
    *,
    user_message: str = EXECUTION_FAILED,
    task_statuses: Sequence[Mapping[str, Any]] | None = None,
    classic: bool = False,
) -> bytes:
    """Write a result message, as official workers do.

    Args:
        result: what became of a task; its ``data`` must be there.
        user_message: for an error, what to tell the user of it.
        task_statuses: the task's stations, each with ``timestamp`` (ns), ``state`` and ``actor``.
        classic: write it as funcX 1.x does, without ``details``.

    Returns:
        The message.

    Raises:
        ValueError: the result has no data.
    """
    if result.data is None:
        raise ValueError(f"the result of task {result.task_id} has no data to send")
    data: dict[str, Any] = {"task_id": result.task_id, "data": result.data}
    if not classic:
        data["details"] = result.details
    data["error_details"] = None
    if result.error_code is not None:
        data["error_details"] = {"code": result.error_code, "user_message": user_message}
    data["task_statuses"] = task_statuses
    envelope = {"message_type": "result", "data": data}
    try:
        return _VERSION + _encode(envelope)
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file in a traceback
        data["data"] = result.data.encode("utf-8", "backslashreplace").decode("utf-8")
        return _VERSION + _encode(envelope)


def _decode_leniently(body: bytes, shape: type[E], error: Exception) -> E:
    """Read a message with half a surrogate pair in it; raise MalformedMessage for another one."""
    try:
        body[1:].decode("utf-8")
        return decode_leniently(body[1:], shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed(body, error) from error


def _other_protocol(body: bytes) -> MalformedMessage:
    if not body:
        return MalformedMessage("empty", "a message without a byte in it is not a result")
    return MalformedMessage(
        "version", f"a message of protocol version {body[0]} is not known here (known: 1)"
    )


def _malformed(body: bytes, error: Exception) -> MalformedMessage:
    """Find out what is wrong with a message that could not be read as a result."""
    try:
        body[1:].decode("utf-8")
        message_type = _decode_type(body[1:]).message_type
    except UnicodeDecodeError as undecodable:
        return MalformedMessage("encoding", f"the message is not UTF-8: {undecodable.reason}")
    except msgspec.ValidationError:
        return MalformedMessage("fields", f"the message is not a result: {error}")
    except (msgspec.DecodeError, RecursionError) as unreadable:
        return MalformedMessage("json", f"the message is not JSON: {unreadable}")
    if message_type != "result":
        return MalformedMessage("type", f"a {message_type[:50]!r} message is not a result")
    return MalformedMessage("fields", f"the message is not a result: {error}")
