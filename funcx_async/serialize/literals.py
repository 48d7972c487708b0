"""Values as Python text that evaluates to their equals, on any version of Python 3."""

from __future__ import annotations

import math
from typing import Any

from funcx_async.serialize.origin import state_of_worker

LONGEST = 20_000
"""Characters of code and values; what is larger travels as bytes alone."""

_LONGEST_INTEGER = 10_000
"""Bits: Python refuses to write much longer ones in decimals."""

_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{", "}"),
    dict: ("{", "}"),
}


class NoLiteral(ValueError):
    """A value that cannot be written as text."""


def literal_of(value: object, seen: dict[int, object]) -> str:
    """Write a value as an expression made of literals alone.

    Args:
        value: None, or of the exact types bool, int, float, str, bytes, tuple, list, dict, set.
        seen: the mutable objects that are written already; this adds to them. One that comes
            again would become two, and so has no literal.

    Returns:
        The expression.

    Raises:
        NoLiteral: the value is of another type, is too large, comes again, or is what a module
            of the worker's holds, such as ``sys.path``.

    Example:
        >>> literal_of({"sizes": [1, 2.5]}, {})
        "{'sizes': [1, 2.5]}"
    """
    kind = type(value)
    if kind in _BRACKETS:
        return _container(value, kind, seen)
    if value is None or kind is bool:
        return repr(value)
    if isinstance(value, str | bytes) and kind in (str, bytes) and len(value) <= LONGEST:
        return repr(value)
    if isinstance(value, int) and kind is int and value.bit_length() < _LONGEST_INTEGER:
        return repr(value)
    if isinstance(value, float) and kind is float and math.isfinite(value):
        return repr(value)
    raise NoLiteral(f"{kind.__qualname__} has no literal, or it is too large for one")


def _container(value: Any, kind: type, seen: dict[int, object]) -> str:
    if len(value) > LONGEST or (kind is set and not value):
        raise NoLiteral(f"this {kind.__qualname__} has no literal, or it is too large for one")
    if kind is not tuple:
        if (place := state_of_worker(value)) is not None:
            raise NoLiteral(f"it holds {'.'.join(place)}, and the worker has its own")
        if id(value) in seen:
            raise NoLiteral(f"one {kind.__qualname__} is reached in two ways")
        seen[id(value)] = value  # kept alive, so that no other gets its id
    if kind is dict:
        parts = [f"{literal_of(k, seen)}: {literal_of(v, seen)}" for k, v in value.items()]
    else:
        parts = [literal_of(item, seen) for item in value]
    opening, closing = _BRACKETS[kind]
    comma = "," if kind is tuple and len(parts) == 1 else ""
    return f"{opening}{', '.join(parts)}{comma}{closing}"


def lines_literal(lines: str) -> str:
    r"""Write lines of text as a literal that shows them as they are, after an empty line.

    Args:
        lines: text that ends with a newline.

    Example:
        >>> print(lines_literal("return '\\n'.join(words)\n"))
        r'''
        return '\n'.join(words)
        '''
    """
    if "\r" in lines:  # which the compiler would take for a newline
        return repr(f"\n{lines}")
    for quotes in ("'''", '"""'):
        if quotes not in lines:
            raw = "r" if "\\" in lines else ""
            return f"{raw}{quotes}\n{lines}{quotes}"
    escaped = lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""\n{escaped}"""'
