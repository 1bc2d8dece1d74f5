"""Registered clients: how each proves itself, and what it may do (RFC 7591 2, RFC 8705 2, RFC 7523 2.2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import ClientIdentifier, Domain, parse_client_identifier, parse_domain
from rrsd.core.values.clients import Method
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate, Origin, Url, parse_origin, parse_url
from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.jose import parse_key_set
from rrsd.core.wire.subjects import CertificateName, NameKind, parse_certificate_name
from rrsd.core.wire.x509 import parse_certificate, parse_pem

MOST_CERTIFICATES = 10
"""Certificates of one kind on a registration (RFC 8705 7.4: a short list of CAs)."""
MOST_LISTED = 1000

_OF_METHOD = {
    Method.SELF_SIGNED: frozenset({"certificates"}),
    Method.AUTHORITY: frozenset({"ca", *NameKind}),
    Method.ASSERTION: frozenset({"jwks", "jwks_uri"}),
}
_MEMBERS = frozenset({"auth", "impersonate", "audiences", "targets", "introspect", "mtls"})


@frozen
class Client:
    """A registered client.

    `certificates` are the hashes of those that a self-signed client proves itself with; their dates are not looked at:
    each is good until it is taken off the list (RFC 8705 2.2). `authorities` are the CAs, in DER, that may issue one
    with the name `named`. `keys` or those at `keys_at` sign its assertions.

    `impersonate` are the domains whose users it may name by itself, `audiences` the resources that it serves itself,
    `targets` those that it may ask for, None for any. It `introspects` tokens for its audiences; those that are bound
    only if it `compares` the certificates of its own callers.
    """

    identifier: ClientIdentifier
    certificates: frozenset[Digest]
    impersonate: frozenset[Domain]
    audiences: frozenset[str]
    targets: frozenset[Origin] | None
    method: Method = Method.SELF_SIGNED
    authorities: tuple[bytes, ...] = ()
    named: CertificateName | None = None
    keys: KeySet | None = None
    keys_at: Url | None = None
    introspects: bool = False
    compares: bool = True


def register(
    identifier: ClientIdentifier,
    certificates: Iterable[Certificate],
    impersonate: Iterable[Domain],
    audiences: Iterable[str],
    targets: Iterable[str],
) -> Client:
    """The client with certificates of its own, if it can be registered.

    Raises:
        Malformed: it has no certificate, one of another subject, or a target that is no https origin.
    """
    hashes = _hashes(identifier, tuple(certificates))
    return Client(identifier, hashes, frozenset(impersonate), frozenset(audiences), _origins(tuple(targets)))


def own_agent(certificates: Sequence[Certificate], domain: Domain, audiences: Iterable[str]) -> Client:
    """The registration of the agent in this very daemon: its own domain's users, any resource server.

    Each of the `certificates` proves it, since two are in use while the agent's key is changed. It serves `audiences`
    itself.

    Raises:
        Malformed: there is none, or it names no client.
    """
    if not certificates or certificates[0].client is None:
        raise Malformed("the agent's certificate names no client")
    return evolve(register(certificates[0].client, certificates, (domain,), audiences, ("*",)), introspects=True)


def parse_client(name: str, document: Mapping[str, Any]) -> Client:
    """The client of that name as `document` registers it.

    Raises:
        Malformed: the name is no OU.CN (an address, for one, that could be taken for a user's), a member is missing,
            unknown, not of its form, or of another method than the one that it has.
    """
    identifier = _identifier(name)
    method = _method(document.get("auth", Method.SELF_SIGNED.value))
    strange = sorted(document.keys() - _MEMBERS - _OF_METHOD[method])
    if strange:
        raise Malformed(f"{', '.join(strange)} is nothing that a client with {method} has")
    domains = [parse_domain(each) for each in _texts(document, "impersonate")]
    shared = {
        "impersonate": frozenset(domains),
        "audiences": frozenset(_texts(document, "audiences")),
        "targets": _origins(_texts(document, "targets", ("*",))),
        "introspects": _flag(document, "introspect", False),
        "compares": _flag(document, "mtls", True),
    }
    return Client(identifier=identifier, method=method, **{**_proof(identifier, method, document), **shared})


def _identifier(name: str) -> ClientIdentifier:
    try:
        found = parse_client_identifier(name)
    except Malformed:
        raise Malformed("a client is named by OU.CN, as in _rra.partner.test, and never by an address") from None
    if str(found) != name:
        raise Malformed(f"write the client's name as {found}")
    return found


def _method(text: object) -> Method:
    if text not in Method.__members__.values():
        raise Malformed(f"auth is one of {', '.join(Method)}")
    return Method(str(text))


def _proof(identifier: ClientIdentifier, method: Method, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the client proves itself with; each method needs its own and no other."""
    if method is Method.SELF_SIGNED:
        known = [parse_certificate(der) for der in _certificates(document, "certificates")]
        return {"certificates": _hashes(identifier, known)}
    if method is Method.AUTHORITY:
        return {
            "certificates": frozenset(),
            "authorities": _certificates(document, "ca"),
            "named": _name(document),
        }
    return {"certificates": frozenset(), **_keys(document)}


def _name(document: Mapping[str, Any]) -> CertificateName:
    kinds = [kind for kind in NameKind if kind in document]
    if len(kinds) != 1 or not isinstance(document[kinds[0]], str):
        raise Malformed(f"tls_client_auth needs exactly one of {', '.join(NameKind)}")
    return parse_certificate_name(kinds[0], document[kinds[0]])


def _keys(document: Mapping[str, Any]) -> dict[str, Any]:
    given, address = document.get("jwks"), document.get("jwks_uri")
    if (given is None) == (address is None):
        raise Malformed("private_key_jwt needs either jwks or jwks_uri")
    if isinstance(address, str):
        return {"keys_at": parse_url(address)}
    document = given if isinstance(given, dict) else {"keys": []}
    keys = parse_key_set(document)
    if not keys.keys or len(keys.keys) != len(document["keys"]):
        raise Malformed("jwks is a set of public keys, each of which could verify an assertion; never a private one")
    return {"keys": keys}


def _hashes(identifier: ClientIdentifier, known: Sequence[Certificate]) -> frozenset[Digest]:
    if not known or any(certificate.client != identifier for certificate in known):
        raise Malformed(f"client {identifier} needs certificates with its own OU and CN")
    return frozenset(certificate.x5t for certificate in known)


def _certificates(document: Mapping[str, Any], name: str) -> tuple[bytes, ...]:
    texts = _texts(document, name)
    found = tuple(der for text in texts for der in parse_pem(text.encode("utf-8", "replace")))
    if not 0 < len(found) <= MOST_CERTIFICATES:
        raise Malformed(f"{name} needs 1 to {MOST_CERTIFICATES} certificates")
    return found


def _origins(words: Sequence[str]) -> frozenset[Origin] | None:
    return None if "*" in words else frozenset(parse_origin(word) for word in words)


def _texts(document: Mapping[str, Any], name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = document.get(name, default)
    if not isinstance(found, list | tuple) or len(found) > MOST_LISTED:
        raise Malformed(f"{name} is a list")
    if not all(isinstance(each, str) and each for each in found):
        raise Malformed(f"{name} is a list of texts")
    return tuple(found)


def _flag(document: Mapping[str, Any], name: str, default: bool) -> bool:
    found = document.get(name, default)
    if not isinstance(found, bool):
        raise Malformed(f"{name} is true or false")
    return found
