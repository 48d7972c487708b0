"""Checks of options: each returns a value that can be used, or raises an error that names it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from funcx_async.serialize import FuncXSerializer

LAST_PORT = 65_535


def checked_batch_size(value: Any) -> int:
    """Return a batch size of at least 1.

    Raises:
        TypeError: for what is not an integer.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"batch_size must be an integer, not {value!r}.")
    return max(1, int(value))


def checked_serializer(value: Any) -> FuncXSerializer:
    """Return a serializer as it is.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(value, FuncXSerializer):
        raise TypeError(f"serializer must be a FuncXSerializer, not {value!r}.")
    return value


def checked_port(value: Any) -> int | None:
    """Return a port, or None for the service's choice.

    Raises:
        TypeError: for what is not an integer.
        ValueError: for what is no port.
    """
    if value is None:
        return None
    check_positive("amqp_port", value, whole=True)
    if value > LAST_PORT:
        raise ValueError(f"amqp_port must be a port, {LAST_PORT} at most, not {value!r}.")
    return int(value)


def checked_endpoint(value: str | UUID | None) -> str | None:
    """Return the id of an endpoint as the service writes it, or None for none.

    Raises:
        ValueError: for what is not a UUID.
    """
    if value is None:
        return None
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise ValueError(
            f"{value!r} is not the id of an endpoint: a UUID such as "
            "4b116d3c-1703-4f8f-9f6f-39921e5864df is."
        ) from None


def checked_key(key: Any) -> str:
    """Return the name of a task in the journal.

    Raises:
        TypeError: for what is not a string.
        ValueError: for an empty one, or one that is not text.
    """
    if not isinstance(key, str):
        raise TypeError(f"The key of a task must be a string, not {key!r}.")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"The key of a task must be text that UTF-8 can write: {key!r}.") from None
    if not key:
        raise ValueError("The key of a task must not be empty.")
    return key


def checked_path(journal: Any) -> Path:
    """Return the path of a journal, wherever the process goes later.

    Raises:
        TypeError: for what is no path.
    """
    if not isinstance(journal, str | os.PathLike):
        raise TypeError(f"journal must be the path of a file, not {journal!r}.")
    return Path(journal).absolute()


def check_positive(name: str, value: Any, *, whole: bool) -> None:
    """Refuse what is not a number above 0, and a ``whole`` one if it must be.

    Raises:
        TypeError: for what is not such a number.
        ValueError: for 0 and what is below.
    """
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be {'an integer' if whole else 'a number'}, not {value!r}.")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0, not {value!r}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices.

    Raises:
        ValueError: for anything else.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


def as_json(name: str, value: Mapping[str, Any] | None) -> str | None:
    """Return equal texts for equal options, and None for none.

    Raises:
        TypeError: for what is not a dictionary of JSON's types.
    """
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dictionary, not {value!r}.")
    if not value:
        return None
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be made of JSON's types: {error}.") from None
