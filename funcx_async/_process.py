"""What belongs to this process: its id, whose code calls, and objects that never leave it.

Objects that hold credentials or connections cannot be pickled: a function is registered with the
service, which keeps it, so nothing that it reads may bring secrets there.
"""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, SupportsIndex, TypeVar

C = TypeVar("C", bound=type[Any])

_pid = os.getpid()


def current_pid() -> int:
    """Return this process's id without a system call, which costs a tenth of a submit."""
    return _pid


def _forked() -> None:
    global _pid
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def level_of_user() -> int:
    """Return the ``stacklevel`` with which a warning of the caller points at the user's program.

    Python shows warnings by default only where the user's own program causes them.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"].startswith("funcx_async."):
        level += 1
        frame = frame.f_back
    return level


def line_of_user() -> str | None:
    """Return the line of the user's program that calls, in Python's development mode.

    Elsewhere it is None: to look costs time.
    """
    if not sys.flags.dev_mode:
        return None
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"].startswith("funcx_async."):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


# Objects that cannot be sent

CREDENTIALS: Final = (
    "holds credentials, and those are never sent; have the function read its own where it runs, "
    "for example from an environment variable"
)
CONNECTIONS: Final = (
    "belongs to this process, as its connections and credentials do; make one inside the "
    "function, or send what the function needs of it"
)
FUTURE: Final = "stands for a task of this process; await it here and send its result"


class CannotTravel(pickle.PicklingError):
    """An object that cannot be sent; the text says why, and what to do instead."""


def confined(reason: str) -> Callable[[C], C]:
    """Return a class decorator that makes pickling and copying of the class's objects fail.

    Args:
        reason: Why, and what to do instead; the name of the class goes before it.

    Returns:
        The decorator; it covers subclasses, too.

    Example:
        >>> @confined(CREDENTIALS)
        ... class Key: ...
        >>> try:
        ...     pickle.dumps(Key())
        ... except CannotTravel as error:
        ...     print(str(error).partition(",")[0])
        Key holds credentials
    """

    def refuse(self: object, protocol: SupportsIndex, /) -> NoReturn:
        raise CannotTravel(f"{type(self).__name__} {reason}")

    def mark(kind: C) -> C:
        kind.__reduce_ex__ = refuse  # type: ignore[assignment]  # to mypy it has a self already
        return kind

    return mark
