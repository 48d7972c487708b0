"""Printing: results go to standard output, messages to standard error."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

NO_TERMINAL_WIDTH = 200
"""Columns at least where the output is not a terminal: nothing is cut there."""

ID_WIDTH = 36
"""Characters of a UUID."""

MAX_INT_DIGITS = 1_000_000
"""The longest integer that is printed or read; Python's own limit is 4,300 digits."""


def console(*, stderr: bool = False) -> Console:
    """Return a console for the current standard output.

    Args:
        stderr: write to the standard error instead.
    """
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = max(NO_TERMINAL_WIDTH, shutil.get_terminal_size().columns)
    return made


def ids_first(*columns: str) -> Table:
    """Return a table whose first column holds ids, which are never cut so that they can be copied.

    Args:
        columns: the headings of the columns.
    """
    table = Table()
    table.add_column(columns[0], min_width=ID_WIDTH, overflow="fold")
    for name in columns[1:]:
        table.add_column(name, overflow="fold")
    return table


def to_json(document: Any) -> str:
    r"""Return a document as indented JSON in ASCII, which every console can encode.

    Example:
        >>> print(to_json(["λ"]))
        [
          "\u03bb"
        ]
    """
    with long_integers():
        return json.dumps(document, indent=2, allow_nan=False)


def echo(text: str) -> None:
    """Print a line to the standard output.

    Unlike ``typer.echo`` it keeps the encoding of the console, also where that is ASCII.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(document: Any) -> None:
    """Print a document as JSON."""
    echo(to_json(document))


def json_value(value: Any) -> Any:
    """Return a value in types of JSON, or else as its ``repr``.

    Raises:
        ValueError: if its ``repr`` fails.

    Example:
        >>> json_value([1, "a"]), json_value({1j: 2}), json_value([float("nan")])
        ([1, 'a'], '{1j: 2}', '[nan]')
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=True)
        with long_integers():
            json.dumps(plain, allow_nan=False)
    except Exception:  # its own methods may raise anything
        return to_text(value, repr)
    return plain


def to_text(value: Any, convert: Callable[[Any], str] = str) -> str:
    """Return the result of a task as text.

    Args:
        value: the result.
        convert: ``str`` or ``repr``.

    Raises:
        ValueError: if the conversion fails.

    Example:
        >>> to_text(4.0), to_text("a", repr)
        ('4.0', "'a'")
    """
    try:
        with long_integers():
            return convert(value)
    except Exception as error:  # its own methods may raise anything
        raise ValueError(
            f"its result is a {type(value).__name__} that cannot be printed "
            f"({type(error).__name__}: {error}). Await the task in a program instead."
        ) from error


@contextmanager
def long_integers() -> Iterator[None]:
    """Allow the conversion of integers of up to a million digits within the context."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MAX_INT_DIGITS)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)
