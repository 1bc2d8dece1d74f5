"""Delegation assertions, proved in the order that costs an attacker most and us least (protocol 4)."""

from collections.abc import Container
from datetime import timedelta
from typing import TypeAlias

from rrsd.core.proof.signatures import verify
from rrsd.core.proof.times import require_current
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, Introduction, Origin
from rrsd.core.values.tokens import ClaimedDelegation, KeySet, VerifiedDelegation
from rrsd.core.wire import claims

LIFE = timedelta(seconds=300)


Pairs: TypeAlias = Container[tuple[ClientIdentifier, Domain]]
"""Clients that may act for users of a domain that is not their own."""


def require_plausible(
    claimed: ClaimedDelegation,
    audience: Origin,
    certificate: Certificate | None,
    now: Instant,
    pairs: Pairs = frozenset(),
) -> None:
    """None if the assertion would be good if its signature is; nothing here costs more than comparing.

    Raises:
        Unproven: for another resource server, another certificate or another client than the certificate's, without a
            certificate, living more than `LIFE`, or an actor of another domain than the subject that is not in `pairs`.
        Expired: it is over or has not begun.
    """
    if claimed.audience != audience:
        raise Unproven("delegation for another resource server")
    require_current(claims.times(claimed.jws.claims), LIFE, now)
    if certificate is None or claimed.confirmation != certificate.x5t:
        raise Unproven("delegation for another certificate")
    if claimed.actor != certificate.client:
        raise Unproven("delegation for another client")
    actor, domain = claimed.actor, claimed.subject.domain
    if actor.domain != domain and (actor, domain) not in pairs:
        raise Unproven("actor of another domain than the subject")


def prove_delegation(claimed: ClaimedDelegation, introduction: Introduction, keys: KeySet) -> VerifiedDelegation:
    """The delegation, signed by the issuer that the subject's domain names; plausible before.

    Raises:
        Unproven: the domain names another issuer, or the signature is not that issuer's.
    """
    if claimed.subject.domain != introduction.domain or claimed.issuer != introduction.issuer:
        raise Unproven("the subject's domain names another issuer")
    verify(claimed.jws, keys)
    return VerifiedDelegation(
        issuer=claimed.issuer,
        audience=claimed.audience,
        subject=claimed.subject,
        actor=claimed.actor,
        confirmation=claimed.confirmation,
        expires=claimed.expires,
        jti=claimed.jti,
        message_ids=claimed.message_ids,
    )
