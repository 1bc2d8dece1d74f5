"""Who may have what, and what a sender may ask for; no waiting, no clock."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from attrs import frozen

from rrsd.core.refusals import (
    Damaged,
    Forbidden,
    Malformed,
    NoSpace,
    Refusal,
    TooLarge,
    Unavailable,
    Unproven,
)
from rrsd.core.values.addresses import Address, Domain, parse_address
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.values.resources import Blob, Grant, Receipt
from rrsd.core.values.tokens import VerifiedAccess, VerifiedDelegation
from rrsd.core.wire import base64url
from rrsd.roles.rs.settings import Settings

T = TypeVar("T")

SCOPE = "mail"
MOST_RECEIPTS = 500
MOST_RECEIPT = 4096
"""Characters of one, which is kept for a year."""
MOST_GRANTS = 100_000
MOST_SUBJECT = 900
MOST_FILENAME = 255
PROOF_SECONDS = 60.0
"""A proved delegation is believed again for this long, over the same certificate."""

_TOKEN = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 4.2
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")
_TEXT_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_OFFSET = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_OURS = (Unavailable, NoSpace, Damaged)
OCTETS = "application/octet-stream"


def not_a_token(refusal: Refusal) -> Unproven:
    """What a bearer token of the wrong form is refused with: like every other bad token (RFC 6750 3.1)."""
    return Unproven(f"token: {refusal.detail}")


def believable(parse: Callable[[], T]) -> T:
    """What `parse` finds in a bearer token.

    Raises:
        Unproven: it has not the form of one.
    """
    try:
        return parse()
    except (Malformed, TooLarge) as refusal:
        raise not_a_token(refusal) from None


def acknowledged(grants: Sequence[Grant], receipts: Sequence[Receipt]) -> tuple[list[Grant], list[Receipt]]:
    """The grants that the receipts are about, and the receipts that have one, in their order."""
    by_name = {(grant.message_id, grant.digest): grant for grant in grants}
    marked, accepted = [], []
    for receipt in receipts:
        grant = by_name.get((receipt.message_id, receipt.digest))
        if grant is not None and grant.size == receipt.size:
            accepted.append(receipt)
            if grant.receipted is None:
                marked.append(grant)
    return marked, accepted


End = tuple[Grant, Instant]


def renewed_until(grant: Grant, wanted: Instant, longest: timedelta) -> Instant:
    """The end that a renewal gives the grant: what is wanted, `longest` after the end that the sender gave at most, and
    never earlier than it is."""
    return max(grant.not_after, min(wanted, (grant.promised or grant.not_after) + longest))


MESSAGE_PREFIX = "b64:"


def message_name(text: str) -> str:
    """The Message-ID that a path names: as it is, with angle brackets or without, or base64url after `b64:`, for those
    that no path can hold.

    Raises:
        Malformed: what comes after `b64:` is not canonical base64url of UTF-8.
    """
    if not text.startswith(MESSAGE_PREFIX):
        return text.strip("<>")
    try:
        return base64url.decode(text.removeprefix(MESSAGE_PREFIX)).decode()
    except UnicodeDecodeError:
        raise Malformed("message name") from None


class Standing(StrEnum):
    """Where a granted resource is, as its sender sees it."""

    KEPT = "kept"
    DOWNLOADED = "downloaded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    WAITING = "waiting"


def standing(grant: Grant, now: Instant) -> Standing:
    """What is worth saying first about the grant. A copy of their own that a domain has signed for outlives everything;
    a download is one of possibly several, as long as more are possible."""
    if grant.receipted is not None:
        return Standing.KEPT
    if grant.withdrawn:
        return Standing.WITHDRAWN
    if grant.downloaded is not None:
        return Standing.DOWNLOADED
    return Standing.EXPIRED if grant.not_after <= now else Standing.WAITING


def require_same(receipt: Receipt, delegation: VerifiedDelegation) -> None:
    """None when the receipt speaks for whom the delegation speaks.

    Raises:
        Unproven: it is another user's or another client's.
    """
    if receipt.subject != delegation.subject or receipt.client != delegation.actor:
        raise Unproven("receipt and delegation differ")
    if delegation.message_ids is not None and receipt.message_id not in delegation.message_ids:
        raise Unproven("the delegation is narrowed to other messages")


def split_receipts(body: bytes) -> list[str]:
    """The compact JWSs of a body, one per line.

    Raises:
        Malformed: there is none, or it is not ASCII.
        TooLarge: there are too many.
    """
    try:
        lines = [line.strip() for line in body.decode("ascii").splitlines()]
    except UnicodeDecodeError:
        raise Malformed("receipts are not ASCII") from None
    lines = [line for line in lines if line]
    if not lines:
        raise Malformed("no receipt")
    if len(lines) > MOST_RECEIPTS:
        raise TooLarge("too many receipts")
    return lines


def outcome_of(refusal: Refusal) -> str:
    """How the audit trail calls it: we failed, or we refused."""
    return "failed" if isinstance(refusal, _OURS) else "refused"


def require_sender(access: VerifiedAccess, certificate: Certificate | None, domain: Domain) -> Address:
    """The user of ours that is logged in and may send.

    Raises:
        Unproven: the token is bound to another certificate (RFC 8705 3).
        Forbidden: another domain's user, or the token is not for mail.
    """
    if access.confirmation is not None and (certificate is None or certificate.x5t != access.confirmation):
        raise Unproven("the token is bound to another certificate")
    if access.subject.domain != domain or SCOPE not in access.scope:
        raise Forbidden("not a token for sending from here")
    return access.subject


def require_offset(text: str | None) -> int:
    """The value of `Upload-Offset`.

    Raises:
        Malformed: it is missing or no number.
    """
    if text is None or not _OFFSET.fullmatch(text):
        raise Malformed("Upload-Offset")
    return int(text)


@frozen
class Wish:
    """One attachment that a sender asks for."""

    digest: Digest
    media_type: str
    filename: str


@frozen
class Draft:
    """A message as its sender's program wrote it; `bcc` gets grants and is never shown."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    text: str
    attachments: tuple[Wish, ...]
    life: timedelta

    @property
    def envelope(self) -> tuple[Address, ...]:
        """Everybody who gets it, once."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


def parse_size(document: Mapping[str, Any], settings: Settings) -> int:
    """The size of an upload that is asked for.

    Raises:
        Malformed: it is missing or no whole number.
        TooLarge: it is more than a user may upload.
    """
    _only(document, {"size", "media_type", "filename"})
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Malformed("size")
    parse_media_type(document.get("media_type", OCTETS))
    parse_filename(document.get("filename", ""))
    if size > settings.most_upload:
        raise TooLarge("upload")
    return size


def parse_draft(document: Mapping[str, Any], settings: Settings) -> Draft:
    """The draft in a JSON document.

    Raises:
        Malformed: a member is unknown, missing or not what it should be.
        TooLarge: more recipients, attachments or text than a message may have.
    """
    _only(document, {"to", "cc", "bcc", "subject", "text", "attachments", "days"})
    draft = Draft(
        _addresses(document, "to"),
        _addresses(document, "cc"),
        _addresses(document, "bcc"),
        _line(document.get("subject", ""), MOST_SUBJECT, "subject"),
        _text(document.get("text", "")),
        tuple(_wish(item) for item in _list(document, "attachments")),
        _life(document.get("days"), settings),
    )
    if not draft.envelope:
        raise Malformed("no recipient")
    recipients, attachments = len(draft.envelope), len(draft.attachments)
    if recipients > settings.most_recipients or attachments > settings.most_attachments:
        raise TooLarge("recipients or attachments")
    if recipients * attachments > MOST_GRANTS:
        raise TooLarge("recipients times attachments")
    if len(draft.text.encode()) > settings.most_text:
        raise TooLarge("text")
    return draft


def require_owned(draft: Draft, blobs: Sequence[Blob]) -> Mapping[Digest, Blob]:
    """The stored resources of the draft.

    Raises:
        Forbidden: the sender uploaded not all of them; a digest that was read in somebody's message gives no right.
    """
    owned = {blob.digest: blob for blob in blobs}
    if any(wish.digest not in owned for wish in draft.attachments):
        raise Forbidden("an attachment that the sender did not upload")
    return owned


def plan_grants(
    draft: Draft, owned: Mapping[Digest, Blob], sender: Address, message_id: str, not_after: Instant
) -> list[Grant]:
    """One grant for each resource and envelope recipient."""
    wishes = {wish.digest: wish for wish in draft.attachments}.values()
    return [
        Grant(
            message_id,
            wish.digest,
            owned[wish.digest].size,
            sender,
            recipient,
            not_after,
            wish.media_type,
            wish.filename,
        )
        for recipient in draft.envelope
        for wish in wishes
    ]


def parse_media_type(value: object) -> str:
    """A media type without parameters, lower case (RFC 6838 4.2).

    A composite one becomes plain octets, since base64 may not wrap it (RFC 2046 5.1, 5.2).

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, str) or not _MEDIA_TYPE.fullmatch(value):
        raise Malformed("media type")
    lowered = value.lower()
    return OCTETS if lowered.startswith(("multipart/", "message/")) else lowered


