"""Serialization: strategies under their official names, and the serializer that picks one."""

from funcx_async.serialize.code import (
    DillCode,
    DillCodeSource,
    DillCodeTextInspect,
    PickleCode,
    PureSourceDill,
    PureSourceTextInspect,
)
from funcx_async.serialize.combined import AllCodeStrategies, CombinedCode
from funcx_async.serialize.data import AllDataStrategies, DillDataBase64, JSONData
from funcx_async.serialize.explanation import Explanation, explain
from funcx_async.serialize.facade import FuncXSerializer
from funcx_async.serialize.framing import MalformedFrame, pack_buffers, unpack_buffers
from funcx_async.serialize.origin import send_by_reference, send_by_value
from funcx_async.serialize.strategy import SerializationStrategy

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
