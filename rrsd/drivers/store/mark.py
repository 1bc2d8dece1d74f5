"""The mark beside the database: how far the database that belongs to this folder has come (Z-10)."""

import os
from threading import Lock
from typing import Protocol

from attrs import define, field

from rrsd.drivers.store.blobs.files import refusing


class Mark(Protocol):
    """A number that outlives the process and only grows; its methods block."""

    def read(self) -> int | None:
        """The number, None when there is none."""
        ...

    def write(self, number: int) -> None:
        """Make the number durable, unless a higher one is; refuses with NoSpace."""
        ...


@define(eq=False)
class FileMark:
    """The number in a file of its own."""

    path: str
    _written: int = field(default=-1, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def read(self) -> int | None:
        """As `Mark.read`; a file that holds no number holds none."""
        try:
            with open(self.path, encoding="ascii") as file:
                return int(file.read(20))
        except (OSError, ValueError):
            return None

    def write(self, number: int) -> None:
        """As `Mark.write`."""
        with self._lock, refusing(f"mark {self.path}"):
            if number > self._written:
                self._replace(f"{number}\n".encode("ascii"))
                self._written = number

    def _replace(self, data: bytes) -> None:
        fresh = f"{self.path}.new"
        descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(fresh, self.path)
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@define(eq=False)
class MemoryMark:
    """The number in memory."""

    number: int | None = None

    def read(self) -> int | None:
        """As `Mark.read`."""
        return self.number

    def write(self, number: int) -> None:
        """As `Mark.write`."""
        self.number = max(number, self.number or 0)
