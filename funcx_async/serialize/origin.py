"""Where a function or class comes from, and so whether a worker can be expected to have it.

A worker has the standard library, and is expected to have what comes from a package index. It
does not have the running script, the session, or an application's own modules, be they plain
files, an editable install, or a package installed from a folder of this machine. dill and
funcx_async count as the worker's wherever they lie; what is sent needs dill alone.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Container
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
    WrapperDescriptorType,
)
from typing import Any

from funcx_async.serialize.bytecode import globals_written, imports_all, names_assigned
from funcx_async.serialize.installed import is_everywhere

_HEAP_TYPE = 1 << 9
_PARTS_IN_C = (ClassMethodDescriptorType, MethodDescriptorType, WrapperDescriptorType)
_by_value: dict[str, bool] = {}
"""What somebody said of modules: whether they go by value."""

_ALWAYS = frozenset({"dill", __name__.partition(".")[0]})
"""What a worker has, wherever it lies here."""


def worker_has(module_name: str) -> bool:
    """Return whether a worker can be expected to import a module of this name.

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
    return top in _ALWAYS or _are_everywhere(
        module_name, _places(module) or _places(sys.modules.get(top))
    )


def _are_everywhere(module_name: str, places: list[str]) -> bool:
    """Whether a worker has all that a module was read from; a namespace may lie in two folders."""
    if not places:
        return is_everywhere(module_name, None)
    return all(is_everywhere(module_name, place) for place in places)


def send_by_value(module: str | ModuleType) -> None:
    """Send the functions and classes of a module by value.

    Use it for modules that are installed here and not on the workers. It applies to the whole
    process, and to functions that are submitted for the first time afterwards.

    Args:
        module: a module or package, or its name; its submodules are included, unless they have
            their own rule.

    Raises:
        TypeError: it is neither.

    Example:
        >>> send_by_value("my_lab_tools")
    """
    _by_value[_name_of(module)] = True
    _worker_state.forget()


