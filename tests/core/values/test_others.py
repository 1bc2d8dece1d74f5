"""Small values: instants, fetches, settings keys."""

import re

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant, seconds
from rrsd.core.values.jobs import Fetch, partial_name
from rrsd.core.values.logins import User
from rrsd.core.values.peers import ProvenPeer, parse_origin
from rrsd.core.values.resources import Checkpoint
from rrsd.core.values.settings import EXAMPLE, HELP, Size, key
from rrsd.core.values.tokens import ClaimedJws

ORIGIN = parse_origin("https://rs.foo.test")


@attrs.frozen
class _Settings:
    size: Size = key("How much.", Size(5))
    name: str = key("Which.", example="foo")


class ValueTests(SynchronousTestCase):
    """What values compute of themselves."""

    def test_instants_are_aware_and_whole(self) -> None:
        """Seconds of an instant are rounded down, before the epoch too."""
        self.assertEqual(seconds(instant(12.9)), 12)
        self.assertEqual(seconds(instant(-0.5)), -1)
        self.assertIsNotNone(instant(0).tzinfo)

    def test_offset_of_a_fetch(self) -> None:
        """The newest checkpoint says how many bytes are durable."""
        fresh = Fetch(ORIGIN, digest_of(b""))
        points = (Checkpoint(8, digest_of(b"1")), Checkpoint(16, digest_of(b"2")))
        self.assertEqual((fresh.offset, attrs.evolve(fresh, checkpoints=points).offset), (0, 16))

    def test_names_of_partial_files(self) -> None:
        """A fetch's file name differs by origin, digest and epoch, and is one harmless segment."""
        fetches = [Fetch(origin, digest_of(data), epoch) for origin in (ORIGIN, parse_origin("https://rs.bar.test"))
                   for data in (b"a", b"b") for epoch in (1, 2)]  # fmt: skip
        names = {partial_name(fetch) for fetch in fetches}
        self.assertEqual(len(names), len(fetches))
        self.assertTrue(all(re.fullmatch(r"[A-Za-z0-9_-]{43}\.[12]", name) for name in names))

    def test_s21_bodies_are_not_shown(self) -> None:
        """What a call or an answer carries never reaches a log by its repr."""
        peer = ProvenPeer(ORIGIN, "configured")
        self.assertNotIn("hunter2", repr(Call(peer, "POST", "/", (), b"password=hunter2")))
        self.assertNotIn("hunter2", repr(Answer(200, {}, b"hunter2")))

    def test_s21_credentials_are_not_shown(self) -> None:
        """Neither a password's hash nor a token that could be used again reaches a log by a repr."""
        user = User(parse_address("bob@bar.test"), "$argon2id$hunter2", False, instant(0))
        jws = ClaimedJws("a.b.hunter2", "ES256", "at+jwt", None, {}, b"a.b", b"hunter2")
        self.assertNotIn("hunter2", repr(user) + repr(jws))

    def test_keys_say_what_they_are_for(self) -> None:
        """A settings key carries its line for conf/rrsd.ini and may be required."""
        size, name = attrs.fields_dict(_Settings)["size"], attrs.fields_dict(_Settings)["name"]
        self.assertEqual((size.metadata[HELP], size.default), ("How much.", 5))
        self.assertEqual((name.metadata[EXAMPLE], name.default), ("foo", attrs.NOTHING))

    def test_domains_print(self) -> None:
        """A domain reads as its name."""
        self.assertEqual(str(parse_domain("foo.test")), "foo.test")
