"""The command line: ``funcx-async``, which is also ``python -m funcx_async``.

It needs the extra ``cli``, and nothing of that is imported before a command is run.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

MISUSED = 2
"""The exit code for words that are no command, and where an extra is missing."""


class Interrupted(Exception):
    """Ctrl-C, and what is to be said of it."""


class ExtraMissing(Exception):
    """A command needs packages that are not installed, and how to install them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; by default those that it was started with.

    Returns:
        The exit code: 0; 1 for what went wrong; 2 for words that are no command, or a missing
        extra; 130 after Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(words or ["--help"])
    except Interrupted as interrupted:
        return _say(str(interrupted), INTERRUPTED)
    except KeyboardInterrupt:
        return _say("Interrupted.", INTERRUPTED)
    except BrokenPipeError:  # as with `| head`: what reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(words: list[str]) -> int:
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        return _say("The command line needs its extra: pip install 'funcx-async[cli]'", MISUSED)
    from funcx_async.cli.app import app
    from funcx_async.cli.printing import harmless
    from funcx_async.errors import FuncXError

    # A library that is interrupted while it connects may warn so in the middle of our one line.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        app(words, prog_name="funcx-async")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            raise KeyboardInterrupt from None
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:
        raise
    except ExtraMissing as missing:
        return _say(str(missing), MISUSED)
    except (FuncXError, OSError, ValueError) as error:
        return _say(harmless(f"{words[0]} failed: {error}"), 1)  # it may quote a remote error
    return 0


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return code
