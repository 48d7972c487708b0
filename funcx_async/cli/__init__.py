"""The command line, ``funcx-async``, which is the same as ``python -m funcx_async``.

It needs the extra ``cli``. Nothing of that extra is imported before a command runs.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells use it."""

USAGE_ERROR = 2
"""The exit code for a command line that is not understood, and for a missing extra."""


class CommandEnded(Exception):
    """Ends a command with a message.

    Args:
        message: what to print to the standard error.
        code: the exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; by default those of this process.

    Returns:
        The exit code: 0; 1 for a failure; 2 for a command line that is not understood or a missing
        extra; 130 after Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(words or ["--help"])
    except CommandEnded as ended:
        return _fail(str(ended), ended.code)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:  # as with `| head`: the reader has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(words: list[str]) -> int:
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        return _fail("The command line needs an extra: pip install 'funcx-async[cli]'", USAGE_ERROR)
    from funcx_async.cli.app import app
    from funcx_async.errors import FuncXError, printable

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A result must not be lost because the console cannot encode it.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A library that is interrupted while it connects may print this warning after our message.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        app(words, prog_name="funcx-async")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            raise KeyboardInterrupt from None
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:
        raise
    except (FuncXError, OSError, ValueError) as error:  # the message may quote a remote error
        return _fail(printable(f"{words[0]} failed: {error}"), 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return code
