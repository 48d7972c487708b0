"""A funcX web service in one process, for development, tests and air-gapped use.

Needs the extra ``local``: ``pip install 'funcx-async[local]'``. What is public here is imported
when it is first asked for: worker processes import this package too, and must start quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funcx_async._lazy import attach

if TYPE_CHECKING:
    from funcx_async.local.faults import Faults
    from funcx_async.local.injection import Hold
    from funcx_async.local.service import LocalService

__all__ = ["Faults", "Hold", "LocalService"]

__getattr__, __dir__ = attach(
    __name__,
    __all__,
    {"Faults": "faults", "Hold": "injection", "LocalService": "service"},
    extra="local",
    user="the local service",
    libraries={"starlette": "starlette", "uvicorn": "uvicorn"},
)
