"""What the recipient's client may do: look at messages, and read parts that are here or on their way."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Protocol

from attrs import frozen

from rrsd.core.refusals import Forbidden, Unavailable, Unknown, Unproven, Withdrawn
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, Lease, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.core.values.resources import CHUNK
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import Span, matches_etag, parse_range
from rrsd.roles.rra import rules
from rrsd.roles.rra.ports import Blobs, Mailbox, Partial, Timers
from rrsd.roles.rra.restore import Restoration, Restorer

SCOPE = "mail"
HELD_BACK = 65536
"""The last bytes of what is still arriving, sent when the whole was verified: a wrong body can never look complete."""
LOOK_AGAIN = timedelta(milliseconds=250)
VERIFYING = timedelta(minutes=5)
MOVING = frozenset({State.NEW, State.READY, State.LEASED})


class Arriving(Protocol):
    """A transfer at work. `lease` says whose authorization it has; `generation` grows when its file begins anew."""

    @property
    def lease(self) -> Lease: ...

    @property
    def partial(self) -> Partial | None:
        """The growing file, None before the first byte."""
        ...

    @property
    def size(self) -> int: ...

    @property
    def generation(self) -> int: ...

    @property
    def ended(self) -> bool: ...

    async def advanced(self, beyond: int) -> bool:
        """True when more than `beyond` bytes are written or all are stored; False when it ended without success."""
        ...


class Arrivals(Protocol):
    """The pulls, as someone who waits for one sees them."""

    async def hurry(self, number: int, access_token: str | None) -> None:
        """Let the job go first, the user's own token serving where the agent has no delegation."""
        ...

    async def progress(self, number: int) -> Arriving | None:
        """The transfer that brings the job's bytes now."""
        ...

    async def settled(self, number: int, within: timedelta) -> Job:
        """The job as soon as nothing more happens to it by itself, or after `within`."""
        ...


class Acceptance(Protocol):
    """The way in for messages."""

    async def accept(
        self, raw: bytes, recipients: Sequence[Address], author: Address | None = None
    ) -> Sequence[Message]:
        """Those that are new, durable; from `author` to others only what they wrote.
        Refuses with Malformed, TooLarge, Unknown, Forbidden or NoSpace."""
        ...


class Feed(Protocol):
    """News about a recipient's pulls."""

    def subscribe(self, recipient: Address) -> AsyncIterator[dict[str, object]]:
        """News from now on; a slow listener loses some, never memory."""
        ...


@frozen
class Wish:
    """Which part of which message somebody wants to read, how, and for how long they are ready to wait.

    `token` is their own access token. `body` is False when only the head is wanted, which hurries nothing.
    """

    recipient: Address
    message: str
    index: int
    token: str
    body: bool = True
    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None
    wait: timedelta = timedelta(0)


@frozen
class Reading:
    """What there is of a part: `blocks` are its bytes `span`, None while it has not arrived, or is `unchanged`.

    `verified` is whether every byte of the part is known to be right before the first is sent.
    """

    part: Part
    span: Span
    blocks: AsyncIterator[bytes] | None = None
    verified: bool = False
    unchanged: bool = False


def require_reader(access: VerifiedAccess, presented: Digest | None) -> None:
    """Returns None when the token opens its subject's mailbox.

    `presented` is the SHA-256 of the connection's client certificate; a token bound to another one opens nothing
    (RFC 8705 3).

    Raises:
        Forbidden: the token lacks the scope.
        Unproven: it is bound to another certificate.
    """
    if access.confirmation is not None and access.confirmation != presented:
        raise Unproven("access token is bound to another certificate")
    if SCOPE not in access.scope:
        raise Forbidden("access token without the scope of the mailbox")


