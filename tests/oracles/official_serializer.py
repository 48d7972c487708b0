"""The official SDK's serializer and packer at work, in their own interpreter.

Reads lines of JSON: for each value its official strategy, its text as Python, and what funcx_async
made of it. Answers what was read, and what the official package makes of the value itself.
"""

from __future__ import annotations

import json
import sys

from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import Result
from globus_compute_sdk.serialize import ComputeSerializer, concretes

serializer = ComputeSerializer()


def read(payload):
    try:
        return ascii(serializer.deserialize(payload))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def written(strategy, value):
    try:
        return getattr(concretes, strategy)().serialize(value)
    except Exception:
        return None


def packed(task_id, payload):
    body = messagepack.pack(Result(task_id=task_id, data=payload))
    return body.decode("latin-1")


def unpacked(body):
    return messagepack.unpack(body.encode("latin-1")).data


def main():
    for line in sys.stdin:
        strategy, text, payload, task_id, body = json.loads(line)
        value = eval(text, {"inf": float("inf")})
        own = written(strategy, value)
        answer = {
            "read": None if payload is None else read(payload),
            "written": own,
            "pack": serializer.pack_buffers([own or "", "caf\u00e9"]),
            "result": packed(task_id, own or ""),
            "body": unpacked(body),
        }
        print(json.dumps(answer), flush=True)
    assert "funcx_async" not in sys.modules


if __name__ == "__main__":
    main()
