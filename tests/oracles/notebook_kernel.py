"""A Jupyter kernel that is told by lines of JSON which cells to run, and tells what they showed.

Run by the interpreter that has Jupyter.
"""

from __future__ import annotations

import json
import sys

from jupyter_client.manager import start_new_kernel


def run(client, manager, cell, interrupt_at):
    """Run a cell; ``interrupt_at`` is what it prints when the interrupt button is pressed."""
    outputs = []

    def show(message):
        kind, content = message["msg_type"], message["content"]
        if kind in ("display_data", "execute_result"):
            outputs.append(content["data"])
        elif kind == "stream":
            outputs.append({content["name"]: content["text"]})
            if interrupt_at and interrupt_at in content["text"]:
                manager.interrupt_kernel()

    reply = client.execute_interactive(cell, timeout=60, allow_stdin=False, output_hook=show)
    error = reply["content"].get("ename"), reply["content"].get("evalue")
    return {"outputs": outputs, "error": error if error[0] else None}


def main():
    manager, client = start_new_kernel()
    try:
        for line in sys.stdin:
            print(json.dumps(run(client, manager, *json.loads(line))), flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


if __name__ == "__main__":
    main()
