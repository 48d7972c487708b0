"""Rebuild what was sent by value: functions, classes and modules that the reader does not have.

A worker needs nothing of this package. The text of this file travels inside each pickle that needs
it and becomes a module of its own there, so it uses the standard library alone and runs on Python
3.8 and later. The package itself reads results with the same code.

Rules:

- One task has one class per key, whether the class came with the function or with an argument; a
  later state of it replaces an earlier one.
- The next task starts with nothing: its classes are built anew, so no task sees what another one
  wrote into a class. The worker names the task in the environment variable ``GC_TASK_UUID``.
- A class is built as it was. No ``__init_subclass__``, ``__set_name__`` or metaclass runs again.
- In a worker, dill writes a rebuilt class as a reference by its key, so results come home.
- A class of the reading process itself is never changed by what it reads.
"""

from __future__ import annotations

import abc
import builtins
import contextlib
import enum
import gc
import importlib.util
import linecache
import marshal
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

PREFIX = "funcx_async:"
"""Begins the names by which dill refers to rebuilt classes."""

IN_WORKER = not __name__.startswith("funcx_async.")
"""Whether this is the text that came with a pickle, in a process that may only have dill."""

OWN_WORKER = False
"""Whether this process is a worker of the package's own local service.

What its tasks were sent can then be pickled by name while they run.
"""

KEPT = 256
"""Classes that are remembered where the worker does not say which task runs."""

COLLECT_AFTER = 64
"""Rebuilt classes after which garbage is collected: classes are cycles, and may hold much."""

originals: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
"""The classes of this process by their keys."""

_HARMLESS = frozenset(["enum", "typing"])
"""Modules whose own ``__init_subclass__`` asks for nothing and is left alone."""

_keys: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_local = threading.local()
_lock = threading.RLock()
_built = 0


