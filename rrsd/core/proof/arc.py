"""Authenticated Received Chain (RFC 8617): what others sealed is judged, and what we completed is sealed.

dkimpy calculates, as for DKIM. It never sees the body that is sealed, whose hash is made in passing, nor the key.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import dkim
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from dkim.canonicalization import CanonicalizationPolicy

from rrsd.core.proof.dkim import ALGORITHMS, MOST_BITS, MOST_BYTES, only_record, squeezed
from rrsd.core.refusals import Malformed, TooLarge, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.records import Records
from rrsd.core.wire.dkim import MOST_SIGNATURE, Seal, parse_instance, parse_key, parse_seal
from rrsd.core.wire.mime_fields import Field, named, parse_fields

MOST_SETS = 10
"""Sets of one message that are judged; each costs two questions and two calculations."""
LEAST_BITS = 1024
"""For keys of others (RFC 8301 3.2): what their seals say is reported, nothing is decided by it."""
OWN_BITS = 2048
RESULTS, SIGNATURE, SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
COVERED = (
    "from", "to", "cc", "reply-to", "sender", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding", "dkim-signature",
)  # fmt: skip
"""What our signature covers."""
_AGAIN = "dkim-signature"
_RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")

T = TypeVar("T", Seal, int)
Tag: TypeAlias = tuple[bytes, bytes]


class Validation(StrEnum):
    """What a chain is worth (RFC 8617 4.4)."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"


@frozen
class Chain:
    """The sets that came with a message: how many, and what they are worth. Where they are no chain, or whoever sealed
    last had given it up, it `is_over`, and nobody adds to it."""

    length: int
    validation: Validation
    is_over: bool = False


NO_CHAIN = Chain(0, Validation.NONE)
BROKEN = Chain(0, Validation.FAIL, is_over=True)


@frozen
class SealingKey:
    """Our key and where it is published."""

    domain: Domain
    selector: str
    private: RSAPrivateKey = field(repr=False)

    @property
    def name(self) -> str:
        """Where in DNS it is published."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What is published there."""
        spki = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(spki).decode()}"


def read_sealing_key(domain: Domain, selector: str, pem: bytes) -> SealingKey:
    """The key in a PEM file.

    Raises:
        Malformed: it is no RSA key of 2048 to 8192 bits, or the selector is none.
    """
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("no private key in PEM without a password") from None
    if not isinstance(private, RSAPrivateKey) or not OWN_BITS <= private.key_size <= MOST_BITS:
        raise Malformed(f"a key for ARC is RSA with {OWN_BITS} to {MOST_BITS} bits")
    parse_seal(f"i=1; a=rsa-sha256; cv=none; d={domain}; s={selector}; b=")
    return SealingKey(domain, selector, private)


# --- what came


@frozen
class _Set:
    signature: Seal
    seal: Seal


class _Broken(Exception):
    """The sets are no chain."""


def chain_names(raw: bytes) -> tuple[str, ...]:
    """The names of the TXT records that `judge_chain` needs, at most two for each of `MOST_SETS`.

    Raises:
        Malformed, TooLarge: the message cannot be read.
    """
    try:
        sets = _sets(raw)
    except _Broken:
        return ()
    return tuple(dict.fromkeys(part.name for each in sets for part in (each.signature, each.seal)))


def judge_chain(raw: bytes, records: Mapping[str, Records]) -> Chain:
    """What the chain of the message is worth; `records` has the answer for each of `chain_names`.

    Raises:
        Unavailable: a key cannot be had now.
        Malformed, TooLarge: the message cannot be read.
    """
    try:
        sets = _sets(raw)
    except _Broken:
        return BROKEN
    if not sets:
        return NO_CHAIN
    keys: dict[str, bytes] = {}
    for part in (part for each in sets for part in (each.signature, each.seal)):
        data = _key_for(records[part.name], part)
        if data is None:
            return Chain(len(sets), Validation.FAIL)
        keys[part.name] = data
    return Chain(len(sets), Validation.PASS if _is_valid(raw, keys) else Validation.FAIL)


def _sets(raw: bytes) -> list[_Set]:
    """The sets, first to last."""
    if len(raw) > MOST_BYTES:
        raise TooLarge("message with a chain")
    fields, _ = parse_fields(raw, 0, len(raw))
    results = _by_number(fields, RESULTS, _results_number)
    signatures = _by_number(fields, SIGNATURE, parse_seal)
    seals = _by_number(fields, SEAL, parse_seal)
    wanted = list(range(1, len(results) + 1))
    if len(wanted) > MOST_SETS or not wanted == sorted(results) == sorted(signatures) == sorted(seals):
        raise _Broken
    sets = [_Set(signatures[number], seals[number]) for number in wanted]
    if not all(_is_sound(each) for each in sets):
        raise _Broken
    return sets


