"""Has the package find what Windows has of the standard library, in every process started here.

Python runs this file at its start where this folder is on PYTHONPATH. Only what the package itself
imports is changed: the standard library and other packages need what this system has.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
from types import ModuleType
from typing import Any

ABSENT_MODULES = {
    *("curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "termios"),
}
ABSENT_NAMES = {
    "os": {
        *("fork", "forkpty", "getegid", "geteuid", "getgid", "getlogin", "getpgid", "getpgrp"),
        *("getuid", "killpg", "mkfifo", "openpty", "register_at_fork", "sched_getaffinity"),
        *("setpgid", "setsid", "setuid", "statvfs", "sysconf", "uname", "wait", "waitid"),
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"),
    },
    "signal": {
        *("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGTSTP"),
        *("SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "pause", "pthread_kill", "setitimer"),
    },
}


class Without(ModuleType):
    """A module that lacks some of its names."""

    def __init__(self, module: ModuleType, absent: set[str]) -> None:
        super().__init__(module.__name__)
        self._module = module
        self._absent = absent

    def __getattr__(self, name: str) -> Any:
        if name in self._absent:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        return getattr(self._module, name)


STAND_INS = {
    "os": Without(os, ABSENT_NAMES["os"]),
    "signal": Without(signal, ABSENT_NAMES["signal"]),
}
import_ = builtins.__import__


def import_as_on_windows(name: str, namespace: Any = None, *rest: Any, **more: Any) -> Any:
    """Import a module, for our package as it would be found on Windows."""
    importer = (namespace or {}).get("__name__", "")
    if importer.partition(".")[0] == "funcx_async":
        if name.partition(".")[0] in ABSENT_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in STAND_INS:
            return STAND_INS[name]
    return import_(name, namespace, *rest, **more)


builtins.__import__ = import_as_on_windows
sys.as_on_windows = True  # type: ignore[attr-defined]