def parse_filename(value: object) -> str:
    """A file name without folders; "" for none.

    Raises:
        Malformed: it is none.
    """
    name = _line(value, MOST_FILENAME, "filename")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise Malformed("filename has a folder")
    return name


def _wish(item: object) -> Wish:
    if not isinstance(item, dict):
        raise Malformed("attachments")
    _only(item, {"digest", "media_type", "filename"})
    digest = item.get("digest")
    if not isinstance(digest, str):
        raise Malformed("attachment without digest")
    return Wish(
        parse_digest(digest), parse_media_type(item.get("media_type", OCTETS)), parse_filename(item.get("filename", ""))
    )


def _addresses(document: Mapping[str, Any], name: str) -> tuple[Address, ...]:
    values = _list(document, name)
    if not all(isinstance(value, str) for value in values):
        raise Malformed(name)
    return tuple(dict.fromkeys(parse_address(value) for value in values))


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name, [])
    if not isinstance(value, list):
        raise Malformed(name)
    return value


def _line(value: object, most: int, name: str) -> str:
    if not isinstance(value, str) or len(value) > most or _CONTROLS.search(value):
        raise Malformed(name)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or _TEXT_CONTROLS.search(value):
        raise Malformed("text")
    return value


def _life(days: object, settings: Settings) -> timedelta:
    if days is None:
        return settings.lifetime
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= settings.longest.days:
        raise Malformed("days")
    return timedelta(days=days)


def _only(document: Mapping[str, Any], names: set[str]) -> None:
    unknown = sorted(set(document) - names)
    if unknown:
        raise Malformed(f"unknown member {unknown[0][:40]!r}")
