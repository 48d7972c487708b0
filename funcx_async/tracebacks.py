"""What a traceback says went wrong, without where: for readers who must not see more."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Final

LONGEST: Final = 2_000
"""So many characters of a message are told: a message may hold a whole document."""

_CHAINED = re.compile(
    r"^(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\n\n",
    re.MULTILINE,
)
_HEAD = re.compile(r"^(?:\+ Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)
_PARTS = re.compile(r"^\+-\+-+ 1 -+$", re.MULTILINE)
_MARGIN = re.compile(r"^\| ?", re.MULTILINE)


def error_told_by(traceback: str) -> str:
    r"""Give the type and the message of the error that a traceback ends with, notes included.

    Of an exception group that is its own message, without those of its parts. A text that is no
    traceback is given as it is. Either is cut where it is too long, and empty if there is nothing.

    Args:
        traceback: the traceback, as Python prints it.

    Example:
        >>> error_told_by('''Traceback (most recent call last):
        ...   File "model.py", line 7, in run
        ...     raise ValueError("two lines:\\nthis is the second")
        ... ValueError: two lines:
        ... this is the second''')
        'ValueError: two lines:\nthis is the second'
    """
    last = dedent(_CHAINED.split(traceback)[-1].strip("\n"))
    head = _HEAD.search(last)
    if head is not None:
        last = last[head.end() :]
        if head[0].startswith("+"):
            last = _MARGIN.sub("", _PARTS.split(last)[0])
        # Frames are indented; a message and its notes begin where the margin is.
        error = re.search(r"^\S.*", last, re.MULTILINE | re.DOTALL)
        last = error[0] if error is not None else last.strip().rpartition("\n")[2]
    last = last.strip()
    return last if len(last) <= LONGEST else last[: LONGEST - 1] + "…"
