"""Pickles as base64 text, for whoever has dill."""

from __future__ import annotations

import base64
import binascii
import io
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import dill

from funcx_async.serialize import classes, large
from funcx_async.serialize.by_value import PROTOCOL, ByValuePickler
from funcx_async.serialize.plain import is_plain

_LINE = 57
"""So many bytes make a full line of base64."""

_MAY_NAME = re.compile(rb"[ci\x93\x82\x83\x84PQ]").search
"""Finds what could be the opcode of a class, a function or something persistent. A pickle without
one of these bytes is made of plain values, and means the same to every unpickler."""


def dump(value: object) -> bytes:
    """Pickle a value; what is not plain goes through dill, and what is ours by value.

    Raises:
        Exception: whatever pickling it raises.
    """
    return pickle.dumps(value, PROTOCOL) if is_plain(value) else dump_by_value(value)


def dump_by_value(value: object) -> bytes:
    """Pickle anything for a reader that has dill, and not one's own modules.

    Args:
        value: any object.

    Returns:
        A pickle that ``dill.loads`` reads.

    Raises:
        CannotTravel: a module or enumeration that cannot be taken apart, or a held lock.
        Exception: whatever the object's own reduction, pickle or dill raises.
    """
    file = io.BytesIO()
    ByValuePickler(file).dump(value)
    return file.getvalue()


def to_text(pickled: bytes) -> str:
    """Write bytes as base64 in lines of 76 characters, each ended by a newline."""
    if len(pickled) <= _LINE:
        return binascii.b2a_base64(pickled).decode("ascii")
    return base64.encodebytes(pickled).decode("ascii")


def load_text(text: str) -> Any:
    """Read a pickle that came as base64.

    Raises:
        Exception: whatever reading it raises; a pickle may run any code.
    """
    if len(text) >= large.LARGE:
        return _unpickled(large.decode(text), large.Steps)
    pickled = binascii.a2b_base64(text)
    if _MAY_NAME(pickled) is None:
        return pickle.loads(pickled)
    return _unpickled(pickled, io.BytesIO)


def _unpickled(pickled: bytes, opened: Callable[[bytes], Any]) -> Any:
    try:
        return _NamelessUnpickler(opened(pickled)).load()
    except Exception:  # dill reads it, or says what is wrong
        return _Unpickler(opened(pickled)).load()


class _NamelessUnpickler(pickle.Unpickler):
    """Reads what names no class or function, and so means the same to dill, but faster."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is for dill to find")


_DillUnpickler: Any = dill.Unpickler  # dill has no types


class _Unpickler(_DillUnpickler):  # type: ignore[misc]  # likewise
    """dill's, which also knows the classes that were shipped by value and come back."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if classes.is_key(module_name):
            return classes.come_home(module_name, global_name)
        found = super().find_class(module_name, global_name)
        return partial(_named_tuple, found) if global_name == "_create_namedtuple" else found


def _named_tuple(create: Callable[..., Any], name: str, fields: Any, home: str, *more: Any) -> Any:
    """Find a named tuple's class, which dill makes anew rather than refer to it."""
    if classes.is_key(home):
        with suppress(ImportError, AttributeError):
            original = classes.come_home(home, name)
            if list(original._fields) == list(fields):
                return original
    return create(name, fields, home, *more)
