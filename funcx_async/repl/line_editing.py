"""Line editing at the prompt: completion, pasting and history, by Python's ``readline``."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def enable_editing(namespace: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Complete names on Tab, and keep pasted text in one piece.

    Line by line, an empty line within a pasted function would end it. Only GNU readline can tell
    what is pasted.

    Args:
        namespace: the names to complete.
        environment: the environment variables; ``TERM=dumb`` turns bracketed paste off.
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


def enable_history(environment: Mapping[str, str]) -> None:
    """Keep a history in the file that Python's own prompt uses.

    A startup file that reads a history also writes it; then nothing is done here, or every line
    would be written twice.

    Args:
        environment: the environment variables; ``PYTHON_HISTORY`` names the file, which is
            ``~/.python_history`` by default.
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
