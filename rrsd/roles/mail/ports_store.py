"""What the mail role needs of the store: attachments on their way, messages too large for memory, what was granted and
what was handed on."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Offer, Passage
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import Blob, Grant


class Deposit(Protocol):
    """A resource on its way into the store; every method may refuse with NoSpace."""

    async def append(self, data: bytes) -> None:
        """Take the next bytes; returns when more may come."""
        ...

    def read(self) -> AsyncIterator[bytes]:
        """Everything so far, in blocks."""
        ...

    async def finish(self) -> Blob:
        """The blob, durable."""
        ...

    async def abort(self) -> None:
        """Forget it and its bytes; nothing after the end."""
        ...


class Deposits(Protocol):
    """Resources whose size nobody knows before they have come."""

    async def begin(self) -> Deposit:
        """One of which nothing has come; refuses with NoSpace."""
        ...

    async def require_room(self, size: int) -> None:
        """Returns None when there is room for so many bytes now; refuses with NoSpace."""
        ...


class Spool(Protocol):
    """Bytes that wait, in memory while they are few and on the disk beyond."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    async def append(self, data: bytes) -> None:
        """Take the next bytes; refuses with NoSpace."""
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end), in blocks; refuses with Damaged or NoSpace."""
        ...

    async def close(self) -> None:
        """Forget them."""
        ...


class Spools(Protocol):
    """Makes them."""

    def begin(self) -> Spool:
        """A spool of nothing."""
        ...


class Blobs(Protocol):
    """Bytes under their digests."""

    def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) in blocks; refuses with Unknown, Damaged or NoSpace."""
        ...


class Grants(Protocol):
    """Who may retrieve what."""

    async def add(self, grants: Sequence[Grant]) -> None:
        """Remember all of them or none; those that are there already stay as they are.
        Refuses with Unknown when a digest has no blob."""
        ...

    async def take_back(self, grants: Sequence[Grant]) -> None:
        """As if they had never been."""
        ...


class Passages(Protocol):
    """What was handed on already, so that what comes again is not handed on again."""

    async def find(self, message: Digest) -> Passage | None:
        """What is known of the message, None for one that was never seen."""
        ...

    async def note(self, message: Digest, recipients: Sequence[str], at: Instant) -> None:
        """The message was seen, and these recipients have it; durable when this returns."""
        ...

    def note_soon(self, message: Digest, recipients: Sequence[str], at: Instant) -> None:
        """The same, known at once and durable with what is written next; a crash may leave them offered."""
        ...

    async def offer(self, message: Digest, recipients: Sequence[str], offer: Offer) -> None:
        """From now on the next server may have it for these recipients; durable when this returns. Who has it already
        has it. Refuses with NoSpace or Unavailable."""
        ...

    async def forget(self, message: Digest, recipients: Sequence[str]) -> None:
        """The next server does not have what it was offered for these."""
        ...
