"""One folder of one user, and the swap of a placeholder in it, step by step.

The complete message comes first, marked \\Deleted: until its flags are right it counts for nothing. Then it gets the
placeholder's flags, and the placeholder goes. Whatever stops in between, the folder says what was done already:

    placeholder         complete message     what a repeat does
    there               none                 everything
    there               \\Deleted             flags, then the placeholder goes
    there               there                the same
    \\Deleted            there                the placeholder goes
    \\Deleted or gone    \\Deleted             the complete message goes: the user has deleted the placeholder meanwhile
    gone                there                nothing
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from attrs import define, frozen

from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.core.values.digests import Digest, digest_of
from rrsd.drivers.imap.answers import DELETED, Seen, permanent_in, seen_in, uids_in
from rrsd.drivers.imap.client import Talk
from rrsd.drivers.imap.responses import quoted

Content: TypeAlias = tuple[int, AsyncIterator[bytes]]
"""How many bytes, and the bytes."""
Complete: TypeAlias = Callable[[bytes], Awaitable[Content]]
"""Makes the complete message of the placeholder's bytes."""

MOST_TRACE = 65536
"""Bytes that delivery puts on top of a message."""
MOST_FOUND = 1000
"""Messages with one Message-ID in one folder."""
MOST_TRIES = 5
"""A user who changes flags that often in a moment is waited for."""
AT_ONCE = 100
"""Messages that are asked about with one command."""
MARK = b"Rrs-Completed"
_MOST_MARK = 128


@frozen
class Wanted:
    """The placeholder that is looked for: its bytes have this digest and this size."""

    message_id: str
    digest: Digest
    size: int

    def mark(self, uid: int) -> bytes:
        """The first line of what takes the place of the one with this UID. Mail cannot forge it: whoever delivers puts
        a line of their own first."""
        return b"%s: %s %d\r\n" % (MARK, self.digest.b64.encode(), uid)

    def marked(self, top: bytes) -> int | None:
        """The UID in such a line, None for any other."""
        found = re.match(rb"%s: %s ([0-9]{1,10})\r\n" % (MARK, re.escape(self.digest.b64.encode())), top)
        return None if found is None else int(found[1])


@frozen
class Old:
    """A placeholder: the trace on top of it, and its own bytes."""

    uid: int
    seen: Seen
    trace: bytes
    raw: bytes


@frozen
class New:
    """A complete message, in the place of the placeholder with the UID `of`."""

    uid: int
    seen: Seen
    of: int

    @property
    def is_pending(self) -> bool:
        """Whether it counts for nothing yet."""
        return self.seen.is_deleted


@frozen
class Outcome:
    """How many placeholders were swapped, how many had been before, and whether the user was faster with one."""

    swapped: int = 0
    before: int = 0
    disturbed: bool = False


