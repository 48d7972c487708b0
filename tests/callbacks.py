"""How many callbacks a future still has, seen from outside."""

from __future__ import annotations

import gc
from typing import Any

from funcx_async._futures.future import FuncXFuture


def callbacks_of(future: FuncXFuture[Any]) -> int:
    """Count the callables that ``future`` keeps alive, in its lists and nowhere else."""
    lists = [held for held in gc.get_referents(future) if isinstance(held, list)]
    return sum(callable(entry) for entries in lists for entry in gc.get_referents(entries))
