"""Small values: instants, fetches, settings keys."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant, seconds
from rrsd.core.values.jobs import Fetch
from rrsd.core.values.peers import ProvenPeer, parse_origin
from rrsd.core.values.resources import Checkpoint
from rrsd.core.values.settings import EXAMPLE, HELP, Size, key

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

    def test_s21_bodies_are_not_shown(self) -> None:
        """What a call or an answer carries never reaches a log by its repr."""
        peer = ProvenPeer(ORIGIN, "configured")
        self.assertNotIn("hunter2", repr(Call(peer, "POST", "/", (), b"password=hunter2")))
        self.assertNotIn("hunter2", repr(Answer(200, {}, b"hunter2")))

    def test_keys_say_what_they_are_for(self) -> None:
        """A settings key carries its line for conf/rrsd.ini and may be required."""
        size, name = attrs.fields_dict(_Settings)["size"], attrs.fields_dict(_Settings)["name"]
        self.assertEqual((size.metadata[HELP], size.default), ("How much.", 5))
        self.assertEqual((name.metadata[EXAMPLE], name.default), ("foo", attrs.NOTHING))

    def test_domains_print(self) -> None:
        """A domain reads as its name."""
        self.assertEqual(str(parse_domain("foo.test")), "foo.test")
