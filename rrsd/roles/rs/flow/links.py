"""Personal links: whoever has one proves by a code that the address is theirs, and then downloads (E-30)."""

from collections.abc import AsyncIterator, Callable, Sequence

from attrs import define, frozen

from rrsd.core.refusals import Expired, Forbidden, NotGranted, TooMany, Unknown, Withdrawn
from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.links import Attempt, Link, LinkSession, OneTimeCode
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import CHUNK, Grant
from rrsd.core.wire.fields import Span, matches_etag
from rrsd.roles.rs import rules_links as rules
from rrsd.roles.rs.flow.admission import Record, Trace
from rrsd.roles.rs.flow.strangers import Reading, Wanted, select
from rrsd.roles.rs.ports import Blobs, Grants, Links, Notices, Rates, Timers


@frozen
class Shown:
    """What a link's page says: live grants only; `is_open` when the code was entered in this browser."""

    grants: Sequence[Grant]
    recipient: Address
    is_open: bool


@define(eq=False, kw_only=True)
class Sharing:
    """The face of the Resource Server for recipients whose domain has none.

    `notices` is None where mail does not go out through us, or the owner has switched links off: then no link is made
    and none leads anywhere. `new_name` gives an unguessable name of 128 bits each time; `seed` is the secret that all
    links are made from, and refuses where it cannot be had.
    """

    origin: Origin
    links: Links
    grants: Grants
    blobs: Blobs
    notices: Notices | None
    rates: Rates
    timers: Timers
    record: Record
    new_name: Callable[[], str]
    seed: Callable[[], bytes]

    async def make(self, message_id: str, sender: Address, recipient: Address, expires: Instant) -> str:
        """The URL of the link to what `recipient` is granted of the message, the same however often the message is
        tried; "" where links are switched off."""
        if self.notices is None:
            return ""
        token = rules.link_secret(self.seed(), message_id, sender, recipient)
        link = Link(rules.key_of(token), message_id, sender, recipient, expires)
        await self.links.add(link, self.timers.now())
        return f"{self.origin}{rules.PATH}/{token}"

    async def show(self, token: str, cookie: str, peer: str) -> Shown:
        """The page, which changes nothing whoever asks for it, however often.

        Raises:
            Unknown: the link leads nowhere, or nowhere any more.
            TooMany: the network address tried too many links that lead nowhere.
        """
        with self.record.decision("link", peer) as trace:
            link, grants = await self._follow(token, peer, trace)
            return Shown(grants, link.recipient, await self._is_open(link, cookie))

    async def send_code(self, token: str, peer: str) -> None:
        """Send a new code to the recipient; those before it are over.

        Raises:
            Unknown, TooMany: as `show`; or enough codes were sent.
            Unavailable: it cannot be sent now.
        """
        with self.record.decision("link_code", peer) as trace:
            link, _ = await self._follow(token, peer, trace)
            self._charge(peer)
            now, text = self.timers.now(), rules.code_of(self.new_name())
            digest = rules.code_digest(link, text)
            code = OneTimeCode(link.key, link.recipient, digest, now, now + rules.CODE_LIFE)
            wait = await self.links.add_code(code, rules.MOST_PER_LINK, rules.MOST_PER_RECIPIENT, rules.WINDOW)
            if wait:
                raise TooMany("codes for one link or one address", wait)
            assert self.notices is not None  # or the link would have led nowhere
            await self.notices.send(rules.notice_of(link, text, code))

    async def enter(self, token: str, text: str, peer: str) -> str:
        """The cookie of a browser in which the right code was entered.

        Raises:
            Unknown, TooMany: as `show`; or the network address tried too often.
            NotGranted: it is another code.
            Expired: no code is open for the link; a new one has to be sent.
        """
        with self.record.decision("link_open", peer) as trace:
            link, _ = await self._follow(token, peer, trace)
            self._charge(peer)
            now, cookie = self.timers.now(), rules.secret_of(self.new_name())
            session = LinkSession(rules.key_of(cookie), link.key, now + rules.SESSION_LIFE)
            digest = rules.code_digest(link, rules.normal_code(text))
            found = await self.links.try_code(digest, session, now, rules.MOST_TRIES)
            if found is Attempt.OVER:
                raise Expired("no code is open")
            if found is Attempt.WRONG:
                raise NotGranted("another code")
            return cookie

    async def read(self, token: str, cookie: str, wanted: Wanted, peer: str) -> Reading:
        """The bytes of one file.

        Raises:
            Unknown, TooMany: as `show`; or the file is not one of the link's.
            Forbidden: the code was not entered in this browser, or too long ago.
            Withdrawn: the bytes are gone.
            Unsatisfiable: about the range.
        """
        with self.record.decision("download", peer, wanted.digest.ni) as trace:
            link, grants = await self._follow(token, peer, trace)
            if not await self._is_open(link, cookie):
                raise Forbidden("no code was entered")
            grant = next((each for each in grants if each.digest == wanted.digest), None)
            if grant is None:
                raise Unknown("not a file of the link")
            if wanted.if_none_match is not None and matches_etag(wanted.if_none_match, grant.digest):
                return Reading(grant, Span(0, grant.size), whole=True, unchanged=True)
            return await self._open(link, grant, wanted)

    async def _open(self, link: Link, grant: Grant, wanted: Wanted) -> Reading:
        span = select(wanted, grant.size)
        chosen = Span(0, grant.size) if span is None else span
        try:
            await self.blobs.find(grant.digest)
        except Unknown:
            raise Withdrawn("the bytes were collected") from None
        if not wanted.body:
            return Reading(grant, chosen, whole=span is None)
        blocks = self._blocks(link, grant, chosen)
        first = await anext(blocks, b"")
        if len(first) == chosen.end - chosen.start:
            await anext(blocks, None)  # nothing more comes, but that all was sent is to be remembered
        return Reading(grant, chosen, whole=span is None, first=first, rest=blocks)

    async def _blocks(self, link: Link, grant: Grant, span: Span) -> AsyncIterator[bytes]:
        """The bytes, as long as the grant lives: what is withdrawn in the middle ends in the middle."""
        sent = 0
        async for block in self.blobs.read(grant.digest, span.start, span.end):
            yield block
            before, sent = sent, sent + len(block)
            if before // CHUNK != sent // CHUNK:
                await self._live(link)
        if span.end == grant.size:
            await self.grants.downloaded(grant, self.timers.now())

    async def _follow(self, token: str, peer: str, trace: Trace) -> tuple[Link, Sequence[Grant]]:
        try:
            if self.notices is None:
                raise Unknown("links are switched off")
            link = await self.links.find(rules.require_key(token))
            grants = await self._live(link)
        except Unknown:
            self._charge(peer)
            raise
        trace.subject, trace.evidence = str(link.recipient), link.message_id
        trace.resource = trace.resource or f"{len(grants)} files of {link.message_id}"
        return link, grants

    async def _live(self, link: Link) -> Sequence[Grant]:
        now = self.timers.now()
        grants = await self.grants.addressed(link.message_id, link.sender, link.recipient)
        live = [grant for grant in grants if not grant.withdrawn and now < min(grant.not_after, link.expires)]
        if not live:
            raise Unknown("withdrawn or past its end")
        return live

    async def _is_open(self, link: Link, cookie: str) -> bool:
        try:
            session = await self.links.session(rules.require_key(cookie))
        except Unknown:
            return False
        return session.link == link.key and self.timers.now() < session.expires

    def _charge(self, peer: str) -> None:
        wait = self.rates.take(peer)
        if wait:
            raise TooMany("links and codes from one network address", wait)
