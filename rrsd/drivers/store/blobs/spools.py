"""What stays of a message while it is looked at: in memory as long as it is small, in a file without a name beyond."""

from collections.abc import AsyncIterator
from itertools import count

from attrs import define, field

from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.nameless import Nameless, create_nameless
from rrsd.drivers.store.blobs.partial import Desk
from rrsd.drivers.store.blobs.reading import BLOCK

IN_MEMORY = 1 << 20
"""Bytes that may wait in memory."""


@define(eq=False)
class Spool:
    """Bytes in order. Nothing of them is durable: whoever sent them still has them."""

    _desk: Desk
    _name: str
    size: int = field(default=0, init=False)
    _held: bytearray = field(factory=bytearray, init=False)
    _file: Nameless | None = field(default=None, init=False)
    _written: int = field(default=0, init=False)

    async def append(self, data: bytes) -> None:
        """Take the next bytes; refuses with NoSpace."""
        self._held += data
        self.size += len(data)
        if len(self._held) > IN_MEMORY:
            await self._flush()

    async def _flush(self) -> None:
        if self._file is None:
            self._file = await self._desk.workers.run(create_nameless, self._desk.vault, self._name)
        data, self._held = bytes(self._held), bytearray()
        await self._desk.workers.run(self._put, self._file, data)
        self._written += len(data)

    def _put(self, file: Nameless, data: bytes) -> None:
        self._desk.space.check(len(data))
        with refusing("spool"):
            file.files.write(file.descriptor, [data], self._written)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end), in blocks; refuses with Damaged or NoSpace."""
        while start < end:
            stop = min(end, start + BLOCK)
            if start >= self._written:
                yield bytes(self._held[start - self._written : stop - self._written])
            else:
                stop = min(stop, self._written)
                assert self._file is not None
                yield await self._desk.workers.run(self._file.read, start, stop)
            start = stop

    async def close(self) -> None:
        """Forget all of it."""
        file, self._file = self._file, None
        self._held.clear()
        if file is not None:
            await self._desk.workers.run(file.close)


@define(eq=False)
class Spools:
    """Begins them."""

    _desk: Desk
    _numbers: "count[int]" = field(factory=count, init=False)

    def begin(self) -> Spool:
        """A spool of nothing."""
        return Spool(self._desk, f"spool.{next(self._numbers)}")
