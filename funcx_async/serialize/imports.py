"""How source text comes by what the worker has: by the module and name that give it here."""

from __future__ import annotations

import sys
from typing import Any

from funcx_async.serialize.origin import worker_has


class NotImportable(ValueError):
    """An object that no module of the worker's gives."""


def imported(name: str) -> str:
    """An expression that imports a module, and is no import to the compiler."""
    return f"__import__('importlib').import_module({name!r})"


def importable(value: Any, name: str) -> tuple[str, str]:
    """Find a module that the worker has, and the name by which it gives this very object.

    A bound method may be had so too: ``random.randint`` is one, of the module's own generator.

    Args:
        value: a function, class or other callable.
        name: what it is called here, which is tried after its own name.

    Raises:
        NotImportable: there is none.
    """
    home = getattr(value, "__module__", None)
    if not isinstance(home, str):
        home = type(getattr(value, "__self__", None)).__module__
    found = getattr(sys.modules.get(home), "__dict__", {})
    for attribute in (getattr(value, "__name__", name), name):
        if found.get(attribute) is value and worker_has(home) and is_a_name(attribute):
            return home, attribute
    raise NotImportable(f"{name} is not to be had from a module that the worker has")


def is_a_name(text: Any) -> bool:
    """Whether text may stand where Python expects a name."""
    return isinstance(text, str) and text.isidentifier()
