"""One store, one daemon (Z-02): a lock of the operating system on a file in the folder."""

import fcntl
import os
from contextlib import suppress

from attrs import define, field

from rrsd.core.refusals import Conflict
from rrsd.drivers.store.blobs.files import refusing


@define(eq=False)
class FolderLock:
    """Held from `take` to `release`, or to the end of the process, however that comes. Both block for a moment."""

    folder: str
    _descriptor: int | None = field(default=None, init=False)

    def take(self) -> None:
        """Be the only one.

        Raises:
            Conflict: another process holds the lock.
            NoSpace: the file cannot be made.
        """
        with refusing(f"store {self.folder}"):
            os.makedirs(self.folder, 0o700, exist_ok=True)
            descriptor = os.open(f"{self.folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise Conflict(f"store {self.folder} is in use by process {holder}: stop that daemon first") from None
        self._descriptor = descriptor
        with suppress(OSError):  # the name is only for people: a full disk must not keep the daemon from starting
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next one in."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
