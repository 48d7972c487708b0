"""What type checkers must see of the blocking facade; checked by mypy and pyright, never run."""

from __future__ import annotations

import concurrent.futures
from typing import assert_type

from funcx_async import FuncXFuture
from funcx_async.blocking import FuncXClient, FuncXExecutor, LocalService
from funcx_async.models import TaskStatus
from tests.typing.api import add, later


def main(executor: FuncXExecutor, client: FuncXClient) -> None:
    """Blocking methods have the arguments and results of the async ones."""
    future = executor.submit(add, 1, b=2)
    assert_type(future, FuncXFuture[int])
    assert_type(future.result(timeout=5), int)
    assert_type(executor.submit(later, "x").result(), str)
    assert_type(executor.register_function(add, public=True), str)
    assert_type(executor.endpoint_id, str | None)
    assert_type(executor.batch_size, int)
    anybody: concurrent.futures.Executor = executor
    anybody.shutdown(wait=False)

    for done in concurrent.futures.as_completed([future], timeout=5):
        assert_type(done.result(), int)
    finished, unfinished = concurrent.futures.wait([future], timeout=5)
    assert_type(finished, set[concurrent.futures.Future[int]])
    assert_type(unfinished, set[concurrent.futures.Future[int]])

    assert_type(client.get_task("id"), TaskStatus)
    assert_type(client.close(), None)
    with LocalService(workers=1) as service, service.executor() as local:
        assert_type(local.submit(add, 1), FuncXFuture[int])

    careful = executor.options(timeout=5, retries=2)
    assert_type(careful.submit(add, 1), FuncXFuture[int])

    careful.submit(add, "one")  # type: ignore[call-overload]
    executor.options(timeout="soon")  # type: ignore[arg-type]
    executor.submit(add, "one")  # type: ignore[call-overload]
    executor.batch_size = "one"  # type: ignore[assignment]
    client.get_task(5)  # type: ignore[arg-type]
    FuncXClient(timeouts=3)  # type: ignore[call-arg]
    LocalService(workers="one")  # type: ignore[arg-type]
