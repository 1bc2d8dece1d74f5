"""Swaps placeholders for complete messages in mailboxes: first the new one is there, then the old one goes.

A placeholder is known by its Message-ID and by the digest of its bytes, below the trace that delivery has put on top.
A complete message is known by its first line, which delivery never leaves first, and by its size.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from attrs import define, field
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint

from rrsd.core.refusals import Forbidden, Malformed, Refusal, Unavailable, Unsupported
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.drivers.imap.client import Client, Talk
from rrsd.drivers.imap.responses import Response, quoted
from rrsd.drivers.imap.settings import Settings
from rrsd.runtime.timers import Timers

Content: TypeAlias = tuple[int, AsyncIterator[bytes]]
"""How many bytes, and the bytes."""

MOST_TRACE = 65536
"""Bytes that delivery puts on top of a message."""
MOST_FOUND = 100
"""Messages with one Message-ID in one folder."""
MARK = "Rrs-Completed"

_LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.+)$', re.IGNORECASE | re.DOTALL)
_UID = re.compile(rb"\bUID ([0-9]+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^()]*)\)")
_DATE = re.compile(rb'\bINTERNALDATE ("[^"\\]*")')
_SIZE = re.compile(rb"\bRFC822\.SIZE ([0-9]+)")


@define(eq=False)
class Found:
    """A placeholder in the selected folder: the trace on top of it, and its own bytes."""

    uid: int
    date: bytes
    trace: bytes
    raw: bytes


@define(eq=False)
class Mailboxes:
    """The users' mailboxes; placeholders have at most `most` bytes."""

    endpoint: IStreamClientEndpoint
    timers: Timers
    settings: Settings
    most: int
    password: Callable[[], str] = field(repr=False)

    async def swap(
        self,
        recipient: Address,
        message_id: str,
        placeholder: tuple[Digest, int],
        complete: Callable[[bytes], Awaitable[Content]],
    ) -> int:
        """Put what `complete` makes of the placeholder, known by its digest and size, in its place wherever the
        recipient has it; how often it was there. A repeat after any interruption does what was left undone.

        Refuses with Unsupported when the server has no UIDPLUS (nothing was changed), Forbidden when it says no,
        Unavailable, Malformed, and what `complete` and its blocks refuse.
        """
        talk = await self._enter(recipient)
        try:
            words = b" ".join(each.text for each in await talk.command(b"CAPABILITY")).upper().split()
            if b"UIDPLUS" not in words:
                raise Unsupported("the IMAP server has no UIDPLUS, so that nothing can be swapped safely")
            names = await self._folders(talk)
            return await _swap_in([_Folder(talk, name, message_id, *placeholder) for name in names], complete)
        finally:
            talk.client.fail(Unavailable("the conversation is over"))

    async def _enter(self, recipient: Address) -> Talk:
        password = self.password()
        connecting = connectProtocol(self.endpoint, Client(self.most + MOST_TRACE))
        try:
            client = await self.timers.within(
                self.settings.connect, connecting, lambda: Unavailable("the IMAP server is slow")
            )
        except Refusal:
            raise
        except Exception as error:
            raise Unavailable(f"the IMAP server cannot be reached: {type(error).__name__}") from None
        talk = Talk(client, self.timers, self.settings)
        try:
            await talk.greeted()
            await talk.login(str(recipient), self.settings.master, password)
        except BaseException:
            client.fail(Unavailable("nobody came in"))
            raise
        return talk

    async def _folders(self, talk: Talk) -> list[bytes]:
        if self.settings.folders:
            return [quoted(each) for each in self.settings.folders]
        found = [_folder_of(each) for each in await talk.command(b'LIST "" "*"')]
        return [each for each in found if each is not None][: self.settings.most_folders]


