"""WebFinger questions and answers."""

import contextlib
from typing import Any
from urllib.parse import parse_qs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.wire.webfinger import (
    HASH_PROPERTY,
    ISSUER_REL,
    MOST_LINKS,
    MOST_RELS,
    PUBLIC_KEY_REL,
    Query,
    acct,
    client_acct,
    client_acct_literal,
    parse_issuer_link,
    parse_public_keys,
    parse_query,
    render_issuer,
    render_public_key,
)
from tests.core.signing import CLIENT, ISSUER

BOB = "acct:bob@bar.test"
KEY, NEXT = digest_of(b"key"), digest_of(b"next key")


class QueryTests(SynchronousTestCase):
    """What others ask."""

    def test_rfc7033_example(self) -> None:
        """The query of RFC 7033 3.1."""
        query = b"resource=acct%3Acarol%40example.com&rel=http%3A%2F%2Fopenid.net%2Fspecs%2Fconnect%2F1.0%2Fissuer"
        self.assertEqual(parse_query(parse_qs(query)), Query("acct:carol@example.com", (ISSUER_REL,)))
        self.assertEqual(parse_query({b"resource": [b"acct:x"]}).rels, ())

    def test_w08_no_resource_or_two(self) -> None:
        """No resource, two, an empty one, one that is no URI, other encodings and endless questions are refused."""
        for resources in (
            [],
            [b"acct:a@b.test"] * 2,
            [b""],
            [b"bob"],
            [b"acct:\xff"],
            [b"acct:a\n"],
            [b"acct:" + b"a" * 1024],
        ):
            self.assertRaises(Malformed, parse_query, {b"resource": resources})
        self.assertRaises(Malformed, parse_query, {})
        self.assertRaises(Malformed, parse_query, {b"resource": [b"acct:x"], b"rel": [b"x"] * (MOST_RELS + 1)})
        self.assertRaises(Malformed, parse_query, {b"resource": [b"acct:x"], b"rel": [b""]})

    @settings(derandomize=True, max_examples=100)
    @given(st.dictionaries(st.sampled_from([b"resource", b"rel"]), st.lists(st.binary(max_size=9), max_size=3)))
    def test_never_crashes(self, arguments: dict[bytes, list[bytes]]) -> None:
        """Any arguments are a question or `Malformed`."""
        with contextlib.suppress(Malformed):
            parse_query(arguments)


class NameTests(SynchronousTestCase):
    """acct URIs."""

    def test_addresses(self) -> None:
        """An address becomes an acct URI, letters that may not stand there encoded."""
        self.assertEqual(acct(parse_address("bob+x@bar.test")), "acct:bob+x@bar.test")
        self.assertEqual(acct("a/b#c?%{@bar.test"), "acct:a%2Fb%23c%3F%25%7B@bar.test")

    def test_clients(self) -> None:
        """A client has a name that is an acct URI, and one that earlier deployments use."""
        self.assertEqual(client_acct(CLIENT), "acct:_rra@bar.test")
        self.assertEqual(client_acct_literal(CLIENT), "acct:_rra.bar.test")


