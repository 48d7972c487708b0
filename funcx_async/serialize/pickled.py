"""Pickles as base64 text, for readers that have dill."""

from __future__ import annotations

import io
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import FunctionType
from typing import Any, NoReturn

import dill
from dill import _dill

from funcx_async.serialize import classes, payloads, rebuild
from funcx_async.serialize.by_value import PROTOCOL, REBUILD_NAME, ByValuePickler, rebuild_text
from funcx_async.serialize.diagnosis import Unpicklable
from funcx_async.serialize.payloads import BoundedFile, TooMuch

_MAY_NAME = re.compile(rb"[ci\x93\x82\x83\x84PQ]").search
"""Finds what could be the opcode of a class, a function or something persistent. A pickle without
one of these bytes is made of plain values, and means the same to every unpickler."""


def dump(value: object, at_most: int | None = None) -> bytes:
    """Pickle a value; what is not plain goes through dill, and what is the user's by value.

    Args:
        value: any object.
        at_most: stop after so many bytes.

    Raises:
        TooMuch: it makes more bytes.
        Unpicklable: the value, or a part of it, cannot be pickled.
    """
    written = dump_plain(value, at_most)
    return dump_by_value(value, at_most) if written is None else written


def dump_plain(value: object, at_most: int | None = None) -> bytes | None:
    r"""Pickle a value if it is made of exact built-in types alone, all the way down.

    The types are None, bool, int, float, str, bytes, tuple, list, dict, set and frozenset, not
    their subclasses. The bytes are those of dill, except where a list or dict has a multiple of
    1,000 items or one more, or a set a multiple of 1,000: there the two picklers end the last
    batch of items with different opcodes of the same meaning.

    Args:
        value: Any object; it may contain itself.
        at_most: Stop after so many bytes.

    Returns:
        The pickle, or None if something in the value is not plain.

    Raises:
        TooMuch: It makes more bytes.

    Example:
        >>> dump_plain((1, None)), dump_plain((1, 2j))
        (b'\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00K\x01N\x86\x94.', None)
    """
    file = BoundedFile(at_most)
    try:
        _PlainPickler(file, PROTOCOL).dump(value)
    except _NotPlainError:
        return None
    return file.getvalue()


class _NotPlainError(Exception):
    pass


class _PlainPickler(pickle.Pickler):
    """The C pickler, which writes exact built-in types by itself and asks about all others."""

    def reducer_override(self, value: Any) -> NoReturn:
        raise _NotPlainError


def dump_by_value(value: object, at_most: int | None = None, *, runs: bool = False) -> bytes:
    """Pickle anything for a reader that has dill, and not the user's own modules.

    Args:
        value: any object.
        at_most: stop after so many bytes.
        runs: it is a task's function; source lines go along, for tracebacks.

    Returns:
        A pickle that ``dill.loads`` reads.

    Raises:
        TooMuch: it makes more bytes.
        Unpicklable: the value, or a part of it, cannot be pickled.
    """
    file = BoundedFile(at_most)
    to_write: Any = file  # all that a pickler needs of a file
    pickler = ByValuePickler(to_write, runs=runs, refer=_returns.get())
    try:
        pickler.dump(value)
    except TooMuch:
        raise
    except Exception as error:  # the value's own reduction may raise anything
        raise Unpicklable(error, pickler.trail) from error
    return file.getvalue()


@contextmanager
def written_as_results() -> Iterator[None]:
    """Write classes that came by value as references, as their sender has them."""
    token = _returns.set(True)
    try:
        yield
    finally:
        _returns.reset(token)


_returns: ContextVar[bool] = ContextVar("_returns", default=False)


def to_text(pickled: bytes) -> str:
    """Write bytes as base64 in lines of 76 characters, each ended by a newline."""
    return payloads.encode(pickled)


def load_text(text: str) -> Any:
    """Read a pickle that came as base64.

    Raises:
        Exception: whatever reading it raises; a pickle may run any code.
    """
    if len(text) >= payloads.LARGE:
        return _unpickled(payloads.decode_large(text), payloads.SteppedFile)
    pickled = payloads.decode(text)
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


class _Unpickler(_DillUnpickler):  # type: ignore[misc]  # for the same reason
    """dill's, which also knows the classes that were sent by value and come back."""

    def __init__(self, file: Any) -> None:
        # dill would else make an instance one of another class of the same name in __main__.
        super().__init__(file, ignore=True)
        share_rebuild()

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == ("dill._dill", "_load_type"):
            return _load_type
        if (module_name, global_name) == ("dill._dill", "_create_filehandle"):
            return _refuse_file
        if module_name.startswith(REBUILD_NAME):  # that of another release, too
            return getattr(rebuild, global_name)
        if module_name.partition(".")[0] == "tblib":
            return _OF_TBLIB.get(global_name, _Unused)
        try:
            return super().find_class(module_name, global_name)
        except ModuleNotFoundError:
            package, _, private = module_name.rpartition(".")
            if not private.startswith("_") or package not in sys.modules:
                raise
            return super().find_class(package, global_name)  # its home in another Python


@cache
def share_rebuild() -> None:
    """Let what rebuilds functions and classes in this process be the package's own module."""
    sys.modules.setdefault(rebuild_text()[0], rebuild)


def _load_type(name: str) -> Any:
    """Return the type that dill refers to by a name."""
    if name.startswith(rebuild.PREFIX):
        return classes.find(name.removeprefix(rebuild.PREFIX))
    return _dill._load_type(name)  # noqa: SLF001  # what dill's own pickles call


def _refuse_file(name: object, mode: object, *_: object) -> NoReturn:
    """Refuse an open file in a result: dill would open it here, and so empty it."""
    raise pickle.UnpicklingError(
        f"it holds the open file {name!r} (mode {mode!r}); return its path or what it contains"
    )


class _Unused:
    """What tblib makes of the frames of a traceback; nothing here looks at them."""

    def __setstate__(self, state: object) -> None:
        """Forget everything."""


def _exception(
    make: Callable[..., Any], args: Any, cause: Any = None, trace: Any = None, *more: Any
) -> Any:
    """Return an exception that an official worker wrote: these have tblib, readers need not."""
    made = make(*args)
    return _with_context(made, cause, *more)


def _exception_with_attributes(
    kind: Any, attributes: dict[str, Any], cause: Any, trace: Any, *more: Any
) -> Any:
    """Return an exception whose class has an ``__init__`` of its own; see :func:`_exception`."""
    context, suppressed, notes, *args = more
    if isinstance(kind.__init__, FunctionType):
        made = kind.__new__(kind, *(args[0] if args else ()))
    else:  # of the interpreter, which takes what it says from its arguments alone
        made = kind(*attributes["args"])
    for name, value in attributes.items():
        setattr(made, name, value)
    return _with_context(made, cause, context, suppressed, notes)


def _with_context(
    made: Any, cause: Any, context: Any = None, suppressed: bool = False, notes: Any = None
) -> Any:
    made.__cause__, made.__context__ = cause, context
    made.__suppress_context__ = suppressed
    if notes is not None:
        made.__notes__ = notes
    return made


def _no_traceback(*_: object) -> None:
    """Return nothing for a traceback, whose frames are not here."""


_OF_TBLIB = {
    "unpickle_exception": _exception,
    "unpickle_exception_with_attrs": _exception_with_attributes,
    "unpickle_traceback": _no_traceback,
}
"""What official workers write exceptions with, by name."""
