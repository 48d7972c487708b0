"""An interactive program in a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

COLUMNS = 96

_CONTROLS = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])|\x07")
_PROMPT = re.compile(r"(?:^|\n)(>>> |\.\.\. )$")


def plain(printed: str) -> str:
    """Leave out colours, and what was written over after a carriage return."""
    lines = _CONTROLS.sub("", printed).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in lines)


class Terminal:
    """Runs a program and types into it, for a `with` block.

    Args:
        command: the program and its arguments.
        directory: where it runs.
        environment: its variables.
    """

    def __init__(self, command: list[str], directory: Path, environment: dict[str, str]) -> None:
        self._seen = ""
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execvpe(command[0], command, environment | {"TERM": "dumb"})
        termios.tcsetwinsize(self._screen, (24, COLUMNS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._screen)
        os.waitpid(self._pid, 0)

    def type_at_prompt(self, line: str) -> None:
        """Wait for a prompt, and type a line."""
        deadline = time.monotonic() + 60
        while not _PROMPT.search(plain(self._seen).rstrip("\n") + self._trailing_space()):
            assert time.monotonic() < deadline, f"there is no prompt: {self._seen}"
            self._read()
        os.write(self._screen, f"{line}\n".encode())
        self._read_echo(line)

    def finish(self, last: str) -> str:
        """Type what ends the program; all that was on the screen."""
        self.type_at_prompt(last)
        while self._read():
            pass
        return plain(self._seen)

    def _trailing_space(self) -> str:
        """The blank that `plain` takes from a prompt."""
        return " " if self._seen.endswith(" ") else ""

    def _read_echo(self, line: str) -> None:
        before = len(self._seen)
        while "\n" not in self._seen[before:]:
            if not self._read():
                return

    def _read(self) -> bool:
        """Take what comes next; False at the end."""
        ready, _, _ = select.select([self._screen], [], [], 60)
        if not ready:
            return True
        try:
            came = os.read(self._screen, 65_536)
        except OSError:  # the program has ended
            return False
        self._seen += came.decode(errors="replace")
        return bool(came)
