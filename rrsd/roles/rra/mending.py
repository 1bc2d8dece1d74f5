"""Damaged chunks are fetched again alone, once, and the whole is compared once more."""

from collections.abc import Awaitable, Callable

from attrs import define, evolve

from rrsd.core.refusals import Damaged, Malformed, TooLarge, Unavailable
from rrsd.core.values.calls import Call
from rrsd.core.values.jobs import Job, Phase
from rrsd.core.values.peers import ProvenPeer
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.core.wire import fields
from rrsd.core.wire.fields import Span
from rrsd.roles.rra.damage import damaged, most_of_list
from rrsd.roles.rra.live import Transfer
from rrsd.roles.rra.ports import Partial, Remote, Reply
from rrsd.roles.rra.replies import Asked, Body, Restart, Verdict
from rrsd.roles.rra.rules import MOST_CLEAN_RESTARTS, Result

AGAIN = ("connection", "close")
"""The connection on which damaged bytes came is not used for those that take their place."""


@define(eq=False, kw_only=True)
class Mender:
    """Ends one transfer whose bytes have all come. `call` authorizes a request, `open` asks for a range, `pour` puts it
    in its place."""

    job: Job
    transfer: Transfer
    remote: Remote
    call: Callable[[ProvenPeer, str, Asked], Awaitable[Call]]
    open: Callable[[ProvenPeer, Asked], Awaitable[tuple[Reply, Verdict]]]
    pour: Callable[[Reply, Body, Partial, int | None], Awaitable[None]]
    validator: str

    async def finish(self, peer: ProvenPeer, partial: Partial) -> tuple[Blob, int] | Result:
        """The blob, and how many of its bytes were fetched again; or why the server did not give them now.

        Raises:
            Damaged: it is another than the message says, after mending too; or nobody says which part of it is.
            Unavailable: a part broke off. What is here stays, and is mended at the next attempt.
        """
        try:
            return await partial.finish(self.job.digest, self.job.size), 0
        except Damaged:
            if not self._may_be_mended:
                raise
            spans = await self._spans(peer, partial)
            if not spans:
                raise
        self.transfer.generation += 1  # whoever reads along may have read what was wrong
        await partial.hold()
        for span in spans:
            refused = await self._fetch(peer, partial, span)
            if refused is not None:
                return refused
        self.transfer.phase = Phase.VERIFY
        return await partial.finish(self.job.digest, self.job.size), sum(span.end - span.start for span in spans)

    @property
    def _may_be_mended(self) -> bool:
        """Once, and where there are parts that can be asked for."""
        return bool(self.validator) and self.job.size > CHUNK and self.job.restarts < MOST_CLEAN_RESTARTS

    async def _spans(self, peer: ProvenPeer, partial: Partial) -> tuple[Span, ...]:
        """What is fetched again, by what the server's chunk list says; none where it has none that helps."""
        plain = await self.call(peer, "GET", Asked(self.job.digest, self.job.size))
        call = evolve(plain, target=fields.chunks_path(self.job.digest), headers=(*plain.headers, AGAIN))
        try:
            answer = await self.remote.ask(call, most_of_list(self.job.size))
            found = await partial.chunks() if answer.status == 200 else ()
            return damaged(answer.body, found, self.job.digest, self.job.size) if found else ()
        except (Malformed, TooLarge, Unavailable):
            self.transfer.require_wanted()
            return ()

    async def _fetch(self, peer: ProvenPeer, partial: Partial, span: Span) -> Result | None:
        asked = Asked(self.job.digest, self.job.size, span.start, self.validator, span.end)
        reply, verdict = await self.open(peer, asked)
        if isinstance(verdict, Body):
            await self.pour(reply, verdict, partial, span.start)
            return None
        await reply.abort()
        if isinstance(verdict, Restart):
            raise Damaged(f"other bytes than the message says, and no way to mend them: {verdict.evidence}")
        return verdict
