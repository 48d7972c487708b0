"""What this package takes for granted of the hosted service without having seen it, and a look.

Most of what the package knows of the service was seen on the wire or is written in the official
clients. A few facts are inferred. Whoever has an account can have each of them looked at, and
record what was found: ``python -m funcx_async doctor --contract``.

It registers two functions and runs a dozen tasks that give their argument back.
"""

from funcx_async.doctor.contract.findings import Finding, Findings
from funcx_async.doctor.contract.look import Look, look_from_here

__all__ = ["Finding", "Findings", "Look", "look_from_here"]
