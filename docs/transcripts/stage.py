"""A fresh place to try what a page says: a clone, an environment, a shell; and notes of it all."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from docs.transcripts.terminal import COLUMNS, Terminal, plain

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300
"""Seconds that a user has for the first result."""

_SECRETS = re.compile(r"(FUNCX_ASYNC_TOKEN=|[?&]token=|://\S+/#)\S{20,}")
_NOISE = re.compile(r"^WARNING: Location .*\n", re.MULTILINE)


@dataclass
class Stage:
    """What one user does, and what came of it.

    Attributes:
        title: who the user is.
        home: their home directory; they work in `work`, and the clone is beside it.
        steps: what was done, and the seconds that it took.
        text: the transcript so far.
    """

    title: str
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="transcript")))
    steps: list[tuple[str, float]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _variables: dict[str, str] = field(default_factory=dict)
    _servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.work.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.terminate()
            server.wait(timeout=30)

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.steps)

    def say(self, words: str) -> None:
        """Tell the reader something."""
        self.text.append(words)

    def export(self, variables: dict[str, str]) -> None:
        """Set variables for all that follows."""
        self._variables |= variables
        self._show("\n".join(f"$ export {name}={value}" for name, value in variables.items()))

    def save(self, name: str, text: str) -> None:
        """Keep a text as a file, as the user does with an editor."""
        (self.work / name).write_text(text)
        self.text.append(f"`{name}`:\n\n```python\n{text.rstrip()}\n```")

    def run(self, command: str, *, expect: str = "", code: int = 0) -> str:
        """Run a command to its end, and hold it to what it has to print and its exit code."""
        begin = time.perf_counter()
        ended = subprocess.run(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            cwd=self.work,
            env=self._environment(),
            check=False,
        )
        printed = _NOISE.sub("", plain(ended.stdout))
        self._note(command, begin, f"$ {command}\n{printed}")
        assert ended.returncode == code, f"{command} gave {ended.returncode}: {printed}"
        assert expect in printed, f"{command} did not print {expect!r}: {printed}"
        return printed

    def serve(self, command: str, *, until: str) -> str:
        """Start what runs until the end, in a shell of its own, and wait for what it prints."""
        begin = time.perf_counter()
        log = self.home / f"server{len(self._servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.work,
                env=self._environment(),
            )
        self._servers.append(server)
        while until not in (printed := plain(log.read_text())):
            assert server.poll() is None, f"{command} ended: {printed}"
            assert time.perf_counter() - begin < LIMIT, f"{command} did not print {until!r}"
            time.sleep(0.05)
        self._note(command, begin, f"$ {command}\n{printed}")
        return printed

    def converse(self, command: str, lines: list[str], *, expect: str) -> None:
        """Type lines into an interactive program, each at its prompt."""
        begin = time.perf_counter()
        with Terminal(command.split(), self.work, self._environment()) as terminal:
            for line in lines:
                terminal.type_at_prompt(line)
            seen = terminal.finish("exit()")
        self._note(command, begin, f"$ {command}\n{seen}")
        assert expect in seen, f"{command} did not show {expect!r}: {seen}"

    def look(self, step: str, shown: str, act: Callable[[dict[str, str]], str]) -> None:
        """Do something by other means than a shell; `act` is told the environment."""
        begin = time.perf_counter()
        seen = act(self._environment())
        self._note(step, begin, f"{shown}\n{seen}")

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "LC_", "LANG", "SSL_")) or name == "TZ"
        }
        path = f"{self.work}/.venv/bin:{os.environ['PATH']}"
        return (
            kept
            | {
                "HOME": str(self.home),
                "PATH": path,
                "COLUMNS": str(COLUMNS),
                "REPOSITORY": str(ROOT),
            }
            | self._variables
        )

    def _note(self, step: str, begin: float, shown: str) -> None:
        seconds = time.perf_counter() - begin
        self.steps.append((step, seconds))
        self._show(f"{shown.rstrip()}\n# {seconds:.1f} s")

    def _show(self, shown: str) -> None:
        shown = (
            _SECRETS.sub(r"\1...", shown)
            .replace(str(self.home), "~")
            .replace(str(ROOT), "$REPOSITORY")
        )
        self.text.append(f"```console\n{shown}\n```")
