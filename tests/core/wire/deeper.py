"""What reads deeper into bytes of strangers that were parsed before: fuzzed beside the parsers."""

from contextlib import suppress

from attrs import evolve

from rrsd.core.proof import chains
from rrsd.core.refusals import Unproven
from rrsd.core.wire import subjects, x509
from tests.core import signing
from tests.core.wire.fuzzing import octets

_NAMED = tuple(
    subjects.parse_certificate_name(kind, text)
    for kind, text in (
        (subjects.NameKind.SUBJECT_DN, "CN=bar.test,OU=_rra"),
        (subjects.NameKind.DNS, "bar.test"),
        (subjects.NameKind.URI, "https://bar.test/agent"),
        (subjects.NameKind.IP, "192.0.2.1"),
        (subjects.NameKind.EMAIL, "agent@bar.test"),
    )
)
_ALTERNATIVES = (
    *signing.der_certificates_with_names(),
    signing.der_certificate(signing.ED_KEY),
)


def _names_of(der: bytes) -> list[bool]:
    certificate = x509.parse_certificate(der)
    return [subjects.has_name(certificate.der, name) for name in _NAMED]


def _chain_of(der: bytes) -> None:
    certificate = evolve(x509.parse_certificate(der), chain=(der, *_ALTERNATIVES[:2]))
    with suppress(Unproven):
        chains.prove_chain(certificate, (signing.der_certificate(signing.ED_KEY), der), signing.NOW)


ALSO = (
    octets(subjects.has_name, *_ALTERNATIVES, most=x509.MOST, call=_names_of),
    octets(chains.prove_chain, *_ALTERNATIVES, most=x509.MOST, call=_chain_of),
)
"""What reads deeper into bytes of strangers that were parsed before."""
