"""A funcX web service in one process, for development, tests and air-gapped use.

Needs the extra ``local``: ``pip install 'funcx-async[local]'``. What is public here is imported
when it is first asked for: worker processes import this package too, and must start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from funcx_async.local.faults import Faults
    from funcx_async.local.service import LocalService
    from funcx_async.local.switches import Hold

__all__ = ["Faults", "Hold", "LocalService"]

_HOMES = {"Faults": "faults", "Hold": "switches", "LocalService": "service"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in {"starlette", "uvicorn"}:
            raise
        msg = (
            f"the local service needs {library}, which is not installed; "
            "run: pip install 'funcx-async[local]'"
        )
        raise ImportError(msg) from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__
