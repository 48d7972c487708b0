"""Running the measured programs, each by its own interpreter, on a null service."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients.measuring import order

ROOT = Path(__file__).parents[1]
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672/"
LIMIT = 900.0
"""Seconds that one program may take."""


@dataclass(frozen=True)
class Contestant:
    """A client, and where it is installed."""

    name: str
    program: str
    python: Path

    @property
    def present(self) -> bool:
        """Whether there is such an environment."""
        return self.python.exists()


def oracle(name: str, program: str) -> Contestant:
    """An official client, in the environment that ``make oracles`` makes."""
    default = ROOT / ".oracles" / program / "bin" / "python"
    python = os.environ.get(f"FUNCX_ASYNC_ORACLE_{program.upper()}", default)
    return Contestant(name, program, Path(python))


OURS = Contestant("funcx_async", "ours", Path(sys.executable))
SDK = oracle("globus-compute-sdk", "sdk")
FUNCX = oracle("funcx", "funcx")
FLOOR = Contestant("bare floor", "floor", Path(sys.executable))
CONTESTANTS = (OURS, FLOOR, SDK, FUNCX)


@dataclass(frozen=True)
class Service:
    """A null service that runs."""

    url: str
    home: str

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        return float(order(self.url, "usage")["cpu"])

    def run(self, contestant: Contestant, job: str, **arguments: object) -> dict[str, Any]:
        """Run a program, and give what it measured, with what the service used meanwhile."""
        before = self.cpu()
        environment = {"HTTP_PROXY": self.url} if contestant is SDK else {}
        measured = run_program(
            [str(contestant.python), "-m", f"benchmarks.clients.{contestant.program}", job],
            {"url": self.url, **arguments},
            {"HOME": self.home, **environment},
        )
        return measured | {"service_cpu_seconds": self.cpu() - before}


def run_program(
    command: Sequence[str], arguments: dict[str, Any], environment: dict[str, str]
) -> dict[str, Any]:
    """Run a program that takes and prints a JSON document.

    Raises:
        RuntimeError: if it fails.
    """
    ended = subprocess.run(
        [*command, json.dumps(arguments)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stderr}")
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def rabbitmq() -> str | None:
    """Where RabbitMQ is: as the environment says, else at its standard place if it is there."""
    url = os.environ.get("FUNCX_ASYNC_RABBITMQ_URL") or RABBITMQ
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=2):
            return url
    except OSError:
        return None


@contextmanager
def null_service(amqp_url: str | None) -> Iterator[Service]:
    """A null service in a process of its own; without a broker's URL it has one in it."""
    command = [sys.executable, "-m", "benchmarks.null", *([amqp_url] if amqp_url else [])]
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the null service does not start; it said why above")
            yield Service(url, home)
        finally:
            process.stdin.close()
