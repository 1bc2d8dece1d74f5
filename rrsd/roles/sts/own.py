"""Tokens that this domain issued, proved again: access tokens and delegations (RFC 7662 4, RFC 8693 2.1)."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from rrsd.core.proof import delegation
from rrsd.core.proof.signatures import verify
from rrsd.core.proof.times import SKEW, require_current
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Issuer
from rrsd.core.values.tokens import ClaimedDelegation, ClaimedJws, Kind, revoked_names
from rrsd.core.wire import claims as claim
from rrsd.core.wire.delegation import parse_delegation
from rrsd.core.wire.jose import parse_jws
from rrsd.roles.sts.ports import OwnKeys, Revocations, Sessions


@frozen
class OwnToken:
    """A token of ours that holds now."""

    claims: Mapping[str, Any]
    token_type: str
    subject: Address
    owner: str
    expires: Instant
    jti: str


@frozen
class OwnTokens:
    """What was issued here. A token of another issuer, the domain's external provider included, is none of these."""

    issuer: Issuer
    sessions: Sessions
    keys: OwnKeys
    revocations: Revocations
    now: Callable[[], Instant]

    async def prove(self, text: str) -> OwnToken:
        """The token, whatever its kind.

        Raises:
            Malformed, TooLarge, Unproven, Expired: it is none of ours, or not now, or was revoked.
            Unavailable: it cannot be proved now.
        """
        jws = parse_jws(text)
        if jws.typ == Kind.DELEGATION:
            found = await self.prove_delegation(jws)
            owner = str(found.actor)
            return OwnToken(jws.claims, "N_A", found.subject, owner, found.expires, found.jti)
        access = await self.sessions.prove_user(text)
        if access.issuer != self.issuer:
            raise Unproven("a token of another issuer")
        return OwnToken(jws.claims, "Bearer", access.subject, access.client_id, access.expires, access.jti)

    async def prove_delegation(self, jws: ClaimedJws) -> ClaimedDelegation:
        """A delegation that this token service signed; refuses as `prove`."""
        claimed = parse_delegation(jws)
        if claimed.issuer != self.issuer:
            raise Unproven("a delegation of another issuer")
        require_current(claim.times(jws.claims), delegation.LIFE, self.now())
        verify(jws, self.keys.published())
        if await self.revocations.is_revoked(*revoked_names(self.issuer, claimed.jti)):
            raise Unproven("the delegation was revoked")
        return claimed

    async def revoke(self, token: OwnToken) -> None:
        """Let the token prove nothing from now on."""
        await self.revocations.revoke(revoked_names(self.issuer, token.jti)[0], token.expires + SKEW)
