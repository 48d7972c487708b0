"""Goes the way of each kind of user, from the README by one page to a first result.

`make transcripts` runs it, or `python -m docs.transcripts repl doctor` for some of them. Each goes
in a new directory: a clone, an environment, the commands and programs of the page. What was typed
and seen is written beside this file, with the seconds that it took.
"""

from __future__ import annotations

import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from docs.transcripts.stage import LIMIT, Stage
from docs.transcripts.users import USERS

HERE = Path(__file__).parent


def written(stage: Stage) -> str:
    """The transcript as a page."""
    when = datetime.now(UTC).date()
    rows = [f"| `{step.splitlines()[0]}` | {seconds:.1f} |" for step, seconds in stage.steps]
    made = (
        f"What was typed and seen on {when:%d %B %Y}, in a new directory, with Python "
        f"{platform.python_version()}: {stage.seconds:.0f} seconds in all. Written by `make "
        "transcripts`; the limit is five minutes."
    )
    parts = [
        f"# {stage.title}",
        made,
        *stage.text,
        "## Where the time went",
        "\n".join(["| step | seconds |", "|---|---:|", *rows]),
    ]
    return "\n\n".join(parts) + "\n"


def play(name: str) -> str:
    """Go the way of one user; the transcript as a page."""
    title, way = USERS[name]
    with Stage(title) as stage:
        way(stage)
    assert stage.seconds < LIMIT, f"{name} took {stage.seconds:.0f} s"
    shutil.rmtree(stage.home, ignore_errors=True)
    return written(stage)


def main(wanted: list[str]) -> None:
    for name in wanted or USERS:
        (HERE / f"{name}.md").write_text(play(name))
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
