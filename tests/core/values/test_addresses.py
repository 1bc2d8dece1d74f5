"""Names of domains, users and clients."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import (
    ClientIdentifier,
    parse_address,
    parse_client_identifier,
    parse_domain,
)

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAINS = st.builds(lambda first, top: f"{first}.{top}", LABEL, st.from_regex(r"[a-w]{2,8}", fullmatch=True))


class DomainTests(SynchronousTestCase):
    """Domains."""

    def test_canonical_form(self) -> None:
        """ASCII letters become lower case and U-labels A-labels."""
        self.assertEqual(str(parse_domain("Foo.TEST")), "foo.test")
        self.assertEqual(parse_domain("bücher.test").name, "xn--bcher-kva.test")

    def test_d07_address_literals_and_single_labels(self) -> None:
        """What no domain can own is refused: address literals in any spelling, single labels, empty labels."""
        for text in (
            "127.0.0.1", "::1", "[::1]", "2130706433", "0177.1", "0x7f.1", "1.0x7f", "localhost", "localhost.",
            "foo..test", ".test", "-a.test", "a-.test", "a_b.test", "", "  ", "a b.test", "foo.test\n",
            "a" * 64 + ".test", ".".join(["abcdefgh"] * 29), "foo.test:443", "1.2.3.4.5",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_domain, text)

    def test_d07_reserved_names_are_known(self) -> None:
        """Top labels that the public name space never delegates are told apart."""
        self.assertTrue(parse_domain("bar.local").is_reserved)
        self.assertFalse(parse_domain("bar.org").is_reserved)

    def test_d03_look_alike_letters(self) -> None:
        """Letters that other software folds into ASCII are refused, not folded."""
        for text in ("ba\u212a.test", "\ufb00oo.test", "\uff46oo.test", "foo\u3002test", "fo\u200bo.test"):
            self.assertRaises(Malformed, parse_domain, text)

    @settings(derandomize=True, max_examples=100)
    @given(DOMAINS)
    def test_round_trip(self, text: str) -> None:
        """A canonical name reads as itself."""
        self.assertEqual(str(parse_domain(text)), text)

    @settings(derandomize=True, max_examples=200)
    @given(st.text(max_size=30))
    def test_never_crashes(self, text: str) -> None:
        """Any text is a domain or `Malformed`, and a domain is ASCII."""
        for parse in (parse_domain, parse_address, parse_client_identifier):
            with contextlib.suppress(Malformed):
                self.assertTrue(str(parse(text)).isascii())


class AddressTests(SynchronousTestCase):
    """Mailboxes."""

    def test_d05_case_of_the_local_part(self) -> None:
        """Bob@ and bob@ are one principal; both spellings are kept."""
        self.assertEqual(parse_address("Bob@Bar.test"), parse_address("bob@bar.test"))
        self.assertEqual(hash(parse_address("Bob@bar.test")), hash(parse_address("bob@bar.test")))
        self.assertEqual(str(parse_address("Bob@Bar.test")), "Bob@bar.test")

    def test_no_folding(self) -> None:
        """Dots and plus tags make other principals."""
        self.assertNotEqual(parse_address("b.ob@bar.test"), parse_address("bob@bar.test"))
        self.assertNotEqual(parse_address("bob+x@bar.test"), parse_address("bob@bar.test"))

    def test_d03_addresses_that_are_none(self) -> None:
        """Only one dot-atom addr-spec is an address."""
        for text in (
            "bob@bar.com@evil.com", '"bob@bar.com"@evil.com', "bob@bar.com\0.evil.com", "bob@bar.com ", " bob@bar.com",
            "bob@", "@bar.com", "alice.baz.com", "bob@[127.0.0.1]", "b..ob@bar.com", ".bob@bar.com", "bob.@bar.com",
            '"bob"@bar.com', "bob(x)@bar.com", "Bob <bob@bar.com>", "böb@bar.com", "bob@bar.com\n",
            "a" * 65 + "@bar.com", "a" * 400, "a@" + "b" * 60 + ("." + "b" * 60) * 4,
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_address, text)


class ClientIdentifierTests(SynchronousTestCase):
    """Global client identifiers."""

    def test_split(self) -> None:
        """The first label is the OU, the rest the CN."""
        self.assertEqual(parse_client_identifier("_RRA.bar.test"), ClientIdentifier("_rra", parse_domain("bar.test")))
        self.assertEqual(str(parse_client_identifier("_rra.bar.test")), "_rra.bar.test")

    def test_c15_client_that_looks_like_a_user(self) -> None:
        """No client identifier is an address, and none is without a domain."""
        for text in (
            "bob@bar.test",
            "_rra",
            "_rra.test",
            "__rra.bar.test",
            "_rra-.bar.test",
            ".bar.test",
            "_rr\u212a.bar.test",
        ):
            self.assertRaises(Malformed, parse_client_identifier, text)
