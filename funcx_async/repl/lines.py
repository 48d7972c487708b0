"""What a prompt does for lines that are being typed.

Tab completes, what is pasted stays one piece, and old lines come back.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def edit(namespace: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Have Tab complete names, and what is pasted come as one line with its newlines.

    Line by line, an empty one in a function that is pasted would end it. Of what Python may have
    for editing lines only GNU's readline can tell what is pasted.

    Args:
        namespace: has the names.
        environment: ``TERM`` in it may say that the terminal is one that knows nothing of that.
    """
    if sys.platform == "win32":
        return
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(namespace).complete)
    if "libedit" in (readline.__doc__ or ""):
        readline.parse_and_bind("bind ^I rl_complete")
        return
    readline.parse_and_bind("tab: complete")
    if environment.get("TERM") != "dumb":
        readline.parse_and_bind("set enable-bracketed-paste on")


def remember(environment: Mapping[str, str]) -> None:
    """Have lines remembered where Python's own prompt keeps them.

    Whoever has read lines in a startup file keeps them by itself, and twice they would double.

    Args:
        environment: ``PYTHON_HISTORY`` in it names the file; ``~/.python_history`` if not.
    """
    if sys.platform == "win32":
        return
    try:
        import readline
    except ImportError:
        return
    if readline.get_current_history_length():
        return
    file = environment.get("PYTHON_HISTORY") or Path("~/.python_history").expanduser()
    with suppress(OSError):
        readline.read_history_file(file)

    def write() -> None:
        with suppress(OSError):
            readline.write_history_file(file)

    atexit.register(write)
