"""Where the files of a measurement are: a fresh ext4 with a journal in an image, or a plain folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from rrsd.cli.output import size
from rrsd.core.refusals import NoSpace

_SPARE = 2 * 1024 * 1024 * 1024


@frozen
class Ground:
    """A folder for everything, and what can be said of the file system under it."""

    path: Path
    said: str


def may_mount() -> bool:
    """Whether a journalled image can be made and mounted here."""
    tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "losetup", "mount", "umount", "fallocate"))
    return os.geteuid() == 0 and tools and Path("/dev/loop-control").exists()


@contextmanager
def grounded(where: str, need: int, is_ext4: bool) -> Iterator[Ground]:
    """A new folder in `where` with room for `need` bytes; nothing of it is left afterwards.

    Raises:
        NoSpace: there is not so much room, or the image cannot be mounted.
    """
    folder = Path(tempfile.mkdtemp(prefix="rrsd-bench-", dir=where or None)).resolve()
    try:
        free = shutil.disk_usage(folder).free
        if free < need + _SPARE:
            raise NoSpace(
                f"{folder} has {size(free)} free and {size(need + _SPARE)} are needed: choose another --folder"
            )
        if is_ext4:
            with _mounted(folder, need) as path:
                yield Ground(path, "fresh ext4 with a journal, in a loop-mounted image (direct I/O)")
        else:
            yield Ground(folder, _told(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _mounted(folder: Path, need: int) -> Iterator[Path]:
    image, path, device = folder / "image", folder / "ext4", ""
    path.mkdir()
    try:
        _run("fallocate", "-l", str(need + _SPARE // 2), str(image))
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        device = _run("losetup", "--direct-io=on", "--find", "--show", str(image)).strip()
        _run("mount", device, str(path))
        path.chmod(0o755)
        yield path
    finally:
        if os.path.ismount(path):
            subprocess.run(["umount", "-l", str(path)], check=False)
        if device:
            subprocess.run(["losetup", "-d", device], check=False)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoSpace(f"{command[0]}: {done.stderr.strip()[-200:]}; try --no-ext4")
    return done.stdout


def _told(folder: Path) -> str:
    """File system and device of a folder, from the longest mount point above it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [each for each in mounts if folder.is_relative_to(each[1])]
    device, _, kind, *_ = max(above, key=lambda each: len(each[1]))
    # The kernel names each journal after its device; in a container the folder may be hidden.
    journals = Path("/proc/fs/jbd2")
    is_ext = kind.startswith("ext") and journals.exists()
    has = any(each.name.startswith(Path(device).name) for each in journals.iterdir()) if is_ext else False
    return f"{kind}" + (f" {'with a' if has else 'without'} journal" if is_ext else "") + ", no image of its own"
