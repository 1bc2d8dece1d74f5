"""The steps of a token exchange: the client, what it asks, the subject, the answer (RFC 8693 2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field

from rrsd.core.proof import tokens
from rrsd.core.refusals import Malformed, Refusal, Replayed, TooMany, UnknownClient, WrongTarget
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Kind, VerifiedImpersonation
from rrsd.core.wire.delegation import delegation_claims
from rrsd.core.wire.exchange import GRANT_TYPE, ExchangeRequest, SubjectType, parse_exchange, render_exchange
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.oauth import Form
from rrsd.roles.sts import rules
from rrsd.roles.sts.ports import Audit, Limits, Replays, Sessions, Signer, Subjects
from rrsd.roles.sts.rules import Caller, Client, Subject
from rrsd.roles.sts.settings import Settings

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]
MOST_NAME = 320  # characters of a name that nobody proved, in the trail


@define(eq=False, kw_only=True)
class Flow:
    """The domain's Security Token Service.

    `clients` is by client identifier. `requests` limits each client that proved itself, `failures` each network
    address that is refused. `unique` makes a fresh random string of 128 bits or more.
    """

    issuer: Issuer
    settings: Settings
    clients: Mapping[str, Client]
    subjects: Subjects
    sessions: Sessions
    replays: Replays
    signer: Signer
    audit: Audit
    requests: Limits
    failures: Limits
    now: Callable[[], Instant]
    unique: Callable[[], str]

    @property
    def grants(self) -> Mapping[str, Grant]:
        """What the token endpoint does for the grant type of this role."""
        return {GRANT_TYPE: self.exchange}

    async def exchange(self, form: Form, certificate: Certificate | None, peer: str) -> dict[str, Any]:
        """A delegation for the client at one resource server, bound to its certificate.

        Raises:
            UnknownClient: the client does not prove itself by the certificate of this connection.
            Malformed: the request, or the subject token in whatever way, is not good.
            WrongTarget, WrongScope, UnsupportedGrant: it asks for what it may not have.
            TooMany: the client asks too often, or this network address was refused too often.
            Unavailable: nothing can be proved or signed now.
        """
        note = _Note(who=(form.one("client_id") or "")[:MOST_NAME], peer=peer, started=self.now())
        try:
            document = await self._exchange(form, certificate, note)
        except Refusal as refusal:
            self.audit.record(note.refused(refusal, self.now()))
            if isinstance(refusal, UnknownClient | Malformed | WrongTarget):
                self._count_failure(peer)
            raise
        # The trail has the decision before the client has the token.
        self.audit.record(note.granted(self.now()))
        return document

    async def _exchange(self, form: Form, certificate: Certificate | None, note: "_Note") -> dict[str, Any]:
        caller = rules.require_caller(self.clients, form.one("client_id"), certificate)
        wait = self.requests.take(str(caller.client.identifier))
        if wait:
            raise TooMany("too many exchanges", retry_after=wait)
        rules.require_one_proof(form)
        asked = parse_exchange(form)
        note.resource = str(asked.resource)
        rules.require_no_actor(asked)
        rules.require_target(caller.client, asked)
        try:
            subject = await self._prove_subject(caller, asked, note)
            end = rules.end_of(subject, self.now(), self.settings.life)
        except rules.ABOUT_THE_SUBJECT as refusal:
            raise rules.about_subject(refusal) from None
        return self._issue(caller, asked, subject.address, end, note)

    async def _prove_subject(self, caller: Caller, asked: ExchangeRequest, note: "_Note") -> Subject:
        jws = parse_jws(asked.subject_token)
        if asked.subject_token_type is SubjectType.JWT:
            verified = tokens.prove_impersonation(jws, caller.certificate, self.issuer, self.now())
            subject = rules.impersonated(caller.client, verified)
            note.of(subject)
            await self._require_first_use(verified)
        else:
            subject = rules.delegated(caller.client, await self.sessions.prove_user(asked.subject_token), jws)
            note.of(subject)
        await self.subjects.require_active(subject.address)
        return subject

    async def _require_first_use(self, verified: VerifiedImpersonation) -> None:
        until = verified.expires + rules.REMEMBER
        if not await self.replays.first_use(str(verified.client), verified.jti, until):
            raise Replayed("impersonation assertion")

    def _issue(
        self, caller: Caller, asked: ExchangeRequest, subject: Address, end: Instant, note: "_Note"
    ) -> dict[str, Any]:
        now = self.now()
        note.claims = delegation_claims(
            self.issuer, asked.resource, subject, caller.client.identifier, caller.certificate.x5t, now, end,
            self.unique(), asked.message_ids,
        )  # fmt: skip
        token = self.signer.sign(Kind.DELEGATION, note.claims)
        return render_exchange(token, seconds(end) - seconds(now))

    def _count_failure(self, peer: str) -> None:
        wait = self.failures.take(peer)
        if wait:
            raise TooMany("too many refused exchanges", retry_after=wait)


@define(eq=False, kw_only=True)
class _Note:
    """What is known about one request so far, for the audit trail."""

    who: str
    peer: str
    started: Instant
    resource: str = ""
    subject: str = ""
    evidence: str = ""
    claims: Mapping[str, object] = field(factory=dict)

    def of(self, subject: Subject) -> None:
        """The subject was proved, whatever becomes of it."""
        self.subject, self.evidence = str(subject.address), subject.evidence

    def granted(self, now: Instant) -> Event:
        """The event of an answer."""
        return self._event("granted", now, "", self.evidence, self.claims)

    def refused(self, refusal: Refusal, now: Instant) -> Event:
        """The event of a refusal."""
        return self._event("refused", now, refusal.reason, refusal.detail, {})

    def _event(self, outcome: str, now: Instant, refusal: str, evidence: str, claims: Mapping[str, object]) -> Event:
        return Event(
            "delegate", outcome, who=self.who, subject=self.subject, peer=self.peer, resource=self.resource,
            refusal=refusal, evidence=evidence, took=(now - self.started).total_seconds(), claims=claims,
        )  # fmt: skip
