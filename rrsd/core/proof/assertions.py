"""Client assertions: a client proves itself by a JWT of its own (RFC 7523 3, RFC 7521 5.2, RFC 8725 3.11)."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.proof.times import require_current
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Issuer
from rrsd.core.values.tokens import ClaimedJws, Kind
from rrsd.core.wire import claims as claim

LIFE = timedelta(minutes=4)
"""The longest life of an assertion: its `jti` is remembered until its end. With the clocks' difference on both sides it
is over within 5 minutes, which is as long as nothing is believed after a backup was put back."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KINDS = (Kind.CLIENT, "JWT")
"""The `typ` of an assertion; libraries that do not know the first one write the second (RFC 7519 5.1)."""


@frozen
class PlausibleAssertion:
    """An assertion that proves its client if its signature is good and its `jti` is new."""

    jws: ClaimedJws
    client: ClientIdentifier
    expires: Instant
    jti: str


def require_plausible_assertion(
    jws: ClaimedJws, client: ClientIdentifier, audience: Issuer, now: Instant
) -> PlausibleAssertion:
    """What the assertion says; nothing here costs more than comparing.

    Raises:
        Malformed: a claim is missing or not of its form.
        Unproven: another `typ`, another client in `iss` or `sub`, another audience than the issuer identifier as the
            only one, or a life of more than `LIFE`.
        Expired: it is over or has not begun.
    """
    if jws.typ not in KINDS:
        raise Unproven("typ is not that of a client assertion")
    claims = jws.claims
    times = claim.times(claims)
    if claim.text(claims, "iss") != str(client) or claim.text(claims, "sub") != str(client):
        raise Unproven("assertion of another client")
    if claim.text(claims, "aud") != audience.url:
        raise Unproven("assertion for another issuer")
    require_current(times, LIFE, now)
    return PlausibleAssertion(jws, client, times.expires, claim.jti(claims))
