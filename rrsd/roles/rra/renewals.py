"""Asks senders' resource servers for more time for what is at risk (protocol 5, "Renewals")."""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Conflict, Forbidden, Refusal, Unavailable
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, State
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Named, Renewal
from rrsd.core.wire.renewals import MOST_NAMED, parse_renewed, render_renewal
from rrsd.core.wire.strictjson import parse_object, render
from rrsd.roles.rra import rules
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.ports import AgentKey, Audit, Bell, Queue, Remote, Timers, Trust
from rrsd.runtime.expiring import Expiring

PATH = "/rrs/renewals"
MOST_GROUPS = 2_000
"""Users at resource servers that wait for their turn; what comes beyond that is seen at its next look."""
AGAIN = timedelta(minutes=10)
"""A resource server that could not be asked is not asked again before, and nobody in the name of a user for whom that
may not be."""
TRIES = 3
RUNNERS, OF_ONE = 8, 2
"""So many are asked at one time, and so many of one resource server: who is slow keeps nobody else waiting."""


@frozen
class Group:
    """What goes into one request: one user's grants at one resource server, which speaks for one domain."""

    origin: Origin
    sender: Domain
    subject: Address


@define(eq=False, kw_only=True)
class Renewer:
    """Groups that want more time, and the loop that asks for it."""

    queue: Queue
    remote: Remote
    trust: Trust
    delegations: Delegations
    agent: AgentKey
    health: Health
    timers: Timers
    bell: Bell
    feed: Feed
    audit: Audit
    lifetime: timedelta
    spawn: Callable[[Coroutine[Any, Any, None], str], object]
    _running: Counter[Origin] = field(factory=Counter, init=False)
    _waiting: dict[Group, dict[int, Job]] = field(factory=dict, init=False)
    _resting: Expiring[Origin | Group, bool] = field(factory=lambda: Expiring(MOST_GROUPS), init=False)

    def want(self, jobs: Sequence[Job]) -> None:
        """These are at risk; those among them for which more of the sender's time would help are asked for."""
        for job in jobs:
            group = Group(job.origin, job.sender, job.subject)
            has_room = group in self._waiting or len(self._waiting) < MOST_GROUPS
            if has_room and self._would_help(job) and not self._rests(group):
                named = self._waiting.setdefault(group, {})
                if len(named) < MOST_NAMED:
                    named[job.job] = job
        if self._waiting:
            self.bell.ring()

    def _would_help(self, job: Job) -> bool:
        """Whether it is the sender's end that is near, and the resource server one that may be asked now."""
        if job.not_after is None or job.state is State.NEEDS_AUTH or job.deadline >= job.accepted + self.lifetime:
            return False
        return self.health.closed_until(job.origin, self.timers.now()) is None

    def _rests(self, group: Group) -> bool:
        """Whether it, or its resource server, was asked in vain a moment ago."""
        moment = self.timers.monotonic()
        return any(self._resting.get(each, moment) is not None for each in (group, group.origin))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while self._running.total() < RUNNERS and (group := self._next()) is not None:
                jobs = self._waiting.pop(group)
                if not self._rests(group):  # otherwise they are seen at their next look
                    self._running[group.origin] += 1
                    self.spawn(self._ask(group, list(jobs.values())), f"renewals at {group.origin}")
            await self.bell.wait(None)

    def _next(self) -> Group | None:
        """Who has waited longest at a resource server that may be asked once more beside what is asked there now."""
        return next((group for group in self._waiting if self._running[group.origin] < OF_ONE), None)

    async def _ask(self, group: Group, jobs: Sequence[Job]) -> None:
        try:
            await self.ask(group, jobs)
        finally:
            self._running[group.origin] -= 1
            self._running += Counter()  # drops what is 0
            self.bell.ring()

    async def ask(self, group: Group, jobs: Sequence[Job]) -> None:
        """Ask for more time for the group's jobs; whatever comes of it is written down."""
        until = max(_wanted(job, self.lifetime) for job in jobs)
        renewal = Renewal(until, tuple(dict.fromkeys(Named(each.message_id, each.digest) for each in jobs)))
        try:
            ends = _ends(await self._post(group, renewal), renewal)
        except Refusal as refusal:
            # What our own token service refuses to one user says nothing of the others.
            about = group if isinstance(refusal, Forbidden) else group.origin
            self._resting.put(about, True, self.timers.monotonic() + AGAIN.total_seconds())
            self._record(group, 0, len(jobs), str(refusal))
            return
        more = [await self._extend(job, ends.get(Named(job.message_id, job.digest))) for job in jobs]
        self._record(group, sum(more), len(jobs), f"until {max(ends.values()):%Y-%m-%d %H:%M:%S} UTC" if ends else "")

    async def _post(self, group: Group, renewal: Renewal) -> Answer:
        peer = binding.speaks_for(await self.trust.introduce(group.sender), group.origin)
        delegation = await self.delegations.of(group.subject, group.origin)
        headers = (("authorization", f"Bearer {delegation}"), ("content-type", "application/json"))
        answer = await self.remote.ask(Call(peer, "POST", PATH, headers, render(render_renewal(renewal))))
        if answer.status == 401:
            self.delegations.drop(group.subject, group.origin)
        return answer

    async def _extend(self, job: Job, not_after: Instant | None) -> bool:
        """Whether the job has more time; what became of it meanwhile counts, and what is over stays over."""
        if not_after is None:
            return False
        for _ in range(TRIES):
            now = self.timers.now()
            try:
                found = await self.queue.find(job.job)
                longer = rules.extended(found, not_after, found.accepted + self.lifetime, now)
            except Refusal:
                return False
            evidence = f"the sender's domain keeps it until {not_after:%Y-%m-%d %H:%M:%S} UTC"
            try:
                await self.queue.change([Change(longer, "extended", now, found.state, evidence)])
            except Conflict:
                continue
            except Refusal:
                return False
            self.feed.changed(longer)
            return True
        return False

    def _record(self, group: Group, more: int, asked: int, evidence: str) -> None:
        self.audit.record(
            Event(
                "extend",
                "granted" if more else "failed",
                who=str(self.agent.certificate.client),
                subject=str(group.subject),
                peer=str(group.origin),
                resource=f"{more} of {asked} pulls",
                evidence=evidence,
            )
        )


def _wanted(job: Job, lifetime: timedelta) -> Instant:
    """The sender's end that would leave us our whole lifetime, the margin before it included."""
    return (job.accepted + lifetime / 9 * 10).replace(microsecond=0) + timedelta(seconds=1)


def _ends(answer: Answer, renewal: Renewal) -> Mapping[Named, Instant]:
    if answer.status == 200:
        return parse_renewed(parse_object(answer.body), renewal.named)
    raise Unavailable(f"the resource server answers {answer.status}")
