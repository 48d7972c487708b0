"""The strategies for code that carry one function in several encodings."""

from __future__ import annotations

from typing import Any

from funcx_async.serialize.code import (
    DillCode,
    DillCodeSource,
    DillCodeTextInspect,
    PickleCode,
    PureSourceDill,
    PureSourceTextInspect,
)
from funcx_async.serialize.framing import pack_buffers, unpack_buffers
from funcx_async.serialize.strategy import (
    IDENTIFIER_LENGTH,
    SerializationStrategy,
    all_that_write,
    first_that_reads,
)

_KNOWN: dict[str, SerializationStrategy] = {
    strategy.identifier: strategy
    for strategy in (
        DillCode(),
        PickleCode(),
        DillCodeTextInspect(),
        DillCodeSource(),
        PureSourceTextInspect(),
        PureSourceDill(),
    )
}


class CombinedCode(SerializationStrategy):
    """Source in a pickle, and the compiled function behind it: what classic workers read.

    Parts are divided by colons, which source text has too; so only the two base64 parts are
    written, and only base64 parts can be read.
    """

    identifier = "10\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function in both ways."""
        parts = all_that_write([DillCodeSource(), DillCode()], value)
        return ":".join(f"{part[:IDENTIFIER_LENGTH]}:{part[IDENTIFIER_LENGTH:]}" for part in parts)

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        pieces = text.split(":")
        pairs = zip(pieces[::2], pieces[1::2], strict=False)
        return first_that_reads(
            [(_KNOWN[head], head + body) for head, body in pairs if head in _KNOWN]
        )


class AllCodeStrategies(SerializationStrategy):
    """Source as :mod:`inspect` finds it, as dill finds it, and the compiled function.

    The reader takes the first that it can read, and a source part can be read even if the
    function needs more than its own text; such a function then fails when it is called. Use it
    for functions that stand alone, between different versions of Python.
    """

    identifier = "12\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function in every way that works for it."""
        strategies = [PureSourceTextInspect(), PureSourceDill(), DillCode()]
        return pack_buffers(all_that_write(strategies, value))

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        parts = [(part[:IDENTIFIER_LENGTH], part) for part in unpack_buffers(text)]
        return first_that_reads([(_KNOWN[head], part) for head, part in parts if head in _KNOWN])
