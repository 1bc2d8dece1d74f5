"""Delegation assertions for the agent's calls: made from an exchange at the domain's STS, kept while they live.

Steps 2 to 4 of the pull. One delegation serves every resource of one user at one resource server (RFC 8693, RFC 8705).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from attrs import define, evolve, field

from rrsd.core.proof import binding
from rrsd.core.proof.tokens import impersonation_claims
from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooMany, Unavailable
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.peers import Introduction, Origin
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.strictjson import parse_object
from rrsd.roles.rra.ports import AgentKey, Audit, Flights, Remote, Timers, Trust
from rrsd.runtime.expiring import Expiring

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
MARGIN = 20
"""Seconds before its end from which a delegation is not used any more."""
MOST_KEPT = 20_000


@define(eq=False, kw_only=True)
class Delegations:
    """The agent's delegation assertions, one per user and resource server, exchanged when needed.

    Each is bound to the certificate that the agent presented for it (RFC 8705 3), and is not used with another.
    """

    domain: Domain
    agent: AgentKey
    remote: Remote
    trust: Trust
    timers: Timers
    flights: Flights
    audit: Audit
    unique: Callable[[], str]
    _kept: Expiring[str, str] = field(factory=lambda: Expiring(MOST_KEPT), init=False)

    async def of(self, user: Address, origin: Origin, access_token: str | None = None) -> str:
        """A delegation for `user` at `origin`: 3-legged where the user's own access token is given, 2-legged otherwise.

        It is bound to the certificate that the agent presents when this returns.

        Raises:
            Unavailable, TooMany: the STS cannot answer now.
            Forbidden: it will not issue one.
        """
        while True:
            presented = self.agent.certificate.x5t
            text = await self._of(user, origin, access_token)
            if presented == self.agent.certificate.x5t:
                return text

    async def _of(self, user: Address, origin: Origin, access_token: str | None) -> str:
        key = self._key(user, origin)
        kept = self._kept.get(key, self.timers.monotonic())
        if kept is not None:
            return kept
        # What is refused to a user's token is not refused to the agent: the two are asked for apart.
        asked = f"{key} {'agent' if access_token is None else 'user'}"
        return await self.flights.share(asked, lambda: self._exchange(user, origin, access_token))

    def drop(self, user: Address, origin: Origin) -> None:
        """Forget the delegation: the resource server did not take it."""
        self._kept.put(self._key(user, origin), "", 0.0)

    def _key(self, user: Address, origin: Origin) -> str:
        return f"{user.key} {origin} {self.agent.certificate.x5t.b64}"

    async def _exchange(self, user: Address, origin: Origin, access_token: str | None) -> str:
        started = self.timers.monotonic()
        sts = await self.trust.introduce(self.domain)
        # Nothing waits between here and the request: assertion, connection and key speak of one certificate.
        key = self._key(user, origin)
        if access_token is None:
            subject_token, subject_type = self._impersonate(user, sts), JWT
        else:
            subject_token, subject_type = access_token, ACCESS_TOKEN
        exchanged = Event(
            "exchange",
            "granted",
            who=str(self.agent.certificate.client),
            subject=str(user),
            peer=str(sts.issuer),
            resource=str(origin),
            evidence="2-legged" if access_token is None else "3-legged",
        )
        try:
            text, life = _parse(await self.remote.ask(self._request(sts, subject_token, subject_type, origin)))
        except Refusal as refusal:
            self.audit.record(_refused(exchanged, refusal, self.timers.monotonic() - started))
            raise
        self.audit.record(evolve(exchanged, took=self.timers.monotonic() - started))
        until = self.timers.monotonic() + life.total_seconds() - MARGIN
        self._kept.put(key, text, until)
        return text

    def _impersonate(self, user: Address, sts: Introduction) -> str:
        client = self.agent.certificate.client
        if client is None:
            raise Unavailable("the agent's certificate names no client")
        claims = impersonation_claims(
            client, user, sts.issuer, self.agent.certificate.x5t, self.timers.now(), self.unique()
        )
        self.audit.record(
            Event("impersonate", "granted", who=str(client), subject=str(user), peer=str(sts.issuer), claims=claims)
        )
        return self.agent.sign(Kind.IMPERSONATION, claims)

    def _request(self, sts: Introduction, subject_token: str, subject_type: str, origin: Origin) -> Call:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": str(self.agent.certificate.client),
            "subject_token": subject_token,
            "subject_token_type": subject_type,
            "requested_token_type": JWT,
            "resource": str(origin),
        }
        headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
        peer = binding.token_endpoint(sts)
        return Call(peer, "POST", sts.token_endpoint.target, headers, urlencode(form).encode("ascii"))


def _refused(exchanged: Event, refusal: Refusal, took: float) -> Event:
    outcome = "refused" if isinstance(refusal, Forbidden) else "failed"
    evidence = f"{exchanged.evidence}: {refusal.detail}"
    return evolve(exchanged, outcome=outcome, refusal=refusal.reason, evidence=evidence, took=took)


def _parse(answer: Answer) -> tuple[str, timedelta]:
    if answer.status == 200:
        document = parse_object(answer.body)
        if document.get("issued_token_type") != JWT:
            raise Malformed("the STS issued another type of token")
        return _text(document), timedelta(seconds=_seconds(document))
    if answer.status == 429:
        raise TooMany("the STS limits", retry_after=_retry_after(answer))
    if answer.status >= 500 or answer.status < 400:
        raise Unavailable(f"the STS answers {answer.status}")
    raise Forbidden(f"the STS answers {answer.status} {_error(answer)}")


def _text(document: Mapping[str, Any]) -> str:
    text = document.get("access_token")
    if not isinstance(text, str) or not text or not text.isascii():
        raise Malformed("the STS issued no token")
    return text


def _seconds(document: Mapping[str, Any]) -> int:
    life = document.get("expires_in")
    if not isinstance(life, int) or isinstance(life, bool) or not 0 < life <= 3600:
        raise Malformed("the STS says no sensible expires_in")
    return life


def _retry_after(answer: Answer) -> int:
    text = answer.headers.get("retry-after", "")
    return min(int(text), 3600) if text.isascii() and text.isdigit() else 5


def _error(answer: Answer) -> str:
    try:
        error = parse_object(answer.body).get("error")
    except Malformed:
        return ""
    return error if isinstance(error, str) and error.isidentifier() else ""
