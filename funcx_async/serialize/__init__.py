"""Serialization: strategies under their official names, and the serializer that picks one."""

from funcx_async.serialize.explanation import Explanation, explain
from funcx_async.serialize.origin import send_by_reference, send_by_value
from funcx_async.serialize.serializer import FuncXSerializer
from funcx_async.serialize.strategies import (
    AllCodeStrategies,
    AllDataStrategies,
    CombinedCode,
    DillCode,
    DillCodeSource,
    DillCodeTextInspect,
    DillDataBase64,
    JSONData,
    PickleCode,
    PureSourceDill,
    PureSourceTextInspect,
)
from funcx_async.serialize.strategy import (
    MalformedFrame,
    SerializationStrategy,
    pack_buffers,
    unpack_buffers,
)

__all__ = [
    "AllCodeStrategies",
    "AllDataStrategies",
    "CombinedCode",
    "DillCode",
    "DillCodeSource",
    "DillCodeTextInspect",
    "DillDataBase64",
    "Explanation",
    "FuncXSerializer",
    "JSONData",
    "MalformedFrame",
    "PickleCode",
    "PureSourceDill",
    "PureSourceTextInspect",
    "SerializationStrategy",
    "explain",
    "pack_buffers",
    "send_by_reference",
    "send_by_value",
    "unpack_buffers",
]
