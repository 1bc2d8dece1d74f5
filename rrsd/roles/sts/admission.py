"""What is the same for every request of a client: who it is, how often it comes, and one line about it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from attrs import define, field

from rrsd.core.refusals import Malformed, Refusal, TooMany, UnknownClient, WrongTarget
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.oauth import Form
from rrsd.roles.sts.authentication import Authentication, Caller
from rrsd.roles.sts.ports import Audit, Limits

T = TypeVar("T")
MOST_NAME = 320  # characters of a name that nobody proved, in the trail


@define(eq=False, kw_only=True)
class Note:
    """What is known about one request so far, for the audit trail."""

    what: str
    who: str
    peer: str
    started: Instant
    resource: str = ""
    subject: str = ""
    evidence: str = ""
    policy: str = ""
    claims: Mapping[str, object] = field(factory=dict)
    inactive: Refusal | None = None
    """Why a token that was asked about is not active: that is no error, and still a no."""

    def granted(self, now: Instant) -> Event:
        """The event of an answer."""
        if self.inactive is not None:
            return self.refused(self.inactive, now)
        return self._event("granted", now, "", self.evidence, self.claims)

    def refused(self, refusal: Refusal, now: Instant) -> Event:
        """The event of a refusal."""
        return self._event("refused", now, refusal.reason, refusal.detail, {})

    def _event(self, outcome: str, now: Instant, refusal: str, evidence: str, claims: Mapping[str, object]) -> Event:
        return Event(
            self.what, outcome, who=self.who, subject=self.subject, peer=self.peer, resource=self.resource,
            refusal=refusal, evidence=evidence, policy=self.policy, took=(now - self.started).total_seconds(),
            claims=claims,
        )  # fmt: skip


@define(eq=False, kw_only=True)
class Admission:
    """`requests` limits each client that proved itself, whose domain `heard` is told; `failures` each network address
    that is refused."""

    authentication: Authentication
    requests: Limits
    failures: Limits
    audit: Audit
    now: Callable[[], Instant]
    heard: Callable[[Domain], None] = lambda _: None

    def begun(self, what: str, form: Form, peer: str) -> Note:
        """The beginning of a request."""
        return Note(what=what, who=(form.one("client_id") or "")[:MOST_NAME], peer=peer, started=self.now())

    async def admit(self, form: Form, certificate: Certificate | None) -> Caller:
        """The client that asks; refuses as `Authentication.caller`, and with TooMany."""
        caller = await self.authentication.caller(form, certificate)
        wait = self.requests.take(str(caller.client.identifier))
        if wait:
            raise TooMany("too many requests", retry_after=wait)
        self.heard(caller.client.identifier.domain)
        return caller

    async def decided(self, note: Note, step: Awaitable[T]) -> T:
        """What the step answers; the trail has the decision before anybody else.

        Raises:
            Refusal: the step's own; TooMany instead when this network address was refused too often.
        """
        try:
            answer = await step
        except Refusal as refusal:
            self.audit.record(note.refused(refusal, self.now()))
            if isinstance(refusal, UnknownClient | Malformed | WrongTarget):
                self.count_failure(note.peer)
            raise
        self.audit.record(note.granted(self.now()))
        return answer

    def count_failure(self, peer: str) -> None:
        """One more request of this network address is refused; refuses with TooMany when it is one too many."""
        wait = self.failures.take(peer)
        if wait:
            raise TooMany("too many refused requests", retry_after=wait)
