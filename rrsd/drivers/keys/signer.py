"""Signatures with loaded keys, made where they are asked for: 80 microseconds each, or ten times that with RS256."""

from collections.abc import Mapping

from attrs import define, field

from rrsd.core.refusals import Unavailable
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate
from rrsd.core.values.tokens import Kind
from rrsd.core.wire import jose
from rrsd.drivers.keys import material
from rrsd.drivers.keys.certificates import KeyPair
from rrsd.drivers.keys.material import PrivateKey
from rrsd.drivers.keys.rotation import SigningKey


def _sign(key: PrivateKey, typ: Kind | str, kid: str, claims: Mapping[str, object]) -> str:
    signed = jose.signing_input(material.algorithm_of(key), str(typ), kid, claims)
    return jose.join_jws(signed, material.sign(key, signed))


@define(eq=False)
class Signer:
    """Signs with the domain's active key; the same object before and after a rotation."""

    _active: SigningKey | None = field(default=None, repr=False)

    def use(self, key: SigningKey | None) -> None:
        """Sign with `key` from now on."""
        self._active = key

    @property
    def is_ready(self) -> bool:
        """Whether there is a key to sign with."""
        return self._active is not None

    @property
    def kid(self) -> str:
        """The name of the active key.

        Raises:
            Unavailable: there is none.
        """
        return self._key().kid

    def sign(self, typ: Kind | str, claims: Mapping[str, object]) -> str:
        """A compact JWS over `claims`.

        Raises:
            Unavailable: there is no active key; nothing goes out unsigned.
        """
        key = self._key()
        return _sign(key.private, typ, key.kid, claims)

    def _key(self) -> SigningKey:
        if self._active is None:
            raise Unavailable("no active signing key; run: rrsctl keys rotate")
        return self._active


@define(eq=False)
class AgentKey:
    """The client certificate with its key: presented on the way out, and signs what the agent says of itself."""

    _pair: KeyPair | None = field(default=None, repr=False)
    _others: tuple[KeyPair, ...] = field(default=(), repr=False)

    def use(self, pair: KeyPair | None = None, *others: KeyPair) -> None:
        """Be the holder of `pair` from now on; `others` are published beside it, the next one or the one before."""
        self._pair, self._others = pair, others

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Every certificate that is ours at this time, the presented one first.

        Raises:
            Unavailable: there is none.
        """
        return tuple(pair.certificate for pair in (self.pair, *self._others))

    def published(self) -> tuple[Digest, ...]:
        """The SPKI hashes of `certificates`, for WebFinger, TXT and TLSA records; none where there is none."""
        if self._pair is None:
            return ()  # a domain that only sends needs no client certificate
        return tuple(certificate.spki for certificate in self.certificates)

    @property
    def pair(self) -> KeyPair:
        """Certificate and key, PEM included, for the TLS room.

        Raises:
            Unavailable: there is none.
        """
        if self._pair is None:
            raise Unavailable("no client certificate; run: rrsctl init")
        return self._pair

    @property
    def certificate(self) -> Certificate:
        """The certificate that is presented on the way out.

        Raises:
            Unavailable: there is none.
        """
        return self.pair.certificate

    def sign(self, typ: Kind | str, claims: Mapping[str, object]) -> str:
        """A compact JWS over `claims`.

        Raises:
            Unavailable: there is no client certificate.
        """
        return _sign(self.pair.private, typ, self.pair.kid, claims)
