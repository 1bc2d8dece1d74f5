"""What is believed of other domains' answers, and what is answered about our own; no waiting, no clock."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, unquote

from rrsd.core.refusals import Malformed, TooLarge, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import ClientIdentifier, Domain, parse_address
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Issuer, Origin, Strength, Url, parse_url
from rrsd.core.values.records import Records, Verdict
from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.webfinger import (
    ISSUER_REL,
    PUBLIC_KEY_REL,
    Query,
    client_acct,
    client_acct_literal,
    render_issuer,
    render_public_key,
)

T = TypeVar("T")
P = ParamSpec("P")

POSTMASTER = "postmaster"
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?([0-9]{1,10})"?\s*(?:,|$)', re.ASCII | re.IGNORECASE)
_NEVER = re.compile(r"(?:^|[,\s])no-(?:store|cache)\s*(?:,|$)", re.ASCII | re.IGNORECASE)
_JSON = frozenset({"application/json", "application/jrd+json", "application/jwk-set+json"})
_PASSING = frozenset({408, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Followed where WebFinger is asked; everywhere else they are a document that failed (F-06)."""


def require_usable(domain: Domain, allow_reserved: bool) -> None:
    """None for a domain that strangers can have.

    Raises:
        Unproven: nobody can own it (RFC 6761).
    """
    if domain.is_reserved and not allow_reserved:
        raise Unproven(f"{domain} is a reserved name")


def require_foreign(host: Domain, ours: frozenset[Domain], allow_reserved: bool) -> None:
    """None for a host that what a stranger published may send us to.

    Raises:
        Unproven: nobody can own it, or it is one of our own, so that we would ask ourselves (F-18).
    """
    require_usable(host, allow_reserved)
    if host in ours:
        raise Unproven(f"{host} is our own")


def require_answer(answer: Records) -> Records:
    """The answer of DNS, if it is one (RFC 4035 4.3).

    Raises:
        Unproven: it is bogus, which is final.
        Unavailable: DNS cannot tell now; that is never taken for an absence.
    """
    if answer.verdict is Verdict.BOGUS:
        raise Unproven(f"DNSSEC: {answer.reason or 'bogus'}")
    if answer.verdict is Verdict.TEMPORARY:
        raise Unavailable(f"DNS: {answer.reason or 'no answer'}")
    return answer


def require_secure(answer: Records) -> None:
    """None unless there are records that DNSSEC does not protect.

    Raises:
        Unproven: there are; whoever can forge an answer can forge the proof (O-05).
    """
    if answer.records and answer.verdict is not Verdict.SECURE:
        raise Unproven("records without DNSSEC")


def strength_of(answer: Records, require_dnssec: bool) -> Strength:
    """What a proof by these records rests on.

    Raises:
        Unproven: they are insecure and must not be (O-05).
    """
    if require_dnssec:
        require_secure(answer)
    return Strength.DNSSEC if answer.verdict is Verdict.SECURE else Strength.WEAK


def redirect_of(answer: Answer, origin: Origin) -> Url:
    """Where a redirect from `origin` leads: an https URL, or an absolute path on the same host (RFC 9110 10.2.2).

    Raises:
        Unproven: anywhere else.
    """
    location = answer.headers.get("location", "")
    if location.startswith("/") and not location.startswith("//"):
        location = f"{origin}{location}"
    return understood(parse_url, location)


def understood(parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a stranger's document says.

    Raises:
        Unproven: it is not well-formed; who publishes nonsense has published, and has proved nothing.
    """
    try:
        return parse(*args, **kwargs)
    except (Malformed, TooLarge) as refusal:
        raise Unproven(f"published document: {refusal.detail}") from None


def require_document(answer: Answer) -> bytes | None:
    """The JSON document of an answer, or None when nothing is published (404, and only 404).

    Raises:
        Unavailable: the other side has trouble; that is never taken for an absence.
        Unproven: anything else, redirects included.
    """
    if answer.status == 404:
        return None
    if answer.status >= 500 or answer.status in _PASSING:
        raise Unavailable(f"answered with status {answer.status}")
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or media_type not in _JSON:
        raise Unproven(f"answered with status {answer.status} and no JSON document")
    return answer.body


def life_of(headers: Mapping[str, str], least: timedelta, most: timedelta) -> timedelta:
    """How long an answer is kept: its own max-age within [least, most] (RFC 9111 5.2.2)."""
    value = headers.get("cache-control", "")
    said = _MAX_AGE.search(value)
    if said is None or _NEVER.search(value):
        return least
    return bounded(timedelta(seconds=min(int(said[1]), 10**9)), least, most)


def bounded(life: timedelta, least: timedelta, most: timedelta) -> timedelta:
    """The life within [least, most]."""
    return min(max(life, least), most)


def has_key(keys: KeySet, kid: str) -> bool:
    """Whether another look could not help: the key is there, or none is named."""
    return not kid or any(key.kid == kid for key in keys.keys)


def webfinger_target(resource: str, rel: str) -> str:
    """The request target of a WebFinger query (RFC 7033 4.1)."""
    return f"/.well-known/webfinger?resource={quote(resource, safe='')}&rel={quote(rel, safe='')}"


def answer_webfinger(
    query: Query, domain: Domain, issuer: Issuer, client: ClientIdentifier, hashes: Sequence[Digest]
) -> dict[str, Any]:
    """The JRD about an address of our domain or about our client.

    Every well-formed address of the domain gets the same, so that nobody learns which exist (RFC 7033 9.2).

    Raises:
        Malformed: an acct URI without a well-formed address.
        Unknown: it is not about us.
    """
    literal = query.resource == client_acct_literal(client)
    about_client = literal or query.resource == client_acct(client)
    about_user = not literal and _is_address_of(query.resource, domain)
    if not (about_client or about_user):
        raise Unknown("not a resource of this domain")
    answers = []
    if about_user and _is_wanted(ISSUER_REL, query):
        answers.append(render_issuer(query.resource, issuer))
    if about_client and _is_wanted(PUBLIC_KEY_REL, query):
        answers.append(render_public_key(query.resource, hashes))
    return {"subject": query.resource, "links": [link for answer in answers for link in answer["links"]]}


def _is_address_of(resource: str, domain: Domain) -> bool:
    scheme, _, rest = resource.partition(":")
    if scheme != "acct":
        return False
    try:
        return parse_address(unquote(rest, errors="strict")).domain == domain
    except (Malformed, UnicodeDecodeError):
        raise Malformed("acct URI without an address") from None


def _is_wanted(rel: str, query: Query) -> bool:
    return not query.rels or rel in query.rels
