"""Run CPython's own tests of ``concurrent.futures.Future`` with ours in its place.

A program of its own: it needs an interpreter with the ``test`` package, and nothing else.
"""

from __future__ import annotations

import sys
import types
import unittest
from pathlib import Path

# The future needs none of the package's dependencies, and this interpreter has none of them.
package = types.ModuleType("funcx_async")
package.__path__ = [str(Path(__file__).parents[2] / "funcx_async")]
sys.modules["funcx_async"] = package

from concurrent.futures import _base  # noqa: E402

from test.test_concurrent_futures import test_future, util  # noqa: E402

from funcx_async._futures.future import FuncXFuture  # noqa: E402

# The tests look for the class's name in its repr.
Future = type("Future", (FuncXFuture,), {})


def create_future(
    state: str = _base.PENDING, exception: BaseException | None = None, result: object = None
) -> object:
    """As CPython's tests make a future in some state."""
    future = Future()
    future._state = state
    future._exception = exception
    future._result = result
    return future


for module in (test_future, util):
    module.Future = Future
    module.create_future = create_future
    for name, theirs in list(vars(module).items()):
        if name.endswith("_FUTURE") and type(theirs) is _base.Future:
            ours = create_future(theirs._state, theirs._exception, theirs._result)
            setattr(module, name, ours)

if __name__ == "__main__":
    unittest.main(module=test_future, argv=[sys.argv[0], "-v"])
