"""What submits tell of the Python and the machine that they come from.

A multi-user endpoint fills it into its template: today's default template makes the workers an
environment with the same Python as here, and the SDK of the version told. So it is told as the
official client tells it, with the versions that our requests equal; without it such an endpoint
runs tasks on whatever Python it has.
"""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from funcx_async._service.registration import DIALECT_VERSION

GLOBUS_SDK_VERSION = "4.9.1"
"""The version of globus-sdk that goes with the official SDK whose requests ours equal."""

_LINKAGE = {"linux": "ELF", "win32": "WindowsPE"}
"""The format of programs, where there is one alone."""


@cache
def runtime_here() -> Mapping[str, Any]:
    """Describe this Python and this machine; all values are made of JSON's types.

    No program is started for it, as Python's own ``platform`` would to tell the architecture and
    the processor: that would block the event loop, and fail while the interpreter ends.
    """
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
            "architecture": [f"{8 * struct.calcsize('P')}bit", _LINKAGE.get(sys.platform, "")],
            "machine": platform.machine(),
            "node": platform.node(),
            "platform": platform.platform(),
            "processor": "",
            "release": platform.release(),
        },
    }
