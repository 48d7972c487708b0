"""What belongs to this process: its id, objects that never leave it, and what ends with it.

Objects that hold credentials or connections cannot be pickled: a function is registered with the
service, which keeps it, so nothing that it reads may bring secrets there.

Sessions may still be open when the interpreter ends, and their loops may be gone. In the asyncio
REPL the loop merely stops at exit, and its tasks would be destroyed while pending. A loop in a
daemon thread is frozen when the interpreter ends. Other things that sessions depend on, such as a
service in this process, may end before the process does.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import os
import pickle
import weakref
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, SupportsIndex, TypeVar

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


# Sessions that end with the process


class Endable(Protocol):
    """A session, as far as ending it goes."""

    loop: asyncio.AbstractEventLoop
    pid: int

    @property
    def client(self) -> object:
        """The client of the service."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more."""
        ...

    def fail_open(self) -> None:
        """Fail what is open."""
        ...

    async def abandon(self) -> None:
        """End now."""
        ...


_open: weakref.WeakSet[Endable] = weakref.WeakSet()


def end_at_exit(session: Endable) -> None:
    """End the session before the interpreter ends, as no loop may be left to end it."""
    if not _open:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _open.add(session)


async def end_sessions(client: object = None) -> None:
    """End the sessions of the running loop now; what is open in them fails.

    Args:
        client: End only sessions of this client; None ends all.
    """
    await asyncio.sleep(0)  # one that has not had its first turn yet would end silently
    loop = asyncio.get_running_loop()
    for session in list(_open):
        if session.loop is loop and client in (None, session.client):
            await session.abandon()


def _end_all() -> None:
    for session in list(_open):
        if session.pid != current_pid() or session.ended:
            continue
        if session.loop.is_running():
            session.fail_open()
            continue
        # The libraries underneath warn of a connection that is given up while it is made.
        for library in ("aiormq", "aio_pika"):
            logging.getLogger(library).setLevel(logging.ERROR)
        session.loop.run_until_complete(session.abandon())
