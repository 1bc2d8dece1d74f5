"""Room on the disk, promised before it is used."""

from collections.abc import Iterable
from threading import Lock
from typing import TypeAlias

from attrs import define, field

from rrsd.core.refusals import NoSpace
from rrsd.drivers.store.blobs.files import Files, refusing

Key: TypeAlias = tuple[int, int]
"""A lease: the number of its job, and the job's epoch."""


@define(eq=False)
class Space:
    """Counts what was promised and not yet written, so that two promises never name the same bytes.

    Counting is chosen over allocation: it costs no call per file, and leaves every file as long as what was written.
    What a lease has set apart goes with it: as its bytes are written, or when it is over.
    """

    _files: Files
    _root: str
    _keep_free: int
    _promised: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)
    _leases: dict[Key, int] = field(factory=dict, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def likely(self, size: int) -> bool:
        """Whether there was room for `size` bytes when last looked; asks nobody, so it may run anywhere."""
        return self.free - size >= 0

    @property
    def free(self) -> int:
        """What could still be promised when last looked; less than 0 when there is less than must stay free."""
        return self._seen - self._promised - self._keep_free

    @property
    def promised(self) -> int:
        """What is set apart and not written."""
        return self._promised

    def look(self) -> None:
        """Ask the disk how much is free; refuses with NoSpace when it does not say."""
        with refusing("free space"):
            self._seen = self._files.free(self._root)

    def most(self) -> int:
        """What could be promised if the disk held nothing else; refuses as `look`."""
        with refusing("size of the disk"):
            return self._files.total(self._root) - self._keep_free

    def check(self, size: int) -> None:
        """Look; refuses with NoSpace when `size` bytes do not fit beside what is promised."""
        self.look()
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

    # --- what leases have

    def try_hold(self, key: Key, size: int) -> bool:
        """Set `size` bytes in all apart for the lease if there was room when last looked; asks nobody."""
        with self._lock:
            more = size - self._leases.get(key, 0)
            if more > 0 and not self.likely(more):
                return False
            self._leases[key] = size
            self._promised += more
        return True

    def hold(self, key: Key, size: int) -> None:
        """The same, and look before it is refused with NoSpace."""
        if not self.try_hold(key, size):
            self.look()
            if not self.try_hold(key, size):
                raise NoSpace(f"{size} bytes would leave less than {self._keep_free} free")

    def spend(self, key: Key, size: int) -> None:
        """The lease has written so many of its bytes."""
        with self._lock:
            spent = min(size, self._leases.get(key, 0))
            if spent:
                self._leases[key] -= spent
                self._promised -= spent
            self._seen -= size

    def let_go(self, keys: Iterable[Key]) -> None:
        """The leases are over."""
        with self._lock:
            for key in keys:
                self._promised -= self._leases.pop(key, 0)
