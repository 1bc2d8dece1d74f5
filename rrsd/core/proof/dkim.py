"""Who wrote a message: DKIM (RFC 6376) with a policy that is stricter than the RFC, dkimpy calculating only.

dkimpy says yes to much that proves nothing here: signatures of other domains, of a part of the body (l=), of keys that
are only tried out (t=y), with rsa-sha1, without the fields that say what the body means. All of that is decided before.
"""

import re
from collections.abc import Mapping, Sequence

import dkim
from attrs import frozen

from rrsd.core.proof.times import SKEW
from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable, Unproven
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.authors import VerifiedAuthor
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Strength
from rrsd.core.values.records import Records, Text, Verdict
from rrsd.core.wire.dkim import MOST_SIGNATURE, Key, Signature, parse_key, parse_signature
from rrsd.core.wire.mime_fields import Field, first_text, named, parse_fields, parse_mailbox

MOST_TRIED = 3
"""Signatures of one message that are tried; each costs a question and a calculation."""
MOST_READ = 20
"""Signatures of one message that are read."""
MOST_BYTES = 32 << 20
MOST_BITS = 8192
ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""Those that prove something, with the kind of key that each has (RFC 8301, RFC 8463)."""
COVERED = (
    "from", "subject", "date", "message-id", "sender", "mime-version", "content-type", "content-transfer-encoding",
    "x-origin-mailbox-service-url",
)  # fmt: skip
"""Fields that say who wrote what and how it is to be read: each that is there is there once, and signed."""
ADDRESSED = ("to", "cc")
"""Fields that say to whom; what is signed without them may have been written to anybody."""


@frozen
class Policy:
    """What is asked of a signature beyond the RFC.

    `least_bits` is for RSA. `may_be_parent` lets a domain sign for those below it, and `needs_dnssec` refuses keys from
    unauthenticated DNS.
    """

    least_bits: int = 2048
    may_be_parent: bool = False
    needs_dnssec: bool = False


@frozen
class _Candidate:
    """A signature that proves the author if its key says so, and To and Cc if it `is_addressed`; `index` counts
    signatures from the top."""

    index: int
    signature: Signature
    is_addressed: bool


_BLANKS = re.compile(rb"[\t ]+")


class _Unasked(Exception):
    """The engine asks for a name that was not looked up before."""


def may_be_proved(header: bytes) -> bool:
    """Whether a signature could prove the author of a message with this header section, whoever signs it."""
    try:
        fields, _ = parse_fields(header, 0, len(header))
        _author(fields)
    except (Malformed, TooLarge, Unproven):
        return False
    return True


def key_names(raw: bytes, now: Instant, policy: Policy) -> tuple[str, ...]:
    """The names of the TXT records that `prove_author` needs, at most `MOST_TRIED`.

    Raises:
        Unproven: no signature could prove the author, whatever its key.
        Malformed, TooLarge: the message cannot be read.
    """
    _, tried = _candidates(raw, now, policy)
    return tuple(dict.fromkeys(each.signature.name for each in tried))


def prove_author(raw: bytes, records: Mapping[str, Records], now: Instant, policy: Policy) -> VerifiedAuthor:
    """Who wrote the message `raw`; takes some milliseconds for each MiB of it.

    `records` has the answer for each name of `key_names`.

    Raises:
        Unproven: no signature proves it; the reasons are in the detail.
        Unavailable: none does, and the key of one cannot be had now.
        Malformed, TooLarge: the message cannot be read.
    """
    author, tried = _candidates(raw, now, policy)
    reasons: list[str] = []
    trouble = None
    for each in tried:
        try:
            strength = _verify(raw, each, records[each.signature.name], policy)
        except Unavailable as refusal:
            trouble = refusal
        except Refusal as refusal:
            reasons.append(f"{each.signature.name}: {refusal.detail}")
        else:
            signature = each.signature
            return VerifiedAuthor(author, signature.domain, signature.selector, strength, each.is_addressed)
    raise trouble or Unproven("; ".join(reasons))


def _candidates(raw: bytes, now: Instant, policy: Policy) -> tuple[Address, Sequence[_Candidate]]:
    if len(raw) > MOST_BYTES:
        raise TooLarge("signed message")
    fields, _ = parse_fields(raw, 0, len(raw))
    author = _author(fields)
    tried: list[_Candidate] = []
    reasons: list[str] = []
    for index, field in enumerate(named(fields, "dkim-signature")[:MOST_READ]):
        try:
            signature = _signature(field)
            _require_sound(signature, author, fields, now, policy)
        except (Malformed, Unproven) as refusal:
            reasons.append(refusal.detail)
        else:
            tried.append(_Candidate(index, signature, _is_addressed(signature, fields)))
    if not tried:
        raise Unproven("; ".join(reasons[:MOST_TRIED]) or "no DKIM signature")
    return author, tried[:MOST_TRIED]


def _author(fields: Sequence[Field]) -> Address:
    if any(len(named(fields, name)) > 1 for name in COVERED):
        raise Unproven("a field that may occur once is there twice")
    author = parse_mailbox(first_text(fields, "from"))
    if named(fields, "sender") and parse_mailbox(first_text(fields, "sender")).domain != author.domain:
        raise Unproven("Sender is of another domain than the author")
    return author


def _signature(field: Field) -> Signature:
    if field.end - field.start > MOST_SIGNATURE:  # the engine looks at some of them in quadratic time
        raise Malformed("signature is too long")
    return parse_signature(field.text)


def _require_sound(
    signature: Signature, author: Address, fields: Sequence[Field], now: Instant, policy: Policy
) -> None:
    """Returns None when nothing but the key decides; refuses with Unproven otherwise."""
    if not _is_aligned(signature.domain, author.domain, policy):
        raise Unproven(f"signed by {signature.domain}, which is not the domain of the author")
    if signature.algorithm not in ALGORITHMS:
        raise Unproven(f"algorithm {signature.algorithm}")
    if signature.is_partial:
        raise Unproven("signs a part of the body only (l=)")
    if signature.agent != signature.domain.name and not signature.agent.endswith(f".{signature.domain}"):
        raise Unproven("i= is not in d=")
    _require_covered(signature, fields)
    _require_in_time(signature, now)


def _is_aligned(signer: Domain, author: Domain, policy: Policy) -> bool:
    return signer == author or (policy.may_be_parent and author.name.endswith(f".{signer}"))


def _require_covered(signature: Signature, fields: Sequence[Field]) -> None:
    bare = [name for name in COVERED if named(fields, name) and name not in signature.covered]
    if bare:
        raise Unproven(f"does not sign {', '.join(bare)}")


def _is_addressed(signature: Signature, fields: Sequence[Field]) -> bool:
    present = {name: len(named(fields, name)) for name in ADDRESSED}
    return all(number <= (name in signature.covered) for name, number in present.items())


def _require_in_time(signature: Signature, now: Instant) -> None:
    at = now.timestamp()
    if signature.expires is not None and signature.expires <= at:
        raise Unproven("signature has expired (x=)")
    if signature.created is not None and signature.created > at + SKEW.total_seconds():
        raise Unproven("signature is from the future (t=)")


def _verify(raw: bytes, candidate: _Candidate, found: Records, policy: Policy) -> Strength:
    """What the proof rests on.

    A bogus key is none for now: signatures in DNS that have run out, or are forged on the way to us, may be right
    later, and the message waits for that (RFC 4035 5.5).
    """
    if found.verdict is Verdict.BOGUS:
        raise Unavailable(f"key is bogus in DNSSEC: {found.reason}")
    data = only_record(found)
    _require_good_key(parse_key(data), candidate.signature, policy)
    if found.verdict is not Verdict.SECURE and policy.needs_dnssec:
        raise Unproven("key is not secured by DNSSEC")
    if not _is_valid(raw, candidate, data, policy):
        raise Unproven("signature does not fit the message")
    return Strength.DNSSEC if found.verdict is Verdict.SECURE else Strength.WEAK


def only_record(found: Records) -> bytes:
    """The text of the one key record; refuses with Unavailable or Unproven where there is none to be had."""
    if found.verdict is Verdict.TEMPORARY:
        raise Unavailable(f"key cannot be asked for: {found.reason}")
    if found.verdict is Verdict.BOGUS:
        raise Unproven("key is bogus in DNSSEC")
    texts = [each.data for each in found.records if isinstance(each, Text)]
    if len(texts) != 1:
        raise Unproven(f"{len(texts)} key records")
    return texts[0]


def _require_good_key(key: Key, signature: Signature, policy: Policy) -> None:
    if key.kind != ALGORITHMS[signature.algorithm] or (key.hashes is not None and "sha256" not in key.hashes):
        raise Unproven("key is for another algorithm")
    if not key.services & {"*", "email"}:
        raise Unproven("key is not for mail")
    if "y" in key.flags:
        raise Unproven("key is only being tested (t=y)")
    if "s" in key.flags and signature.agent != signature.domain.name:
        raise Unproven("key does not sign for domains below it (t=s)")
    if key.kind == "rsa" and not policy.least_bits <= key.bits <= MOST_BITS:
        raise Unproven(f"key of {key.bits} bits")


def _is_valid(raw: bytes, candidate: _Candidate, data: bytes, policy: Policy) -> bool:
    name = f"{candidate.signature.name}."

    def ask(asked: bytes, timeout: int = 5) -> bytes:
        if asked.decode("ascii").lower() != name:
            raise _Unasked
        return data

    try:
        engine = dkim.DKIM(_prepared(raw, candidate.signature), minkey=policy.least_bits)
        return bool(engine.verify(candidate.index, ask))
    except Exception:  # the engine refuses in as many ways as it has errors; none of them is a yes
        return False


def _prepared(raw: bytes, signature: Signature) -> bytes:
    """The message with runs of blanks in its body made one, where they count as one (RFC 6376 3.4.4): the engine takes
    quadratic time for long ones."""
    return squeezed(raw) if signature.is_relaxed else raw


def squeezed(raw: bytes) -> bytes:
    """The message with runs of blanks in its body made one."""
    _, body = parse_fields(raw, 0, len(raw))
    return raw[:body] + _BLANKS.sub(b" ", raw[body:])
