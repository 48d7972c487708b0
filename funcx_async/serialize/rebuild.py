"""Rebuild what was sent by value: functions, classes and modules that the reader does not have.

A worker needs nothing of this package. The text of this file travels inside each pickle that needs
it and becomes a module of its own there, so it uses the standard library alone and runs on Python
3.8 and later. The package itself reads results with the same code.

Rules:

- One task has one class per key, whether the class came with the function or with an argument; a
  later state of it replaces an earlier one.
- The next task starts with nothing: its classes are built again, so no task sees what another one
  wrote into a class. The worker names the task in the environment variable ``GC_TASK_UUID``.
- A class is built as it was. No ``__init_subclass__``, ``__set_name__`` or metaclass runs again.
- In a worker, dill writes a rebuilt class as a reference by its key, so results come home.
- A class of the reading process itself is never changed by what it reads.
"""

from __future__ import annotations

import abc
import builtins
import contextlib
import copyreg
import enum
import functools
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

originals: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""The classes and type variables of this process by their keys."""

_HEAP_TYPE = 1 << 9
"""The flag of classes that a class statement makes, in their ``__flags__``."""

_HARMLESS = frozenset(["enum", "typing"])
"""Modules whose own ``__init_subclass__`` asks for nothing and is left alone."""


class Keys:
    """The keys of classes, by identity: a metaclass may take two classes for equal."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref[type], str]] = {}

    def get(self, kind: type) -> str | None:
        """Return the key of a class, or None."""
        _, key = self._found.get(id(kind), (None, None))
        return key

    def set(self, kind: type, key: str) -> None:
        """Remember the key of a class for as long as the class lives."""
        found, number = self._found, id(kind)
        found[number] = weakref.ref(kind, lambda _: found.pop(number, None)), key


_keys = Keys()
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
        body: what can only be set when the class is made, such as ``__slots__``.
    """
    known = _begin(key, version)
    if known is not None:
        if key in task().filling:
            _empty(known, bases, body)
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
    return _made(key, lambda: _enum_of(*definition), definition[2])


def _enum_of(
    meta: type,
    name: str,
    bases: tuple[type, ...],
    body: dict[str, Any],
    mixin: Any,
    members: list[tuple[str, Any, tuple[Any, ...]]],
    options: dict[str, Any],
) -> type:
    """Return a new enumeration; no ``__new__`` or ``__init__`` of the user's runs again.

    Args:
        meta: its metaclass.
        name: its ``__name__``.
        bases: its bases.
        body: what can only be set when the class is made.
        mixin: the type of data that its members are, or ``object``.
        members: of each, aliases included: name, value, and the arguments for the type of data.
        options: keywords of the class statement, such as ``boundary``.
    """
    namespace: Any = enum.EnumMeta.__prepare__(name, bases)
    for attribute, value in body.items():
        namespace[attribute] = value
    for number, (member, *_) in enumerate(members):
        namespace[member] = number
    remaining = iter(members)

    def new(cls: type, *given: object) -> Any:
        _, value, arguments = next(remaining)
        made = mixin.__new__(cls, *arguments)
        made._value_ = value
        return made

    namespace["__new__"], namespace["__init__"] = new, _ignore
    if not hasattr(enum, "FlagBoundary"):
        options = {}
    metaclass: Any = enum.EnumMeta
    made: type = metaclass.__new__(meta, name, bases, namespace, **options)
    for attribute in ("__init__", "__new_member__"):
        type.__delattr__(made, attribute)
    return made


def fill(
    kind: type,
    attributes: dict[str, Any],
    registered: list[type],
    members: dict[str, tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Set the state of a class, if it is one that the task was sent.

    Args:
        kind: the class.
        attributes: what it has.
        registered: the classes that were registered with it, if it is abstract.
        members: the attributes and slots of its members, if it is an enumeration.
    """
    if _keys.get(kind) not in task().filling:
        return
    for name, value in attributes.items():
        type.__setattr__(kind, name, value)
    register: Any = abc.ABCMeta.register
    for other in registered:
        register(kind, other)
    for name, (state, slots) in members.items():
        member = vars(kind)["_member_map_"][name]
        vars(member).update(state)
        for slot, value in slots.items():
            object.__setattr__(member, slot, value)  # a frozen dataclass refuses setattr
    _write_well(kind)


