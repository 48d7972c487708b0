"""``funcx`` 1.0.13; run by the interpreter of an environment that has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from funcx import FuncXClient, FuncXExecutor
from funcx.sdk.web_client import FuncxWebClient
from globus_sdk import AccessTokenAuthorizer

from benchmarks.clients import synchronous
from benchmarks.clients.measuring import ENDPOINT, answer, check


class Login:
    """What the original asks for credentials; the null service wants none."""

    def ensure_logged_in(self) -> None:
        """Do nothing."""

    def get_funcx_web_client(self, *, base_url: str | None = None) -> FuncxWebClient:
        """Return what it asks the service with."""
        return FuncxWebClient(base_url=base_url, authorizer=AccessTokenAuthorizer("token"))


@contextlib.contextmanager
def warm(url: str, batch_size: int) -> Iterator[FuncXExecutor]:
    client = FuncXClient(funcx_service_address=f"{url}/v2", login_manager=Login())
    with FuncXExecutor(
        endpoint_id=ENDPOINT, funcx_client=client, batch_size=batch_size
    ) as executor:
        check([executor.submit(answer, 0).result()], 1)
        yield executor


if __name__ == "__main__":
    synchronous.run(warm)