@define(eq=False)
class _Folder:
    """One folder of one user."""

    talk: Talk
    name: bytes
    message_id: str
    digest: Digest
    size: int

    async def select(self) -> Forbidden | None:
        """Why the server does not open it."""
        try:
            await self.talk.command(b"SELECT " + self.name)
        except Forbidden as refusal:
            return refusal
        return None

    async def swap(self, complete: Callable[[bytes], Awaitable[Content]]) -> int:
        olds = [old for uid in await self._search("Message-ID", self.message_id) if (old := await self._look(uid))]
        for old in olds:
            await self._replace(old, complete)
        return len(olds)

    async def _search(self, header: str, value: str) -> list[int]:
        line = b"UID SEARCH HEADER %s %s" % (header.encode(), quoted(value))
        answers = [each.text for each in await self.talk.command(line) if each.text.upper().startswith(b"* SEARCH")]
        return [int(each) for answer in answers for each in answer.split()[2:] if each.isdigit()][-MOST_FOUND:]

    async def _look(self, uid: int) -> Found | None:
        """The message if it is the placeholder, to the byte."""
        about = await self._fetch(uid, b"FLAGS INTERNALDATE RFC822.SIZE")
        size, date, flags = (each.search(about.text) if about else None for each in (_SIZE, _DATE, _FLAGS))
        if size is None or date is None or flags is None or not 0 <= int(size[1]) - self.size <= MOST_TRACE:
            return None
        if b"\\deleted" in flags[1].lower().split():
            return None
        whole = await self._fetch(uid, b"BODY.PEEK[]")
        if whole is None or not whole.literals:
            return None
        trace, raw = _divided(whole.literals[0], self.size)
        return Found(uid, date[1], trace, raw) if digest_of(raw) == self.digest and _is_trace(trace) else None

    async def _fetch(self, uid: int, what: bytes) -> Response | None:
        for each in await self.talk.command(b"UID FETCH %d (UID %s)" % (uid, what)):
            found = _UID.search(each.text)
            if b" FETCH (" in each.text.upper() and found is not None and int(found[1]) == uid:
                return each
        return None

    async def _flags(self, uid: int) -> bytes | None:
        """The flags that can be set, None when the message is gone."""
        about = await self._fetch(uid, b"FLAGS")
        flags = _FLAGS.search(about.text) if about is not None else None
        if flags is None or b"\\deleted" in flags[1].lower().split():
            return None
        return b" ".join(each for each in flags[1].split() if each.lower() != b"\\recent")

    async def _replace(self, old: Found, complete: Callable[[bytes], Awaitable[Content]]) -> None:
        mark = f"{MARK}: {self.digest.b64}\r\n".encode()
        size, blocks = await complete(old.raw)
        size += len(mark) + len(old.trace)
        new = await self._completed(mark, size)
        if new is None:
            flags = await self._flags(old.uid)
            if flags is None:
                return
            line = b"APPEND %s (%s) %s" % (self.name, flags, old.date)
            await self.talk.append(line, size, _topped(mark + old.trace, blocks))
            await self.talk.command(b"NOOP")
            new = await self._completed(mark, size)
        if new is None:
            raise Unavailable("the complete message is not where it was put; the placeholder stays")
        # What the user did meanwhile counts: other flags go over, and what was deleted does not come back.
        flags = await self._flags(old.uid)
        if flags is None:
            await self._remove(new)
            return
        await self.talk.command(b"UID STORE %d FLAGS.SILENT (%s)" % (new, flags))
        await self._remove(old.uid)

    async def _remove(self, uid: int) -> None:
        await self.talk.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        await self.talk.command(b"UID EXPUNGE %d" % uid)

    async def _completed(self, mark: bytes, size: int) -> int | None:
        for uid in await self._search(MARK, self.digest.b64):
            about = await self._fetch(uid, b"RFC822.SIZE BODY.PEEK[]<0.%d>" % len(mark))
            found = _SIZE.search(about.text) if about is not None else None
            if about is None or found is None or int(found[1]) != size:
                continue
            if mark in about.literals or (mark[:-2] in about.text and not about.literals):
                return uid
        return None


async def _swap_in(folders: list[_Folder], complete: Callable[[bytes], Awaitable[Content]]) -> int:
    """A folder that cannot be opened is no reason to leave the others; nothing is gone while it may be there."""
    count, closed = 0, None
    for folder in folders:
        refusal = await folder.select()
        if refusal is None:
            count += await folder.swap(complete)
        closed = closed or refusal
    if closed is not None and not count:
        raise closed
    return count


def _divided(message: bytes, size: int) -> tuple[bytes, bytes]:
    at = max(0, len(message) - size)
    return message[:at], message[at:]


def _is_trace(top: bytes) -> bool:
    """Whether it is header fields, and the header goes on below."""
    return top == b"" or (top.endswith(b"\r\n") and not top.startswith(b"\r\n") and b"\r\n\r\n" not in top)


def _folder_of(response: Response) -> bytes | None:
    """The name of a folder that can be selected, as it may be sent."""
    found = _LIST.match(response.text)
    if found is None or {b"\\noselect", b"\\nonexistent"} & set(found[1].lower().split()):
        return None
    if response.literals:
        try:
            return quoted(response.literals[-1].decode("ascii"))
        except (UnicodeDecodeError, Malformed):
            return None
    return found[2]


async def _topped(top: bytes, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield top
    async for block in blocks:
        yield block
