"""Processes that measure: each prints its figures as JSON, in its last line."""

import json
import subprocess
import sys


def figures(command: list[str]) -> dict:
    """Runs a command to its end; what it printed last. Exits with what went wrong."""
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        sys.exit(f"{' '.join(command)}:\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])
