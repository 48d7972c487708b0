"""The two dialects of the service: how each phrases a request, and what its answers mean.

``v3`` is today's Globus Compute, ``v2`` is funcX 1.x, the classic one. Where they differ, the
difference is here; whatever is the same in both is in :mod:`funcx_async._service.routes`.
Pure: no HTTP library, no loop.
"""

from __future__ import annotations

from collections.abc import Mapping

from funcx_async._service.dialects.classic import Classic
from funcx_async._service.dialects.compute import Compute
from funcx_async._service.dialects.shared import (
    Dialect,
    EndpointOptions,
    Options,
    Order,
    Post,
    Request,
)

__all__ = [
    "DIALECTS",
    "Classic",
    "Compute",
    "Dialect",
    "EndpointOptions",
    "Options",
    "Order",
    "Post",
    "Request",
]

DIALECTS: Mapping[str, Dialect] = {"v3": Compute(), "v2": Classic()}
"""The dialects by the name that ``FuncXClient(api=...)`` takes."""
