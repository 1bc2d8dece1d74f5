"""The outbox of receipts: what is stored here is told to the sender's resource server until it has heard it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from attrs import define, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Malformed, Refusal, Unavailable
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, PendingReceipt
from rrsd.core.values.peers import Origin, ProvenPeer
from rrsd.core.values.resources import Receipt
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.receipts import receipt_claims
from rrsd.core.wire.strictjson import parse_object
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.ports import AgentKey, Audit, Bell, Queue, Remote, Timers, Trust
from rrsd.roles.rra.rules import back_off

AT_ONCE = 100
"""Receipts of one user in one request; what a resource server must take."""
FIRST, CAP = timedelta(seconds=30), timedelta(hours=6)
LONGEST_SLEEP = timedelta(minutes=5)
GATHER = timedelta(milliseconds=300)
"""How long after the first stored resource its receipt waits for others, so that many go in one request."""
AGAIN = timedelta(seconds=30)
LONGEST_GATHER = timedelta(seconds=10)
"""How long receipts stand back behind pulls that wait for a slot."""
PATH = "/rrs/receipts"


@frozen
class _Group:
    origin: Origin
    recipient: Address


@define(eq=False, kw_only=True)
class Receipts:
    """Sends pending receipts, grouped by resource server and user. Sending one twice is harmless (same `jti`)."""

    queue: Queue
    remote: Remote
    trust: Trust
    delegations: Delegations
    agent: AgentKey
    timers: Timers
    bell: Bell
    audit: Audit
    is_busy: Callable[[], bool] = lambda: False

    async def run(self) -> None:
        """Work until cancelled; where the outbox cannot be read or written, wait and go on."""
        while True:
            try:
                sleep = await self.round()
            except Refusal:
                await self.timers.sleep(AGAIN)
                continue
            if sleep:
                await self.bell.wait(sleep)
                await self._gather()

    async def _gather(self) -> None:
        """Let receipts come together: while pulls keep the agent busy they go first, `LONGEST_GATHER` at most."""
        end = self.timers.monotonic() + LONGEST_GATHER.total_seconds()
        await self.timers.sleep(GATHER)
        while self.is_busy() and self.timers.monotonic() < end:
            await self.timers.sleep(GATHER)

    async def round(self) -> timedelta:
        """Send what is due; how long to sleep when nobody rings."""
        now = self.timers.now()
        pending = await self.queue.receipts_due(now, AT_ONCE)
        silent: set[Origin] = set()
        for group, receipts in _grouped(pending).items():
            if group.origin in silent:
                await self._defer(receipts, now)
            elif not await self._send(group, receipts):
                silent.add(group.origin)
        if len(pending) == AT_ONCE:
            return timedelta(0)  # there may be more
        due = await self.queue.next_receipt()
        return LONGEST_SLEEP if due is None else max(timedelta(seconds=1), min(LONGEST_SLEEP, due - now))

    async def _send(self, group: _Group, receipts: Sequence[PendingReceipt]) -> bool:
        """Whether the resource server can be reached; others need not wait for one that cannot."""
        now = self.timers.now()
        heard, reached = frozenset[str](), True
        try:
            answer = await self._ask(group, receipts, now)
            evidence = f"status {answer.status}"
            heard = _heard(answer, receipts)
        except Refusal as refusal:
            evidence, reached = str(refusal), not isinstance(refusal, Unavailable)
        await self.queue.receipts_sent([each.job for each in receipts if each.jti in heard], now)
        await self._defer([each for each in receipts if each.jti not in heard], now)
        self._record(group, receipts, heard, evidence)
        return reached

    async def _defer(self, receipts: Sequence[PendingReceipt], now: Instant) -> None:
        for each in receipts:
            await self.queue.receipt_deferred(each.job, now + back_off(FIRST, CAP, each.tries, 1.0))

    async def _ask(self, group: _Group, receipts: Sequence[PendingReceipt], now: Instant) -> Answer:
        job = await self.queue.find(receipts[0].job)
        peer = await self._peer(job)
        delegation = await self.delegations.of(group.recipient, group.origin)
        body = "\n".join(self._sign(group.origin, each, now) for each in receipts)
        headers = (("authorization", f"Bearer {delegation}"), ("content-type", "application/jose"))
        answer = await self.remote.ask(Call(peer, "POST", PATH, headers, body.encode("ascii")))
        if answer.status == 401:
            self.delegations.drop(group.recipient, group.origin)
        return answer

    async def _peer(self, job: Job) -> ProvenPeer:
        return binding.speaks_for(await self.trust.introduce(job.sender), job.origin)

    def _sign(self, origin: Origin, pending: PendingReceipt, now: Instant) -> str:
        client = self.agent.certificate.client
        if client is None:
            raise Malformed("the agent's certificate names no client")
        receipt = Receipt(
            client, pending.recipient, pending.digest, pending.size, pending.stored, pending.message_id, pending.jti
        )
        return self.agent.sign(Kind.RECEIPT, receipt_claims(receipt, origin, now))

    def _record(self, group: _Group, receipts: Sequence[PendingReceipt], heard: frozenset[str], evidence: str) -> None:
        self.audit.record(
            Event(
                "receipt",
                "granted" if len(heard) == len(receipts) else "failed",
                who=str(self.agent.certificate.client),
                subject=str(group.recipient),
                peer=str(group.origin),
                resource=f"{len(heard)} of {len(receipts)}",
                evidence=evidence,
            )
        )


def _grouped(pending: Sequence[PendingReceipt]) -> Mapping[_Group, list[PendingReceipt]]:
    groups: dict[_Group, list[PendingReceipt]] = {}
    for each in pending:
        groups.setdefault(_Group(each.origin, each.recipient), []).append(each)
    return groups


def _heard(answer: Answer, receipts: Sequence[PendingReceipt]) -> frozenset[str]:
    """The `jti`s that the resource server says it took."""
    if answer.status in (201, 204):
        return frozenset(each.jti for each in receipts)
    if answer.status != 200:
        return frozenset()
    accepted = parse_object(answer.body).get("accepted")
    if not isinstance(accepted, list):
        return frozenset()
    return frozenset(each.jti for each in receipts if each.jti in accepted)
