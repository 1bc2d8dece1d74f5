"""Tests for rrsd.roles.rs.rules_links."""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.links import Link
from rrsd.roles.rs import rules_links as rules

ALICE, BOB = parse_address("alice@foo.test"), parse_address("bob@bar.test")


class Codes(SynchronousTestCase):
    """What people type."""

    @given(st.text())
    def test_form(self, name: str) -> None:
        """Eight characters that nobody confuses; shown in two groups and read back however they are typed."""
        code = rules.code_of(name.encode("utf-8", "replace").decode())
        self.assertRegex(code, r"\A[0-9A-HJKMNP-TV-Z]{8}\Z")
        shown = rules.shown_code(code)
        self.assertEqual(rules.normal_code(f" {shown.lower()} "), code)
        self.assertEqual(rules.normal_code(shown.replace("0", "o").replace("1", "l")), code)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever is typed becomes a few characters of ASCII, and stays the same when it is read again."""
        normal = rules.normal_code(text)
        self.assertTrue(re.fullmatch(r"[0-9A-Z]{0,64}", normal, re.ASCII), normal)
        self.assertEqual(rules.normal_code(normal), normal)

    def test_of_two_links(self) -> None:
        """What is kept of the same code differs from link to link."""
        one, other = (Link(digest_of(name), "m", ALICE, BOB, instant(1)) for name in (b"1", b"2"))
        self.assertNotEqual(rules.code_digest(one, "A" * 8), rules.code_digest(other, "A" * 8))


class Names(SynchronousTestCase):
    """Secrets and masks."""

    def test_secrets(self) -> None:
        """128 bits or more, in the form that is expected back."""
        secret = rules.secret_of("x")
        self.assertEqual(rules.require_key(secret), rules.key_of(secret))
        for text in ("", secret[1:], f"{secret}A", secret[1:] + "=", secret[1:] + "é", f"{secret}\n"):
            self.assertRaises(Unknown, rules.require_key, text)

    def test_mask(self) -> None:
        """Its owner knows it."""
        self.assertEqual(rules.masked(BOB), "b•••@bar.test")
