"""The way to the mailboxes: on top of each message stands by what they know it again, no message goes in twice at the
same time, and no mailbox takes two messages at a time.

Between their yes and ours a crash makes the mail server send the message again (RFC 1047). The field is the same then,
and the mailboxes' own script, which `rrsctl mail setup` prints, drops what the recipient has. Dovecot keeps what it
needs for that in one file for each user, and of two deliveries to one user at the same time it forgets one. When it is
Dovecot that ends, `lost` asks what it has.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from attrs import define, evolve, field

from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LOST, Envelope, Reply
from rrsd.roles.mail.flow.lost import Lost
from rrsd.roles.mail.holding import BUSY
from rrsd.roles.mail.offering import field_of, mailboxes_of
from rrsd.roles.mail.ports import Audit, Places, Relay


@define(eq=False)
class _Line:
    """Who waits for one mailbox."""

    places: Places
    count: int = 0


@define(eq=False)
class Turns:
    """One delivery at a time for each mailbox; `make` makes one place."""

    make: Callable[[], Places]
    _lines: dict[str, _Line] = field(factory=dict, init=False)

    async def enter(self, names: Sequence[str], held: list[str]) -> None:
        """Wait until all of them are ours, in one order for everybody; `held` says which are."""
        for name in sorted(set(names)):
            line = self._lines.setdefault(name, _Line(self.make()))
            line.count += 1
            try:
                await line.places.acquire()
            except BaseException:
                self._left(name, line)
                raise
            held.append(name)

    def leave(self, held: Sequence[str]) -> None:
        """Others may."""
        for name in held:
            line = self._lines[name]
            line.places.release()
            self._left(name, line)

    def _left(self, name: str, line: _Line) -> None:
        line.count -= 1
        if not line.count:
            del self._lines[name]


@define(eq=False)
class ToMailboxes:
    """Hands messages to the LMTP server. What stands behind a character of `delimiters` in a local part names no other
    mailbox."""

    next: Relay
    audit: Audit
    turns: Turns
    lost: Lost
    delimiters: str
    _busy: set[tuple[Digest, str]] = field(factory=set, init=False)

    async def send(self, envelope: Envelope, key: Digest | None, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What it says about each recipient; refuses as the relay. Who has the message from before is not given it."""
        if key is None:
            return await self.next.send(envelope, message)
        fates = await self.lost.fates(key, envelope)
        left = tuple(each for each, fate in zip(envelope.recipients, fates, strict=True) if fate is None)
        said = iter(await self._give(evolve(envelope, recipients=left), key, message) if left else ())
        return tuple(next(said) if fate is None else fate for fate in fates)

    async def _give(self, envelope: Envelope, key: Digest, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """Give it to them; of whom nothing is heard after its end, that is remembered."""
        top = field_of(key)
        if envelope.sender.size is not None:
            envelope = evolve(envelope, sender=evolve(envelope.sender, size=envelope.sender.size + len(top)))
        held: list[str] = []
        replies = (LOST,) * len(envelope.recipients)
        try:
            replies = await self.next.send(envelope, self._topped(top, envelope, message, held))
            return replies
        finally:
            for each, reply in zip(envelope.recipients, replies, strict=True):
                if held and reply == LOST:
                    self.lost.note(key, each.path)
            self.turns.leave(held)

    async def alone(
        self, envelope: Envelope, key: Digest | None, step: Callable[[Envelope], Awaitable[Sequence[Reply]]]
    ) -> tuple[Reply, ...]:
        """The replies of `step`, which is given the recipients to whom nobody is delivering the same message now; the
        others are busy, which the trail has."""
        if key is None:
            return tuple(await step(envelope))
        free = tuple(each for each in envelope.recipients if (key, each.path) not in self._busy)
        for each in envelope.recipients:
            if each not in free:
                why = BUSY.lines[0]
                self.audit.record(Event("deliver", "held", envelope.sender.path, each.path, evidence=why))
        if not free:
            return (BUSY,) * len(envelope.recipients)
        claimed = {(key, each.path) for each in free}
        self._busy |= claimed
        try:
            said = iter(await step(evolve(envelope, recipients=free)))
        finally:
            self._busy -= claimed
        return tuple(next(said) if (key, each.path) in claimed else BUSY for each in envelope.recipients)

    async def _topped(
        self, top: bytes, envelope: Envelope, message: AsyncIterator[bytes], held: list[str]
    ) -> AsyncIterator[bytes]:
        """The message. It is delivered when its end comes, so that a long one keeps nobody waiting before that."""
        yield top
        async for block in message:
            yield block
        await self.turns.enter(mailboxes_of(envelope.recipients, self.delimiters), held)
