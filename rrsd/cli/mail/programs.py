"""The mail servers' own programs that say how they are told, as far as they are on this host."""

import shutil
import subprocess
from collections.abc import Sequence

PATIENCE = 20.0
"""Seconds that a program has."""
_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin"


def found(name: str) -> str | None:
    """Where it is, in the folders of servers too, None when there is none."""
    return shutil.which(name) or shutil.which(name, path=_PATH)


def ended(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    """What it did and said, None when it failed, did not end in time, or could not be started."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done
