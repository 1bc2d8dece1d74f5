"""Trouble on the way out: nothing lost, nothing doubled, whatever ends, stops or comes twice."""

from collections.abc import Mapping, Sequence

from attrs import define

from rrsd.core.refusals import NoSpace
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Envelope, Reply, Standing
from rrsd.core.values.instants import Instant
from rrsd.core.wire.mime import parse_placeholder
from rrsd.drivers.store.sql.grants import Grants
from rrsd.drivers.store.sql.passages import Passages
from rrsd.roles.mail.flow.parcel import Parcel
from tests.support.mailservers import HERE, Way
from tests.support.outgoing import FILM, HEADER, NEXT, OUT, OutCase, envelope_of, message, stuffed


class Trouble(OutCase):
    """Nothing lost, nothing doubled."""

    def delivered(self) -> list[str]:
        """Every recipient that was handed something, as often as that happened."""
        return sorted(each.path for envelope, _ in self.next.kept for each in envelope.recipients)

    def test_crash_between_groups(self) -> None:
        """What was done is not done again: only the rest is handed on by the retry."""
        self.elsewhere("plain.test")
        raw = message(FILM)
        both = ("bob@bar.test", "dave@plain.test")
        self.next.says = lambda envelope: [Reply(250 if envelope.recipients[0].path == both[0] else 451)]
        self.assertEqual(self.send(raw, *both), 451)
        self.assertEqual(self.delivered(), ["bob@bar.test"])
        self.next.says = lambda _: [Reply(250)]
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(len(self.delivered()), 2)

    def test_ledger_comes_first(self) -> None:
        """That a group has it is durable before the next group begins: a crash at any moment between costs nothing."""
        self.elsewhere("plain.test")
        order: list[str] = []
        note = Passages.note

        async def noted(ledger: Passages, message: Digest, recipients: Sequence[str], at: Instant) -> None:
            await note(ledger, message, recipients, at)
            order.append(f"noted {recipients[0]}")

        def says(envelope: Envelope) -> list[Reply]:
            order.append(f"handed on {envelope.recipients[0].path}")
            return [Reply(250)]

        self.patch(Passages, "note", noted)
        self.next.says = says
        self.assertEqual(self.send(message(FILM), "dave@plain.test", "bob@bar.test"), 250)
        expected = [f"{what} {who}" for who in ("bob@bar.test", "dave@plain.test") for what in ("handed on", "noted")]
        self.assertEqual(order, expected)

    def test_killed_between_groups(self) -> None:
        """The daemon dies after the first group; the one that comes after it hands on the rest only."""
        self.elsewhere("plain.test")
        raw, both = message(FILM), ("bob@bar.test", "dave@plain.test")

        def die(envelope: Envelope) -> list[Reply]:
            if len(self.next.kept) == 1:
                for wire in tuple(self.world.internet.wires):
                    wire.cut()
                return [Reply(451)]
            return [Reply(250)]

        self.next.says = die
        way = Way.to(self.world, OUT)
        way.say(envelope_of(*both) + stuffed(raw))
        self.assertEqual(self.delivered(), ["bob@bar.test"])
        self.next.says = lambda _: [Reply(250)]
        store = self.foo.store
        self.outbound().dispatch.ledger.passages = Passages(store._engine, store._now)
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(self.delivered(), list(both))

    def test_retry_after_discovery_has_changed(self) -> None:
        """A recipient that has a placeholder does not get the message too when its domain collects no more."""
        self.elsewhere("plain.test")
        self.next.says = lambda envelope: [Reply(250 if len(self.next.kept) == 0 else 451)]
        raw = message(FILM, FILM[:2000] + b"x")
        self.assertEqual(self.send(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.next.says = lambda _: [Reply(250)]
        outbound = self.outbound()
        self.patch(outbound, "domains", Nowhere())
        self.assertEqual(self.send(raw, "bob@bar.test", "dave@plain.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)

    def test_the_same_delivered_twice(self) -> None:
        """The same queue file goes out once; another message with the same attachment goes out, and is one blob."""
        for ident in ("4A", "4A", "4B"):
            self.assertEqual(self.send(message(FILM), "bob@bar.test", ident=ident), 250)
        self.assertEqual(len(self.next.kept), 2)
        self.assertEqual(len(self.grants()), 1)

    def test_without_attachments(self) -> None:
        """A large message is remembered too, and so is a small one."""
        for text in (b"x\r\n" * 400_000, b"x\r\n"):
            self.next.kept.clear()
            raw = HEADER.replace(b"multipart/mixed", b"text/plain") + b"\r\n" + text
            for _ in range(2):
                self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(len(self.next.kept), 1)
            self.assertEqual(self.kept()[1], raw)

    def test_the_same_at_the_same_time(self) -> None:
        """While a message is being handed on the same one has to wait."""
        self.world.internet.silent.add("127.0.0.1")
        raw = message(FILM)
        ways = [Way.to(self.world, OUT) for _ in range(2)]
        first = ways[0].say(envelope_of("bob@bar.test") + stuffed(raw))
        self.assertNotIn(451, first)
        self.assertEqual(ways[1].say(envelope_of("bob@bar.test") + stuffed(raw))[-1], 451)

    def test_discovery_is_down(self) -> None:
        """The message waits in the queue, others get theirs, and after the wait it goes out whole."""
        self.elsewhere("plain.test")
        raw = message(FILM)
        self.publish("bar.test")
        self.go_down("bar.test")
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.assertEqual(self.delivered(), ["dave@plain.test"])
        self.world.advance(200, 20)
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.world.advance(100, 20)
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)

    def test_discovery_comes_back(self) -> None:
        """Within the wait the placeholder goes out after all."""
        self.publish("bar.test")
        site = self.go_down("bar.test")
        self.assertEqual(self.later(message(FILM), "bob@bar.test"), 451)
        self.world.internet.listen("bar.test", 443, site)
        self.world.advance(60, 10)
        self.assertEqual(self.later(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)

    def test_full_disk(self) -> None:
        """452, and the message stays in the queue; nothing is left behind."""
        space = self.foo.store._space
        space._keep_free = 1 << 62
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 452)
        space._keep_free = 0
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test"])

    def test_full_ledger(self) -> None:
        """What was handed on and cannot be remembered is still done."""

        async def refuse(*_: object) -> None:
            raise NoSpace("ledger")

        self.patch(Passages, "note", refuse)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test"])

    def test_no_trail(self) -> None:
        """What cannot be written down is not sent."""
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(self.send(b"x\r\n", "bob@bar.test"), 451)
        self.assertEqual(self.next.kept, [])
        self.foo.trail.broken = None
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)

    def test_client_leaves_in_the_middle(self) -> None:
        """Of half a message nothing is sent, nothing granted, nothing left open."""
        way = Way.to(self.world, OUT)
        way.say(envelope_of("bob@bar.test") + stuffed(message(FILM))[:9000])
        way.cut()
        self.assertEqual((self.next.begun, self.next.kept, self.grants()), (0, [], []))
        files = self.foo.store._files
        self.assertEqual(getattr(files, "_open", None), {})

    def test_next_server_is_down(self) -> None:
        """451 for all of it; the blob and the grants are there for the retry."""
        listener = self.world.internet.listeners.pop((HERE, NEXT))
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(len(self.grants()), 1)
        self.world.internet.listeners[HERE, NEXT] = listener
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(len(self.grants()), 1)

    def test_next_server_refuses(self) -> None:
        """A permanent no is handed on, and what was granted is taken back, even if that fails."""
        self.next.says = lambda _: [Reply(552, "5.3.4", ("too big",))]
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 552)
        self.assertEqual(self.grants(), [])
        self.assertEqual([line["outcome"] for line in self.foo.trail.of("send")], ["granted", "refused"])

        async def refuse(*_: object) -> None:
            raise NoSpace("grants")

        self.patch(Grants, "take_back", refuse)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", ident="4B"), 552)
        self.assertEqual(len(self.grants()), 1)

    def test_blob_is_gone(self) -> None:
        """A blob that went while the message was looked at is no reason to bounce."""
        files = self.foo.store._files
        self.elsewhere("plain.test")

        def lose() -> None:
            for path in [path for path in files.nodes if path.endswith(digest_of(FILM).b64)]:  # type: ignore[attr-defined]
                files.unlink(path)

        parcel = Parcel.is_readable

        async def lost(given: Parcel) -> bool:
            lose()
            return await parcel(given)

        self.patch(Parcel, "is_readable", lost)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", "postmaster"), 451)
        self.patch(Parcel, "is_readable", parcel)

        async def first(*_: object) -> None:
            lose()

        self.patch(Grants, "add", first)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", "dave@plain.test", ident="4C"), 451)
        self.assertEqual(self.delivered(), ["bob@bar.test"])


@define
class Nowhere:
    """Domains of which none collects anything."""

    async def standings(self, domains: Sequence[Domain]) -> Mapping[Domain, Standing]:
        """None of them."""
        return dict.fromkeys(domains, Standing.DOES_NOT)
