"""The one question that the suite asks psutil: how much memory a worker has."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace


class Process:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def memory_info(self) -> SimpleNamespace:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return SimpleNamespace(rss=pages * os.sysconf("SC_PAGE_SIZE"))
