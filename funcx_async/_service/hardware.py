"""A task that describes the machine that it runs on."""

from __future__ import annotations

from funcx_async.serialize import send_by_value

send_by_value(__name__)  # official workers do not have this package


def hardware_report() -> str:
    """Describe this machine for people: processors, memory, disks, graphics.

    It is sent to workers, which may run another version of Python and have nothing of this
    package, so it brings along all that it needs and gives a text whatever is missing there.
    """
    import os
    import platform
    import shutil
    import subprocess
    from pathlib import Path

    def lines_of(path: str, *names: str) -> list[str]:
        """The first line for each name in a file of ``name : value`` lines."""
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            return []
        found: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() in names:
                found.setdefault(name.strip(), value.strip())
        return [f"{name}: {value}" for name, value in found.items()]

    def disk(path: str) -> str:
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            return f"{path}: {error}"
        return f"{path}: {usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB"

    def said_by(*command: str) -> list[str]:
        if shutil.which(command[0]) is None:
            return [f"{command[0]} is not installed"]
        try:
            done = subprocess.run(  # noqa: S603 - the commands are those below
                command, capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            return [f"{command[0]}: {error}"]
        return (done.stdout or done.stderr).strip().splitlines()

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    sections = {
        "python": [
            f"{platform.python_implementation()} {platform.python_version()}",
            platform.platform(),
            f"host: {platform.node()}",
        ],
        "processors": [
            f"machine: {platform.machine()}",
            f"cores: {os.cpu_count()}, of which this task may use {allowed}",
            *lines_of("/proc/cpuinfo", "model name", "cpu MHz", "cache size"),
        ],
        "memory": lines_of("/proc/meminfo", "MemTotal", "MemAvailable", "SwapTotal", "SwapFree"),
        "disks": [disk(path) for path in dict.fromkeys(("/", os.getcwd(), "/tmp"))],  # noqa: PTH109, S108
        "graphics": said_by("nvidia-smi", "--list-gpus"),
    }
    return "\n\n".join(
        "\n".join([f"== {title} ==", *(lines or ["unknown"])]) for title, lines in sections.items()
    )
