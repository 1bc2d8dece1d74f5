"""Inputs as long as they may be, made of what a careless parser reads again and again."""

import json
from collections.abc import Sequence

from tests.core.wire.mime_cases import external

HEAD = 32768  # characters of a request's head, hence of any one header field
DOCUMENT = 65536  # bytes of a fetched document or of a form
MESSAGE = 1 << 20  # bytes of a message here; what is linear in this is so in the 32 MiB that are accepted


def long_texts(samples: Sequence[str], most: int) -> list[str]:
    """The samples repeated, and each with what separates, opens or pads repeated at its end and before its last."""
    found = []
    for sample in samples:
        found.append((sample * (most // max(1, len(sample))))[:most])
        for piece in (
            " ",
            "\t",
            ",",
            ";",
            "(",
            '"',
            "\\",
            "=",
            "a",
            "0",
            "/",
            ".",
            "%",
            "a.",
            "a,",
            "a=b;",
            "=?a?q?",
            "\r\n ",
        ):
            padding = piece * ((most - len(sample)) // len(piece))
            found += [sample + padding, sample[:-1] + padding + sample[-1:], padding + sample]
    return found


def long_jsons(most: int) -> list[bytes]:
    """JSON of that length: deep, wide, with long numbers, texts, names and escapes."""
    return [
        b"[" * most,
        b'{"a":' * (most // 5),
        b"[" * (most // 2) + b"]" * (most // 2),
        b'"' + b"a" * most,
        b'{"a":' + b"9" * (most - 10) + b"}",
        b'{"a":0.' + b"9" * (most - 12) + b"}",
        b'{"a":1e' + b"9" * (most - 10) + b"}",
        b'{"a":"' + b"\\u00e9" * (most // 6 - 2) + b'"}',
        b'{"a":"' + b"\\ud800" * (most // 6 - 2) + b'"}',
        json.dumps({f"{number}": 0 for number in range(most // 12)}).encode(),
        b" " * most,
        b'{"a":"' + b"\\" * (most - 8) + b'"}',
        b"[" + b"0," * (most // 2 - 2) + b"0]",
        b'{"":0,' * (most // 6),
        b"-" * most,
        b"[[]," * (most // 4),
    ]


def long_messages() -> list[bytes]:
    """Messages that are mostly one thing: fields, folds, parts, delimiters, comments, encoded words."""
    head = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\n"
    mixed = head + b"Content-Type: multipart/mixed; boundary=b1\r\n"
    part = b"--b1\r\n" + "\r\n".join(external("Content-Type: a/b", "")).encode() + b"\r\n"

    def filled(start: bytes, piece: bytes, end: bytes = b"") -> bytes:
        return start + piece * ((MESSAGE - len(start) - len(end)) // len(piece)) + end

    nested = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(1, 25)
    )
    return [
        filled(head, b"a:\r\n"),
        filled(head + b"Subject: ", b"\r\n a"),
        filled(head + b"Subject: ", b"=?utf-8?B?YQ==?=\r\n "),
        filled(head + b"Subject: ", b"=?a\r\n "),
        filled(head + b"Subject: =?utf-8?Q?a?=", b"\r\n  "),
        filled(head, b"\r\n"),
        filled(head + b"From: ", b'"\\\r\n '),
        filled(head + b"Date: ", b"\r\n "),
        filled(head + b"To: ", b"a,\r\n "),
        filled(head + b"Content-Type: multipart/mixed; boundary=", b"(\r\n "),
        filled(mixed + b"\r\n", part, b"--b1--\r\n"),
        filled(mixed + b"\r\n", b"--b1\r\n", b"--b1--\r\n"),
        filled(mixed + b"\r\n", b"--b1\r\n"),
        filled(mixed + b"\r\n", b"--b1" + b" " * 900 + b"x\r\n"),
        filled(mixed + b"\r\n--b1\r\n", b"a:\r\n", b"\r\n\r\n--b1--\r\n"),
        filled(mixed + b"\r\n" + nested, b"x\r\n"),
        filled(mixed + b"\r\n", b"--b1\r\na:\r\nb:\r\nc:\r\n\r\n", b"--b1--\r\n"),
        filled(mixed + b"\r\n", b"-"),
        filled(mixed + b"\r\n" + nested, b"--b1\r\n--b2\r\n--b3\r\n", b"--b1--\r\n"),
        filled(b"", b"\r\n"),
        filled(b"", b"a"),
        filled(head + b"X-Origin-Mailbox-Service-URL: https://", b"a.\r\n "),
        b"\r\n" * (MESSAGE // 2),
    ]
