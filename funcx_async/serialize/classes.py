"""What of a class is sent when it is sent by value, and under which identity.

A class is often sent twice, with a function and with its arguments, and must still be one class
in the task, or ``isinstance`` and the comparison of enum members go wrong there. Its instances
must come home as instances of the original. So each class has a key: ``mymod:Outer.Inner`` where
that name leads to it, with a random suffix where it does not, as for a class defined in a function
or one whose name a later definition has taken. :mod:`funcx_async.serialize.rebuild` keeps the
classes of a task by key; results refer to them by key, and :func:`find` returns the original.
"""

from __future__ import annotations

import abc
import collections.abc
import copyreg
import enum
import importlib
import inspect
import numbers
import sys
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast, get_args, get_origin
from weakref import WeakSet

from funcx_async.serialize import rebuild
from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.origin import found_by_name, worker_has

_MADE_WITH_THE_CLASS = frozenset(
    {
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__module__",
        "__qualname__",
        "__slots__",
        "__orig_bases__",
        "__firstlineno__",
        "__slotnames__",
        "__static_attributes__",
        "_abc_impl",
    }
)

_NEEDED_AT_CREATION = frozenset({"__slots__", "__orig_bases__"})

_SET_LATER = frozenset({"__doc__", "__abstractmethods__", "__type_params__"})
"""Attributes of ``type`` that can be assigned, and of which some must be."""

_DEFINED = frozenset(
    {"_boundary_", "_generate_next_value_", "_new_member_", "_use_args_", "_value_repr_", "ONE"}
)
_MADE_WITH_MEMBERS = frozenset({"__new__", "_iter_member_"}) | {
    name
    for made in (enum.Enum("made", ["ONE"]), enum.Flag("made", ["ONE"]))
    for name in vars(made)
    if not name.startswith("__") and name not in _DEFINED
}
"""What an enumeration has of its members, and not of its definition."""

_RANDOM = "#"

_ABSTRACT: tuple[abc.ABCMeta, ...] = tuple(
    kind
    for module in (collections.abc, numbers)
    for kind in vars(module).values()
    if isinstance(kind, abc.ABCMeta)
)
"""Abstract classes of the standard library with which people register their own."""

_EVALUATED_LATE = "annotationlib" in sys.stdlib_module_names
"""Whether annotations are evaluated when they are asked for, as since Python 3.14."""

_METHODS = (FunctionType, classmethod, staticmethod, property)
_keys = rebuild.Keys()
_lock = threading.Lock()

sent_with_functions: WeakSet[type] = WeakSet()
"""The classes that a task may have from its function before its arguments are read."""


def key_of(kind: type) -> str:
    """Return the identity under which a class is sent; the same for as long as the class lives.

    Args:
        kind: a class that is defined here, or that came here by value.

    Returns:
        A key that no other class of this process has. Other processes use the same key for a
        class of the same name, unless the name does not lead to it.
    """
    if (came_as := rebuild.key_of(kind)) is not None:
        return str(came_as)
    with _lock:
        key = _keys.get(kind)
        if key is None:
            key = f"{_home_of(kind)}:{kind.__qualname__}"
            if rebuild.originals.get(key) is not None or _by_name(key) is not kind:
                key += f"{_RANDOM}{uuid.uuid4().hex[:12]}"
            _keys.set(kind, key)
            rebuild.originals[key] = kind
    return key


def _home_of(kind: type) -> str:
    """Return the module of a class; ``make_dataclass`` of Python 3.11 names another one."""
    if worker_has(kind.__module__):
        for name, module in list(sys.modules.items()):
            found = getattr(module, "__dict__", {}).get(kind.__name__)
            if found is kind and not worker_has(name):
                return name
    return kind.__module__


def key_of_variable(variable: Any) -> str | None:
    """Return the identity under which a type variable of a function is sent; some have none."""
    if (came_as := rebuild.key_of(variable)) is not None:
        return str(came_as)
    with _lock, suppress(TypeError):  # a type alias cannot be referred to weakly
        key = _keys.get(variable)
        if key is None:
            key = f"{variable.__module__}:{variable.__name__}{_RANDOM}{uuid.uuid4().hex[:12]}"
            _keys.set(variable, key)
            rebuild.originals[key] = variable
        return key
    return None


