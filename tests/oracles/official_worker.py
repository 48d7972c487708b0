"""The official worker's own code, run by its own interpreter, which has no funcx_async.

Reads tasks as lines of JSON, each the function and the arguments as they are sent; runs them as
an endpoint does, and answers each by a line with the result message.
"""

from __future__ import annotations

import json
import sys
import uuid

from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import Task
from globus_compute_endpoint.engines.helper import execute_task


def main(folder):
    for line in sys.stdin:
        function, arguments = json.loads(line)
        buffer = f"{len(function)}\n{function}{arguments}"
        task_id = uuid.uuid4()
        body = messagepack.pack(Task(task_id=task_id, task_buffer=buffer))
        message = execute_task(body, task_id, run_dir=folder)
        print(message.decode("latin-1").encode("unicode_escape").decode("ascii"), flush=True)
    assert "funcx_async" not in sys.modules


if __name__ == "__main__":
    main(sys.argv[1])
