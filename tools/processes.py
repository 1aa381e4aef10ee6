"""Processes that measure: each prints its figures as JSON, in its last line."""

import json
import resource
import subprocess
import sys


def figures(command: list[str]) -> dict:
    """Runs a command to its end; what it printed last. Exits with what went wrong."""
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        sys.exit(f"{' '.join(command)}:\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    # macOS counts bytes, others KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
