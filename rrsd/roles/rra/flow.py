"""One attempt to pull one resource for one recipient: steps 2 to 8 of the pull, over ports.

The order in which things become durable is the contract (docs/protocol/pull.rst, "durable order"): bytes, fsync,
checkpoint row; at the end digest, fsync, final name, fsync of the folder, and only then, by the scheduler, STORED.
"""

from attrs import define, evolve

from rrsd.core.proof import binding
from rrsd.core.refusals import Damaged, NoSpace, Refusal, Unavailable, Unknown
from rrsd.core.values.calls import Call
from rrsd.core.values.jobs import Fetch, Job, Lease, Phase
from rrsd.core.values.peers import ProvenPeer
from rrsd.core.values.resources import Checkpoint
from rrsd.core.wire import fields
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.mending import Mender
from rrsd.roles.rra.ports import Blobs, Partial, Queue, Remote, Reply, Timers, Trust
from rrsd.roles.rra.replies import Asked, Body, Restart, Verdict, judge, request_headers
from rrsd.roles.rra.rules import Outcome, Result, result_of
from rrsd.roles.rra.settings import Settings


@define(eq=False, kw_only=True)
class Puller:
    """Makes attempts. Many may run at once; never two for one resource."""

    queue: Queue
    blobs: Blobs
    remote: Remote
    trust: Trust
    delegations: Delegations
    transfers: Transfers
    timers: Timers
    settings: Settings

    async def attempt(self, lease: Lease) -> Result:
        """What came of one attempt. Refusals become results; nothing durable is lost by any of them."""
        transfer = self.transfers.begin(lease)
        stored = False
        try:
            result = await _Attempt(self, transfer, lease).run()
            stored = result.outcome is Outcome.STORED
        except Refusal as refusal:
            result = _interrupted() if transfer.interrupted else result_of(transfer.phase, refusal)
        finally:
            self.transfers.end(transfer, stored)
        return evolve(
            result,
            progressed=transfer.progressed,
            authorized=transfer.authorized,
            reached=transfer.reached,
            moved=transfer.moved,
        )


def _interrupted() -> Result:
    """An end that is nobody's fault."""
    return Result(Outcome.INTERRUPTED, "interrupted by an operator")