def find(key: str) -> Any:
    """Return the class that a result refers to.

    Args:
        key: the key under which the class was sent, from here or from an earlier process.

    Returns:
        The class that was sent; in another process, the one of that name in the same module.

    Raises:
        LookupError: there is none.
    """
    for known in (rebuild.originals, rebuild.task().classes):
        if (original := known.get(key)) is not None:
            return original
    name = key.partition(_RANDOM)[0]
    try:
        importlib.import_module(name.partition(":")[0])
    except ImportError as error:
        raise LookupError(f"its class {name} is not here: {error}") from error
    if (found := _by_name(name)) is None:
        raise LookupError(f"its class {name} is not here; define or import it before you read it")
    return found


def _by_name(key: str) -> object:
    """Return what a module that is imported has under a dotted name, or None."""
    module, _, qualified = key.partition(":")
    found: object = sys.modules.get(module)
    for name in qualified.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found


def is_known_elsewhere(key: str) -> bool:
    """Return whether a later process can find the class by its key."""
    return "<locals>" not in key


# The state of a class


def body_of(kind: type) -> dict[str, Any]:
    """Return what a class needs at the moment of its creation; the rest is set afterwards.

    Raises:
        CannotTravel: its metaclass is written in C, and only that can make such a class.
    """
    metaclasses = inspect.getmro(type(kind))
    maker = next(each for each in metaclasses if "__new__" in vars(each))
    if maker is not type and not isinstance(vars(maker)["__new__"], staticmethod | FunctionType):
        raise CannotTravel(
            f"it was made by {maker.__module__}.{maker.__qualname__}, which is written in C and "
            "cannot be asked how; use a dataclass, or a module that the workers have installed "
            "(send_by_reference)"
        )
    body = {
        name: value
        for name, value in vars(kind).items()
        if name in _NEEDED_AT_CREATION or _only_at_creation(kind, name, value)
    }
    return {"__module__": kind.__module__, "__qualname__": kind.__qualname__, **body}


def _only_at_creation(kind: type, name: str, value: object) -> bool:
    """Return whether the metaclass would take an assignment for its own, as of ``__class__``."""
    if name in _MADE_WITH_THE_CLASS or name in _SET_LATER or _is_slot(kind, value):
        return False
    homes = (vars(each) for each in inspect.getmro(type(kind)))
    found = next((home[name] for home in homes if name in home), None)
    return hasattr(type(found), "__set__")


def attributes_of(kind: type) -> dict[str, Any]:
    """Return what is set on a class after its creation."""
    attributes = {
        name: value
        for name, value in vars(kind).items()
        if name not in _MADE_WITH_THE_CLASS
        and not _is_slot(kind, value)
        and not _only_at_creation(kind, name, value)
    }
    if attributes.get("__doc__", "") is None:
        del attributes["__doc__"]
    if annotations := annotations_of(kind):
        attributes["__annotations__"] = resolved_annotations(kind, annotations)
    return attributes