class Task:
    """What one task has been sent.

    Attributes:
        name: the task's id, or None where nobody says it.
        classes: the classes by key.
        versions: the state that each class was given last.
        objects: other things that exist once in a task, by key.
        modules: stand-ins in ``sys.modules``, each with the module that it hides or None.
        filling: keys of the classes whose state is to be set.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.classes: dict[str, type] = {}
        self.versions: dict[str, str] = {}
        self.objects: dict[str, Any] = {}
        self.modules: dict[str, tuple[types.ModuleType, types.ModuleType | None]] = {}
        self.filling: set[str] = set()

    def leave(self) -> None:
        """Forget everything; what still refers to a class keeps it."""
        global _built
        for kind in self.classes.values():
            _forget(kind)
        for name, (module, hidden) in self.modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
                if hidden is not None:
                    sys.modules[name] = hidden
        _built += len(self.classes)
        self.__init__(None)  # type: ignore[misc]
        if _built >= COLLECT_AFTER:
            _built = 0
            gc.collect()


def task() -> Task:
    """Return what the running task has been sent; a new one begins with nothing."""
    name = os.environ.get("GC_TASK_UUID")
    current: Task | None = getattr(_local, "task", None)
    if current is None or current.name != name:
        if current is not None:
            current.leave()
        current = _local.task = Task(name)
    return current


def leave() -> int:
    """End the running task; return how many classes it was sent."""
    current: Task | None = getattr(_local, "task", None)
    if current is None:
        return 0
    built = len(current.classes)
    current.leave()
    _local.task = None
    return built


# Functions


def check(magic: bytes, version: str) -> None:
    """Refuse compiled code of another Python, which could crash this process.

    Raises:
        RuntimeError: the code is not for this Python.
    """
    if magic != importlib.util.MAGIC_NUMBER:
        here = ".".join(map(str, sys.version_info[:2]))
        raise RuntimeError(
            f"this function was compiled by Python {version} and the worker runs Python {here}; "
            "use the same minor version on both sides, or a function that can be sent as source "
            "(funcx_async.explain tells why this one cannot)"
        )


def code(marshalled: bytes) -> types.CodeType:
    """Return compiled code; :func:`check` has told that it is for this Python."""
    made: types.CodeType = marshal.loads(marshalled)  # noqa: S302  # a pickle is no safer
    return made


def function(
    code: types.CodeType, namespace: dict[str, Any], name: str, closure: tuple[types.CellType, ...]
) -> types.FunctionType:
    """Return a function without defaults and attributes."""
    task()  # the classes of an earlier one go
    namespace.setdefault("__builtins__", builtins)
    made = types.FunctionType(code, namespace, name, None, closure)
    expose(made)
    return made


def describe(function: types.FunctionType, state: dict[str, Any]) -> None:
    """Set the defaults and attributes of a function."""
    for name, value in state.items():
        setattr(function, name, value)


def cell() -> types.CellType:
    """Return an empty cell of a closure."""
    return types.CellType()


def expose(thing: Any) -> None:
    """Let pickle find something by its name, as ``multiprocessing`` needs it."""
    name, module = thing.__qualname__, thing.__module__
    if not OWN_WORKER or "." in name or not isinstance(module, str) or task().name is None:
        return
    stand_ins = task().modules
    if module not in stand_ins:
        hidden = sys.modules.get(module)
        if hidden is not None and module != "__main__":
            return  # the worker has a module of that name
        stand_ins[module] = types.ModuleType(module), hidden
        sys.modules[module] = stand_ins[module][0]
    vars(stand_ins[module][0]).setdefault(name, thing)


def lines(path: str, first: int, text: list[str]) -> None:
    """Let tracebacks show the source of functions whose files are not here.

    Args:
        path: the file's name.
        first: the number of the first line.
        text: the lines, each with its end.
    """
    if not IN_WORKER and not OWN_WORKER:
        return  # this is where the function is from
    known: Any = linecache.cache.get(path)
    shown = list(known[2]) if known is not None and known[1:2] == (None,) else []
    last = first - 1 + len(text)
    shown.extend(["\n"] * (last - len(shown)))
    shown[first - 1 : last] = text
    linecache.cache[path] = (sum(map(len, shown)), None, shown, path)


# Classes


def key_of(kind: type) -> str | None:
    """Return the key under which a class came, or None."""
    return _keys.get(kind)


def class_(
    key: str,
    version: str,
    meta: type,
    name: str,
    bases: tuple[type, ...],
    body: dict[str, Any],
) -> type:
    """Return the class of a key, built unless the task has it.

    Args:
        key: the identity of the class.
        version: which state of it comes; ``fill`` sets that unless the class has it.
        meta: its metaclass.
        name: its ``__name__``.
        bases: its bases.
        body: what the class needs when it is made, such as ``__slots__``.
    """
    known = _begin(key, version)
    if known is not None:
        if key in task().filling:
            _empty(known, bases)
        return known
    maker: Any = abc.ABCMeta if issubclass(meta, abc.ABCMeta) else type
    return _made(key, lambda: maker.__new__(meta, name, bases, body), bases)


def enumeration(key: str, version: str, *definition: Any) -> type:
    """Return the enumeration of a key, built unless the task has it.

    Args:
        key: the identity of the class.
        version: which state of it comes.
        *definition: what :func:`enum_of` takes.
    """
    known = _begin(key, version)
    if known is not None:
        return known
    return _made(key, lambda: enum_of(*definition), definition[2])


def enum_of(
    meta: type,
    name: str,
    bases: tuple[type, ...],
    body: dict[str, Any],
    members: list[tuple[str, Any]],
    options: dict[str, Any],
) -> type:
    """Return a new enumeration.

    Args:
        meta: its metaclass.
        name: its ``__name__``.
        bases: its bases.
        body: ``__module__`` and ``__qualname__``.
        members: pairs of name and value, aliases included.
        options: keywords of the class statement, such as ``boundary``.
    """
    namespace: Any = enum.EnumMeta.__prepare__(name, bases)
    for attribute, value in body.items():
        namespace[attribute] = value
    for member, value in members:
        if hasattr(value, "__get__") and hasattr(enum, "member"):
            value = enum.member(value)  # else it would be a method
        namespace[member] = value
    if not hasattr(enum, "FlagBoundary"):
        options = {}
    metaclass: Any = enum.EnumMeta
    made: type = metaclass.__new__(meta, name, bases, namespace, **options)
    return made


def fill(
    kind: type,
    attributes: dict[str, Any],
    registered: list[type],
    members: dict[str, dict[str, Any]],
) -> None:
    """Set the state of a class, if it is one that the task was sent.

    Args:
        kind: the class.
        attributes: what it has.
        registered: the classes that were registered with it, if it is abstract.
        members: the attributes of its members, if it is an enumeration.
    """
    if _keys.get(kind) not in task().filling:
        return
    for name, value in attributes.items():
        type.__setattr__(kind, name, value)
    register: Any = abc.ABCMeta.register
    for other in registered:
        register(kind, other)
    for name, state in members.items():
        for attribute, value in state.items():
            setattr(getattr(kind, name), attribute, value)


def once(key: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the object of a key, which exists once in a task."""
    objects = task().objects
    if key not in objects or task().name is None:
        objects[key] = make(*arguments)
    return objects[key]


