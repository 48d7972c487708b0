"""What of a class travels when it travels by value, and under which identity.

One class is often shipped twice, with a function and with its arguments, and must still be one
class on the worker, or ``isinstance`` and the comparison of enum members go wrong there. Its
instances must come home, too, although the worker writes them with plain dill, which cannot take
a class apart whose methods refer to it. So each class has a key such as ``mymod@3f2a90b1c4d5``.
Every process that reads classes keeps a weak registry of them by key; the process in which a
class was defined has the original in it. And on the worker the key is also the name of a module,
in which dill finds the class by its name: in a result it is then only referred to, and
:func:`come_home` finds the original. A worker keeps what it was sent until its process ends.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import sys
import uuid
from collections.abc import Mapping
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast, get_args, get_origin
from weakref import WeakKeyDictionary, WeakValueDictionary

from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.origin import found_by_name

REGISTRY_NAME = "_classes_by_value"
"""The attribute of ``sys`` in which each process keeps its registry."""

_MADE_WITH_THE_CLASS = frozenset(
    {
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "__slots__",
        "__orig_bases__",
        "__firstlineno__",
        "__static_attributes__",
        "_abc_impl",
    }
)

_NEEDED_AT_CREATION = frozenset({"__slots__", "__orig_bases__"})

_OFTEN_REPLACED = frozenset({"__doc__", "__str__", "__repr__", "__format__", "_boundary_"})
_MARK = "@"

_keys: WeakKeyDictionary[type, str] = WeakKeyDictionary()


def key_of(kind: type) -> str:
    """The identity under which a class travels; the same for as long as the class lives.

    Args:
        kind: a class that is defined here, or that came here by value.

    Returns:
        A key that no other class has, in any process.
    """
    key = _keys.get(kind)
    if key is None:
        registry = _registry()
        came_as = (known for known, other in registry.items() if other is kind)
        home = str(kind.__module__).replace(".", ":")  # a dot would make it a package's module
        key = _keys[kind] = next(came_as, f"{home}{_MARK}{uuid.uuid4().hex[:12]}")
        registry.setdefault(key, kind)
    return key


def is_key(module_name: str) -> bool:
    """Whether this is not the name of a module but the key of a class."""
    return _MARK in module_name


def come_home(key: str, name: str) -> Any:
    """Find the class that a worker refers to.

    Args:
        key: under which it was shipped, from here or from an earlier process.
        name: its name.

    Returns:
        The class that was shipped; in another process, the one of that name in the same module.

    Raises:
        ImportError, AttributeError: there is none.
    """
    original = _registry().get(key)
    if original is not None:
        return original
    home = key.partition(_MARK)[0].replace(":", ".")
    return getattr(importlib.import_module(home), name)


def _registry() -> WeakValueDictionary[str, type]:
    registry: WeakValueDictionary[str, type] = sys.__dict__.setdefault(
        REGISTRY_NAME, WeakValueDictionary()
    )
    return registry


def body_of(kind: type) -> dict[str, Any]:
    """What a class needs at the moment of its creation; the rest is set afterwards."""
    body: dict[str, Any] = {"__module__": key_of(kind), "__qualname__": kind.__name__}
    for name in _NEEDED_AT_CREATION & vars(kind).keys():
        body[name] = vars(kind)[name]
    return body


def attributes_of(kind: type) -> dict[str, Any]:
    """What is set on a class after its creation."""
    attributes = {
        name: value
        for name, value in vars(kind).items()
        if name not in _MADE_WITH_THE_CLASS and not _is_slot(kind, value)
    }
    if attributes.get("__doc__", "") is None:
        del attributes["__doc__"]
    if "__annotations__" in attributes:
        attributes["__annotations__"] = portable_annotations(attributes["__annotations__"])
    return attributes


def _is_slot(kind: type, value: object) -> bool:
    slots = (MemberDescriptorType, GetSetDescriptorType)
    return isinstance(value, slots) and value.__objclass__ is kind


def members_by_name(kind: enum.EnumType) -> Mapping[str, enum.Enum]:
    """The members of an enumeration, aliases included."""
    return cast("Mapping[str, enum.Enum]", kind.__members__)


def enum_items_of(kind: enum.EnumType) -> dict[str, Any]:
    """What the body of an enumeration assigns: names and values, and where it belongs."""
    members = members_by_name(kind).items()
    return {**body_of(kind), **{name: member.value for name, member in members}}


def enum_attributes_of(kind: enum.EnumType) -> dict[str, Any]:
    """What an enumeration has beyond its members: methods, properties, constants.

    Raises:
        CannotTravel: its members cannot be made from their values alone.
    """
    bare: Any = type(kind)(kind.__name__, kind.__bases__, _enum_body(kind))
    mixin: Any = vars(kind)["_member_type_"]
    if mixin is not object:
        for name, member in members_by_name(kind).items():
            if mixin.__repr__(bare[name]) != mixin.__repr__(member):
                raise CannotTravel(
                    f"the enumeration {kind.__qualname__} cannot travel: its own __new__ makes "
                    f"{name} something else than its value; use a plain Enum, or a module that "
                    "the worker has installed"
                )
    own = attributes_of(kind)
    kept = own.keys() - vars(bare).keys()
    kept |= _OFTEN_REPLACED
    return {name: own[name] for name in own if name in kept}


def _enum_body(kind: enum.EnumType) -> Any:
    body: Any = type(kind).__prepare__(kind.__name__, kind.__bases__)
    for name, value in enum_items_of(kind).items():
        body[name] = value
    return body


def member_state(member: enum.Enum) -> dict[str, Any]:
    """What an enumeration's own ``__init__`` or ``__new__`` has put on a member."""
    bare = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
    return {name: value for name, value in vars(member).items() if name not in bare}


def portable_annotations(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Annotations as the worker gets them.

    What is built of things that it has stays as it is. Anything else becomes its text, as it
    would be under ``from __future__ import annotations``: an annotation is seldom needed to run
    a function, and must not drag a web framework's dependencies along.
    """
    return {
        name: value if _is_portable(value) else _text_of(value)
        for name, value in annotations.items()
    }


def _is_portable(annotation: object) -> bool:
    if annotation is None or annotation is Ellipsis or type(annotation) in (str, int, bool):
        return True
    origin = get_origin(annotation)
    if origin is not None:
        return _is_portable(origin) and all(map(_is_portable, get_args(annotation)))
    if isinstance(annotation, list):  # the parameters of a Callable
        return all(map(_is_portable, annotation))
    if isinstance(annotation, type | FunctionType):
        return found_by_name(annotation)
    return getattr(sys.modules["typing"], getattr(annotation, "_name", "") or "", 0) is annotation


def _text_of(annotation: object) -> str:
    if isinstance(annotation, type):
        return annotation.__qualname__
    try:
        return repr(annotation)
    except Exception:  # a repr of the user's may raise anything
        return type(annotation).__qualname__


DATACLASS_MARKS = {
    id(mark): name
    for name, mark in vars(dataclasses).items()
    if not isinstance(mark, type) and getattr(type(mark), "__module__", "") == "dataclasses"
}
"""The objects of :mod:`dataclasses` that are compared by identity; they travel by name."""