def send_by_reference(module: str | ModuleType) -> None:
    """Send the functions and classes of a module by reference, as the workers have the module.

    Use it for your own modules that are installed on the workers, too. It applies as
    :func:`send_by_value` does.

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
    _worker_state.forget()


def worker_lacks(module_name: str) -> bool:
    """Return whether an import on the worker would fail, as the module is the user's.

    Args:
        module_name: absolute; it need not be imported here, and is not by asking.

    Returns:
        True if it lies among one's own files here; False also if it is nowhere here.
    """
    if (rule := _rule_for(module_name)) is not None:
        return rule
    if module_name.partition(".")[0] in _ALWAYS:
        return False
    if module_name in sys.modules:
        return not worker_has(module_name)
    spec = _spec_of(module_name)
    if spec is None or spec.origin in ("built-in", "frozen"):
        return False
    places = [spec.origin] if spec.origin else [*(spec.submodule_search_locations or ())]
    return not _are_everywhere(spec.name, places)


def _spec_of(module_name: str) -> ModuleSpec | None:
    """Find the outermost package of a module that is no mere namespace, without an import."""
    name, _, inner = module_name.partition(".")
    try:
        spec = importlib.util.find_spec(name)
        while inner and spec is not None and spec.origin is None:
            part, _, inner = inner.partition(".")
            name = f"{name}.{part}"
            spec = PathFinder.find_spec(name, spec.submodule_search_locations) or spec
    except Exception:  # a finder may be anybody's
        return None
    return spec


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
    """Return whether a worker can be expected to find this very function or class by its name.

    Args:
        thing: a function or class.

    Returns:
        False if its module is one's own, or if the name leads to something else, as it does for
        what was defined inside a function.
    """
    module_name = getattr(thing, "__module__", None)
    if not isinstance(module_name, str) or not worker_has(module_name):
        return False
    found: object = sys.modules.get(module_name)
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def public_home(kind: type) -> str:
    """Return the module under whose name every Python has a class of the standard library.

    Example:
        >>> import pathlib
        >>> public_home(pathlib.PurePath)
        'pathlib'
    """
    home: str = kind.__module__
    package, _, private = home.rpartition(".")
    if private.startswith("_") and package.partition(".")[0] in sys.stdlib_module_names:
        found = getattr(sys.modules.get(package), "__dict__", {}).get(kind.__name__)
        return package if found is kind else home
    return home


def is_ours(kind: type) -> bool:
    """Return whether a class must be sent by value.

    Args:
        kind: any class.

    Returns:
        True if it was made by a class statement or call and the worker cannot be expected to find
        it by its name; classes that an extension or the interpreter brings are dill's affair.
    """
    written_in_python = bool(kind.__flags__ & _HEAP_TYPE) and not _has_parts_in_c(kind)
    return written_in_python and not found_by_name(kind)


def _has_parts_in_c(kind: type) -> bool:
    """Return whether a class has its own methods in C; a class statement never makes any."""
    return any(
        isinstance(value, _PARTS_IN_C) and value.__objclass__ is kind
        for value in vars(kind).values()
    )


def state_of_worker(value: object) -> tuple[str, str] | None:
    """Find the name by which a module that the worker has holds this very object.

    For objects whose identity matters, such as ``os.environ``, ``random._inst``, a registry or a
    sentinel of a library: a task must use the worker's own, not a copy of this process's.

    Args:
        value: any object; one that compares and hashes by its value has no such name, nor has a
            module, class, function, method or open file.

    Returns:
        The module and the attribute, or None.

    Example:
        >>> import os
        >>> state_of_worker(os.environ)
        ('os', 'environ')
    """
    return _worker_state.find(value)


class _WorkerState:
    """The objects that modules of the worker's hold, by identity; it keeps none of them alive."""

    def __init__(self) -> None:
        self._homes: dict[int, list[tuple[str, str]]] = {}
        self._indexed: set[str] = set()
        self._modules_seen: tuple[int, str] | None = None
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Start again, as other modules count as the worker's now."""
        with self._lock:
            self._homes, self._indexed, self._modules_seen = {}, set(), None

    def find(self, value: object) -> tuple[str, str] | None:
        if self._modules_seen != _last_import():
            self._index_new_modules()
        homes = self._homes.get(id(value), ())
        if not homes and type(value).__hash__ is not None:
            return None
        if not _matters_by_identity(value):
            return None
        real = [home for home in homes if _holds(home, value)] or _replaced(value)
        kind_home: object = type(value).__module__  # a class may say anything
        if not real or not isinstance(kind_home, str) or not worker_has(kind_home):
            return None
        return min(real, key=_preference(real, kind_home))

    def _index_new_modules(self) -> None:
        with self._lock:
            seen: tuple[int, str] | None = _last_import()
            modules: dict[str, object] = {**sys.modules}  # typeshed knows of modules alone
            for name in modules.keys() - self._indexed:
                if _is_being_imported(modules[name]):
                    seen = None  # so the next call looks again
                else:
                    self._indexed.add(name)
                    self._index(name, modules[name])
            self._modules_seen = seen

    def _index(self, name: str, module: object) -> None:
        if not isinstance(module, ModuleType) or name == "builtins" or not worker_has(name):
            return
        for attribute, value in vars(module).copy().items():
            if _matters_by_identity(value) and not attribute.startswith("__"):
                self._homes.setdefault(id(value), []).append((name, attribute))


def _is_being_imported(module: object) -> bool:
    if not isinstance(module, ModuleType):  # whose attributes may be anything
        return False
    return bool(getattr(vars(module).get("__spec__"), "_initializing", False))


def _last_import() -> tuple[int, str]:
    """Something that changes when a module is imported."""
    return len(sys.modules), next(reversed(sys.modules))


def _matters_by_identity(value: object) -> bool:
    """Whether a copy of a value would be something else than the value.

    What hashes by value, such as a path, a date or a pattern, is as good as its copy. Loggers and
    time zones pickle by their own names, which hold wherever the object happens to hang.
    """
    kind = type(value)  # and not isinstance, which asks the object that a proxy stands for
    if issubclass(kind, _HAS_NO_HOME):
        return False
    if issubclass(kind, logging.Logger):
        return value is logging.root
    hashed: object = kind.__hash__
    if hashed is None or hashed is object.__hash__ or kind.__module__ == "sys":
        return True  # sys.flags and sys.version_info are tuples of types that have no name
    return kind in (ContextVar, SENTINEL)


SENTINEL: object = getattr(builtins, "sentinel", None)
"""The type of named sentinels, since Python 3.15."""