def _begin(key: str, version: str) -> type | None:
    """Return the class if it is known, and note whether its state is to be set."""
    original = originals.get(key)
    if original is not None:
        return original
    current = task()
    same = version and current.versions.get(key) == version and current.name is not None
    current.versions[key] = version
    if same:
        current.filling.discard(key)
    else:
        current.filling.add(key)
    return current.classes.get(key)


def _made(key: str, make: Callable[[], type], bases: tuple[type, ...]) -> type:
    kind = _without_hooks(make, bases)
    current = task()
    current.classes[key] = kind
    _keys[kind] = key
    expose(kind)
    dill: Any = sys.modules.get("dill._dill")
    if IN_WORKER and dill is not None:
        dill._typemap[kind] = PREFIX + key  # noqa: SLF001  # where dill looks first
    if current.name is None and len(current.classes) > KEPT:
        oldest = next(iter(current.classes))
        _forget(current.classes.pop(oldest))
        current.versions.pop(oldest, None)
    return kind


def _forget(kind: type) -> None:
    dill: Any = sys.modules.get("dill._dill")
    if IN_WORKER and dill is not None:
        dill._typemap.pop(kind, None)  # noqa: SLF001  # see _made


def _without_hooks(make: Callable[[], type], bases: tuple[type, ...]) -> type:
    """Make a class while ``__init_subclass__`` of its bases does nothing.

    It ran where the class was defined. Here it would run without the body and the keywords.
    """
    ancestors = [ancestor for base in bases for ancestor in base.__mro__]
    hooked = [each for each in ancestors if "__init_subclass__" in vars(each)]
    with _lock:
        hooks: dict[type, Any] = {}
        try:
            for ancestor in hooked:
                if ancestor.__module__ in _HARMLESS:
                    continue
                hook = vars(ancestor)["__init_subclass__"]
                try:
                    type.__setattr__(ancestor, "__init_subclass__", classmethod(_ignore))
                except TypeError:
                    continue  # a type of the interpreter: its hook does nothing
                hooks.setdefault(ancestor, hook)
            return make()
        finally:
            for ancestor, hook in hooks.items():
                type.__setattr__(ancestor, "__init_subclass__", hook)


def _ignore(cls: type, /, **keywords: object) -> None:
    pass


def _empty(kind: type, bases: tuple[type, ...]) -> None:
    """Take away what a class has, before its state is set again."""
    for name, value in list(vars(kind).items()):
        slot = isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
        if not slot and name not in ("__module__", "__qualname__", "__slots__", "_abc_impl"):
            with contextlib.suppress(AttributeError, TypeError):  # the interpreter keeps some
                type.__delattr__(kind, name)
    if kind.__bases__ != bases:
        kind.__bases__ = bases
