"""The outbox of receipts: what is stored here is told to the sender's resource server until it has heard it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from attrs import define, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooMany, Unavailable
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import PendingReceipt
from rrsd.core.values.peers import Origin, ProvenPeer
from rrsd.core.values.resources import Receipt
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.receipts import receipt_claims
from rrsd.roles.rra import outbox
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.outbox import Told, Verdict
from rrsd.roles.rra.ports import AgentKey, Audit, Bell, Queue, Remote, Timers, Trust
from rrsd.runtime.awaits import together

AT_ONCE = 100
"""Receipts of one user in one request; what a resource server must take."""
LONGEST_SLEEP = timedelta(minutes=5)
GATHER = timedelta(milliseconds=300)
"""How long after the first stored resource its receipt waits for others, so that many go in one request."""
AGAIN = timedelta(seconds=30)
LONGEST_GATHER = timedelta(seconds=10)
"""How long receipts stand back behind pulls that wait for a slot."""
PATH = "/rrs/receipts"


@frozen
class _Destination:
    sender: Domain
    origin: Origin


@define(eq=False, kw_only=True)
class Receipts:
    """Sends pending receipts, grouped by resource server and user. Sending one twice is harmless (same `jti`).

    Each sender's server is told by itself and beside the others; one that does not answer is left alone with all that
    waits for it. `answered` is told of each that took some.
    """

    queue: Queue
    remote: Remote
    trust: Trust
    delegations: Delegations
    agent: AgentKey
    timers: Timers
    bell: Bell
    audit: Audit
    is_busy: Callable[[], bool] = lambda: False
    answered: Callable[[Domain, Origin], None] = lambda *_: None

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
        await together([self._tell(where, receipts) for where, receipts in _by_destination(pending).items()])
        if len(pending) == AT_ONCE:
            return timedelta(0)  # there may be more
        due = await self.queue.next_receipt()
        return LONGEST_SLEEP if due is None else max(timedelta(seconds=1), min(LONGEST_SLEEP, due - now))

    async def _tell(self, where: _Destination, receipts: Sequence[PendingReceipt]) -> None:
        """One user after the other, until the server does not answer: then all that waits for it waits longer."""
        for group in _groups(receipts):
            told = await self._send(where, group)
            if told.verdict is not Verdict.REFUSED:
                now, is_away = self.timers.now(), told.verdict is Verdict.AWAY
                until = outbox.until(group[0], told, now)
                await self.queue.receipts_put_off(where.sender, where.origin, now, until, is_away)
                return

    async def _send(self, where: _Destination, group: Sequence[PendingReceipt]) -> Told:
        told = await self._ask(where, group)
        now = self.timers.now()
        heard = [each.job for each in group if each.jti in told.heard]
        left = [outbox.again(each, told, now) for each in group if each.jti not in told.heard]
        lost = [each.job for each in left if each.due is None]
        if heard:
            await self.queue.receipts_sent(heard, now)
            self.answered(where.sender, where.origin)
        if left:
            await self.queue.receipts_deferred(left, told.evidence, now)
        self._record(where, group, len(heard), len(lost), told.evidence)
        return told

    async def _ask(self, where: _Destination, group: Sequence[PendingReceipt]) -> Told:
        """How it ended, and whose fault it was that it did not end well."""
        user, now = group[0].recipient, self.timers.now()
        try:
            peer = binding.speaks_for(await self.trust.introduce(where.sender), where.origin)
        except Refusal as refusal:
            return _failed(refusal)
        try:
            delegation = await self.delegations.of(user, where.origin)
            body = "\n".join(self._sign(where.origin, each, now) for each in group)
        except Refusal as refusal:
            is_about_user = isinstance(refusal, Forbidden)
            return Told(Verdict.REFUSED if is_about_user else Verdict.OURS, f"our token service: {refusal}")
        try:
            answer = await self._post(peer, delegation, body)
        except Refusal as refusal:
            return _failed(refusal)
        if answer.status == 401:
            self.delegations.drop(user, where.origin)
        return outbox.told(answer, group)

    async def _post(self, peer: ProvenPeer, delegation: str, body: str) -> Answer:
        headers = (("authorization", f"Bearer {delegation}"), ("content-type", "application/jose"))
        return await self.remote.ask(Call(peer, "POST", PATH, headers, body.encode("ascii")))

    def _sign(self, origin: Origin, pending: PendingReceipt, now: Instant) -> str:
        client = self.agent.certificate.client
        if client is None:
            raise Malformed("the agent's certificate names no client")
        receipt = Receipt(
            client, pending.recipient, pending.digest, pending.size, pending.stored, pending.message_id, pending.jti
        )
        return self.agent.sign(Kind.RECEIPT, receipt_claims(receipt, origin, now))

    def _record(
        self, where: _Destination, group: Sequence[PendingReceipt], heard: int, lost: int, evidence: str
    ) -> None:
        """The line says it when some are given up: nobody is told again of these."""
        self.audit.record(
            Event(
                "receipt",
                "granted" if heard == len(group) else "failed",
                who=str(self.agent.certificate.client),
                subject=str(group[0].recipient),
                peer=str(where.origin),
                resource=f"{heard} of {len(group)}" + (f", {lost} given up" if lost else ""),
                evidence=evidence,
            )
        )


def _failed(refusal: Refusal) -> Told:
    is_away = isinstance(refusal, Unavailable | TooMany)
    return Told(Verdict.AWAY if is_away else Verdict.REFUSED, str(refusal))


def _by_destination(pending: Sequence[PendingReceipt]) -> Mapping[_Destination, list[PendingReceipt]]:
    found: dict[_Destination, list[PendingReceipt]] = {}
    for each in pending:
        found.setdefault(_Destination(each.sender, each.origin), []).append(each)
    return found


def _groups(receipts: Sequence[PendingReceipt]) -> Sequence[Sequence[PendingReceipt]]:
    """Those of one user together; what may have spoilt a request goes by itself."""
    groups: dict[tuple[Address, int], list[PendingReceipt]] = {}
    for each in receipts:
        groups.setdefault((each.recipient, each.job if each.is_alone else 0), []).append(each)
    return list(groups.values())