_HAS_NO_HOME = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    *io.IOBase.__bases__,
    tzinfo,
    TracebackType,
    type(None),
    type(...),
    type(NotImplemented),
)

_OF_THIS_PROCESS = frozenset(
    {"last_exc", "last_type", "last_value", "last_traceback", "stdin", "stdout", "stderr"}
)
"""Attributes of ``sys`` that hold what the user's program put there."""


_OFTEN_REPLACED = (
    (sys, "path"),
    (sys, "argv"),
    (sys, "meta_path"),
    (sys, "path_hooks"),
    (sys, "warnoptions"),
    (warnings, "filters"),
    (os, "environ"),
    (os, "environb"),
)
"""Containers that programs replace after their module was indexed, as
``warnings.catch_warnings()`` and test runners do."""


def _replaced(value: object) -> list[tuple[str, str]]:
    return [
        (module.__name__, name)
        for module, name in _OFTEN_REPLACED
        if module.__dict__.get(name) is value
    ]


def _holds(home: tuple[str, str], value: object) -> bool:
    """Whether the worker's module can be expected to hold the object under this name, too."""
    module_name, name = home
    if getattr(sys.modules.get(module_name), "__dict__", {}).get(name) is not value:
        return False
    if module_name == "sys" and name in _OF_THIS_PROCESS:
        return False
    bindings = _bindings_of(module_name)
    return bindings is None or (name in bindings.known and name not in bindings.rebound)


@dataclass(frozen=True, slots=True)
class _Bindings:
    """How the code of a module binds its globals.

    Attributes:
        known: names that it mentions at its top level; others were attached from outside.
        made: those that it makes itself.
        rebound: those that its functions assign, so that each process may have something else.
    """

    known: Container[str]
    made: frozenset[str]
    rebound: frozenset[str]


class _Anything:
    """Contains every name: that of a module which imports all that another has."""

    def __contains__(self, name: object) -> bool:
        return True


@cache
def _bindings_of(module_name: str) -> _Bindings | None:
    """How a module binds its globals; None if it is not written in Python."""
    spec = getattr(sys.modules.get(module_name), "__spec__", None)
    try:
        code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]  # else it fails
    except Exception:  # a loader may be anybody's
        return None
    if not isinstance(code, CodeType):
        return None
    known = _Anything() if imports_all(code) else frozenset(code.co_names)
    return _Bindings(known, names_assigned(code), globals_written(code))


def _preference(
    homes: list[tuple[str, str]], kind_home: str
) -> Callable[[tuple[str, str]], tuple[object, ...]]:
    """Sort the public, short names of the package that makes the object first."""
    makers = {
        module_name.partition(".")[0]
        for module_name, name in homes
        if (bindings := _bindings_of(module_name)) is None or name in bindings.made
    }
    kind_top = kind_home.partition(".")[0]

    def rank(home: tuple[str, str]) -> tuple[object, ...]:
        module_name, name = home
        top = module_name.partition(".")[0]
        private = sum(part.startswith("_") for part in (*module_name.split("."), name))
        depth = module_name.count(".")
        return (
            top != kind_top,
            top not in makers,
            private,
            module_name != kind_home,
            depth,
            len(module_name),
            home,
        )

    return rank


def _places(module: ModuleType | None) -> list[str]:
    """The file that a module was read from, or the folders of a package without one."""
    file = getattr(module, "__file__", None)
    if file is None:
        return [path for path in getattr(module, "__path__", None) or () if isinstance(path, str)]
    return [file] if isinstance(file, str) else []


_worker_state = _WorkerState()


# Imports in source text


class NotImportable(ValueError):
    """An object that no module of the worker's gives."""


def imported(name: str) -> str:
    """An expression that imports a module, and is no import to the compiler."""
    return f"__import__('importlib').import_module({name!r})"


def importable(value: Any, name: str) -> tuple[str, str]:
    """Find a module that the worker has, and the name by which it gives this very object.

    It may be a bound method: ``random.randint`` is one, of the module's own generator.

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
    raise NotImportable(f"{name} is not in a module that the worker has")


def is_a_name(text: Any) -> bool:
    """Whether text may stand where Python expects a name."""
    return isinstance(text, str) and text.isidentifier()
