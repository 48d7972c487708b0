"""``python -m funcx_async``."""

from __future__ import annotations

import sys

from funcx_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
