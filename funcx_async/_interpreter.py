"""The process: which it is, and its end, when sessions are still open whose loops may be gone.

In the asyncio REPL the loop merely stops at exit; its tasks would be destroyed while pending. A
loop that runs on in a daemon thread is frozen as it is when the interpreter ends. What sessions
depend on may end before as well, such as a service in this process.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import os
import weakref
from typing import Protocol


class Endable(Protocol):
    """What is to end before the interpreter does."""

    loop: asyncio.AbstractEventLoop
    pid: int

    @property
    def client(self) -> object:
        """Asks the service."""
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


_pid = os.getpid()


def level_of_user() -> int:
    """Return the ``stacklevel`` with which a warning of the caller is one of the user's program.

    Python shows warnings by default where the user's own program gives rise to them.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"].startswith("funcx_async."):
        level += 1
        frame = frame.f_back
    return level


def current_pid() -> int:
    """Give this process's id without asking the kernel, which costs a tenth of a submit."""
    return _pid


def _forked() -> None:
    global _pid
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

_open: weakref.WeakSet[Endable] = weakref.WeakSet()


def end_at_exit(session: Endable) -> None:
    """Have the session end before the interpreter does, as no loop may be left to end it."""
    if not _open:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _open.add(session)


async def end_sessions(client: object = None) -> None:
    """End the sessions of the running loop now; what is open in them fails.

    Args:
        client: whose sessions; None: all.
    """
    await asyncio.sleep(0)  # one that has not had its first turn yet would end without a word
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
