"""What submits tell of the Python and the machine that they come from.

A multi-user endpoint fills it into its template: today's default template makes the workers an
environment with the same Python as here, and the SDK of the version told. So it is told as the
official client tells it, with the versions that our requests equal; without it such an endpoint
runs tasks on whatever Python it has.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from funcx_async.registration import DIALECT_VERSION

GLOBUS_SDK_VERSION = "4.9.1"
"""The version of globus-sdk that goes with the official SDK whose requests ours equal."""


async def runtime_here() -> Mapping[str, Any]:
    """Describe this Python and this machine; all values are made of JSON's types."""
    # The first description starts programs that tell of the machine: not on the loop's thread.
    return _described() if _described.cache_info().currsize else await asyncio.to_thread(_described)


@cache
def _described() -> Mapping[str, Any]:
    return {
        "globus_compute_sdk_version": DIALECT_VERSION,
        "globus_sdk_version": GLOBUS_SDK_VERSION,
        "python_version": sys.version,
        "python": {
            "version": platform.python_version(),
            "version_description": sys.version,
            "version_tuple": list(sys.version_info[:3]),
            "version_info": list(sys.version_info),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "platform": {
            "architecture": list(platform.architecture()),
            "machine": platform.machine(),
            "node": platform.node(),
            "platform": platform.platform(),
            "processor": platform.processor(),
            "release": platform.release(),
        },
    }
