"""The steps of a token exchange: the client, what it asks, the subject, the answer (RFC 8693 2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, evolve, frozen

from rrsd.core.proof import tokens
from rrsd.core.refusals import Replayed, WrongTarget
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Kind, VerifiedAccess, VerifiedImpersonation
from rrsd.core.wire.delegation import delegation_claims, nested
from rrsd.core.wire.exchange import (
    GRANT_TYPE,
    ExchangeRequest,
    SubjectType,
    parse_exchange,
    render_access,
    render_exchange,
)
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.oauth import Form
from rrsd.roles.sts import permission, rules
from rrsd.roles.sts.admission import Admission, Note
from rrsd.roles.sts.clients import Client
from rrsd.roles.sts.own import OwnTokens
from rrsd.roles.sts.ports import Policies, Replays, Sessions, Signer, Subjects
from rrsd.roles.sts.rules import Subject
from rrsd.roles.sts.settings import Settings

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]


@frozen
class Order:
    """What is to be issued: for whom, bound to what, by which request, from which subject token, until when."""

    client: Client
    certificate: Certificate
    asked: ExchangeRequest
    subject: Subject
    now: Instant
    end: Instant

    @property
    def life(self) -> int:
        """Seconds."""
        return seconds(self.end) - seconds(self.now)


@define(eq=False, kw_only=True)
class Flow:
    """The domain's Security Token Service.

    `audiences` are those that access tokens may be issued for, none where they come from another provider. `unique`
    makes a fresh random string of 128 bits or more.
    """

    issuer: Issuer
    audiences: frozenset[str]
    settings: Settings
    admission: Admission
    subjects: Subjects
    sessions: Sessions
    own: OwnTokens
    replays: Replays
    policies: Policies
    signer: Signer
    now: Callable[[], Instant]
    unique: Callable[[], str]

    @property
    def grants(self) -> Mapping[str, Grant]:
        """What the token endpoint does for the grant type of this role."""
        return {GRANT_TYPE: self.exchange}

    async def exchange(self, form: Form, certificate: Certificate | None, peer: str) -> dict[str, Any]:
        """A delegation, or a narrower access token, for the client at one resource server, bound to its certificate.

        Raises:
            UnknownClient: the client does not prove itself.
            Malformed: the request, or the subject token in whatever way, is not good.
            WrongTarget, WrongScope, UnsupportedGrant: it asks for what it may not have.
            TooMany: the client asks too often, or this network address was refused too often.
            Unavailable: nothing can be proved or signed now.
        """
        note = self.admission.begun("delegate", form, peer)
        return await self.admission.decided(note, self._exchange(form, certificate, note))

    async def _exchange(self, form: Form, certificate: Certificate | None, note: Note) -> dict[str, Any]:
        caller = await self.admission.admit(form, certificate)
        asked = parse_exchange(form)
        note.resource = str(asked.resource)
        rules.require_no_actor(asked)
        bound = rules.require_binding(caller.client, caller.certificate)
        rules.require_target(caller.client, asked)
        try:
            subject = await self._prove_subject(caller.client, bound, asked, note)
            now = self.now()
            end = rules.end_of(subject, now, self.settings.life)
        except rules.ABOUT_THE_SUBJECT as refusal:
            raise rules.about_subject(refusal) from None
        order = Order(caller.client, bound, asked, subject, now, end)
        self._require_permitted(order, note)
        if subject.access is not None and asked.wanted is SubjectType.ACCESS_TOKEN:
            return self._issue_access(order, subject.access, note)
        return self._issue_delegation(order, note)

    async def _prove_subject(
        self, client: Client, certificate: Certificate, asked: ExchangeRequest, note: Note
    ) -> Subject:
        """By the rules of the declared type, and for a JWT of its `typ` (RFC 8693 2.1, RFC 8725 3.12)."""
        jws = parse_jws(asked.subject_token)
        if asked.subject_token_type is SubjectType.ACCESS_TOKEN:
            access = await self.sessions.prove_user(asked.subject_token)
            subject = rules.delegated(client, self.issuer, access, jws)
        elif jws.typ == Kind.DELEGATION:
            subject = rules.passed_on(client, self.issuer, await self.own.prove_delegation(jws))
        else:
            verified = tokens.prove_impersonation(jws, certificate, self.issuer, self.now())
            subject = rules.impersonated(client, verified)
            await self._require_first_use(verified)
        note.subject, note.evidence = str(subject.address), subject.evidence
        await self.subjects.require_active(subject.address)
        return subject

    async def _require_first_use(self, verified: VerifiedImpersonation) -> None:
        until = verified.expires + rules.REMEMBER
        if not await self.replays.first_use(str(verified.client), verified.jti, until):
            raise Replayed("impersonation assertion")

    def _require_permitted(self, order: Order, note: Note) -> None:
        client, subject = order.client, order.subject
        wish = permission.Wish(
            client.identifier, client.impersonate, client.targets, subject.address, subject.evidence,
            order.asked.resource, order.now, len(subject.actors) + 1,
        )  # fmt: skip
        decision = self.policies.decide(permission.question(wish))
        note.policy = decision.because
        permission.require_permitted(decision)

    def _issue_delegation(self, order: Order, note: Note) -> dict[str, Any]:
        client, asked, subject = order.client, order.asked, order.subject
        claims = delegation_claims(
            self.issuer, asked.resource, subject.address, client.identifier, order.certificate.x5t, order.now,
            order.end, self.unique(), rules.messages_of(subject, asked),
        )  # fmt: skip
        note.claims = self._with_actors(order, claims)
        return render_exchange(self.signer.sign(Kind.DELEGATION, note.claims), order.life)

    def _issue_access(self, order: Order, access: VerifiedAccess, note: Note) -> dict[str, Any]:
        client, asked = order.client, order.asked
        if str(asked.resource) not in self.audiences:
            raise WrongTarget("no access token of ours is for this resource")
        narrow = evolve(
            access,
            client_id=str(client.identifier),
            scope=rules.scope_of(access, asked),
            expires=order.end,
            jti=self.unique(),
            confirmation=order.certificate.x5t,
        )
        note.claims = self._with_actors(order, tokens.access_claims(narrow, str(asked.resource), order.now))
        return render_access(self.signer.sign(Kind.ACCESS, note.claims), order.life, narrow.scope)

    def _with_actors(self, order: Order, claims: dict[str, Any]) -> dict[str, Any]:
        """Whoever acted stays visible, and who may act next stays limited."""
        subject = order.subject
        act = nested(rules.chain_of(order.client, subject, self.settings.longest_chain))
        return claims | {"act": act} | ({} if subject.may_act is None else {"may_act": dict(subject.may_act)})
