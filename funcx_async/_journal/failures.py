"""Errors of this package as records, and back."""

from __future__ import annotations

from typing import Any

from funcx_async import errors
from funcx_async._core.book import Failure
from funcx_async.errors import FuncXError


def failure_of(error: BaseException) -> Failure:
    """Give what is to be written down of an error; its cause stays behind.

    Example:
        >>> failure_of(errors.NotFound("There is no such endpoint.", status=404)).kind
        'NotFound'
    """
    if not isinstance(error, FuncXError):
        return Failure("FuncXError", f"{type(error).__name__}: {error}")
    attributes = {name: value for name, value in vars(error).items() if _is_plain(value)}
    message = str(error.args[0]) if error.args else ""
    return Failure(type(error).__name__, message, attributes)


def error_of(failure: Failure) -> FuncXError:
    """Give the error that was written down; of a kind not known here, a plain FuncXError.

    Example:
        >>> error_of(Failure("NotFound", "There is no such endpoint.", {"status": 404})).status
        404
    """
    kind = getattr(errors, failure.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, FuncXError)):
        kind = FuncXError
    error: FuncXError = kind(failure.message)
    for name, value in failure.attributes.items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    return error


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, str) for part in value)
    return value is None or isinstance(value, str | int | float)
