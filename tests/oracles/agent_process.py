"""The official endpoint agent, unmodified: a process in a home of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from funcx_async.local import LocalService
from tests.oracles.interpreters import interpreter

NAME = "mine"
PERIOD = 5
"""Seconds between two heartbeats: the fewest that an agent knows."""
LIMIT = 60.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "endpoints.md"


def bin_directory() -> Path:
    """Where the agent is installed."""
    path = Path(interpreter("endpoint")).parent
    if not (path / "globus-compute-endpoint").exists():
        pytest.fail(f"{path} has no globus-compute-endpoint: `make oracles` makes one")
    return path


def from_the_guide(heading: str) -> str:
    """The first YAML under a heading of docs/endpoints.md."""
    section = DOCUMENT.read_text().partition(f"\n### {heading}\n")[2]
    return section.partition("```yaml\n")[2].partition("```")[0]


class AgentProcess:
    """An agent that can be started, stopped and killed.

    Args:
        home: its home directory.
        engine: the heading of the guide that has its template.
        variables: environment variables that its user endpoints need.
    """

    def __init__(
        self, home: Path, engine: str, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._home = home
        self._variables = variables
        self._base = home / ".globus_compute"
        self._process: asyncio.subprocess.Process | None = None
        directory = self._base / NAME
        directory.mkdir(parents=True)
        own = f"email: nobody@example.org\nheartbeat_period: {PERIOD}\n"  # for tests as root
        (directory / "config.yaml").write_text(from_the_guide("config.yaml") + own)
        (directory / "user_config_template.yaml.j2").write_text(
            f"heartbeat_period: {PERIOD}\n" + from_the_guide(engine)
        )
        # An agent that runs as root gives its user endpoints no other environment than this.
        (directory / "user_environment.yaml").write_text(
            f"HOME: {home}\nGLOBUS_COMPUTE_USER_DIR: {self._base}\nHTTP_PROXY: ''\n"
            f"PATH: {self._path()}\n"
            + "".join(f"{name}: '{value}'\n" for name, value in variables.items())
        )

    def _path(self) -> str:
        return f"{bin_directory()}:{os.environ['PATH']}"

    async def start(self, service: LocalService) -> None:
        """Start it, and return when its heartbeats come."""
        before = service.faults.count("agent_online")
        environment = {
            **service.agent_environment,
            **self._variables,
            "HOME": str(self._home),
            "GLOBUS_COMPUTE_USER_DIR": str(self._base),
            "PATH": self._path(),
        }
        self._process = await asyncio.create_subprocess_exec(
            *("globus-compute-endpoint", "start", NAME),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # it signals its process group when it stops
        )
        async with asyncio.timeout(LIMIT):
            await service.faults.seen("agent_online", before + 1)

    async def stop(self) -> int:
        """Ask it to stop; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), LIMIT)

    async def ended(self) -> None:
        """Return when it has ended by itself."""
        assert self._process is not None
        await asyncio.wait_for(self._process.wait(), LIMIT)

    async def kill(self) -> None:
        """Kill it with all its processes, at once."""
        for path in self._base.glob("*/daemon.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text().split()[0]), signal.SIGKILL)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        # Its own file is what people are told to remove; that of the user endpoint stays.
        (self._base / NAME / "daemon.pid").unlink(missing_ok=True)

    @property
    def log(self) -> str:
        """The ends of its log files, for the message of a test that fails."""
        files = sorted(self._base.glob("*/endpoint.log"))
        return "\n".join(f"--- {path.parent.name}\n{path.read_text()[-3000:]}" for path in files)


@contextlib.asynccontextmanager
async def agent_process(
    home: Path, engine: str, variables: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[AgentProcess]:
    """Yield an agent that is gone afterwards."""
    agent = AgentProcess(home, engine, variables)
    try:
        yield agent
    finally:
        await agent.kill()
