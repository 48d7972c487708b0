"""``python -m funcx_async``: a prompt; with words behind it, the command line."""

from __future__ import annotations

import sys

PROMPT = """\
python -m funcx_async                opens a prompt, with an executor on a local service
python -m funcx_async --endpoint ID  opens one with an executor on that endpoint
"""
"""What there is to say about the prompt."""


def _run(words: list[str]) -> int:
    if not words or words[0].partition("=")[0] == "--endpoint":
        from funcx_async.repl import main as prompt

        return prompt(words)
    from funcx_async.cli import main

    if words != ["--help"]:
        return main(words)
    print(PROMPT, flush=True)  # noqa: T201
    main(words)  # or what it needs: the question is answered either way
    return 0


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
