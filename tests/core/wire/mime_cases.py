"""Placeholder messages for the tests of `rrsd.core.wire.mime`."""

from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.messages import Attachment, Outgoing, Placeholder, Restored
from rrsd.core.values.peers import parse_origin

ALICE = parse_address("alice@foo.test")
BOB = parse_address("bob@bar.test")
CAROL = parse_address("carol@bar.test")
RS = parse_origin("https://rs.foo.test")
DAY = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
FILM = Attachment(digest_of(b"film"), 4, RS, datetime(2026, 11, 27, 12, tzinfo=UTC), "video/mp4", "holiday.mp4", b"")
NOTE = Attachment(digest_of(b"note"), 4, RS, None, "text/plain", "", b"")
OUTGOING = Outgoing("1@foo.test", ALICE, (BOB,), "Holiday", "Hello", DAY, (FILM, NOTE), "b1")


def sent(**changes: Any) -> Outgoing:
    """A message with some of its content changed."""
    return evolve(OUTGOING, **changes)


def lines(*each: str) -> bytes:
    """The lines, each ended by CRLF."""
    return "".join(f"{line}\r\n" for line in each).encode()


def message(*body: str, content_type: str = "multipart/mixed; boundary=b1") -> bytes:
    """A message whose header ends before `body`."""
    head = ("From: alice@foo.test", "Message-ID: <1@foo.test>", f"Content-Type: {content_type}", "")
    return lines(*head, *body)


def external(*phantom: str, **changes: str) -> tuple[str, ...]:
    """The lines of an external body part; `changes` replace or, when empty, drop parameters."""
    parameters = {
        "access_type": "URL",
        "URL": f'"https://rs.foo.test/.well-known/ni/sha-256/{FILM.digest}"',
        "size": "4",
    } | changes
    given = "".join(f";\r\n {name.replace('_', '-')}={value}" for name, value in parameters.items() if value)
    return (f"Content-Type: message/external-body{given}", "", *phantom)


def prototype(*more: str, digest: str = str(FILM.digest), algorithm: str = "sha256") -> tuple[str, ...]:
    """The header lines of an external body as an earlier prototype writes it."""
    access = f'access-type="x-content-addressed-uri"; hash-algorithm="{algorithm}"; size="4"'
    return (f"Content-Type: message/external-body; {access}", f"Content-ID: <{digest}>", *more)


def restored(raw: bytes, placeholder: Placeholder) -> bytes:
    """The message with `[0]`, `[1]` … in place of the attachments."""
    return b"".join(
        b"[%d]" % step.index if isinstance(step, Restored) else raw[step.start : step.end] for step in placeholder.plan
    )
