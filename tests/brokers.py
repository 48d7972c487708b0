"""Where a real RabbitMQ is, for the tests that run on one.

It is looked for at ``FUNCX_ASYNC_RABBITMQ_URL``, else on this machine's standard port. On a
machine without one those tests do not exist, and pytest's output says so. Where one was promised,
by that variable or by ``CI``, its absence fails them: a skip nobody sees would let them rot.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from urllib.parse import urlsplit

import pytest

from benchmarks.rabbitmq import PLACES

VARIABLE = "FUNCX_ASYNC_RABBITMQ_URL"
STANDARD_URL = "amqp://guest:guest@127.0.0.1:5672/"


def url() -> str:
    """Where RabbitMQ is, or would be."""
    return os.environ.get(VARIABLE) or STANDARD_URL


def promised() -> bool:
    """Whether the tests may not do without RabbitMQ."""
    return bool(os.environ.get(VARIABLE)) or os.environ.get("CI", "").lower() in {"1", "true"}


@cache
def present() -> bool:
    """Whether something listens there."""
    parts = urlsplit(url())
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=2):
            return True
    except OSError:
        return False


def with_rabbitmq(*others: str) -> list[str]:
    """Parameters for tests that run on several brokers, RabbitMQ last if it is to be tested."""
    return [*others, "rabbitmq"] if present() or promised() else list(others)


def with_own_node(*seeds: int) -> list[int]:
    """Parameters for tests that start a RabbitMQ of their own: none where it is not installed."""
    installed = any(os.access(place, os.X_OK) for place in PLACES)
    return list(seeds) if installed or promised() else []


def note() -> str:
    """One line about RabbitMQ for pytest's output."""
    place = url().rpartition("@")[2]
    if present():
        return f"RabbitMQ: tested, at {place}"
    if promised():
        return f"RabbitMQ: MISSING at {place}, its tests will fail"
    return f"RabbitMQ: not tested, nothing listens at {place} (set {VARIABLE} if it is elsewhere)"


def require() -> str:
    """Where RabbitMQ is; the test fails if it is not there."""
    if not present():
        pytest.fail(
            f"no RabbitMQ listens at {url().rpartition('@')[2]}; start it or set {VARIABLE}"
        )
    return url()
