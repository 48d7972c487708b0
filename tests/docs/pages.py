"""The pages that people read, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    [
        ROOT / "README.md",
        *(page for page in (ROOT / "docs").rglob("*.md") if "transcripts" not in page.parts),
    ]
)
"""Transcripts are not among them: they were written by the machine that ran what is in them."""

_PIECES = re.compile(
    r"^(?P<indent>[ \t]*)```(?P<info>[^\n]*)\n(?P<text>.*?)^[ \t]*```[ \t]*$"
    r"|^<!-- not run: (?P<reason>.+?) -->$"
    r"|(?P<prose>^[^\n]*\n)",
    re.DOTALL | re.MULTILINE,
)
_OFFICIAL = re.compile(r"^(?:from|import) (funcx|globus_compute_sdk)\b", re.MULTILINE)
_FILE = re.compile(r"# ([\w/]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A piece of code on a page.

    Attributes:
        line: where it begins.
        language: what it is written in; empty if the page does not say.
        text: the code.
        reason: why the tests do not run it, in words of the page, or None.
        prose: what the page says between the block before and this one.
    """

    line: int
    language: str
    text: str
    reason: str | None
    prose: str

    @property
    def is_program(self) -> bool:
        """Whether it runs by itself; what does not goes on where the block before it ended."""
        return self.file is not None or bool(
            re.search(r"^(asyncio\.run\(|if __name__ ==)", self.text, re.MULTILINE)
        )

    @property
    def official(self) -> str | None:
        """The environment with the official package that it is written for, or None."""
        package = _OFFICIAL.search(self.text)
        return {"funcx": "funcx", "globus_compute_sdk": "sdk"}[package[1]] if package else None

    @property
    def file(self) -> str | None:
        """The file that its first line says it is."""
        named = _FILE.match(self.text)
        return named[1] if named else None


def blocks(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    text = page.read_text()
    found: list[Block] = []
    reason, prose = None, ""
    for piece in _PIECES.finditer(text):
        if piece["reason"]:
            reason = piece["reason"]
        elif piece["prose"] is not None:
            prose += piece["prose"]
        else:
            lines = piece["text"].splitlines(keepends=True)
            code = "".join(line.removeprefix(piece["indent"]) for line in lines)
            line = text.count("\n", 0, piece.start()) + 1
            language = piece["info"].split()[0] if piece["info"].strip() else ""
            found.append(Block(line, language, code, reason, " ".join(prose.split())))
            reason, prose = None, ""
    return found


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(ROOT))


def kept(block: Block, directory: Path, environment: dict[str, str]) -> str:
    """Write a block into a file of the directory; the dots stand for the reader's endpoint."""
    endpoint_id = environment["FUNCX_ASYNC_ENDPOINT_ID"]
    file = directory / (block.file or f"line{block.line}.py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.text.replace('endpoint_id="..."', f'endpoint_id="{endpoint_id}"'))
    return str(file)
