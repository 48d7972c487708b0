"""globus-compute-sdk; run by the interpreter of an environment that has it.

Its base URL cannot be set, so the null service is its HTTP proxy, and answers itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from globus_compute_sdk import Client, Executor
from globus_sdk import AccessTokenAuthorizer

from benchmarks.clients import synchronous
from benchmarks.clients.measuring import ENDPOINT, answer, check


@contextlib.contextmanager
def warm(url: str, batch_size: int) -> Iterator[Executor]:
    client = Client(environment="local", authorizer=AccessTokenAuthorizer("token"))
    with Executor(
        endpoint_id=ENDPOINT,
        client=client,
        batch_size=batch_size,
        # Its brake on small requests, as loose as it goes: one task alone would wait seconds.
        api_burst_limit=8,
        api_burst_window_s=1,
    ) as executor:
        check([executor.submit(answer, 0).result()], 1)
        yield executor


if __name__ == "__main__":
    synchronous.run(warm)
