"""Fixed keys, certificates and signed tokens for tests of the core."""

from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from rrsd.core.values.addresses import parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.instants import instant, seconds
from rrsd.core.values.peers import Certificate, Introduction, parse_issuer, parse_origin, parse_url
from rrsd.core.values.tokens import Algorithm, ClaimedJws, KeySet, PublicKey
from rrsd.core.wire import base64url, jose, keys
from rrsd.core.wire.x509 import parse_certificate

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

NOW = instant(1_800_000_000)
ISSUER = parse_issuer("https://sts.bar.test")
ORIGIN = parse_origin("https://rs.foo.test")
BOB = parse_address("bob@bar.test")
CLIENT = parse_client_identifier("_rra.bar.test")
BAR = Introduction(
    domain=parse_domain("bar.test"),
    issuer=ISSUER,
    jwks_uri=parse_url("https://sts.bar.test/jwks"),
    token_endpoint=parse_url("https://mtls.bar.test/token"),
    protected_resources=(parse_origin("https://rs.bar.test"),),
    until=NOW + timedelta(hours=1),
)


def p256(number: int) -> ec.EllipticCurvePrivateKey:
    """The key pair of that private number."""
    return ec.derive_private_key(number, ec.SECP256R1())


@lru_cache
def rsa_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """One RSA key pair of that size."""
    return rsa.generate_private_key(exponent, bits)


ISSUER_KEY = p256(1001)
CLIENT_KEY = p256(2002)
OTHER_KEY = p256(3003)
ED_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def sign(key: Private, algorithm: Algorithm, data: bytes) -> bytes:
    """A JWS signature over `data`."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if algorithm is Algorithm.RS256:
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def token(
    typ: str,
    claims: dict[str, Any],
    key: Private = ISSUER_KEY,
    algorithm: Algorithm = Algorithm.ES256,
    kid: str | None = "k1",
) -> str:
    """A signed compact JWS."""
    signed = jose.signing_input(algorithm, typ, kid, claims)
    return jose.join_jws(signed, sign(key, algorithm, signed))


def claimed(
    typ: str,
    claims: dict[str, Any],
    key: Private = ISSUER_KEY,
    algorithm: Algorithm = Algorithm.ES256,
    kid: str | None = "k1",
) -> ClaimedJws:
    """The same, parsed."""
    return jose.parse_jws(token(typ, claims, key, algorithm, kid))


def public(key: Private, kid: str = "k1", algorithm: Algorithm | None = None) -> PublicKey:
    """The public half as an entry of a key set."""
    jwk = keys.describe(key.public_key())
    return PublicKey(kid, algorithm or keys.algorithms_of(keys.load_jwk(jwk))[0], jwk)


def key_set(*entries: PublicKey) -> KeySet:
    """A key set, by default of the issuer's key alone."""
    return KeySet(entries or (public(ISSUER_KEY),))


def name(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    """A subject with one attribute per pair."""
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def client_name(unit: str = "_rra", domain: str = "bar.test") -> x509.Name:
    """The subject of a client's certificate."""
    return name((NameOID.ORGANIZATIONAL_UNIT_NAME, unit), (NameOID.COMMON_NAME, domain))


def der_certificate(key: Any = CLIENT_KEY, subject: x509.Name | None = None, serial: int = 7) -> bytes:
    """A self-signed certificate in DER."""
    subject = client_name() if subject is None else subject
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if edwards else hashes.SHA256()).public_bytes(Encoding.DER)


def der_certificates_with_names() -> tuple[bytes, ...]:
    """Certificates in DER with alternative names: each kind that is known, and a kind that nobody reads (X.400)."""
    known = x509.SubjectAlternativeName(
        [
            x509.DNSName("bar.test"),
            x509.UniformResourceIdentifier("https://bar.test/agent"),
            x509.IPAddress(ip_address("192.0.2.1")),
            x509.RFC822Name("agent@bar.test"),
        ]
    )
    unread = x509.UnrecognizedExtension(known.oid, bytes.fromhex("3002a300"))
    found = []
    for extension in (known, unread):
        builder = x509.CertificateBuilder().subject_name(client_name()).issuer_name(client_name())
        builder = builder.public_key(ED_KEY.public_key()).serial_number(7)
        builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
        found.append(builder.add_extension(extension, critical=False).sign(ED_KEY, None).public_bytes(Encoding.DER))
    return tuple(found)


def certificate(key: Any = CLIENT_KEY, subject: x509.Name | None = None, serial: int = 7) -> Certificate:
    """A self-signed certificate, parsed; by default that of `CLIENT`."""
    return parse_certificate(der_certificate(key, subject, serial))


CERTIFICATE = certificate()


def access() -> dict[str, Any]:
    """The claims of a good access token, to be spoilt by tests."""
    return {
        "iss": str(ISSUER), "aud": "https://api.bar.test", "sub": str(BOB), "client_id": "mail", "scope": "mail",
        "iat": seconds(NOW), "nbf": seconds(NOW), "exp": seconds(NOW) + 3600, "jti": "a1",
    }  # fmt: skip


def delegation() -> dict[str, Any]:
    """The claims of a good delegation assertion."""
    return {
        "iss": str(ISSUER), "aud": str(ORIGIN), "sub": str(BOB), "client_id": str(CLIENT), "act": {"sub": str(CLIENT)},
        "cnf": {"x5t#S256": CERTIFICATE.x5t.b64},
        "iat": seconds(NOW), "nbf": seconds(NOW), "exp": seconds(NOW) + 300, "jti": "d1",
    }  # fmt: skip


def raw_jws(header: bytes, payload: bytes, signature: bytes = bytes(64)) -> str:
    """A compact JWS of these bytes, whatever they are."""
    return ".".join(map(base64url.encode, (header, payload, signature)))


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    """The claims less some of them."""
    return {key: value for key, value in claims.items() if key not in names}
