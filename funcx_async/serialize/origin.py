"""Where a function or class comes from, and so whether a worker can be expected to have it.

A worker has the standard library, and is expected to have what comes from a package index. It
does not have the running script, the session, or an application's own modules, be they plain
files, an editable install, or a package installed from a folder of this machine. funcx_async
itself counts as one's own too: a worker needs nothing but dill.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType

_SITE = frozenset({"site-packages", "dist-packages"})
_HEAP_TYPE = 1 << 9
_OWN = __name__.partition(".")[0]


def worker_has(module_name: str) -> bool:
    """Tell whether a worker can be expected to import a module of this name.

    Args:
        module_name: dotted, as in ``__module__``.

    Returns:
        True for the standard library and for installed distributions that are neither editable
        nor local, False for everything else.

    Example:
        >>> worker_has("json.decoder"), worker_has("__main__")
        (True, False)
    """
    module = sys.modules.get(module_name)
    if module is None or module_name == "__main__":
        return False
    top = module_name.partition(".")[0]
    if top == _OWN:
        return False
    place = _place(module) or _place(sys.modules.get(top))
    if place is None:
        return top in sys.stdlib_module_names
    return _is_elsewhere(top, place)


def found_by_name(thing: FunctionType | type) -> bool:
    """Tell whether a worker can be expected to find this very function or class by its name.

    Args:
        thing: a function or class.

    Returns:
        False if its module is one's own, or if the name leads to something else, as it does for
        what was defined inside a function.
    """
    module_name = getattr(thing, "__module__", None)
    if not isinstance(module_name, str) or not worker_has(module_name):
        return False
    found: object = sys.modules[module_name]
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def is_ours(kind: type) -> bool:
    """Tell whether a class must travel by value.

    Args:
        kind: any class.

    Returns:
        True if it was made by a class statement or call in a module that the worker cannot be
        expected to have; classes that an extension or the interpreter brings are dill's affair.
    """
    written_in_python = bool(kind.__flags__ & _HEAP_TYPE)
    return written_in_python and not found_by_name(kind) and not worker_has(kind.__module__)


def _place(module: ModuleType | None) -> str | None:
    """The file or folder that a module was read from, if it was."""
    place = getattr(module, "__file__", None)
    if place is None:
        folders = list(getattr(module, "__path__", None) or ())
        place = folders[0] if folders else None
    return place if isinstance(place, str) else None


@cache
def _is_elsewhere(top: str, place: str) -> bool:
    """Whether what lies at this place here can be expected on other machines too."""
    if not _SITE.isdisjoint(Path(place).parts):
        return top not in _local_packages()
    library = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return any(Path(place).is_relative_to(folder) for folder in library)


@cache
def _local_packages() -> frozenset[str]:
    """Top-level names that were installed from a folder of this machine."""
    names: set[str] = set()
    for distribution in importlib.metadata.distributions():
        if _is_local(distribution.read_text("direct_url.json")):
            for file in distribution.files or ():
                names.add(file.parts[0].removesuffix(".py"))
    return frozenset(names)


def _is_local(direct_url: str | None) -> bool:
    if direct_url is None:
        return False
    try:
        return "dir_info" in json.loads(direct_url)
    except (ValueError, TypeError):
        return False