@define(eq=False)
class _Attempt:
    puller: Puller
    transfer: Transfer
    lease: Lease
    validator: str = ""

    @property
    def job(self) -> Job:
        return self.lease.job

    async def run(self) -> Result:
        self.transfer.require_wanted()
        if self.job.size > self.puller.settings.most_resource:
            return Result(Outcome.REFUSED, f"{self.job.size} bytes are more than the policy allows")
        introduction = await self.puller.trust.introduce(self.job.sender)
        peer = binding.speaks_for(introduction, self.job.origin)
        if self.lease.here and await self._is_here():
            return await self._confirm(peer)
        result = await self._transfer(peer)
        if isinstance(result, Restart):
            await self._forget()
            result = await self._transfer(peer)
        return Result(Outcome.UNSTABLE, result.evidence) if isinstance(result, Restart) else result

    async def _is_here(self) -> bool:
        try:
            blob = await self.puller.blobs.find(self.job.digest)
        except Unknown:
            return False
        return blob.size == self.job.size

    async def _confirm(self, peer: ProvenPeer) -> Result:
        """The bytes are here already: the recipient's own right to them is proved without fetching them again."""
        verdict = await self._ask(peer)
        if self._is_stale(verdict):
            verdict = await self._ask(peer)
            self._is_stale(verdict)
        if isinstance(verdict, Body):
            return Result(Outcome.STORED, "the same bytes were here; the right to them was proved")
        assert not isinstance(verdict, Restart), "only a resumed request is told to restart"
        return verdict

    async def _ask(self, peer: ProvenPeer) -> Verdict:
        asked = Asked(self.job.digest, self.job.size)
        answer = await self.puller.remote.ask(await self._call(peer, "HEAD", asked))
        self.transfer.reached = True
        return judge(answer.status, answer.headers, asked, self.puller.timers.now())

    async def _transfer(self, peer: ProvenPeer) -> Result | Restart:
        if self.lease.fetch.offset and not self.lease.fetch.validator:
            await self._forget()
        try:
            partial, held = await self.puller.blobs.partial(self.lease, self.job.size, self._committed)
        except NoSpace as refusal:
            return Result(Outcome.NO_ROOM, str(refusal))  # smaller ones may fit: nobody else is held back
        self.transfer.partial, self.validator = partial, self.lease.fetch.validator
        self.transfer.begun = partial.offset
        try:
            return await self._fill(peer, partial, held)
        except Damaged:
            await partial.discard()
            raise
        finally:
            await partial.close()

    async def _fill(self, peer: ProvenPeer, partial: Partial, held: Checkpoint | None) -> Result | Restart:
        offset = held.offset if held is not None else 0
        if offset != self.lease.fetch.offset:
            await self.puller.queue.rewind(self.lease, offset)
        if offset == self.job.size and offset:
            proved = await self._confirm(peer)
            if proved.outcome is not Outcome.STORED:
                return proved
        else:
            reply, verdict = await self._open(peer, Asked(self.job.digest, self.job.size, offset, self.validator))
            if not isinstance(verdict, Body):
                await reply.abort()
                return verdict
            await self._pour(reply, verdict, partial)
        self.transfer.phase = Phase.VERIFY
        mended = await self._mender().finish(peer, partial)
        if isinstance(mended, Result):
            return mended
        self.transfer.phase = Phase.COMMIT
        blob, again = mended
        evidence = f"{blob.size} bytes verified, {blob.size - offset} of them in this attempt"
        return Result(Outcome.STORED, evidence + (f"; {again} were damaged and fetched again" if again else ""))

    def _mender(self) -> Mender:
        return Mender(
            job=self.job,
            transfer=self.transfer,
            remote=self.puller.remote,
            call=self._call,
            open=self._open,
            pour=self._pour,
            validator=self.validator,
        )

    async def _open(self, peer: ProvenPeer, asked: Asked) -> tuple[Reply, Verdict]:
        """The first answer that is not a stale delegation's 401; a second 401 stands."""
        reply, verdict = await self._request(peer, asked)
        if self._is_stale(verdict):
            await reply.abort()
            reply, verdict = await self._request(peer, asked)
            self._is_stale(verdict)
        return reply, verdict

    async def _request(self, peer: ProvenPeer, asked: Asked) -> tuple[Reply, Verdict]:
        reply = await self.puller.remote.fetch(await self._call(peer, "GET", asked))
        self.transfer.reached = True
        if self.transfer.interrupted:
            return reply, _interrupted()
        return reply, judge(reply.status, reply.headers, asked, self.puller.timers.now())

    async def _pour(self, reply: Reply, body: Body, partial: Partial, patch: int | None = None) -> None:
        """The body into the file: behind what is there, or in the place of what is there at `patch`."""
        self.validator = body.validator
        self.transfer.phase, self.transfer.reply = Phase.BODY, reply
        try:
            poured = await reply.pour(partial if patch is None else partial.patch(patch), body.length)
        finally:
            self.transfer.reply = None
        if poured != body.length:
            raise Unavailable(f"{poured} bytes came instead of {body.length}")

    async def _call(self, peer: ProvenPeer, method: str, asked: Asked) -> Call:
        self.transfer.require_wanted()
        self.transfer.phase = Phase.AUTH
        delegation = await self.puller.delegations.of(self.job.subject, self.job.origin)
        self.transfer.require_wanted()
        self.transfer.phase, self.transfer.authorized = Phase.CONNECT, True
        return Call(peer, method, fields.ni_path(asked.digest), request_headers(asked, delegation))

    def _is_stale(self, verdict: Verdict) -> bool:
        """Whether the delegation was not taken; it is dropped then, so that the next call exchanges anew."""
        if isinstance(verdict, Result) and verdict.outcome is Outcome.NOT_AUTHORIZED:
            self.puller.delegations.drop(self.job.subject, self.job.origin)
            return True
        return False

    async def _committed(self, checkpoint: Checkpoint) -> None:
        await self.puller.queue.checkpoint(self.lease, self.validator, checkpoint)
        self.transfer.progressed = True

    async def _forget(self) -> None:
        """Begin again from byte 0, for everyone who follows too."""
        await self.puller.queue.forget(self.lease)
        fetch = Fetch(self.lease.fetch.origin, self.lease.fetch.digest, self.lease.fetch.epoch)
        self.lease = evolve(self.lease, fetch=fetch)
        self.transfer.generation += 1
