"""Messages that this daemon writes by itself: small, plain, and marked so that nobody answers (RFC 5322, RFC 3834)."""

import base64
import hashlib
import re
from collections.abc import Iterator

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice
from rrsd.core.wire.mime_fields import encode_words, render_date, render_field, require_shown

POSTMASTER = "postmaster"
MOST_NAMED = 900
"""Characters of a Message-ID that a message of ours names."""
_PLAIN = re.compile(r"[ -~]{0,78}")
_UNCLEAN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")
_REPORT = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,63}: [!-~][ -~]{0,900}\n|\n)*")
_LINE = 57
"""Bytes in one line of base64 (RFC 2045 6.8)."""


def render_notice_message(notice: Notice, domain: Domain, date: Instant) -> bytes:
    """The message that carries the notice; the same notice and date give the same bytes.

    Nobody answers it: it is from postmaster (RFC 2142 5) and says that a program wrote it (RFC 3834 5). One with a
    report is a delivery status notification (RFC 3464, in the multipart/report of RFC 6522).

    Raises:
        Malformed: the subject, the text or the report holds what a message of ours never has.
    """
    require_shown("Subject", notice.subject)
    if _UNCLEAN.search(notice.text):
        raise Malformed("notice text")
    name = hashlib.sha256(notice.key.encode("utf-8")).hexdigest()[:32]
    thread = f"<{notice.message_id}>" if notice.kind and 0 < len(notice.message_id) <= MOST_NAMED else ""
    return b"".join(
        [
            render_field("From", f"{POSTMASTER}@{domain}"),
            render_field("To", str(notice.recipient)),
            render_field("Subject", *encode_words(notice.subject)),
            render_field("Date", render_date(date)),
            render_field("Message-ID", f"<{name}@{domain}>"),
            *([render_field("In-Reply-To", thread), render_field("References", thread)] if thread else []),
            render_field("Auto-Submitted", "auto-replied" if notice.report else "auto-generated"),
            render_field("MIME-Version", "1.0"),
            *(_report(notice, f"=_{name}", thread) if notice.report else _text(notice.text)),
        ]
    )


def _text(text: str, boundary: str = "") -> Iterator[bytes]:
    encoding, body = _body(text, boundary)
    yield render_field("Content-Type", "text/plain; charset=utf-8")
    yield render_field("Content-Transfer-Encoding", encoding)
    yield b"\r\n"
    yield body


def _body(text: str, boundary: str) -> tuple[str, bytes]:
    lines = text.split("\n")
    is_safe = not boundary or boundary not in text
    if is_safe and all(_PLAIN.fullmatch(line) for line in lines):
        return "7bit", "".join(f"{line}\r\n" for line in lines).encode("ascii")
    data = "\r\n".join([*lines, ""]).encode("utf-8")
    rows = [base64.b64encode(data[at : at + _LINE]) for at in range(0, len(data), _LINE)]
    return "base64", b"".join(row + b"\r\n" for row in rows)


def _report(notice: Notice, boundary: str, thread: str) -> Iterator[bytes]:
    if not _REPORT.fullmatch(notice.report):
        raise Malformed("notice report")
    yield render_field(
        "Content-Type", "multipart/report; report-type=delivery-status;", f'boundary="{boundary}"'
    )  # fmt: skip
    delimiter = f"\r\n--{boundary}\r\n".encode("ascii")
    yield delimiter
    yield from _text(notice.text, boundary)
    yield delimiter
    yield render_field("Content-Type", "message/delivery-status")
    yield b"\r\n" + notice.report.replace("\n", "\r\n").encode("ascii")
    if thread:
        yield delimiter
        yield render_field("Content-Type", "text/rfc822-headers")
        yield b"\r\n" + render_field("Message-ID", thread)
    yield f"\r\n--{boundary}--\r\n".encode("ascii")
