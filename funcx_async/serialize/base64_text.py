"""Bytes as base64 text and back, by the SIMD library where it is installed."""

from __future__ import annotations

from typing import Final

try:
    import pybase64 as base64
except ImportError:  # a Python without a wheel, and workers that have the package alone
    import base64  # type: ignore[no-redef]  # the same functions, slower

LINE: Final = 57
"""Bytes in a full line of text."""


def encode(content: bytes) -> str:
    r"""Write bytes as base64 in lines of 76 characters, each ended by a newline.

    Example:
        >>> encode(b"abc")
        'YWJj\n'
    """
    return base64.encodebytes(content).decode("ascii")


def decode(text: str) -> bytes:
    r"""Read base64; characters that are not of its alphabet, newlines among them, are skipped.

    Raises:
        ValueError: The padding is wrong, or the text is not ASCII.

    Example:
        >>> decode("YWJj\n")
        b'abc'
    """
    return base64.b64decode(text)


def encoded_size(size: int) -> int:
    """Return how many characters so many bytes make.

    Example:
        >>> encoded_size(3) == len(encode(b"abc"))
        True
    """
    return 4 * -(-size // 3) + -(-size // LINE)


def decoded_size(size: int) -> int:
    """Return how many bytes fit in so many characters.

    Example:
        >>> decoded_size(10_000_000)
        7402596
    """
    lines, rest = divmod(size, 77)  # characters of a full line, its newline included
    return LINE * lines + max(0, rest - 1) // 4 * 3
