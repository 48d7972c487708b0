"""The chaos's client: globus-compute-sdk, as its documentation would have it used.

Its own interpreter runs it, which has no funcx_async. Where its executor dies, as it does after a
failed request, a new one is made, which is what a program that is to go on must do.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from functools import partial
from itertools import count
from typing import Any

from globus_compute_sdk import Client, Executor
from globus_sdk.authorizers.base import GlobusAuthorizer

from benchmarks.ledger import Ledger

WINDOW = 20_000
EXPIRES_EVERY = 40


def work(number: int, path: str) -> tuple[int, float]:
    """Leave a trace of having run."""
    import os
    import time

    trace = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(trace, b"%d\n" % number)
    finally:
        os.close(trace)
    return 3 * number + 1, time.time()


class Renewing(GlobusAuthorizer):
    """Gives a token that has expired now and then, and a good one once it was refused."""

    def __init__(self) -> None:
        self._requests = count(1)

    def get_authorization_header(self) -> str:
        """Return the header of the next request."""
        expired = next(self._requests) % EXPIRES_EVERY == 0
        return f"Bearer {'expired' if expired else os.environ['CHAOS_TOKEN']}"

    def handle_missing_authorization(self) -> bool:
        """Return that the token was renewed: the request is to be repeated."""
        return True


class Session:
    """An executor, and another when that has died."""

    def __init__(self, plan: dict[str, Any], ledger: Ledger) -> None:
        self._plan = plan
        self._ledger = ledger
        self._client = Client(environment="local", authorizer=Renewing())
        self._group = None
        self._executor = self._new()

    def _new(self) -> Executor:
        return Executor(
            endpoint_id=self._plan["endpoint"],
            client=self._client,
            amqp_port=self._plan["amqp_port"],
            batch_size=self._plan["batch_size"],
        )

    def submit(self, number: int) -> Any:
        """Submit a task; None if this executor cannot."""
        try:
            future = self._executor.submit(work, number, self._plan["trace"])
        except Exception:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = self._new()
            self._ledger.restarts += 1
            return None
        group = self._executor.task_group_id
        if group is not None and group != self._group:
            self._group = group
            print(json.dumps({"group": str(group)}), flush=True)
        return future


def main() -> None:
    plan = json.loads(sys.argv[1])
    ledger, lock = Ledger(), threading.Lock()
    room = threading.Semaphore(WINDOW)

    def settled(number: int, future: Any) -> None:
        with lock:
            ledger.settled(number, future)
        room.release()

    session = None
    end = time.monotonic() + plan["seconds"]
    while time.monotonic() < end and ledger.submitted < plan["tasks"]:
        if session is None:
            try:
                session = Session(plan, ledger)
            except Exception:  # it asks the service for its version
                time.sleep(0.5)
                continue
        if not room.acquire(timeout=1):
            continue
        with lock:
            number = ledger.opened()
        future = session.submit(number)
        if future is None:
            with lock:
                ledger.refused(number)
            room.release()
            continue
        future.add_done_callback(partial(settled, number))
    print(json.dumps({"submitted": ledger.submitted}), flush=True)
    patient = time.monotonic() + plan["settle_seconds"]
    while ledger.still_open and time.monotonic() < patient:
        time.sleep(0.1)
    with lock:
        print(ledger.report(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
