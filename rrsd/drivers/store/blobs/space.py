"""Room on the disk, promised before it is used."""

from threading import Lock

from attrs import define, field

from rrsd.core.refusals import NoSpace
from rrsd.drivers.store.blobs.files import Files, refusing


@define(eq=False)
class Space:
    """Counts what was promised and not yet written, so that two promises never name the same bytes.

    Counting is chosen over allocation: it costs no call per file, and leaves every file as long as what was written.
    """

    _files: Files
    _root: str
    _keep_free: int
    _promised: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def likely(self, size: int) -> bool:
        """Whether there was room for `size` bytes when last looked; asks nobody, so it may run anywhere."""
        return self._seen - self._promised - size >= self._keep_free

    def check(self, size: int) -> None:
        """Look; refuses with NoSpace when `size` bytes do not fit beside what is promised."""
        with refusing("free space"):
            self._seen = self._files.free(self._root)
        if not self.likely(size):
            raise NoSpace(f"{size} bytes would leave less than {self._keep_free} free")

    def require_some(self) -> None:
        """Look; refuses with NoSpace, for the operator to read, when nothing more can be promised."""
        try:
            self.check(0)
        except NoSpace:
            fact = f"less than {self._keep_free} bytes are free on the disk of {self._root}"
            raise NoSpace(f"{fact}; free some, what waits goes on by itself") from None

    def promise(self, size: int) -> None:
        """Set `size` bytes apart; refuses with NoSpace."""
        with self._lock:
            self.check(size)
            self._promised += size

    def try_promise(self, size: int) -> bool:
        """Set `size` bytes apart if there was room when last looked; asks nobody, so it may run anywhere."""
        with self._lock:
            fits = self.likely(size)
            self._promised += size if fits else 0
        return fits

    def remember(self, size: int) -> None:
        """The bytes were set apart before the last stop."""
        with self._lock:
            self._promised += size

    def release(self, size: int) -> None:
        """The bytes were written, or will not be."""
        with self._lock:
            self._promised -= size
