"""Stands in for `cloudpickle` in its own test suite: our serializer behind its names.

The suite's tests import this module under that name. A payload is the identifier of the strategy
and then, where the strategy writes base64, the pickle itself: some tests look at its bytes.
"""

from __future__ import annotations

import base64
import os
import pickle
import sys
from types import ModuleType
from typing import Any, BinaryIO

from funcx_async.errors import SerializationError
from funcx_async.serialize import (
    DillCode,
    FuncXSerializer,
    send_by_reference,
    send_by_value,
)

DEFAULT_PROTOCOL = pickle.HIGHEST_PROTOCOL
PicklingError = pickle.PicklingError
STRATEGIES = {"compiled": DillCode, "default": None}
BASE64 = (b"00\n", b"01\n")

serializer = FuncXSerializer(STRATEGIES[os.environ["SUITE_STRATEGY"]])
by_value: set[str] = set()
# The suite's workers have its package, its helpers and this module.
for name in ("cloudpickle", "_cloudpickle_testpkg", "testutils", "tests.testutils"):
    send_by_reference(name)


class Refused(SerializationError, PicklingError, RuntimeError):
    """A refusal, which the suite's tests expect to be of one of pickle's own kinds."""


def dumps(obj: Any, protocol: int | None = None, buffer_callback: object = None) -> bytes:
    """Serialize an object as an argument or a function is; the wire has one protocol."""
    try:
        text = serializer.serialize(obj).encode()
    except SerializationError as error:
        deep = "; deep recursion, the suite calls it" if "nested too deeply" in str(error) else ""
        raise Refused(str(error) + deep) from error
    return text[:3] + base64.b64decode(text[3:]) if text.startswith(BASE64) else text


def loads(payload: bytes) -> Any:
    """Read what `dumps` has written."""
    if payload.startswith(BASE64):
        payload = payload[:3] + base64.encodebytes(payload[3:])
    return serializer.deserialize(payload.decode())


def dump(obj: Any, file: BinaryIO, protocol: int | None = None) -> None:
    file.write(dumps(obj))


def load(file: BinaryIO) -> Any:
    return loads(file.read())


def register_pickle_by_value(module: ModuleType) -> None:
    by_value.add(module.__name__)
    send_by_value(module)


def unregister_pickle_by_value(module: ModuleType) -> None:
    by_value.discard(module.__name__)
    send_by_reference(module)


def list_registry_pickle_by_value() -> set[str]:
    return by_value.copy()


def __getattr__(name: str) -> Any:
    """The internals that the suite imports; the tests that use them do not apply."""
    if name.startswith("__"):
        raise AttributeError(name)
    return NotImplemented


# The suite also imports names from `cloudpickle.cloudpickle`.
cloudpickle = sys.modules["cloudpickle.cloudpickle"] = sys.modules["cloudpickle"]