def _by_number(fields: Sequence[Field], name: str, parse: Callable[[str], T]) -> dict[int, T]:
    found: dict[int, T] = {}
    for each in named(fields, name):
        if each.end - each.start > MOST_SIGNATURE:
            raise _Broken
        try:
            part = parse(each.text)
        except Malformed:
            raise _Broken from None
        number = part.instance if isinstance(part, Seal) else part
        if number in found:
            raise _Broken
        found[number] = part
    return found


def _results_number(text: str) -> int:
    return parse_instance(text.partition(";")[0].partition("=")[2].strip())


def _is_sound(each: _Set) -> bool:
    """Whether nothing but the keys decides."""
    signature, seal = each.signature, each.seal
    fits = seal.validation == (Validation.PASS if seal.instance > 1 else Validation.NONE)
    covers = "from" in signature.covered and SEAL not in signature.covered
    whole = signature.is_relaxed and not signature.is_partial
    return fits and covers and whole and {signature.algorithm, seal.algorithm} <= ALGORITHMS.keys()


def _key_for(found: Records, part: Seal) -> bytes | None:
    """The record, None where it is no key for this."""
    try:
        data = only_record(found)
        key = parse_key(data)
    except (Unproven, Malformed):
        return None
    is_strong = key.kind != "rsa" or LEAST_BITS <= key.bits <= MOST_BITS
    is_for_this = key.kind == ALGORITHMS[part.algorithm] and (key.hashes is None or "sha256" in key.hashes)
    return data if is_strong and is_for_this else None


def _is_valid(raw: bytes, keys: Mapping[str, bytes]) -> bool:
    def ask(asked: bytes, timeout: int = 5) -> bytes:
        return keys[asked.decode("ascii").lower().removesuffix(".")]

    try:
        validation, _, _ = dkim.ARC(squeezed(raw), minkey=LEAST_BITS).verify(ask)
    except Exception:  # as for DKIM: none of its errors is a yes
        return False
    return bool(validation == dkim.CV_Pass)


# --- what we add


@frozen
class _Signed:
    signature: bytes


@frozen
class _Hand:
    """Signs what the engine hashed. The engine's own RSA is written in Python; this has the form of what it calls for
    ed25519, and it does not look at what signs there."""

    private: RSAPrivateKey = field(repr=False)

    def sign(self, digest: bytes) -> _Signed:
        return _Signed(self.private.sign(digest, PKCS1v15(), Prehashed(SHA256())))


def seal_message(header: bytes, body: bytes, results: str, chain: Chain, key: SealingKey, now: Instant) -> bytes:
    """Our set, to be put on top of the message with this header section, its empty line too, and the relaxed body whose
    hash is `body`; b"" where a chain is over.

    `results` are ours, as in Authentication-Results; they and `chain` are about the message as it came.

    Raises:
        Malformed: the header cannot be read.
    """
    if chain.is_over:
        return b""
    fields, _ = parse_fields(header, 0, len(header))
    engine = dkim.ARC(header, signature_algorithm=b"ed25519-sha256")
    engine.hasher = hashlib.sha256
    # A chain that failed is not vouched for: what it says is not under our seal.
    older = [] if chain.validation is Validation.FAIL else [name for _, (name, _) in engine.sorted_arc_headers()[1]]
    arc = "" if chain.validation is Validation.NONE else f";\r\n arc={chain.validation}"
    number = (b"i", b"%d" % (chain.length + 1))
    said = (b"ARC-Authentication-Results", b"i=%s; %s\r\n" % (number[1], f"{results}{arc}".encode()))
    common = [
        (b"a", b"rsa-sha256"), (b"d", key.domain.name.encode()), (b"s", key.selector.encode()),
        (b"t", b"%d" % int(now.timestamp())),
    ]  # fmt: skip
    covered = _covered(fields)
    tags = [number, *common, (b"c", b"relaxed/relaxed"), (b"h", b" : ".join(covered)), (b"bh", base64.b64encode(body))]
    engine.headers = _RELAXED.canonicalize_headers([said]) + engine.headers
    signature = _signed(engine, b"ARC-Message-Signature", tags, covered, key)
    engine.headers = _RELAXED.canonicalize_headers([signature]) + engine.headers
    if chain.validation is Validation.FAIL:
        engine.headers.reverse()  # so that of each name the newest is taken
    names = [name.lower() for name in (*reversed(older), said[0], signature[0])]
    tags = [number, (b"cv", chain.validation.encode()), *common]
    seal = _signed(engine, b"ARC-Seal", tags, names, key)
    return b"".join(name + b": " + value for name, value in (seal, signature, said))


def _signed(engine: Any, name: bytes, tags: Sequence[Tag], covered: Sequence[bytes], key: SealingKey) -> Tag:
    fields = [*tags, (b"b", b"0" * 60)]
    return name, bytes(engine.gen_header(fields, tuple(covered), _RELAXED, name, _Hand(key.private)))


def _covered(fields: Sequence[Field]) -> list[bytes]:
    """Each as often as it is there, and once more, so that none can be added; whoever sends it on signs it again."""
    return [name.encode() for name in COVERED for _ in range(len(named(fields, name)) + (name != _AGAIN))]