def reduction_of(
    kind: Any, is_ours: Callable[[type], object]
) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return how instances of a class of the user's are pickled, or None for pickle's own way.

    That calls the class with what the type below it holds, be it a built-in or an installed one.
    The user's ``__init__`` may take other arguments, or do something with them once more.

    Args:
        kind: the class.
        is_ours: returns whether a class is the user's.
    """
    if kind in copyreg.dispatch_table:
        return None
    if issubclass(kind, enum.Enum):
        return _reduced_member
    native, is_exception = kind, issubclass(kind, BaseException)
    while is_ours(native) or (is_exception and native.__flags__ & _HEAP_TYPE):
        native = native.__base__
    differing = [n for n in (*_REDUCTIONS, *_MAKERS) if _of(kind, n) is not _of(native, n)]
    if native is object or not differing or not {*differing}.isdisjoint(_REDUCTIONS):
        return None
    return functools.partial(_reduced_instance, native)


_REDUCTIONS = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
_MAKERS = ("__new__", "__init__", "__setitem__", "append", "extend")
"""What pickle calls, on the class or on an instance, when it reads."""


def _of(kind: type, name: str) -> object:
    return getattr(kind, name, None)


def _reduced_member(member: Any) -> tuple[Any, ...]:
    """Reduce a member to its name: its value may equal nothing but itself."""
    kind = type(member)
    if kind._member_map_.get(member._name_) is member:
        return getattr, (kind, member._name_)
    return kind, (member._value_,)


def _reduced_instance(native: Any, thing: Any) -> Any:
    """Reduce an instance to the type below its class, which makes and fills it."""
    kind, reduced = type(thing), thing.__reduce_ex__(4)
    parts: Any = (*reduced, None, None, None)
    make, arguments, state, items, pairs, *_ = parts
    if make is copyreg.__newobj__:  # type: ignore[attr-defined]  # typeshed lacks it
        arguments = arguments[1:]
        if native.__new__ is object.__new__ and items is None and pairs is None:
            return reduced
    elif make is not kind:
        return reduced
    if state is None:
        state = getattr(thing, "__dict__", None) or None
    contents = native, state, list(items or ()), list(pairs or ())
    return remake, (native, kind, make is kind, *arguments), contents, None, None, refill


def remake(native: Any, kind: type, is_whole: bool, *arguments: object) -> Any:
    """Return an instance of a class as the type below it makes it.

    Args:
        native: the type.
        kind: the class.
        is_whole: the arguments are for ``__init__``, too.
        *arguments: what the type takes.
    """
    made = native.__new__(kind, *arguments)
    if is_whole and native.__init__ is not object.__init__:
        native.__init__(made, *arguments)
    return made


def refill(made: Any, contents: tuple[Any, Any, list[Any], list[tuple[Any, Any]]]) -> None:
    """Set the items and state of an instance, without methods that the user has replaced."""
    native, state, items, pairs = contents
    for item in items:
        native.append(made, item)
    for key, value in pairs:
        native.__setitem__(made, key, value)
    if state is None:
        return
    if (set_state := getattr(type(made), "__setstate__", None)) is not None:
        set_state(made, state)
        return
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    for name, value in {**(attributes or {}), **(slots or {})}.items():
        object.__setattr__(made, name, value)


def once(key: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the object of a key, which exists once in a task.

    Where it is from, or where the name that the key is made of leads to such an object, it is that.
    """
    current = task()
    if key in current.objects:
        return current.objects[key]
    made = make(*arguments)
    known = originals.get(key)
    if known is None and not IN_WORKER and not OWN_WORKER:
        home, _, name = key.partition(":")
        known = getattr(sys.modules.get(home), "__dict__", {}).get(name)
    if type(known) is type(made):  # the name may be of something else by now
        return known
    if current.name is not None:
        current.objects[key] = made
    return _under_key(key, made)


