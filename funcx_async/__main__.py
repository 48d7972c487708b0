"""``python -m funcx_async``: a prompt; with words behind it, the command line."""

from __future__ import annotations

import sys


def _run(words: list[str]) -> int:
    if not words or words[0].partition("=")[0] == "--endpoint":
        from funcx_async.repl import main as prompt

        return prompt(words)
    from funcx_async.cli import main

    return main(words)


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
