"""The base of all strategies, and how several serialized texts become one.

A pack has for each text its length in decimal, a newline, and the text itself. The length counts
characters (code points), not bytes. There is no terminator, so packs may be joined end to end: the
service makes a task by putting a function's pack before its arguments'.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize.diagnosis import CannotTravel, cause_of, describe, unsendable

IDENTIFIER_LENGTH = 3


class SerializationStrategy(ABC):
    r"""One encoding of code or of data.

    A strategy has no state: any two instances of a class are alike.

    Attributes:
        identifier: three characters, the last a newline; every text of the strategy begins so.
        for_code: whether it is for callables; else for everything else.

    Example:
        >>> from funcx_async.serialize import JSONData
        >>> JSONData().serialize([1, None])
        '11\n[1, null]'
    """

    identifier: ClassVar[str]
    for_code: ClassVar[bool]

    def serialize(self, value: Any, *, name: str = "the value") -> str:
        """Write an object as text.

        Args:
            value: the object.
            name: what to call it in an error.

        Returns:
            The identifier and the encoded object.

        Raises:
            SerializationError: it cannot be written; the message names the part and the reason.
        """
        return self.identifier + self.body(value, name)

    def body(self, value: Any, name: str, at_most: int | None = None) -> str:
        """Write an object as :meth:`serialize` does, but without the identifier.

        Args:
            value: the object.
            name: what to call it in an error.
            at_most: how many characters are of use; a strategy may stop where it makes more.

        Raises:
            TooMuch: it stopped.
            SerializationError: it cannot be written; the message names the part and the reason.

        Example:
            >>> from funcx_async.serialize import JSONData
            >>> JSONData().body([1, None], "args")
            '[1, null]'
        """
        try:
            if at_most is None:
                return self.encode(value)
            return self.encode_at_most(value, at_most)
        except SerializationError:  # it says all that there is to say
            raise
        except Exception as error:  # an object may reduce itself as it likes
            raise unsendable(value, name, self.encode, error) from cause_of(error)

    def deserialize(self, payload: str) -> Any:
        """Read an object from text.

        Args:
            payload: what :meth:`serialize` returned, here or elsewhere.

        Returns:
            The object.

        Raises:
            DeserializationError: the text is of another strategy, or cannot be read here.
        """
        if payload[:IDENTIFIER_LENGTH] != self.identifier:
            raise DeserializationError(
                f"the payload begins with {payload[:IDENTIFIER_LENGTH]!r}, not with the "
                f"{self.identifier!r} of {type(self).__name__}",
                payload=payload,
            )
        try:
            return self.decode(payload[IDENTIFIER_LENGTH:])
        except Exception as error:  # a pickle may run any code
            raise unreadable(payload, type(self).__name__, error) from error

    @abstractmethod
    def encode(self, value: Any) -> str:
        """Write an object without the identifier; may raise anything.

        Example:
            >>> from funcx_async.serialize import JSONData
            >>> JSONData().encode([1, None])
            '[1, null]'
        """

    def encode_at_most(self, value: Any, at_most: int) -> str:
        """Write an object without the identifier; a strategy that can tell stops if it is longer.

        Raises:
            TooMuch: it would be longer than ``at_most`` characters.
            Exception: as ``encode``.

        Example:
            >>> from funcx_async.serialize import DillDataBase64, JSONData
            >>> JSONData().encode_at_most([1, None], 5)
            '[1, null]'
            >>> try:
            ...     DillDataBase64().encode_at_most("x" * 1_000, 100)
            ... except SerializationError as error:
            ...     print(error)
            it makes 1,018 bytes or more
        """
        return self.encode(value)

    @abstractmethod
    def decode(self, text: str) -> Any:
        """Read an object without the identifier; may raise anything."""


def unreadable(payload: str, strategy: str, error: Exception) -> DeserializationError:
    """Describe why a payload cannot be read, and what to do about it."""
    remedy = ""
    if isinstance(error, ModuleNotFoundError):
        remedy = ". Install or import that module where the result is read"
    return DeserializationError(
        f"a payload of {len(payload)} characters cannot be read by {strategy}: "
        f"{describe(error)}{remedy}",
        payload=payload,
    )


def first_that_reads(parts: list[tuple[SerializationStrategy, str]]) -> Any:
    """Read the first part that can be read.

    Raises:
        ValueError: none can; it says why, of each.
    """
    reasons: list[str] = []
    for strategy, payload in parts:
        try:
            return strategy.deserialize(payload)
        except DeserializationError as error:
            reasons.append(str(error))
    raise ValueError("; ".join(reasons) or "it has no part that is known here")


def all_that_write(strategies: list[SerializationStrategy], value: Any) -> list[str]:
    """Write an object in every way that works for it.

    Raises:
        CannotTravel: none does; it says why, of each.
    """
    written: list[str] = []
    reasons: list[str] = []
    for strategy in strategies:
        try:
            written.append(strategy.identifier + strategy.encode(value))
        except Exception as error:  # it is a reason, whatever it is
            reasons.append(f"by {type(strategy).__name__}: {describe(error)}")
    if not written:
        raise CannotTravel("; ".join(reasons))
    return written


# Packs


_LONGEST_LENGTH = 18
"""Digits of a length that can be meant; more of them are not a length but something else."""


class MalformedFrame(ValueError):
    """The text is not a sequence of length-prefixed buffers."""


def pack_buffers(buffers: Iterable[str]) -> str:
    r"""Join texts so that they can be told apart again.

    Args:
        buffers: any texts; each usually begins with the header of its strategy.

    Returns:
        The packed text.

    Example:
        >>> pack_buffers(["11\n[]", "11\n{}"])
        '5\n11\n[]5\n11\n{}'
    """
    return "".join(f"{len(buffer)}\n{buffer}" for buffer in buffers)


def unpack_buffers(packed: str) -> list[str]:
    r"""Take a pack apart.

    Args:
        packed: what :func:`pack_buffers` made, or several such joined end to end.

    Returns:
        The texts, in order.

    Raises:
        MalformedFrame: a length is missing, or is not a number, or promises more than is there.

    Example:
        >>> unpack_buffers('5\n11\n[]5\n11\n{}')
        ['11\n[]', '11\n{}']
    """
    buffers: list[str] = []
    position = 0
    while position < len(packed):
        newline = packed.find("\n", position, position + _LONGEST_LENGTH + 1)
        length = packed[position:newline] if newline >= 0 else ""
        if not (length.isascii() and length.isdecimal()):
            found = packed[position : position + 30]
            raise MalformedFrame(f"expected a length and a newline at {position}, got {found!r}")
        start = newline + 1
        position = start + int(length)
        if position > len(packed):
            raise MalformedFrame(
                f"the buffer at {start} is cut short: it promises {length} characters, "
                f"{len(packed) - start} are there"
            )
        buffers.append(packed[start:position])
    return buffers
