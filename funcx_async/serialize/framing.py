"""Several serialized texts in one: each is its length in decimal, a newline, and itself.

The length counts characters (code points), not bytes. There is no terminator, so packs may be
joined end to end: the service makes a task by putting a function's pack before its arguments'.
"""

from __future__ import annotations

from collections.abc import Iterable

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
