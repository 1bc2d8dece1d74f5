"""A message taken apart while it comes, and written again in the form that a recipient gets."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from attrs import define, field

from rrsd.core.refusals import Unavailable, Unknown
from rrsd.core.values.digests import Digest
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.core.wire.mime_take import Begin, End, GiveBack, Keep, Some, Step, Taker
from rrsd.roles.mail.ports import Blobs, Deposit, Deposits, Spool
from rrsd.roles.mail.rules import Closing, Kept, Lines, Piece, Taken, headers_to_keep


@define(eq=False)
class _Part:
    """The part that passes now: into a deposit, or, encoded again, to what is kept. `start` and `before` are the size
    of the spool and the fingerprint before it."""

    begin: Begin
    headers: bytes
    deposit: Deposit | None
    start: int
    before: "hashlib._Hash"
    encoder: Base64Lines = field(init=False)
    bytes_so_far: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)

    def __attrs_post_init__(self) -> None:
        self.encoder = Base64Lines(self.begin.line)


@define(eq=False)
class Parcel:
    """What stays is in the spool, what was taken in the store. `may_take` is asked once, when there is something to
    take: whether anybody would get a placeholder. A message that `is_one_file` has no place for one."""

    threshold: int
    spool: Spool
    deposits: Deposits
    blobs: Blobs
    may_take: Callable[[], Awaitable[bool]]
    pieces: list[Piece] = field(factory=list, init=False)
    size: int = field(default=0, init=False)
    taken: int = field(default=0, init=False)
    is_one_file: bool = field(default=False, init=False)
    _part: _Part | None = field(default=None, init=False)
    _fingerprint: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)

    async def fill(self, message: AsyncIterator[bytes]) -> None:
        """Take the whole message; refuses with NoSpace, or as `message` does."""
        taker = Taker(self.threshold)
        async for block in message:
            self.size += len(block)
            for step in taker.feed(block):
                await self._take(step)
        for step in taker.finish():
            await self._take(step)
        self.is_one_file = taker.is_one_file

    @property
    def fingerprint(self) -> bytes:
        """The same for the same bytes, whatever became of them; what is in the store is not hashed again."""
        return self._fingerprint.digest()

    async def close(self) -> None:
        """Forget what is not in the store by now."""
        part, self._part = self._part, None
        if part is not None and part.deposit is not None:
            await part.deposit.abort()
        await self.spool.close()

    async def _take(self, step: Step) -> None:
        match step:
            case Keep():
                self._fingerprint.update(step.data)
                await self._keep(step.data)
            case Begin():
                await self._begin(step)
            case Some():
                await self._some(step.data)
            case End():
                await self._end(step)
            case GiveBack():
                await self._give_back()
            case _:
                self.pieces.append(Closing(step.boundary))

    async def _keep(self, data: bytes) -> None:
        start = self.spool.size
        await self.spool.append(data)
        last = self.pieces[-1] if self.pieces else None
        if isinstance(last, Kept):
            self.pieces[-1] = Kept(last.start, self.spool.size)
        else:
            self.pieces.append(Kept(start, self.spool.size))

    async def _begin(self, begin: Begin) -> None:
        headers, deposit = headers_to_keep(begin, self.taken), None
        start, before = self.spool.size, self._fingerprint.copy()
        self._fingerprint.update(begin.header)
        if headers is not None and await self.may_take():
            deposit = await self.deposits.begin()
        else:
            await self._keep(begin.header)
        self._part = _Part(begin, headers or b"", deposit, start, before)

    async def _some(self, data: bytes) -> None:
        part = self._now()
        if part.deposit is not None:
            await part.deposit.append(data)
        else:
            part.bytes_so_far.update(data)
            await self._keep(part.encoder.feed(data))

    async def _end(self, end: End) -> None:
        part = self._now()
        if part.deposit is not None:
            blob = await part.deposit.finish()
            digest, begin = blob.digest, part.begin
            self.pieces.append(
                Taken(
                    begin.header,
                    part.headers,
                    begin.media_type,
                    begin.filename,
                    digest,
                    blob.size,
                    begin.line,
                    end.tail,
                )
            )
            self.taken += 1
        else:
            digest = Digest(part.bytes_so_far.digest())
            await self._keep(part.encoder.finish() + end.tail)
        self._part = None
        self._fingerprint.update(b"%b %d %b" % (digest.raw, part.begin.line, end.tail))

    async def _give_back(self) -> None:
        part = self._now()
        if part.deposit is not None:
            await self._keep(part.begin.header)
            async for data in part.deposit.read():
                await self._keep(part.encoder.feed(data))
            await part.deposit.abort()
        await self._keep(part.encoder.finish())
        self._part = None
        # How much was decoded by now depends on the blocks that the message came in, and they differ at each retry.
        self._fingerprint = part.before
        async for data in self.spool.read(part.start, self.spool.size):
            self._fingerprint.update(data)

    def _now(self) -> _Part:
        assert self._part is not None
        return self._part

    # --- out again

    async def is_readable(self) -> bool:
        """Whether an agent could read what is kept."""
        lines = Lines()
        for piece in self.pieces:
            if isinstance(piece, Kept):
                async for block in self.spool.read(piece.start, piece.end):
                    lines.feed(block)
        return lines.are_good

    async def whole(self) -> AsyncIterator[bytes]:
        """The message as it came; refuses with Unavailable, Damaged or NoSpace."""
        for piece in self.pieces:
            if isinstance(piece, Taken):
                async for block in self._encoded(piece):
                    yield block
            elif isinstance(piece, Kept):
                async for block in self.spool.read(piece.start, piece.end):
                    yield block

    async def _encoded(self, taken: Taken) -> AsyncIterator[bytes]:
        encoder = Base64Lines(taken.line)
        yield taken.header
        try:
            async for block in self.blobs.read(taken.digest, 0, taken.size):
                yield encoder.feed(block)
        except Unknown:
            raise Unavailable("what was taken out of the message is gone, it has to come again") from None
        yield encoder.finish() + taken.tail

    async def written(self, form: Sequence[Kept | bytes]) -> AsyncIterator[bytes]:
        """What stays, with what is written between; refuses with Damaged or NoSpace."""
        for piece in form:
            if isinstance(piece, bytes):
                yield piece
                continue
            async for block in self.spool.read(piece.start, piece.end):
                yield block
