"""Public names that are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    package: str,
    public: Sequence[str],
    homes: Mapping[str, str],
    *,
    extra: str = "",
    user: str = "",
    libraries: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        public: its ``__all__``.
        homes: the module in it that each name is imported from.
        extra: the extra of this distribution that the modules need.
        user: who needs it, in words.
        libraries: the modules that come with the extra, and what installs each.

    Returns:
        Both functions. The first raises AttributeError for any other name, and ImportError, with
        what to install, where a library is missing.
    """

    def getattr_(name: str) -> Any:
        """Import the name, once."""
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            home = import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as error:
            library = (libraries or {}).get((error.name or "").partition(".")[0])
            if library is None:
                raise
            raise ImportError(
                f"{user} needs {library}, which is not installed; "
                f"run: pip install 'funcx-async[{extra}]'"
            ) from error
        value = getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        """The public names."""
        return list(public)

    return getattr_, dir_