def _under_key(key: str, made: Any) -> Any:
    """Remember under which key something came; it goes home under the same one."""
    with contextlib.suppress(TypeError):  # a bare object has no weak references
        _keys.set(made, key)
    return made


def made_in(home: str, make: Callable[[], Any]) -> Any:
    """Return what a function makes that looks at the module which calls it."""
    return eval("make()", {"__name__": home, "make": make})  # noqa: S307  # our own text


def instance(kind: type, *arguments: Any) -> Any:
    """Return a new instance without a ``__new__`` of the user's: its class is not complete yet."""
    for base in kind.__mro__:
        made_by: Any = vars(base).get("__new__")
        if made_by is not None and not isinstance(made_by, staticmethod):
            return made_by(kind, *arguments)
    return object.__new__(kind)


def _begin(key: str, version: str) -> type | None:
    """Return the class if it is known, and note whether its state is to be set."""
    original: type | None = originals.get(key)
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
    _keys.set(kind, key)
    expose(kind)
    dill: Any = sys.modules.get("dill._dill")
    if IN_WORKER and dill is not None:
        dill._typemap[kind] = PREFIX + key  # noqa: SLF001  # where dill looks first
        _write_well(kind)
    if current.name is None and len(current.classes) > KEPT:
        oldest = next(iter(current.classes))
        _forget(current.classes.pop(oldest))
        current.versions.pop(oldest, None)
    return kind


def _write_well(kind: type) -> None:
    """Register how dill writes the instances of a class, by :func:`reduction_of`."""
    if IN_WORKER and (reduction := reduction_of(kind, key_of)) is not None:
        copyreg.pickle(kind, reduction)


def _forget(kind: type) -> None:
    dill: Any = sys.modules.get("dill._dill")
    if IN_WORKER and dill is not None:
        dill._typemap.pop(kind, None)  # noqa: SLF001  # see _made
        copyreg.dispatch_table.pop(kind, None)


def _without_hooks(make: Callable[[], type], bases: tuple[type, ...]) -> type:
    """Make a class while ``__init_subclass__`` of its bases does nothing.

    It ran where the class was defined. Here it would run without the body and the keywords.
    """
    ancestors = [ancestor for base in bases for ancestor in base.__mro__]
    hooked = [each for each in ancestors if "__init_subclass__" in vars(each)]
    with _lock:
        hooks: list[tuple[type, Any]] = []
        try:
            for ancestor in hooked:
                if ancestor.__module__ in _HARMLESS:
                    continue
                hook = vars(ancestor)["__init_subclass__"]
                try:
                    type.__setattr__(ancestor, "__init_subclass__", classmethod(_ignore))
                except TypeError:
                    continue  # a type of the interpreter: its hook does nothing
                hooks.append((ancestor, hook))
            return make()
        finally:
            for ancestor, hook in reversed(hooks):  # an ancestor of two bases is there twice
                type.__setattr__(ancestor, "__init_subclass__", hook)


def _ignore(it: object, /, *arguments: object, **keywords: object) -> None:
    pass


def _empty(kind: type, bases: tuple[type, ...], body: dict[str, Any]) -> None:
    """Take away what a class has, before its state is set again."""
    for name, value in list(vars(kind).items()):
        slot = isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
        if not slot and name not in body and name != "_abc_impl":
            with contextlib.suppress(AttributeError, TypeError):  # the interpreter keeps some
                type.__delattr__(kind, name)
    if kind.__bases__ != bases:
        kind.__bases__ = bases
