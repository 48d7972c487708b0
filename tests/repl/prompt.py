"""``python -m funcx_async``, as somebody begins it who has set nothing."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO

from tests.repl.terminal import Terminal, running

COMMAND = [sys.executable, "-m", "funcx_async"]

SOMEBODYS = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
"""An endpoint that nobody here has."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of somebody whose home is there, and what was set in it."""
    ours = ("FUNCX_ASYNC", "PYTHONSTARTUP", "PYTHON_HISTORY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HOME": str(home)} | variables


def prompt(
    home: Path,
    *words: str,
    output: IO[bytes] | None = None,
    kind: str = "dumb",
    **variables: str,
) -> AbstractAsyncContextManager[Terminal]:
    """Begin the prompt under a terminal, for a ``with`` block."""
    return running([*COMMAND, *words], environment(home, **variables), output=output, kind=kind)
