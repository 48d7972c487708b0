"""Where a function or class comes from, and so whether a worker can be expected to have it.

A worker has the standard library, and is expected to have what comes from a package index. It
does not have the running script, the session, or an application's own modules, be they plain
files, an editable install, or a package installed from a folder of this machine. funcx_async
itself counts as one's own too: a worker needs nothing but dill.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType

_SITE = frozenset({"site-packages", "dist-packages"})
_HEAP_TYPE = 1 << 9
_by_value: dict[str, bool] = {}
"""What somebody said of modules: whether they go by value."""

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
    if (rule := _rule_for(module_name)) is not None:
        return not rule
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


def send_by_value(module: str | ModuleType) -> None:
    """Have a module's functions and classes travel by value from now on.

    For what is installed here and not on the workers. It counts for the whole process, and for
    functions that are submitted for the first time afterwards.

    Args:
        module: a module or package, or its name; its submodules are meant too, unless they have a
            rule of their own.

    Raises:
        TypeError: it is neither.

    Example:
        >>> send_by_value("my_lab_tools")
    """
    _by_value[_name_of(module)] = True


def send_by_reference(module: str | ModuleType) -> None:
    """Have a module's functions and classes travel by name from now on: the workers have them.

    For one's own modules that are installed on the workers too; see :func:`send_by_value`.

    Args:
        module: a module or package, or its name.

    Raises:
        TypeError: it is neither.
        ValueError: it is ``__main__``, which no worker has.

    Example:
        >>> send_by_reference("my_lab_tools")
    """
    name = _name_of(module)
    if name == "__main__":
        raise ValueError("__main__ is the running program; no worker has it")
    _by_value[name] = False


def worker_lacks(module_name: str) -> bool:
    """Tell whether an import on the worker would fail, as the module is one's own.

    Args:
        module_name: absolute; it need not be imported here, and is not by asking.

    Returns:
        True if it lies among one's own files here; False also if it is nowhere here.
    """
    top = module_name.partition(".")[0]
    if top == _OWN or _rule_for(module_name) is False:
        return False
    if module_name in sys.modules or top in sys.modules:
        return not worker_has(module_name if module_name in sys.modules else top)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin in ("built-in", "frozen"):
        return False
    place = spec.origin or next(iter(spec.submodule_search_locations or []), None)
    return place is not None and not _is_elsewhere(top, place)


def _rule_for(module_name: str) -> bool | None:
    """Whether a module goes by value, if anybody has said so of it or of its package."""
    name = module_name
    while _by_value and name:
        if name in _by_value:
            return _by_value[name]
        name = name.rpartition(".")[0]
    return None


def _name_of(module: str | ModuleType) -> str:
    name: object = getattr(module, "__name__", None) if isinstance(module, ModuleType) else module
    if not isinstance(name, str) or not name:
        raise TypeError(f"expected a module or its name, got {module!r}")
    return name


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
