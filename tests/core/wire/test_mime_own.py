"""Tests for rrsd.core.wire.mime_own: what other programs read in messages that we write."""

import email
import email.policy
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.instants import instant
from rrsd.core.values.notices import Notice
from rrsd.core.wire.mime_own import render_notice_message

NOW, FOO = instant(1_700_000_000), parse_domain("foo.test")
NOTICE = Notice("k", parse_address("bob@bar.test"), "The code", "Your code is\n\n    ABCD", NOW)


class Messages(SynchronousTestCase):
    """Small, plain, and for nobody to answer."""

    def test_plain(self) -> None:
        """Every line as it stands."""
        raw = render_notice_message(NOTICE, FOO, NOW)
        self.assertTrue(raw.endswith(b"\r\n\r\nYour code is\r\n\r\n    ABCD\r\n"))
        self.assertEqual(raw, render_notice_message(NOTICE, FOO, NOW))
        self.assertNotEqual(raw, render_notice_message(evolve(NOTICE, key="l"), FOO, NOW))
        message = email.message_from_bytes(raw, policy=email.policy.default)
        self.assertEqual(message["Auto-Submitted"], "auto-generated")
        self.assertEqual((message["From"], message["To"]), ("postmaster@foo.test", "bob@bar.test"))

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=300))
    def test_any_text(self, text: str) -> None:
        """Other programs read what we wrote; no line is longer than mail may have."""
        raw = render_notice_message(evolve(NOTICE, text=text), FOO, NOW)
        message = email.message_from_bytes(raw, policy=email.policy.default)
        self.assertEqual(message.get_content().replace("\r\n", "\n"), f"{text}\n")
        self.assertTrue(all(len(line) <= 78 for line in raw.split(b"\r\n")))

    def test_lines_that_would_be_headers(self) -> None:
        """A subject is one line, a text has no control characters."""
        for notice in (
            evolve(NOTICE, subject="x\r\nBcc: eve@evil.test"),
            evolve(NOTICE, text="x\r\n.\r\n"),
            evolve(NOTICE, text="x\0"),
            evolve(NOTICE, text="\ud800"),
        ):
            self.assertRaises(Malformed, render_notice_message, notice, FOO, NOW)


REPORT = "Reporting-MTA: dns; foo.test\n\nAction: failed\nStatus: 5.6.6\n"


class Reports(SynchronousTestCase):
    """For programs (RFC 3464)."""

    def test_parts(self) -> None:
        """Words, fields, and which message it is about."""
        notice = evolve(NOTICE, report=REPORT, kind="failed", message_id="1@bar.test")
        message: Any = email.message_from_bytes(render_notice_message(notice, FOO, NOW), policy=email.policy.default)
        self.assertEqual((message["In-Reply-To"], message["References"]), ("<1@bar.test>", "<1@bar.test>"))
        kinds = [part.get_content_type() for part in message.walk()]
        wanted = ["multipart/report", "text/plain", "message/delivery-status", "text/plain", "text/plain"]
        self.assertEqual(kinds, [*wanted, "text/rfc822-headers"])
        self.assertEqual(message.get_payload()[1].get_payload()[1]["Status"], "5.6.6")

    def test_without_a_name(self) -> None:
        """A Message-ID that no line can hold is left out."""
        for message_id in ("", "x" * 901):
            notice = evolve(NOTICE, report=REPORT, kind="failed", message_id=message_id)
            message = email.message_from_bytes(render_notice_message(notice, FOO, NOW), policy=email.policy.default)
            self.assertIsNone(message["References"])
            self.assertEqual(len(message.get_payload()), 2)

    def test_fields_that_are_none(self) -> None:
        """A report has fields and empty lines, of ASCII."""
        for report in ("Action", "Action:\n", "Action: x\ny\n", "--=_b: x\n", "Action: é\n", "Action: x\r\n"):
            self.assertRaises(Malformed, render_notice_message, evolve(NOTICE, report=report), FOO, NOW)
