"""Certification paths of client certificates (RFC 5280 6, RFC 8705 2.1, RFC 6698 2.1.1 usage 2).

The path is built and checked by `cryptography`, which takes no signature by MD5 or SHA-1. The key of a CA may be RSA of
2048 bits or more, or on one of the curves P-256, P-384 and P-521; one with an Ed25519 key is not taken.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from rrsd.core.refusals import Unproven
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate

MOST_CHAIN = 5
"""Certificates between the leaf and the anchor."""

_UNFIT = (
    VerificationError,
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` has against certificates that anybody may have made."""


def prove_chain(certificate: Certificate, anchors: Sequence[bytes], now: Instant) -> None:
    """None if one of `anchors`, in DER, issued the certificate, by way of those that came with it.

    Raises:
        Unproven: there is no such path of at most `MOST_CHAIN` certificates in between; one in it is over or has not
            begun, is signed by MD5 or SHA-1, breaks a name constraint, or has a critical extension that nobody knows;
            the certificate is a CA's, may not be used for clients, or is an anchor itself.
    """
    if len(certificate.chain) > MOST_CHAIN:
        raise Unproven("the certificate comes with too many others")
    try:
        leaf = x509.load_der_x509_certificate(certificate.der)
        others = [x509.load_der_x509_certificate(each) for each in certificate.chain]
        roots = [x509.load_der_x509_certificate(each) for each in anchors]
        path = _builder(roots, now).build_client_verifier().verify(leaf, others).chain
    except _UNFIT:
        raise Unproven("no certification path to a CA that is trusted for this") from None
    if len(path) < 2:
        raise Unproven("the certificate is its own anchor")


def _builder(roots: list[x509.Certificate], now: Instant) -> PolicyBuilder:
    """Names are left to whoever asks; a subject alternative name need not be there."""
    builder = PolicyBuilder().store(Store(roots)).time(now).max_chain_depth(MOST_CHAIN)
    return builder.extension_policies(ca_policy=_AUTHORITIES, ee_policy=_CLIENTS)


def _require_authority(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the CA's key is not for signing certificates")


def _require_leaf(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("a CA's certificate")


def _require_signing(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.digital_signature:
        raise ValueError("the key is not for signing")


def _require_client(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("not for TLS clients")


# Name constraints that are not critical would be passed over where their kind is not known (RFC 5280 4.2.1.10).
_AUTHORITIES = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_authority)
    .may_be_present(x509.NameConstraints, Criticality.CRITICAL, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_client)
)
_CLIENTS = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _require_leaf)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_signing)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_client)
)
