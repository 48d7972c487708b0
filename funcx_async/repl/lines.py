"""What a prompt does for lines that are being typed: Tab completes, and old ones come back."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def complete(namespace: dict[str, Any]) -> None:
    """Have Tab complete names.

    Args:
        namespace: has the names.
    """
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(namespace).complete)
    on_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if on_editline else "tab: complete")


def remember(environment: Mapping[str, str]) -> None:
    """Have lines remembered where Python's own prompt keeps them.

    Whoever has read lines in a startup file keeps them by itself, and twice they would double.

    Args:
        environment: ``PYTHON_HISTORY`` in it names the file; ``~/.python_history`` if not.
    """
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
