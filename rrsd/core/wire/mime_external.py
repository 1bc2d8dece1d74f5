"""External bodies: the parts of a placeholder that stand for an attachment (RFC 2046 5.2.3, RFC 2017, RFC 6920 4)."""

import re
from collections.abc import Sequence

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import parse_digest
from rrsd.core.values.messages import Attachment
from rrsd.core.values.peers import Origin, parse_origin, parse_url
from rrsd.core.wire.fields import parse_ni_path
from rrsd.core.wire.mime_fields import (
    Field,
    Typed,
    decode_words,
    first_text,
    named,
    parse_date,
    parse_fields,
    parse_media,
    parse_word,
    safe_filename,
)
from rrsd.core.wire.mime_parts import Part, has_identity_encoding
from rrsd.core.wire.mime_shape import parse_shape

EXTERNAL = "message/external-body"
SERVICE_FIELD = "x-origin-mailbox-service-url"

_SIZE = re.compile(r"[0-9]{1,15}")
_CONTENT_ID = re.compile(r"<([A-Za-z0-9_-]{43})>")


def parse_service(fields: Sequence[Field]) -> Origin | None:
    """The resource server that an earlier prototype's message names for all its parts, None without a usable one."""
    try:
        return parse_origin(first_text(fields, SERVICE_FIELD).removesuffix("/"))
    except Malformed:
        return None


def parse_external(raw: bytes, part: Part, service: Origin | None) -> Attachment | None:
    """The attachment that the part stands for.

    None for every other part, and for one that lacks a canonical URL or digest, a size, or a header to restore.
    """
    if not has_identity_encoding(part.fields):
        return None
    types = [(each, parse_media(each.text)) for each in named(part.fields, "content-type")]
    external = [(each, media) for each, media in types if media is not None and media.value == EXTERNAL]
    if len(external) != 1:
        return None
    field, media = external[0]
    access = media.parameters.get("access-type", "").lower()
    try:
        if access == "url" and len(types) == 1:
            return _by_url(raw, part, media)
        if access == "x-content-addressed-uri" and service is not None:
            return _by_content_id(raw, [each for each in part.fields if each is not field], media, service)
    except Malformed:
        pass
    return None


def _by_url(raw: bytes, part: Part, media: Typed) -> Attachment:
    url = parse_url(re.sub(r"\s+", "", media.parameters.get("url", "")))
    phantom, _ = parse_fields(raw, part.body, part.end)
    if url.query:
        raise Malformed("external body URL has a query")
    digest = parse_ni_path(url.path)
    expires = parse_date(media.parameters.get("expiration", ""))
    return Attachment(
        digest, _size(media), url.origin, expires, *_restored(raw, phantom), parse_shape(media.parameters)
    )


def _by_content_id(raw: bytes, fields: Sequence[Field], media: Typed, service: Origin) -> Attachment:
    name = _CONTENT_ID.fullmatch(first_text(fields, "content-id"))
    if name is None or media.parameters.get("hash-algorithm", "").lower() != "sha256":
        raise Malformed("external body has no content address")
    return Attachment(parse_digest(name[1]), _size(media), service, None, *_restored(raw, fields))


def _size(media: Typed) -> int:
    size = media.parameters.get("size", "")
    if not _SIZE.fullmatch(size):
        raise Malformed("external body size")
    return int(size)


def _restored(raw: bytes, fields: Sequence[Field]) -> tuple[str, str, bytes]:
    """Media type, file name and raw header of the part that comes back; its transfer encoding is said elsewhere."""
    texts = named(fields, "content-type")
    media = parse_media(texts[0].text) if texts else Typed("text/plain")
    if media is None or len(texts) > 1 or media.value.startswith(("multipart/", "message/")):
        raise Malformed("external body type")
    disposition = parse_word(first_text(fields, "content-disposition")) or Typed("")
    filename = disposition.parameters.get("filename") or media.parameters.get("name", "")
    kept = b"".join(raw[each.start : each.end] for each in fields if each.name != "content-transfer-encoding")
    return media.value, safe_filename(decode_words(filename)), kept
