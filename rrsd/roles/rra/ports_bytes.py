"""What the Resource Retrieval Agent needs from outside to take and keep bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.digests import Digest
from rrsd.core.values.jobs import Lease
from rrsd.core.values.resources import Blob, Checkpoint


class Partial(Protocol):
    """The growing file of one lease. Written in order but for what is patched; hashed and written off the reactor."""

    @property
    def offset(self) -> int:
        """How many bytes were given to `write` since byte 0, the resumed ones included."""
        ...

    @property
    def written(self) -> int:
        """How many bytes are in the file, readable by `follow`."""
        ...

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next bytes. None: go on; an awaitable: pause until it fires. It refuses with NoSpace."""
        ...

    async def finish(self, digest: Digest, size: int) -> Blob:
        """Drain, compare, fsync, give the final name without replacing, fsync the folder. Refuses with Damaged when
        length or digest differ (nothing gets a name then), NoSpace when the disk fails."""
        ...

    async def chunks(self) -> tuple[Digest, ...]:
        """The SHA-256 of each chunk of what is in the file, read again; () where parts cannot be patched."""
        ...

    async def hold(self) -> None:
        """Make durable, with a checkpoint, all that is there although it is damaged: the next lease mends it where this
        one does not. Refuses with NoSpace, or with Conflict where the lease is over."""
        ...

    def patch(self, start: int) -> "Sink":
        """Takes other bytes in the place of those at `start`; `finish` looks at everything anew then."""
        ...

    async def close(self) -> None:
        """Drain and keep what is there for the next lease."""
        ...

    async def discard(self) -> None:
        """Remove the file of this lease."""
        ...


class Blobs(Protocol):
    """Bytes under their digests, and those on their way."""

    async def find(self, digest: Digest) -> Blob:
        """The blob; refuses with Unknown."""
        ...

    async def put(self, data: bytes) -> Blob:
        """Store small bytes; durable when this returns. Refuses with NoSpace."""
        ...

    def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) in blocks, read ahead off the reactor."""
        ...

    async def partial(
        self, lease: Lease, size: int, committed: Callable[[Checkpoint], Awaitable[None]]
    ) -> tuple[Partial, Checkpoint | None]:
        """Open the lease's own file with `size` bytes reserved, resuming from the earlier epoch's one: cut back to the
        newest checkpoint that still holds (second value; None when none does). Looked at is all that is before it or,
        where that takes long, its last chunk, and the whole is hashed while new bytes come. Every 8 MiB or 2 s of
        writing the file is synced and then `committed` awaited. Refuses with NoSpace."""
        ...

    def follow(self, partial: Partial, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) of a partial that are written already."""
        ...

    async def lying(self) -> frozenset[str]:
        """The names of the partial files that are there now and that no lease writes."""
        ...

    async def sweep(self, lying: frozenset[str], live: frozenset[str]) -> int:
        """Remove those of the partial files `lying` there that no fetch in `live` refers to; names as `partial_name`
        gives them; how many. `live` is looked up after `lying`: a pull that began in between has its file yet."""
        ...


class Sink(Protocol):
    """Where a body goes."""

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next bytes; an awaitable means: pause until it fires."""
        ...


class Reply(Protocol):
    """A response whose body has not been read."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; repeated ones joined by ", "."""
        ...

    @property
    def held(self) -> int:
        """How many bytes of the body have come and were not given to its sink yet."""
        ...

    async def pour(self, sink: Sink, most: int) -> int:
        """Send the body into `sink`; how many bytes. Refuses with Unavailable when it stalls (60 s idle), breaks or is
        shorter than announced, TooLarge (connection aborted) past `most`; what the sink refuses passes through."""
        ...

    async def abort(self) -> None:
        """Give the rest up and close the connection."""
        ...


class Remote(Protocol):
    """The way out, with the agent's client certificate."""

    async def ask(self, call: Call, most: int = 65536) -> Answer:
        """The whole small answer; refuses with Unavailable, Forbidden (guard), TooLarge beyond `most` bytes."""
        ...

    async def fetch(self, call: Call) -> Reply:
        """The answer's head; refuses with Unavailable or Forbidden (guard)."""
        ...