@frozen(kw_only=True)
class Reader:
    """Reads one recipient's mailbox."""

    mailbox: Mailbox
    blobs: Blobs
    arrivals: Arrivals
    restorer: Restorer
    timers: Timers

    async def messages(self, recipient: Address, before: Instant | None, most: int) -> Sequence[Message]:
        """Newest first."""
        return await self.mailbox.messages(recipient, before, most)

    async def message(self, recipient: Address, message: str) -> Message:
        """One of them.

        Raises:
            Unknown: there is none of that name in this mailbox.
        """
        return await self.mailbox.message(recipient, message)

    async def part(self, wish: Wish) -> Reading:
        """The part's bytes, stored or as they arrive, or how far they are. While they arrive, ranges are not honoured:
        nothing may be put together with bytes that nobody has verified.

        Raises:
            Unknown: there is no such part.
            Withdrawn: it will never arrive.
            Unsatisfiable: the range lies outside.
        """
        part = await self._part(wish)
        if part.arrival is not Arrival.STORED and wish.body:
            await self.arrivals.hurry(part.job, wish.token)
            live = await self._awaited(wish, part)
            if live is not None:
                return Reading(part, Span(0, part.size), self._follow(part, live))
            part = await self._part(wish)
        if part.arrival is not Arrival.STORED:
            return Reading(part, Span(0, part.size))
        return self._stored(wish, part)

    async def raw(self, wish: Wish) -> Restoration:
        """The complete message; parts that are missing are hurried and waited for. `wish.index` does not matter.

        Raises:
            Unknown: there is no such message.
            Unavailable: a part has still not arrived.
        """
        message = await self.mailbox.message(wish.recipient, wish.message)
        missing = [part for part in message.parts if part.arrival not in (Arrival.STORED, Arrival.FAILED)]
        if missing and wish.body:
            for part in missing:
                await self.arrivals.hurry(part.job, wish.token)
            await self._settled(missing, wish.wait)
            message = await self.mailbox.message(wish.recipient, wish.message)
        return await self.restorer.restore(message)

    async def _settled(self, missing: Sequence[Part], wait: timedelta) -> None:
        end = self.timers.monotonic() + wait.total_seconds()
        for part in missing:
            left = end - self.timers.monotonic()
            if left <= 0:
                return
            await self.arrivals.settled(part.job, timedelta(seconds=left))

    async def _part(self, wish: Wish) -> Part:
        message = await self.mailbox.message(wish.recipient, wish.message)
        found = [part for part in message.parts if part.index == wish.index]
        if not found:
            raise Unknown("part")
        if found[0].arrival is Arrival.FAILED:
            raise Withdrawn("the part will not arrive")
        return found[0]

    def _stored(self, wish: Wish, part: Part) -> Reading:
        whole = Span(0, part.size)
        if wish.if_none_match is not None and matches_etag(wish.if_none_match, part.digest):
            return Reading(part, whole, verified=True, unchanged=True)
        honoured = wish.if_range is None or matches_etag(wish.if_range, part.digest)
        span = (parse_range(wish.range, part.size) if honoured else None) or whole
        return Reading(part, span, self.blobs.read(part.digest, span.start, span.end), verified=True)

    async def _awaited(self, wish: Wish, part: Part) -> Arriving | None:
        """The transfer with this recipient's own authorization, as soon as it has bytes; None when it has none in time.

        The same resource on its way to another recipient is no answer: that they may read it proves nothing about
        this one.
        """
        end = self.timers.monotonic() + wish.wait.total_seconds()
        while True:
            live = await self.arrivals.progress(part.job)
            if live is not None and live.partial is not None and live.lease.job.recipient == wish.recipient:
                return live
            left = end - self.timers.monotonic()
            if left <= 0:
                return None
            job = await self.arrivals.settled(part.job, min(LOOK_AGAIN, timedelta(seconds=left)))
            if job.state not in MOVING:
                return None

    async def _follow(self, part: Part, live: Arriving) -> AsyncIterator[bytes]:
        """All bytes as they are written; the last ones from the store, once the whole was verified there.

        Raises:
            Unavailable: the transfer ended without success or began anew; what was sent is void.
        """
        generation, sent, open_end = live.generation, 0, max(0, part.size - HELD_BACK)
        while sent < open_end and await live.advanced(sent):
            partial = live.partial
            if live.ended or partial is None:
                break
            async for block in self.blobs.follow(partial, sent, min(partial.written, open_end, sent + CHUNK)):
                if live.generation != generation:
                    raise Unavailable("the transfer began anew")
                yield block
                sent += len(block)
        job = await self.arrivals.settled(part.job, VERIFYING)
        if job.state not in rules.ARRIVED:
            raise Unavailable("the transfer ended")
        async for block in self.blobs.read(part.digest, sent, part.size):
            yield block


@frozen
class Posting:
    """Takes a message from one of our own users."""

    acceptance: Acceptance

    async def post(self, user: Address, raw: bytes, recipients: Sequence[Address]) -> Sequence[Message]:
        """Deliver into the user's own mailbox what they hold, whoever wrote it, or to others what they wrote.

        Raises:
            Forbidden: it goes to others and the user is not its author.
            Malformed, TooLarge, Unknown, NoSpace: as the acceptance says.
        """
        return await self.acceptance.accept(raw, tuple(recipients) or (user,), user)
