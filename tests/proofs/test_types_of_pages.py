"""The programs of README and docs pass a type checker as they are written."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]


def is_whole(code: str) -> bool:
    """Return whether a block can be read by itself: it imports what it uses, and awaits nothing."""
    try:
        tree = ast.parse(code)
        compile(code, "<block>", "exec")
    except SyntaxError:  # a prompt's await
        return False
    return isinstance(tree.body[0], ast.Import | ast.ImportFrom)


def test_programs_of_pages_pass_mypy(tmp_path: Path):
    written = {}
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python" and block.official is None and is_whole(block.text):
                name = f"{page.stem.replace('-', '_').replace('.', '_')}_{block.line}.py"
                (tmp_path / name).write_text(block.text)
                written[name] = f"{page.relative_to(ROOT)}:{block.line}"
    assert len(written) > 20
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--check-untyped-defs", "--ignore-missing-imports"),
            # What these programs leave open, a checker asks of its users: a type for an empty
            # dictionary, and names that the blocks before have defined.
            *("--disable-error-code=var-annotated", "--disable-error-code=name-defined"),
            *("--disable-error-code=import-untyped", "--config-file="),
            *written,
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    errors = [line for line in ended.stdout.splitlines() if line.partition(":")[0] in written]
    assert errors == [], {error: written[error.partition(":")[0]] for error in errors}
    assert ended.returncode == 0, ended.stdout + ended.stderr
