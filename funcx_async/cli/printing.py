"""What is printed, and where: results to the standard output, words about them beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

WIDE = 200
"""Columns of what is no terminal: nothing is cut there."""

ID_WIDTH = 36
"""Characters of a UUID."""


def console(*, beside: bool = False) -> Console:
    """Make a console that writes to where the standard output is now.

    Args:
        beside: write to the standard error instead.
    """
    made = Console(stderr=beside, highlight=False)
    if not made.is_terminal:
        made.width = max(WIDE, shutil.get_terminal_size().columns)
    return made


def ids_first(*columns: str) -> Table:
    """Make a table whose first column holds ids, which are never cut: one copies them.

    Args:
        columns: what stands above the columns.
    """
    table = Table()
    table.add_column(columns[0], min_width=ID_WIDTH, overflow="fold")
    for name in columns[1:]:
        table.add_column(name, overflow="fold")
    return table


def as_text(document: Any) -> str:
    """Give a document as JSON, on several lines."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def print_json(document: Any) -> None:
    """Print a document as JSON."""
    typer.echo(as_text(document))


def printable(value: Any) -> Any:
    """Give a value as JSON can carry it, or else as the text that Python shows.

    Example:
        >>> printable([1, "a"]), printable({1j: 2}), printable([float("nan")])
        ([1, 'a'], '{1j: 2}', '[nan]')
    """
    try:
        msgspec.json.encode(value)
        # What is no number, or infinite, has no place in JSON; msgspec makes nothing of it.
        json.dumps(msgspec.to_builtins(value, str_keys=True), allow_nan=False)
    except Exception:  # whatever its own methods raise
        return shown(value, repr)
    return value


def shown(value: Any, write: Callable[[Any], str] = str) -> str:
    """Give a value as text.

    Args:
        value: what a task gave.
        write: ``str`` or ``repr``; where that raises, the value's type is named instead.

    Example:
        >>> shown(4.0), shown("a", repr)
        ('4.0', "'a'")
    """
    try:
        return write(value)
    except Exception as error:  # whatever its own methods raise
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"


def harmless(words: str) -> str:
    """Leave out what a terminal would obey: a colour, or the order to clear the screen.

    Example:
        >>> harmless(chr(27) + "[31mValueError: bad")
        '[31mValueError: bad'
    """
    return "".join(each for each in words if each.isprintable() or each in "\n\t")
