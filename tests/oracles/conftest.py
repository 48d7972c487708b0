"""Where the official packages are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def official_python() -> str:
    """The interpreter that has the official SDK."""
    default = HERE.parents[1] / ".oracles" / "sdk" / "bin" / "python"
    path = Path(os.environ.get("FUNCX_ASYNC_ORACLE_SDK", default))
    if not path.exists():
        pytest.fail(
            f"{path} is not there; make a virtual environment with globus-compute-sdk in "
            ".oracles/sdk, or name its interpreter in FUNCX_ASYNC_ORACLE_SDK"
        )
    return str(path)
