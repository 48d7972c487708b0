"""Runs blocks of Python as somebody would who types them: one after the other, in one session.

As in ``python -m asyncio``, they may await. Run it as a program, with the blocks' files.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from pathlib import Path
from types import ModuleType


def main(files: list[str]) -> None:
    session = ModuleType("__main__")
    sys.modules["__main__"] = session
    with asyncio.Runner() as runner:
        for file in files:
            code = compile(
                Path(file).read_text(),
                file,
                "exec",
                ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            result = eval(code, session.__dict__)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(result)


if __name__ == "__main__":
    main(sys.argv[1:])