class IssuerLinkTests(SynchronousTestCase):
    """The issuer of a user."""

    def test_round_trip(self) -> None:
        """What is rendered parses to the same issuer, among stranger links too."""
        document = render_issuer(BOB, ISSUER)
        self.assertEqual(parse_issuer_link(document, BOB), ISSUER)
        document["links"].insert(0, {"rel": "http://evil.test/rel", "href": "https://evil.test"})
        self.assertEqual(parse_issuer_link(document, BOB), ISSUER)

    def test_f12_another_subject(self) -> None:
        """An answer about something else is refused, and so is one about nothing."""
        for change in ({"subject": "acct:eve@bar.test"}, {"subject": "acct:BOB@bar.test"}, {"subject": None}):
            self.assertRaises(Unproven, parse_issuer_link, render_issuer(BOB, ISSUER) | change, BOB)
        self.assertRaises(Unproven, parse_issuer_link, {"links": render_issuer(BOB, ISSUER)["links"]}, BOB)

    def test_f13_two_links(self) -> None:
        """Two links with the wanted rel are refused, also two equal ones; none is too."""
        link = {"rel": ISSUER_REL, "href": str(ISSUER)}
        for links in (
            [link, link],
            [link, link | {"href": "https://evil.test"}],
            [],
            [{"rel": "other"}],
            [{"rel": [ISSUER_REL]}],
        ):
            self.assertRaises(Unproven, parse_issuer_link, {"subject": BOB, "links": links}, BOB)

    def test_d02_links_to_no_issuer(self) -> None:
        """A link to http, to a user part or to nothing is refused."""
        for href in ("http://bar.test", "https://bar.test@evil.test", "https://bar.test/", None, 5):
            self.assertRaises(
                Malformed, parse_issuer_link, {"subject": BOB, "links": [{"rel": ISSUER_REL, "href": href}]}, BOB
            )

    def test_answers_that_are_none(self) -> None:
        """Links that are no list of objects, or endless, are refused."""
        cases: list[Any] = [{}, "x", ["x"], [None], [{}] * (MOST_LINKS + 1), None]
        for links in cases:
            self.assertRaises(Malformed, parse_issuer_link, {"subject": BOB, "links": links}, BOB)


class PublicKeyTests(SynchronousTestCase):
    """The keys of a client."""

    asked = client_acct(CLIENT)

    def test_round_trip(self) -> None:
        """What is rendered parses to the same hashes: none, one, or two while keys roll over."""
        for hashes in ((), (KEY,), (KEY, NEXT)):
            self.assertEqual(parse_public_keys(render_public_key(self.asked, hashes), self.asked), hashes)

    def test_property_of_the_subject(self) -> None:
        """The hash may be a property of the subject itself."""
        document = {"subject": self.asked, "properties": {HASH_PROPERTY: KEY.hex, "other": None}}
        self.assertEqual(parse_public_keys(document, self.asked), (KEY,))

    def test_o10_key_without_a_hash(self) -> None:
        """A key that is published in a way that is not read here is no absence: no weaker method may follow."""
        for properties in ({}, {"public-key/sha512": KEY.hex}):
            link = {"rel": PUBLIC_KEY_REL, "href": "https://bar.test/key", "properties": properties}
            document = {"subject": self.asked, "links": [link]}
            self.assertRaises(Malformed, parse_public_keys, document, self.asked)
            told = document | {"properties": {HASH_PROPERTY: KEY.hex}}
            self.assertEqual(parse_public_keys(told, self.asked), (KEY,))

    def test_f12_another_subject(self) -> None:
        """Keys of something else are refused."""
        self.assertRaises(Unproven, parse_public_keys, render_public_key(BOB, (KEY,)), self.asked)

    def test_hashes_that_are_none(self) -> None:
        """Base64, upper case and what is no text are refused; other rels are passed over."""
        for value in (KEY.b64, KEY.hex.upper(), None, 5, [KEY.hex]):
            link = {"rel": PUBLIC_KEY_REL, "properties": {HASH_PROPERTY: value}}
            self.assertRaises(Malformed, parse_public_keys, {"subject": self.asked, "links": [link]}, self.asked)
            self.assertEqual(parse_public_keys({"subject": self.asked, "links": [link | {"rel": "x"}]}, self.asked), ())
        self.assertRaises(Malformed, parse_public_keys, {"subject": self.asked, "properties": []}, self.asked)

    @settings(derandomize=True, max_examples=100)
    @given(
        st.recursive(
            st.none() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["links", "rel", "href", "properties", HASH_PROPERTY]), inner)
            ),
        )
    )
    def test_never_crashes(self, value: Any) -> None:
        """Any document is read or refused."""
        document = {"subject": BOB, "links": value, "properties": value}
        for parse in (parse_public_keys, parse_issuer_link):
            with contextlib.suppress(Malformed, Unproven):
                parse(document, BOB)
