"""What a prompt does for lines that are being typed: Tab completes, and old ones come back."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def complete_and_remember(namespace: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Have Tab complete names, and lines remembered where Python's own prompt keeps them.

    Args:
        namespace: has the names.
        environment: ``PYTHON_HISTORY`` in it names the file; ``~/.python_history`` if not.
    """
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(namespace).complete)
    on_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if on_editline else "tab: complete")
    file = environment.get("PYTHON_HISTORY") or Path("~/.python_history").expanduser()
    with suppress(OSError):
        readline.read_history_file(file)

    def remember() -> None:
        with suppress(OSError):
            readline.write_history_file(file)

    atexit.register(remember)