@define(eq=False)
class Folder:
    """The folder called `name`, as it may be sent. With CONDSTORE nothing that the user does is missed."""

    talk: Talk
    name: bytes
    wanted: Wanted
    has_condstore: bool
    _permanent: frozenset[bytes] | None = None

    async def open(self) -> Forbidden | None:
        """Select it; why it cannot be worked in."""
        try:
            said = await self.talk.command(b"SELECT " + self.name)
        except Forbidden as refusal:
            return refusal
        self._permanent = permanent_in(said)
        if b"[READ-ONLY]" in self.talk.said.upper() or not self._is_kept(DELETED):
            return Forbidden("the IMAP server: nothing may be deleted in a folder")
        return None

    async def swap(self, complete: Complete) -> Outcome:
        """Put the complete message in the place of each placeholder that is here."""
        olds, news = await self._look()
        swapped, disturbed = 0, False
        for old in olds:
            own = [new for new in news if new.of == old.uid]
            if not old.seen.is_deleted:
                is_done = await self._replace(old, own, complete)
                swapped, disturbed = swapped + is_done, disturbed or not is_done
            elif any(not new.is_pending for new in own):
                await self._expunge(old.uid)
                swapped += 1
            else:
                await self._drop(own)
        gone = [new for new in news if new.of not in {old.uid for old in olds}]
        await self._drop([new for new in gone if new.is_pending])
        return Outcome(swapped, sum(not new.is_pending for new in gone), disturbed)

    async def _look(self) -> tuple[Sequence[Old], Sequence[New]]:
        olds, news = [], []
        found = uids_in(await self.talk.command(b"UID SEARCH HEADER Message-ID " + quoted(self.wanted.message_id)))
        if len(found) > MOST_FOUND:
            raise Unavailable("too many messages with one Message-ID in one folder")
        for at in range(0, len(found), AT_ONCE):
            uids = found[at : at + AT_ONCE]
            what = b"FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.%d>" % _MOST_MARK
            for uid, seen in (await self._fetch(uids, what)).items():
                of = self.wanted.marked(seen.body or b"")
                if of is not None:
                    news.append(New(uid, seen, of))
                elif uid in uids and (old := await self._placeholder(uid, seen)) is not None:
                    olds.append(old)
        return olds, news

    async def _placeholder(self, uid: int, seen: Seen) -> Old | None:
        """The message if it is the placeholder, to the byte, below fields that were put on top of it."""
        wanted = self.wanted
        if seen.size is None or seen.date is None or not 0 <= seen.size - wanted.size <= MOST_TRACE:
            return None
        whole = (await self._fetch([uid], b"BODY.PEEK[]")).get(uid, Seen()).body or b""
        at = max(0, len(whole) - wanted.size)
        trace, raw = whole[:at], whole[at:]
        return Old(uid, seen, trace, raw) if digest_of(raw) == wanted.digest and _is_trace(trace) else None

    async def _replace(self, old: Old, own: Sequence[New], complete: Complete) -> bool:
        """Whether it was there until the end; where it was not, nothing has changed."""
        # One that counts already is complete, whatever we would make of the placeholder today.
        new = next((each for each in own if not each.is_pending), None)
        if new is None:
            top = self.wanted.mark(old.uid) + old.trace
            size, blocks = await complete(old.raw)
            new = next((each for each in own if each.seen.size == size + len(top)), None)
            await self._drop([each for each in own if each is not new])
            if new is None:
                new = await self._upload(old, size + len(top), _topped(top, blocks))
        if not await self._settle(old, new):
            # What the user has seen beside the placeholder is not ours to take away.
            await self._drop([new] if new.is_pending else [])
            return False
        await self._expunge(old.uid, is_marked=True)
        return True

    async def _settle(self, old: Old, new: New) -> bool:
        """Give the new one the placeholder's flags and mark the placeholder for deletion; False when the user has
        moved or deleted it until then. What was put in its place before may have been read since."""
        flags = frozenset[bytes]() if new.is_pending else self._kept(new.seen)
        for _ in range(MOST_TRIES):
            seen = await self._state(old.uid)
            if seen.flags is None or seen.is_deleted:
                return False
            flags |= self._kept(seen)
            await self._put(new.uid, flags)
            if not await self._mark(old.uid, seen):
                continue
            seen = await self._state(old.uid)
            if seen.flags is not None and not self._kept(seen) <= flags:
                await self._put(new.uid, flags | self._kept(seen))
            return seen.flags is not None
        raise Unavailable("the placeholder's flags change all the time; it stays for now")

    async def _mark(self, uid: int, seen: Seen) -> bool:
        """Whether it is as it was seen: where the server can tell (RFC 7162), only then it is marked for deletion."""
        unchanged = b"" if seen.modseq is None else b" (UNCHANGEDSINCE %d)" % seen.modseq
        try:
            await self.talk.command(b"UID STORE %d%s +FLAGS.SILENT (\\Deleted)" % (uid, unchanged))
        except Forbidden:
            if b"[MODIFIED" not in self.talk.said.upper():
                raise
        return b"[MODIFIED" not in self.talk.said.upper()

    async def _upload(self, old: Old, size: int, message: AsyncIterator[bytes]) -> New:
        flags = b" ".join(sorted(self._kept(old.seen) | {b"\\Deleted"}))
        await self.talk.append(b"APPEND %s (%s) %s" % (self.name, flags, old.seen.date), size, message)
        await self.talk.command(b"NOOP")
        _, news = await self._look()
        for new in news:
            if (new.of, new.seen.size, new.is_pending) == (old.uid, size, True):
                return new
        raise Unavailable("the complete message is not where it was put; the placeholder stays")

    async def _state(self, uid: int) -> Seen:
        """Its flags; those of a message that is gone are None."""
        what = b"FLAGS MODSEQ" if self.has_condstore else b"FLAGS"
        return (await self._fetch([uid], what)).get(uid, Seen())

    async def _put(self, uid: int, flags: frozenset[bytes]) -> None:
        await self.talk.command(b"UID STORE %d FLAGS.SILENT (%s)" % (uid, b" ".join(sorted(flags))))

    async def _drop(self, news: Sequence[New]) -> None:
        for new in news:
            await self._expunge(new.uid)

    async def _expunge(self, uid: int, *, is_marked: bool = False) -> None:
        if not is_marked:
            await self.talk.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        await self.talk.command(b"UID EXPUNGE %d" % uid)

    async def _fetch(self, uids: Sequence[int], what: bytes) -> dict[int, Seen]:
        line = b"UID FETCH %s (UID %s)" % (b",".join(b"%d" % each for each in uids), what)
        return seen_in(await self.talk.command(line))

    def _kept(self, seen: Seen) -> frozenset[bytes]:
        """What of the flags can be put on another message. The others last as long as a connection of their own, or
        say what is no flag of the message (RFC 3501 2.3.2)."""
        return frozenset(each for each in seen.flags or () if each.lower() != DELETED and self._is_kept(each.lower()))

    def _is_kept(self, flag: bytes) -> bool:
        if flag == b"\\recent":
            return False
        permanent = self._permanent
        return permanent is None or flag in permanent or (b"\\*" in permanent and not flag.startswith(b"\\"))


def _is_trace(top: bytes) -> bool:
    """Whether it is header fields, and the header goes on below."""
    return top == b"" or (top.endswith(b"\r\n") and not top.startswith(b"\r\n") and b"\r\n\r\n" not in top)


async def _topped(top: bytes, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield top
    async for block in blocks:
        yield block
