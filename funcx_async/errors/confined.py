"""Objects that stay in their process: what holds credentials or connections cannot be pickled.

A function is registered with the service, which keeps it. What it reads must not bring secrets
there, neither by itself nor through other objects.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Final, NoReturn, SupportsIndex, TypeVar

CREDENTIALS: Final = (
    "holds credentials, and those are never sent; have the function read its own where it runs, "
    "for example from an environment variable"
)
CONNECTIONS: Final = (
    "belongs to this process, as its connections and credentials do; make one inside the "
    "function, or send what the function needs of it"
)
FUTURE: Final = "stands for a task of this process; await it here and send its result"

C = TypeVar("C", bound=type[Any])


class CannotTravel(pickle.PicklingError):
    """An object that cannot be sent; the text says why, and what to do instead."""


def confined(reason: str) -> Callable[[C], C]:
    """Have the objects of a class refuse to be pickled and copied.

    Args:
        reason: Why, and what to do instead; the name of the class goes before it.

    Returns:
        A decorator of classes; it counts for their subclasses, too.

    Example:
        >>> @confined(CREDENTIALS)
        ... class Key: ...
        >>> try:
        ...     pickle.dumps(Key())
        ... except CannotTravel as error:
        ...     print(str(error).partition(",")[0])
        Key holds credentials
    """

    def refuse(self: object, protocol: SupportsIndex, /) -> NoReturn:
        raise CannotTravel(f"{type(self).__name__} {reason}")

    def mark(kind: C) -> C:
        kind.__reduce_ex__ = refuse  # type: ignore[assignment]  # to mypy it has a self already
        return kind

    return mark
