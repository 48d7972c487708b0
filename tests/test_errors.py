"""The tree of errors, as it is documented and as users meet it."""

from __future__ import annotations

import pickle
import re
import traceback

import pytest

from funcx_async import errors

CLASSES = list({getattr(errors, name): None for name in errors.__all__})


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes():
    drawn = {}
    branch = ["FuncXError"]
    for indent, name in re.findall(r"^ {4}([│ ]*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE):
        branch[len(indent) // 4 + 1 :] = [name]
        drawn[name] = branch[-2]
    assert drawn == {
        kind.__name__: kind.__bases__[0].__name__
        for kind in CLASSES
        if kind is not errors.FuncXError
    }


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in CLASSES])
def test_an_error_says_that_it_is_from_where_it_is_imported_from(kind: type[errors.FuncXError]):
    told = "".join(traceback.format_exception_only(kind("It went wrong.")))
    assert told.startswith(f"funcx_async.errors.{kind.__name__}: ")
    by_reference = pickle.dumps(kind, protocol=0)
    assert by_reference.startswith(b"cfuncx_async.errors\n" + kind.__name__.encode())
    assert pickle.loads(by_reference) is kind


def test_messages_hold_no_characters_that_control_a_terminal():
    told = (
        "red \x1b[31m, a bell \x07, over\rwritten, \x9b2J, \u202eback, half \udce9\r\nnext\tline é"
    )
    expected = (
        r"red \x1b[31m, a bell \x07, over\rwritten, \x9b2J, \u202eback, half \udce9"
        "\nnext\tline é"
    )
    assert str(errors.FuncXError(told)) == expected
    assert repr(errors.RequestRefused(told)) == f"RequestRefused({expected!r})"
    failed = errors.TaskExecutionFailed(told)
    assert "\x1b" not in str(failed)
    assert r"\x1b[31m" in str(failed)
    assert failed.remote_data == told, "as it came"
