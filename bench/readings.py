"""What /proc says of processes: processor time, peak memory; and the moment of rest between two measurements."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SECTOR = 512


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that the processes have used so far."""
    return sum(sum(int(ticks) for ticks in _stat(pid)[11:13]) for pid in pids) / _TICKS


def peak_mib(pid: int) -> float:
    """The most memory that was resident since the last `forget_peak` (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now; without the right to do so the peak is since the start."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return


def family(pid: int) -> list[int]:
    """The process and its children."""
    return [pid, *(child for child, parent in _parents() if parent == pid)]


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_of_trees(pids: Iterable[int]) -> float:
    """As `cpu_seconds`, with what the processes' children had used that ended meanwhile."""
    return sum(sum(int(ticks) for ticks in _stat(pid)[11:15]) for pid in pids if _lives(pid)) / _TICKS


def name_of(pid: int) -> str:
    """What the process is called; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def device_bytes(path: Path) -> int:
    """Bytes written so far to the block device under `path`, by whomever."""
    number = os.stat(path).st_dev
    fields = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").read_text().split()
    return int(fields[6]) * _SECTOR


def written_bytes(pid: int) -> int:
    """Bytes that the process has had written, less what was taken back before it reached the disk; 0 when it ended."""
    try:
        said = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    except OSError:
        return 0
    return int(said["write_bytes"]) - int(said["cancelled_write_bytes"])


def settle() -> None:
    """Nothing dirty is left of the step before."""
    os.sync()
    time.sleep(0.3)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold anything; the fields are counted after it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                yield int(name), int(_stat(int(name))[1])
        except OSError:
            continue  # it ended meanwhile
