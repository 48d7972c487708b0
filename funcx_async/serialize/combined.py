"""The strategies for code that carry one function in several encodings."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from funcx_async.serialize import pickled
from funcx_async.serialize.code import (
    UNCOMBINED,
    DillCode,
    DillCodeSource,
    PureSourceTextInspect,
)
from funcx_async.serialize.framing import pack_buffers, unpack_buffers
from funcx_async.serialize.source import Incomplete, source_of
from funcx_async.serialize.strategy import (
    IDENTIFIER_LENGTH,
    SerializationStrategy,
    first_that_reads,
)


class CombinedCode(SerializationStrategy):
    """Source in a pickle, and the compiled function behind it: what classic workers read.

    Parts are divided by colons, which source text has too; so only the two base64 parts are
    written, and only base64 parts can be read. Source is only there where it is complete.

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> payload = CombinedCode().serialize(double)
        >>> CombinedCode().deserialize(payload)(21)
        42
    """

    identifier = "10\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function in both ways."""
        parts = [f"{DillCode.identifier}:{DillCode().encode(value)}"]
        with suppress(Incomplete):
            source = source_of(value)
            text = pickled.to_text(pickled.dump((source.name, source.text)))
            parts.insert(0, f"{DillCodeSource.identifier}:{text}")
        return ":".join(parts)

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        pieces = text.split(":")
        pairs = zip(pieces[::2], pieces[1::2], strict=False)
        return first_that_reads(
            [(UNCOMBINED[head], head + body) for head, body in pairs if head in UNCOMBINED]
        )


class AllCodeStrategies(SerializationStrategy):
    """The function as source text, where that is complete and true, and compiled: the default.

    The reader takes the first part that it can read. Source runs on any version of Python; the
    compiled part behind it needs the same one, and is all there is of functions whose text would
    not say all of them (see docs/serialization.md).

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> payload = AllCodeStrategies().serialize(double)
        >>> AllCodeStrategies().deserialize(payload)(21)
        42
    """

    identifier = "12\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function, with what it uses."""
        parts = [DillCode.identifier + DillCode().encode(value)]
        with suppress(Incomplete):
            source = source_of(value)
            parts.insert(0, f"{PureSourceTextInspect.identifier}{source.name}:{source.text}")
        return pack_buffers(parts)

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        parts = [(part[:IDENTIFIER_LENGTH], part) for part in unpack_buffers(text)]
        return first_that_reads(
            [(UNCOMBINED[head], part) for head, part in parts if head in UNCOMBINED]
        )


def lone_part(payload: str) -> str:
    """Give the only part of a payload of :class:`AllCodeStrategies`, which older workers read too.

    Args:
        payload: of any strategy.

    Returns:
        That part, or the payload as it is if it has several or is of another strategy.
    """
    if not payload.startswith(AllCodeStrategies.identifier):
        return payload
    parts = unpack_buffers(payload[IDENTIFIER_LENGTH:])
    return parts[0] if len(parts) == 1 else payload
