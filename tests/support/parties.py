"""Clients of a token service: those that sign assertions, and what a resource server asks about tokens."""

from itertools import count
from typing import Any

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec

from rrsd.core.proof.assertions import ASSERTION_TYPE
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Issuer
from rrsd.core.wire import keys
from tests.support.forgery import jws

_JTIS = count(1)


@frozen
class Signing:
    """A client with private_key_jwt."""

    name: str
    kid: str = "c1"
    key: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)

    @property
    def jwks(self) -> dict[str, Any]:
        """Its public key, as it is registered or published."""
        return {"keys": [{**keys.describe(self.key.public_key()), "kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def assertion(self, issuer: Issuer, now: Instant, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good assertion with a fresh `jti`, something changed; `...` leaves a claim out."""
        at = seconds(now)
        claims = {
            "iss": self.name, "sub": self.name, "aud": str(issuer), "iat": at, "exp": at + 60,
            "jti": f"assertion-{next(_JTIS)}", **changes,
        }  # fmt: skip
        first = {"alg": "ES256", "typ": "client-authentication+jwt", "kid": self.kid, **(header or {})}
        left = {name: value for name, value in claims.items() if value is not ...}
        return jws({name: value for name, value in first.items() if value is not ...}, left, self.key)

    def proof(self, issuer: Issuer, now: Instant, **changes: Any) -> dict[str, str]:
        """The parameters by which it proves itself."""
        return self.with_(self.assertion(issuer, now, **changes))

    def with_(self, assertion: str) -> dict[str, str]:
        """The parameters with that assertion."""
        return {"client_id": self.name, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