def methods_among(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be set first: another attribute may be an instance of the class."""
    return {name: value for name, value in attributes.items() if type(value) in _METHODS}


def _is_slot(kind: type, value: object) -> bool:
    slots = (MemberDescriptorType, GetSetDescriptorType)
    return isinstance(value, slots) and value.__objclass__ is kind


def registered_with(kind: type) -> list[type]:
    """Return the classes that were registered with an abstract one of ours, by name."""
    return sorted(_registry(kind), key=key_of_any) if isinstance(kind, abc.ABCMeta) else []


def registered_as(kind: type) -> list[abc.ABCMeta]:
    """Return the abstract classes of the standard library that a class was registered with."""
    return [each for each in _ABSTRACT if kind in _registry(each)]


def _registry(kind: abc.ABCMeta) -> set[type]:
    dump: Any = vars(abc)["_get_dump"]  # there is no other way to read it
    return {found for reference in dump(kind)[0] if (found := reference()) is not None}


def key_of_any(kind: type) -> tuple[str, str]:
    """Return what orders classes in the same way in every process."""
    return kind.__module__, kind.__qualname__


# Enumerations


def members_by_name(kind: enum.EnumType) -> Mapping[str, enum.Enum]:
    """Return the members of an enumeration, aliases included."""
    return cast("Mapping[str, enum.Enum]", kind.__members__)


def enum_options(kind: enum.EnumType) -> dict[str, Any]:
    """Return the keywords with which an enumeration was defined."""
    boundary = vars(kind).get("_boundary_")
    return {} if boundary is None or not issubclass(kind, enum.Flag) else {"boundary": boundary}


def enum_attributes_of(kind: enum.EnumType) -> dict[str, Any]:
    """Return what an enumeration has beyond its members: methods, properties, constants."""
    made_again = {*_MADE_WITH_MEMBERS, *members_by_name(kind)}
    inherited = [vars(base) for base in kind.__mro__[1:]]
    return {
        name: value
        for name, value in attributes_of(kind).items()
        if name not in made_again and not any(each.get(name) is value for each in inherited)
    }


def arguments_of(member: enum.Enum) -> tuple[Any, ...]:
    """Return what the type of data that a member is, such as ``int``, makes it from.

    Raises:
        CannotTravel: the type does not tell.
    """
    mixin: Any = mixin_of(type(member))
    if mixin is object:
        return ()
    with suppress(Exception):  # the type may be the user's
        arguments = _reduced(mixin, member)
        again = mixin.__new__(mixin, *arguments)
        if repr(_reduced(mixin, again)) == repr(arguments):
            return arguments
    raise CannotTravel(
        f"{member!r} cannot be made again, as {mixin.__qualname__} does not tell from what; use a "
        "plain Enum, or a module that the worker has installed"
    )


def _reduced(kind: Any, value: object) -> tuple[Any, ...]:
    """Return what a type makes a value from, by what it tells pickle."""
    make, arguments, *_ = kind.__reduce_ex__(value, 4)
    if make is copyreg.__newobj__:  # type: ignore[attr-defined]  # typeshed lacks it
        make, *arguments = arguments
    if make is not type(value):
        raise TypeError(f"{make!r} makes it")
    return tuple(arguments)


def mixin_of(kind: enum.EnumType) -> type:
    """Return the type of data that the members of an enumeration are, or ``object``."""
    return cast("type", vars(kind)["_member_type_"])


def member_state(member: enum.Enum) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an enumeration's own ``__init__`` or ``__new__`` has put on a member.

    Returns:
        Its attributes, and its slots.
    """
    bare = {"_name_", "__objclass__", "_sort_order_"}
    if type(member.value).__hash__ is not None:
        bare.add("_value_")  # else it may have changed since
    state: Any = object.__getstate__(member)
    _, slots = state if isinstance(state, tuple) else (None, {})
    return {name: value for name, value in vars(member).items() if name not in bare}, slots


# Annotations


def annotations_of(thing: FunctionType | type) -> Mapping[str, Any]:
    """Return the annotations of a function, or those of a class itself.

    Since Python 3.14 they are evaluated when they are asked for; what names something that is only
    there for type checkers is its text then.
    """
    if not _EVALUATED_LATE:
        found = vars(thing).get("__annotations__", {}) if isinstance(thing, type) else None
        return inspect.get_annotations(thing) if found is None else found
    annotationlib: Any = importlib.import_module("annotationlib")
    found = annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF)
    texts = annotationlib.get_annotations(thing, format=annotationlib.Format.STRING)
    unknown = annotationlib.ForwardRef
    return {
        name: texts[name] if isinstance(value, unknown) else value for name, value in found.items()
    }


def resolved_annotations(kind: type, annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the annotations of a class, with what those mean that are text.

    What reads them on the worker looks into the module of the class, which is not there.
    """
    namespace = getattr(sys.modules.get(kind.__module__), "__dict__", {})
    resolved = {}
    for name, value in annotations.items():
        resolved[name] = value
        if isinstance(value, str):
            with suppress(Exception):  # it may name what is imported for type checkers alone
                resolved[name] = eval(value, dict(namespace), dict(vars(kind)))  # noqa: S307
    return resolved


def is_portable(annotation: object) -> bool:
    """Return whether an annotation is made of things that the worker has."""
    if annotation is None or annotation is Ellipsis or type(annotation) in (str, int, bool):
        return True
    origin = get_origin(annotation)
    if origin is not None and origin is not annotation:  # that of typing.Generic is itself
        return is_portable(origin) and all(map(is_portable, get_args(annotation)))
    if isinstance(annotation, list):  # the parameters of a Callable
        return all(map(is_portable, annotation))
    if isinstance(annotation, type | FunctionType):
        return found_by_name(annotation)
    return getattr(sys.modules["typing"], getattr(annotation, "_name", "") or "", 0) is annotation


def text_of(annotation: object) -> str:
    """Return an annotation as text."""
    if isinstance(annotation, type):
        return annotation.__qualname__
    try:
        return repr(annotation)
    except Exception:  # a repr of the user's may raise anything
        return type(annotation).__qualname__
