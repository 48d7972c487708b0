"""What is printed, and where: results to the standard output, words about them beside it."""

from __future__ import annotations

import shutil
from typing import Any

import msgspec
import typer
from rich.console import Console

WIDE = 200
"""Columns of what is no terminal: nothing is cut there."""


def console(*, beside: bool = False) -> Console:
    """Make a console that writes to where the standard output is now.

    Args:
        beside: write to the standard error instead.
    """
    made = Console(stderr=beside, highlight=False)
    if not made.is_terminal:
        made.width = max(WIDE, shutil.get_terminal_size().columns)
    return made


def as_text(document: Any) -> str:
    """Give a document as JSON, on several lines."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def print_json(document: Any) -> None:
    """Print a document as JSON."""
    typer.echo(as_text(document))


def printable(value: Any) -> Any:
    """Give a value as JSON can carry it, or else as the text that Python shows.

    Example:
        >>> printable([1, "a"]), printable({1j: 2})
        ([1, 'a'], '{1j: 2}')
    """
    try:
        msgspec.json.encode(value)
    except Exception:  # whatever its own methods raise
        return repr(value)
    return value
