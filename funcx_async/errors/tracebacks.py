"""What a traceback in text says went wrong, without where."""

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
_CUT = re.compile(r"\[\d+ characters left out\]\n")
_FRAME = re.compile(r"^ +File \".*\", line \d+.*$", re.MULTILINE)
_NAME = r"[^\W\d]\w*"
_RAISED = re.compile(rf"((?:{_NAME}\.|<locals>\.)*{_NAME})(?:: |\n|\Z)(.*)", re.DOTALL)
_NAMED = re.compile(r"((?:\w+\.)*[A-Z]\w+): (.*)", re.DOTALL)
"""The name of an error before a sentence, such as that of a worker that was lost."""
_HELP = "\n\nThis appears to be an error with serialization."
"""How the help begins that the official SDK puts behind a traceback that mentions pickles."""


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
    last, _ = _last_error(traceback)
    return last if len(last) <= LONGEST else last[: LONGEST - 1] + "…"


def exception_told_by(traceback: str) -> tuple[str, str] | None:
    r"""Return the type and the message of the exception that a traceback ends with.

    Args:
        traceback: the traceback, as Python prints it; its beginning may be missing.

    Returns:
        The type's name, with its module unless it is built in, and the message, to which the
        notes belong, as nothing in the text tells them apart. None if the text names no exception.

    Example:
        >>> exception_told_by('''Traceback (most recent call last):
        ...   File "model.py", line 7, in run
        ... mylab.SimError: no grid: 7''')
        ('mylab.SimError', 'no grid: 7')
        >>> exception_told_by("the node was taken down")
    """
    last, was_raised = _last_error(traceback)
    found = (_RAISED if was_raised else _NAMED).fullmatch(last)
    return None if found is None else (found[1], found[2].strip())


def _last_error(traceback: str) -> tuple[str, bool]:
    """Return the last exception as it is printed, or text that is no traceback; and which it is."""
    text = _CHAINED.split(traceback)[-1].partition(_HELP)[0].strip("\n")
    cut = _CUT.match(text)
    last = dedent(text if cut is None else text[cut.end() :])
    head = _HEAD.search(last)
    if head is not None:
        last = last[head.end() :]
        if head[0].startswith("+"):
            last = _MARGIN.sub("", _PARTS.split(last)[0])
    elif cut is not None and (frames := list(_FRAME.finditer(last))):
        last = last[frames[-1].end() :]
    else:
        return last.strip(), False
    # Frames are indented; a message and its notes begin where the margin is.
    error = re.search(r"^\S.*", last, re.MULTILINE | re.DOTALL)
    if error is None:
        return last.strip().rpartition("\n")[2].strip(), False
    return error[0].strip(), True
