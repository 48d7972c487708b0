"""The strategies for data: arguments and results."""

from __future__ import annotations

import json
from typing import Any

from funcx_async.serialize import pickled
from funcx_async.serialize.base64_text import decoded_size
from funcx_async.serialize.bounded import TooMuch
from funcx_async.serialize.framing import pack_buffers, unpack_buffers
from funcx_async.serialize.strategy import (
    IDENTIFIER_LENGTH,
    SerializationStrategy,
    all_that_write,
    first_that_reads,
)


class DillDataBase64(SerializationStrategy):
    r"""A pickle as base64: the default, for nearly every object, between like Pythons.

    Classes of the running script and of one's own modules travel by value.

    Example:
        >>> DillDataBase64().serialize([1])
        '00\ngASVBgAAAAAAAABdlEsBYS4=\n'
    """

    identifier = "00\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Pickle the value."""
        return pickled.to_text(pickled.dump(value))

    def encode_at_most(self, value: Any, at_most: int) -> str:
        """Pickle the value, but stop as soon as the text would be too long."""
        most = decoded_size(at_most)
        for item in value if type(value) is tuple else ():  # these are copied as a whole
            if (type(item) is str or type(item) is bytearray) and len(item) > most:
                raise TooMuch(len(item))
        return pickled.to_text(pickled.dump(value, most))

    def decode(self, text: str) -> Any:
        """Unpickle the value, which may run code of whoever wrote it."""
        return pickled.load_text(text)


class JSONData(SerializationStrategy):
    r"""JSON: readable by any Python and safe to read; tuples become lists, keys strings.

    Example:
        >>> JSONData().serialize({"sizes": (1, 2)})
        '11\n{"sizes": [1, 2]}'
    """

    identifier = "11\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Write the value as JSON."""
        return json.dumps(value)

    def decode(self, text: str) -> Any:
        """Read JSON."""
        return json.loads(text)


class AllDataStrategies(SerializationStrategy):
    """JSON and pickle in one, as far as each can be had; the reader takes JSON if it is there.

    So values may change on the way: a nested tuple arrives as a list.

    Example:
        >>> AllDataStrategies().deserialize(AllDataStrategies().serialize({"sizes": (1, 2)}))
        {'sizes': [1, 2]}
    """

    identifier = "13\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Write the value in both ways."""
        return pack_buffers(all_that_write([JSONData(), DillDataBase64()], value))

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        known = {strategy.identifier: strategy for strategy in (JSONData(), DillDataBase64())}
        parts = [(part[:IDENTIFIER_LENGTH], part) for part in unpack_buffers(text)]
        return first_that_reads([(known[head], part) for head, part in parts if head in known])
