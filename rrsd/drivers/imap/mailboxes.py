"""Swaps placeholders for complete messages in mailboxes: first the new one is there, then the old one goes.

A placeholder is known by its Message-ID and by the digest of its bytes, below the trace that delivery has put on top.
A complete message is known by its first line, which delivery never leaves first, and by its size.
What was delivered, or not, by a server that did not say so is looked for by the field that was on top of it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, field
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint

from rrsd.core.refusals import Forbidden, Refusal, Unavailable, Unsupported
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.drivers.imap.answers import folder_of, words_in
from rrsd.drivers.imap.client import Client, Talk
from rrsd.drivers.imap.finding import Delivered, is_in
from rrsd.drivers.imap.folder import MOST_TRACE, Complete, Folder, Wanted
from rrsd.drivers.imap.responses import quoted
from rrsd.drivers.imap.settings import Settings
from rrsd.runtime.timers import Timers

MOST_ROUNDS = 5
"""Looks at all folders; a user who goes on moving messages meanwhile is waited for."""


@define(eq=False)
class Mailboxes:
    """The users' mailboxes; placeholders have at most `most` bytes."""

    endpoint: IStreamClientEndpoint
    timers: Timers
    settings: Settings
    most: int
    password: Callable[[], str] = field(repr=False)

    async def swap(
        self, recipient: Address, message_id: str, placeholder: tuple[Digest, int], complete: Complete
    ) -> int:
        """Put what `complete` makes of the placeholder, known by its digest and size, in its place wherever the
        recipient has it; how often it has been done, earlier times too. A repeat after any interruption does what was
        left undone.

        Refuses with Unsupported when the server has no UIDPLUS (nothing was changed), Forbidden when it says no,
        Unavailable, Malformed, and what `complete` and its blocks refuse.
        """
        talk = await self._enter(recipient)
        try:
            words = words_in(await talk.command(b"CAPABILITY"))
            if b"UIDPLUS" not in words:
                raise Unsupported("the IMAP server has no UIDPLUS, so that nothing can be swapped safely")
            wanted, has_condstore = Wanted(message_id, *placeholder), b"CONDSTORE" in words
            return await self._rounds(lambda name: Folder(talk, name, wanted, has_condstore), talk, complete)
        finally:
            talk.client.fail(Unavailable("the conversation is over"))

    async def has(self, recipient: Address, name: str, value: str, path: str) -> bool:
        """Whether a folder of the recipient has a message, of these days, with the field `name` of this value on top
        that was delivered to the address `path`. Folders that cannot be opened have none.

        Refuses with Forbidden, Unavailable, and Malformed for what cannot be asked.
        """
        wanted, talk = Delivered(name, value, path), await self._enter(recipient)
        end = self.timers.monotonic() + self.settings.command.total_seconds()
        try:
            folders = (await self._folders(talk))[0]
            for folder in sorted(folders, key=lambda each: each.strip(b'"').upper() != b"INBOX"):
                if self.timers.monotonic() > end:
                    raise Unavailable("the IMAP server is slow")
                with suppress(Forbidden):
                    if await is_in(talk, folder, wanted, self.timers.now()):
                        return True
            return False
        finally:
            talk.client.fail(Unavailable("the conversation is over"))

    async def _rounds(self, named: Callable[[bytes], Folder], talk: Talk, complete: Complete) -> int:
        """Look until there was nothing to do, and twice at least: a message that its user moves while one looks is
        where one has looked already."""
        count = 0
        for number in range(MOST_ROUNDS):
            names, closed = await self._folders(talk)
            found = await _round([named(name) for name in names], complete)
            count = max(count + found.swapped, found.before)
            if found.refusal is not None and not found.swapped:
                raise found.refusal
            if number and found.is_quiet:
                # What may be in a folder that cannot be opened is not called gone.
                closed = closed or found.closed
                if closed is not None and not count:
                    raise closed
                return count
        raise Unavailable("the placeholder is not where it was a moment ago; it is looked for later")

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

    async def _folders(self, talk: Talk) -> tuple[list[bytes], Forbidden | None]:
        """Their names, and why these are not all."""
        if self.settings.folders:
            return [quoted(each) for each in self.settings.folders], None
        found = [folder_of(each) for each in await talk.command(b'LIST "" "*"')]
        names = [each for each in found if each]
        if len(names) > self.settings.most_folders:
            return names[: self.settings.most_folders], Forbidden("there are more folders than [imap] most_folders")
        return names, Forbidden("there are folders with names that are no text") if b"" in found else None


@define(eq=False)
class _Round:
    """What one look at all folders came to: why one could not be opened, and why nothing was done in another."""

    swapped: int = 0
    before: int = 0
    is_quiet: bool = True
    closed: Forbidden | None = None
    refusal: Forbidden | None = None


async def _round(folders: Sequence[Folder], complete: Complete) -> _Round:
    """One that cannot be opened, or where it cannot be done, is no reason to leave the others: some show what is in
    others and take nothing themselves."""
    found = _Round()
    for folder in folders:
        refusal = await folder.open()
        if refusal is not None:
            found.closed = found.closed or refusal
            continue
        try:
            outcome = await folder.swap(complete)
        except Forbidden as refusal:
            found.refusal = found.refusal or refusal
            continue
        found.swapped, found.before = found.swapped + outcome.swapped, found.before + outcome.before
        found.is_quiet = found.is_quiet and not (outcome.swapped or outcome.disturbed)
    return found
