"""What type checkers must see of credentials; checked by mypy and pyright, never run."""

from __future__ import annotations

from pathlib import Path

import globus_sdk
import httpx

from funcx_async import FuncXClient
from funcx_async.auth import ClientCredentials


async def later() -> str:
    return "a token"


def main(user: globus_sdk.UserApp, program: globus_sdk.ClientApp, auth: httpx.Auth) -> None:
    """Everything that can log in is taken, and nothing else."""
    FuncXClient(auth="a token")
    FuncXClient(auth=lambda: "a token")
    FuncXClient(auth=later)
    FuncXClient(auth=auth)
    FuncXClient(auth=user)
    FuncXClient(auth=program)
    FuncXClient(auth=ClientCredentials("id", "secret", storage=Path("tokens.db")))
    FuncXClient(auth=None)
    FuncXClient(auth=5)  # type: ignore[arg-type]
    FuncXClient(auth=lambda: 5)  # type: ignore[arg-type]
