"""Placeholder messages: read by offsets, and what takes each attachment's place (RFC 5322, RFC 2045, RFC 2046)."""

import re
from collections.abc import Sequence

from rrsd.core.refusals import Damaged, Malformed
from rrsd.core.values.addresses import Address
from rrsd.core.values.messages import Attachment, Placeholder, Restored, Verbatim
from rrsd.core.values.peers import Origin
from rrsd.core.wire.base64_lines import LINE
from rrsd.core.wire.mime_external import parse_external, parse_service
from rrsd.core.wire.mime_fields import Field, decode_words, first_text, named, parse_fields, parse_mailbox, parse_media
from rrsd.core.wire.mime_parts import Part, parse_parts
from rrsd.core.wire.mime_render import MOST_LINE, render_placeholder

__all__ = [
    "attachment_head", "encoded_size", "parse_author", "parse_placeholder", "render_placeholder",
    "restored_size",
]  # fmt: skip

_UNCLEAN = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n")
_MESSAGE_ID = re.compile(r"<([!-;=?-~]{1,996})>")
_ONCE = ("from", "sender", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding")


def parse_placeholder(raw: bytes, most_parts: int = 10000) -> Placeholder:
    """What the message says and which of its parts stand for attachments; there may be none of them.

    `message_id` comes without its angle brackets, "" where there is none and nothing to pull. A last part that
    `render_placeholder` marked as its notice is left out of the plan when anything is restored.

    Raises:
        Malformed: line breaks other than CRLF, a NUL, a line over 998 bytes, a header that is none, a field twice that
            may occur once, no single author, attachments without a Message-ID, a broken multipart.
        TooLarge: more parts than `most_parts`.
    """
    _require_lines(raw)
    fields, body = parse_fields(raw, 0, len(raw))
    sender = _author(fields)
    attachments, plan = _plan(raw, parse_parts(raw, fields, body, most_parts), parse_service(fields))
    return Placeholder(
        message_id=_message_id(fields, needed=bool(attachments)),
        sender=sender,
        subject=decode_words(first_text(fields, "subject")),
        date=decode_words(first_text(fields, "date")),
        attachments=tuple(attachments),
        plan=tuple(plan),
    )


def parse_author(header: bytes) -> tuple[Address, str]:
    """The single author that a message's header section names, and its Message-ID without brackets, "" for none.

    Raises:
        Malformed, TooLarge: it is not the header of a message that `parse_placeholder` would read.
    """
    _require_lines(header)
    fields, _ = parse_fields(header, 0, len(header))
    return _author(fields), _message_id(fields, needed=False)


def _author(fields: Sequence[Field]) -> Address:
    if any(len(named(fields, name)) > 1 for name in _ONCE):
        raise Malformed("header field occurs twice")
    return parse_mailbox(first_text(fields, "from"))


def _require_lines(raw: bytes) -> None:
    if _UNCLEAN.search(raw):
        raise Malformed("line breaks other than CRLF, or a NUL")
    if any(len(line) > MOST_LINE for line in raw.split(b"\r\n")):
        raise Malformed("line too long")


def _message_id(fields: Sequence[Field], *, needed: bool) -> str:
    text = first_text(fields, "message-id")
    match = _MESSAGE_ID.fullmatch(text)
    if match is None and (text or needed):
        raise Malformed("Message-ID")
    return match[1] if match else ""


def _plan(
    raw: bytes, parts: Sequence[Part], service: Origin | None
) -> tuple[list[Attachment], list[Verbatim | Restored]]:
    attachments: list[Attachment] = []
    plan: list[Verbatim | Restored] = []
    at = 0
    for part in parts:
        attachment = parse_external(raw, part, service)
        if attachment is not None:
            plan += [Verbatim(at, part.start), Restored(len(attachments))]
            attachments.append(attachment)
            at = part.end
        elif attachments and _is_notice(part):
            plan += [Verbatim(at, part.delimiter)] if at < part.delimiter else []
            at = part.end
    return attachments, plan + ([Verbatim(at, len(raw))] if at < len(raw) else [])


def _is_notice(part: Part) -> bool:
    media = parse_media(first_text(part.fields, "content-type"))
    marked = first_text(part.fields, "rrs-part").lower() == "notice"
    return part.closes and marked and media is not None and media.value == "text/plain"


def attachment_head(attachment: Attachment) -> bytes:
    """What stands before the base64 lines of a restored part: its header and the empty line."""
    headers, shape = attachment.headers, attachment.shape
    fields, end = parse_fields(headers, 0, len(headers))
    starts = [*(each.start for each in fields), end]
    at = end if shape.before is None else starts[min(shape.before, len(fields))]
    return headers[:at] + shape.encoding.encode("ascii") + b"\r\n" + headers[at:] + b"\r\n"


def encoded_size(size: int, line: int = LINE) -> int:
    """How long `size` bytes are in base64 lines of `line` characters, each ended by CRLF (RFC 2045 6.8)."""
    characters = (size + 2) // 3 * 4
    return characters + (characters + line - 1) // line * 2


def restored_size(placeholder: Placeholder, raw_size: int) -> int:
    """The exact length of the message once every attachment is back in its place.

    Raises:
        Damaged: the plan reaches beyond the `raw_size` bytes of the placeholder.
    """
    total = 0
    for step in placeholder.plan:
        if isinstance(step, Restored):
            attachment = placeholder.attachments[step.index]
            shape = attachment.shape
            total += len(attachment_head(attachment)) + encoded_size(attachment.size, shape.line) + shape.empty * 2
        elif step.end > raw_size:
            raise Damaged("placeholder is shorter than its plan")
        else:
            total += step.end - step.start
    return total
