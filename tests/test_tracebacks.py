"""What clients are told of a remote traceback: the error, whole, and no frame."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import NoReturn

import pytest

from funcx_async import TaskExecutionFailed
from funcx_async.errors import LONGEST_MESSAGE, last_error, last_exception


def divided() -> None:
    _ = 1 / 0


def spoken_in_lines() -> NoReturn:
    raise ValueError("the input is no good:\n  line 1: a comma is missing\n\nline 2: so is this")


def noted() -> NoReturn:
    error = KeyError("depth")
    error.add_note("while reading site.yaml\nof the run 7")
    raise error


def chained() -> None:
    try:
        divided()
    except ZeroDivisionError as error:
        raise RuntimeError("no mean of nothing") from error


def handled_badly() -> None:
    try:
        spoken_in_lines()
    except ValueError:
        divided()


def quoting() -> NoReturn:
    raise RuntimeError(f"the child failed:\n{traceback_of(divided)}")


def grouped() -> NoReturn:
    raise ExceptionGroup("both\nof them", [ValueError("one"), TypeError("two")])


def grouped_for_a_reason() -> None:
    try:
        divided()
    except ZeroDivisionError as error:
        raise ExceptionGroup("all", [ExceptionGroup("inner", [error])]) from error


def recursive() -> None:
    recursive()


def misspelt() -> None:
    compile("x = = 1", "<typed>", "exec")


def traceback_of(function: Callable[[], None]) -> str:
    try:
        function()
    except Exception:
        return traceback.format_exc()
    raise AssertionError(f"{function.__name__} did not fail")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (divided, "ZeroDivisionError: division by zero"),
        (
            spoken_in_lines,
            "ValueError: the input is no good:\n  line 1: a comma is missing\n\nline 2: so is this",
        ),
        (noted, "KeyError: 'depth'\nwhile reading site.yaml\nof the run 7"),
        (chained, "RuntimeError: no mean of nothing"),
        (handled_badly, "ZeroDivisionError: division by zero"),
        (quoting, f"RuntimeError: the child failed:\n{traceback_of(divided).strip()}"),
        (grouped, "ExceptionGroup: both\nof them (2 sub-exceptions)"),
        (grouped_for_a_reason, "ExceptionGroup: all (1 sub-exception)"),
        (recursive, "RecursionError: maximum recursion depth exceeded"),
        (misspelt, "SyntaxError: invalid syntax"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_whole_message_is_told_and_no_frame(function: Callable[[], None], told: str):
    assert last_error(traceback_of(function)) == told


def test_a_traceback_that_stands_further_right_is_read_as_well():
    indented = "\n" + "".join(f"    {line}\n" for line in traceback_of(divided).splitlines())
    assert last_error(indented) == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(" \n\n", "", id="blanks"),
        pytest.param(
            "WorkerLost: the node\nis gone\n", "WorkerLost: the node\nis gone", id="words"
        ),
        pytest.param("Traceback (most recent call last):\n", "", id="a head alone"),
        pytest.param(
            'Traceback (most recent call last):\n  File "x"\n    cut o', "cut o", id="cut off"
        ),
    ],
)
def test_what_is_no_whole_traceback_is_told_as_far_as_it_goes(text: str, told: str):
    assert last_error(text) == told


def test_a_message_without_end_is_cut():
    told = last_error(f"Traceback (most recent call last):\nValueError: {'x' * 1_000_000}")
    assert len(told) == LONGEST_MESSAGE
    assert told.startswith("ValueError: xxx")
    assert told.endswith("x…")


class SimError(Exception):
    """One of our own."""


def without_words() -> NoReturn:
    raise ValueError


def noted_without_words() -> NoReturn:
    error = ValueError()
    error.add_note("of the run 7")
    raise error


def local_kind() -> NoReturn:
    class LocalError(SimError):
        pass

    raise LocalError("no grid: 7")


def own_kind() -> NoReturn:
    raise SimError("no grid: 7")


def speechless() -> NoReturn:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise TypeError

    raise MuteError


HOME = __name__


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (divided, "ZeroDivisionError", "division by zero"),
        (
            spoken_in_lines,
            "ValueError",
            "the input is no good:\n  line 1: a comma is missing\n\nline 2: so is this",
        ),
        (noted, "KeyError", "'depth'\nwhile reading site.yaml\nof the run 7"),
        (without_words, "ValueError", ""),
        (noted_without_words, "ValueError", "of the run 7"),
        (chained, "RuntimeError", "no mean of nothing"),
        (handled_badly, "ZeroDivisionError", "division by zero"),
        (quoting, "RuntimeError", f"the child failed:\n{traceback_of(divided).strip()}"),
        (grouped, "ExceptionGroup", "both\nof them (2 sub-exceptions)"),
        (grouped_for_a_reason, "ExceptionGroup", "all (1 sub-exception)"),
        (misspelt, "SyntaxError", "invalid syntax"),
        (own_kind, f"{HOME}.SimError", "no grid: 7"),
        (local_kind, f"{HOME}.local_kind.<locals>.LocalError", "no grid: 7"),
        (speechless, f"{HOME}.speechless.<locals>.MuteError", "<exception str() failed>"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_type_and_the_message_are_told_apart(
    function: Callable[[], None], kind: str, message: str
):
    text = traceback_of(function)
    assert last_exception(text) == (kind, message)
    assert last_exception(f"[7 characters left out]\n{text}") == (kind, message)
    failure = TaskExecutionFailed(text)
    assert (failure.exception_type, failure.exception_message) == (kind, message)


FRAMES = """te.py", line 3, in solve
    step()
  File "model.py", line 7, in step
    raise SimError(
    ^^^^^^^^^^^^^^^
"""
HELP = """

This appears to be an error with serialization. If it is, using a different
serialization strategy might resolve the issue."""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("the node was taken down", None, id="a sentence"),
        pytest.param("down", None, id="a word"),
        pytest.param("note: the node was taken down", None, id="a sentence with a colon"),
        pytest.param("Traceback (most recent call last):\n", None, id="a head alone"),
        pytest.param(
            'Traceback (most recent call last):\n  File "x"\n    cut', None, id="cut off at the end"
        ),
        pytest.param(
            "MaxResultSizeExceeded: 12 MB are too much",
            ("MaxResultSizeExceeded", "12 MB are too much"),
            id="a code",
        ),
        pytest.param(
            "parsl.executors.errors.WorkerLost: Task failure due to loss of worker 3\n",
            ("parsl.executors.errors.WorkerLost", "Task failure due to loss of worker 3"),
            id="a lost worker",
        ),
        pytest.param(
            f"[812345 characters left out]\n{FRAMES}mylab.SimError: no grid:\n7",
            ("mylab.SimError", "no grid:\n7"),
            id="cut off at the beginning",
        ),
        pytest.param("[9 characters left out]\nxxxx\nValueError: x", None, id="of a message alone"),
        pytest.param(
            f'Traceback (most recent call last):\n  File "{FRAMES}TypeError: cannot pickle{HELP}',
            ("TypeError", "cannot pickle"),
            id="with the help of the official client",
        ),
    ],
)
def test_a_type_is_told_only_where_the_text_names_one(text: str, told: tuple[str, str] | None):
    assert last_exception(text) == told
    failure = TaskExecutionFailed(text)
    assert (failure.exception_type, failure.exception_message) == (told or (None, None))
