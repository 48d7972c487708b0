"""Serve the gateway on this machine: ``python -m examples.gateway``."""

from __future__ import annotations

import argparse

import uvicorn

from .app import app

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.gateway", description=app.description)
    parser.add_argument("--port", type=int, default=8000, help="port to serve on (default: 8000)")
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, timeout_graceful_shutdown=10)
