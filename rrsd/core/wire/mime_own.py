"""Messages that this daemon writes by itself: small, plain, and marked so that nobody answers (RFC 5322, RFC 3834)."""

import base64
import hashlib
import re

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice
from rrsd.core.wire.mime_fields import encode_words, render_date, render_field, require_shown

POSTMASTER = "postmaster"
_PLAIN = re.compile(r"[ -~]{0,78}")
_UNCLEAN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")
_LINE = 57
"""Bytes in one line of base64 (RFC 2045 6.8)."""


def render_notice_message(notice: Notice, domain: Domain, date: Instant) -> bytes:
    """The message that carries the notice; the same notice and date give the same bytes.

    Nobody answers it: it is from postmaster (RFC 2142 5) and says that a program wrote it (RFC 3834 5).

    Raises:
        Malformed: the subject or the text holds what a message of ours never has.
    """
    require_shown("Subject", notice.subject)
    if _UNCLEAN.search(notice.text):
        raise Malformed("notice text")
    encoding, body = _body(notice.text)
    name = hashlib.sha256(notice.key.encode("utf-8")).hexdigest()[:32]
    return b"".join(
        [
            render_field("From", f"{POSTMASTER}@{domain}"),
            render_field("To", str(notice.recipient)),
            render_field("Subject", *encode_words(notice.subject)),
            render_field("Date", render_date(date)),
            render_field("Message-ID", f"<{name}@{domain}>"),
            render_field("Auto-Submitted", "auto-generated"),
            render_field("MIME-Version", "1.0"),
            render_field("Content-Type", "text/plain; charset=utf-8"),
            render_field("Content-Transfer-Encoding", encoding),
            b"\r\n",
            body,
        ]
    )


def _body(text: str) -> tuple[str, bytes]:
    lines = text.split("\n")
    if all(_PLAIN.fullmatch(line) for line in lines):
        return "7bit", "".join(f"{line}\r\n" for line in lines).encode("ascii")
    data = "\r\n".join([*lines, ""]).encode("utf-8")
    rows = [base64.b64encode(data[at : at + _LINE]) for at in range(0, len(data), _LINE)]
    return "base64", b"".join(row + b"\r\n" for row in rows)
