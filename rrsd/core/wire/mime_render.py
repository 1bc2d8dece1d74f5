"""Placeholder messages as they are written: any mail program can show them (RFC 5322, RFC 2045, RFC 2046, RFC 2017)."""

import re
from collections.abc import Iterator, Sequence

from attrs import evolve

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Address
from rrsd.core.values.messages import Attachment, Outgoing
from rrsd.core.wire.fields import ni_path
from rrsd.core.wire.mime_fields import (
    encode_words,
    parse_fields,
    render_date,
    render_field,
    render_parameter,
    require_shown,
    safe_filename,
)
from rrsd.core.wire.mime_shape import render_shape

_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,900}")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_MEDIA_TYPE = re.compile(r"[0-9a-z][0-9a-z!#$&^_.+-]{0,126}/[0-9a-z][0-9a-z!#$&^_.+-]{0,126}")
_COMPOSITE = ("multipart/", "message/")
MOST_LINE = 998  # RFC 5322 2.1.1

_PLAIN_LINE = 78
_QUOTED_LINE = 75
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def render_placeholder(outgoing: Outgoing) -> bytes:
    """The message with an external body in place of each attachment, and a last part that says so in plain words.

    Who gets a copy without being named is not in `outgoing` and not in the message. An attachment without `headers`
    gets a header made of its type and name.

    Raises:
        Malformed: a field holds what a header cannot, or the boundary occurs in the content.
    """
    boundary = outgoing.boundary
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("boundary")
    bodies = [_text_part(outgoing.text)]
    bodies += [_external_part(outgoing, index) for index in range(len(outgoing.attachments))]
    bodies += [render_notice(outgoing.attachments)] if outgoing.attachments else []
    delimiter = b"--" + boundary.encode("ascii")
    if any(delimiter in body for body in bodies):
        raise Malformed("boundary occurs in the content")
    parts = b"".join(delimiter + b"\r\n" + body + b"\r\n" for body in bodies)
    return _header(outgoing) + parts + delimiter + b"--\r\n"


def _header(outgoing: Outgoing) -> bytes:
    if not _MESSAGE_ID.fullmatch(outgoing.message_id):
        raise Malformed("Message-ID has brackets or characters that it cannot have")
    require_shown("Subject", outgoing.subject)
    lines = [
        render_field("From", str(outgoing.sender)),
        render_field("To", *_addresses(outgoing.recipients)),
        render_field("Cc", *_addresses(outgoing.cc)) if outgoing.cc else b"",
        render_field("Subject", *encode_words(outgoing.subject)),
        render_field("Date", render_date(outgoing.date)),
        render_field("Message-ID", f"<{outgoing.message_id}>"),
        render_field("MIME-Version", "1.0"),
        render_field("Content-Type", "multipart/mixed;", f'boundary="{outgoing.boundary}"'),
    ]
    return b"".join(lines) + b"\r\n"


def _addresses(addresses: Sequence[Address]) -> Iterator[str]:
    if not addresses:
        yield "undisclosed-recipients:;"
    for index, address in enumerate(addresses, 1):
        yield f"{address}," if index < len(addresses) else str(address)


def _text_part(text: str, *marks: bytes) -> bytes:
    """A text/plain part; `marks` are further header lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    plain = all(len(line) <= _PLAIN_LINE and line.isascii() and line.isprintable() for line in lines)
    body = "\r\n".join(lines).encode("ascii") if plain else b"\r\n".join(_quoted(line) for line in lines)
    encoding = "7bit" if plain else "quoted-printable"
    head = render_field("Content-Type", "text/plain; charset=utf-8")
    return head + render_field("Content-Transfer-Encoding", encoding) + b"".join(marks) + b"\r\n" + body


def _quoted(line: str) -> bytes:
    """One line of text in quoted-printable, broken softly (RFC 2045 6.7)."""
    try:
        data = line.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("text is not Unicode") from None
    broken, current = [], ""
    for at, octet in enumerate(data):
        literal = (33 <= octet <= 126 and octet != 61) or (octet in b" \t" and at + 1 < len(data))
        piece = chr(octet) if literal else f"={octet:02X}"
        if len(current) + len(piece) > _QUOTED_LINE:
            broken.append(current + "=")
            current = ""
        current += piece
    return "\r\n".join([*broken, current]).encode("ascii")


def _external_part(outgoing: Outgoing, index: int) -> bytes:
    attachment = outgoing.attachments[index]
    if not attachment.headers:
        made = _phantom(attachment, f"{attachment.digest}.{index}@{outgoing.sender.domain}")
        attachment = evolve(attachment, headers=made)
    return render_external(attachment)


def render_external(attachment: Attachment) -> bytes:
    """The part that stands for an attachment whose `headers` are known, without the line break before a delimiter.

    Raises:
        Malformed: the headers are not header lines and nothing else.
    """
    url = f"{attachment.origin}{ni_path(attachment.digest)}"
    expiration = [f'expiration="{render_date(attachment.expires)}"'] if attachment.expires else []
    given, shape = "; ".join([f"size={attachment.size}", *expiration]), render_shape(attachment.shape)
    last = [f"{given};", shape] if shape else [given]
    head = render_field("Content-Type", "message/external-body; access-type=URL;", f'URL="{url}";', *last)
    _require_header(attachment.headers)
    return head + b"\r\n" + attachment.headers


def kept_headers(header: bytes) -> bytes:
    """The `headers` of an attachment whose part had this header, which ends with the empty line: all of them but the
    transfer encoding.

    Raises:
        Malformed, TooLarge: it is no header that can be kept so.
    """
    fields, _ = parse_fields(header, 0, len(header))
    kept = b"".join(header[each.start : each.end] for each in fields if each.name != "content-transfer-encoding")
    _require_header(kept)
    return kept


def _require_header(phantom: bytes) -> None:
    """Returns None when it is header lines and nothing else."""
    _, end = parse_fields(phantom + b"\r\n", 0, len(phantom) + 2)
    lines = phantom.split(b"\r\n")
    unclean = any(len(line) > MOST_LINE or set(line) & {0, 10, 13} for line in lines)
    if end != len(phantom) + 2 or lines[-1] or unclean:
        raise Malformed("attachment header")


def _phantom(attachment: Attachment, content_id: str) -> bytes:
    """The header of the restored part, made of the attachment's type and name."""
    media_type = attachment.media_type.lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise Malformed("media type")
    require_shown("filename", attachment.filename)
    shown = "application/octet-stream" if media_type.startswith(_COMPOSITE) else media_type
    named = ["attachment;", *_separated(render_parameter("filename", attachment.filename))]
    lines = [
        render_field("Content-Type", shown),
        render_field("Content-Disposition", *(named if attachment.filename else ["attachment"])),
        render_field("Content-ID", f"<{content_id}>"),
    ]
    return b"".join(lines)


def _separated(pieces: Iterator[str]) -> list[str]:
    held = list(pieces)
    return [f"{piece};" for piece in held[:-1]] + held[-1:]


def render_notice(attachments: Sequence[Attachment], link: str = "") -> bytes:
    """The part that says in plain words what belongs to the message and is not in it.

    With `link` it is for one recipient, whose mail service collects nothing: where they get the files by themselves.
    """
    count = "One file belongs" if len(attachments) == 1 else f"{len(attachments)} files belong"
    listed = [
        f"  {safe_filename(attachment.filename) or 'unnamed'} ({readable_size(attachment.size)})"
        for attachment in attachments
    ]
    text = [f"{count} to this message:", "", *listed, "", *(_linked(link) if link else _COLLECTED)]
    inline = render_field("Content-Disposition", "inline")
    return _text_part("\n".join(text), inline, render_field("RRS-Part", "notice"))


_COLLECTED = (
    "They are not inside it: your mail service collects its own copy from the",
    "sender's mail service and then shows them here as ordinary attachments.",
    "If they do not appear, ask your mail provider whether it can collect such",
    "attachments, or ask the sender to send them in another way.",
)


def _linked(link: str) -> list[str]:
    return [
        "They are not inside it, because they are too large for mail. Download them",
        "with this link, which is for you alone:", "", f"  {link}", "",
        "You need no account. The page sends a code to your address, and shows the",
        "files when you have entered it.",
    ]  # fmt: skip


def readable_size(size: int) -> str:
    """A number of bytes as a person reads it."""
    unit = 0
    amount = float(size)
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} bytes" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"
