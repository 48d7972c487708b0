"""Pickles as base64 text, for whoever has dill."""

from __future__ import annotations

import base64
import io
import pickle
from typing import Any, NoReturn

import dill

from funcx_async.serialize.by_value import PROTOCOL, dump_by_value
from funcx_async.serialize.plain import is_plain


def dump(value: object) -> bytes:
    """Pickle a value; what is not plain goes through dill, and what is ours by value.

    Raises:
        Exception: whatever pickling it raises.
    """
    return pickle.dumps(value, PROTOCOL) if is_plain(value) else dump_by_value(value)


def to_text(pickled: bytes) -> str:
    """Write bytes as base64 in lines of 76 characters, each ended by a newline."""
    return base64.encodebytes(pickled).decode("ascii")


def load_text(text: str) -> Any:
    """Read a pickle that came as base64.

    Raises:
        Exception: whatever reading it raises; a pickle may run any code.
    """
    pickled = base64.decodebytes(text.encode("ascii"))
    try:
        return _NamelessUnpickler(io.BytesIO(pickled)).load()
    except Exception:  # dill reads it, or says what is wrong
        return dill.loads(pickled)


class _NamelessUnpickler(pickle.Unpickler):
    """Reads what names no class or function, and so means the same to dill, but faster."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is for dill to find")
