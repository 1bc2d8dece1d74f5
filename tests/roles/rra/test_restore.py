"""The complete message comes back, streamed, when everything in it has arrived for this recipient."""

import email

from attrs import evolve

from rrsd.core.refusals import TooLarge, Unavailable
from rrsd.core.values.digests import digest_of
from rrsd.core.values.messages import Arrival
from rrsd.roles.rra.restore import BLOCK, Restorer
from tests.core.wire.mime_cases import lines
from tests.roles.rra.mailboxes import FILM, NOTE, RAW, FlowCase, World, collect, message


class Restore(FlowCase):
    """`Restorer.restore`."""

    def setUp(self) -> None:
        """Both parts are here."""
        self.world = World()
        self.world.arrive(0)
        self.world.arrive(1)
        self.message = self.world.box.kept[0]

    def test_complete(self) -> None:
        """An independent parser finds every part with its bytes, and the size was right in advance."""
        restoration = self.run_now(self.world.restorer.restore(self.message))
        got: list[bytes] = []
        self.run_now(collect(restoration.blocks, got))
        whole = b"".join(got)
        self.assertEqual(len(whole), restoration.size)
        leaves = [part for part in email.message_from_bytes(whole).walk() if not part.is_multipart()]
        self.assertEqual([part.get_payload(decode=True) for part in leaves], [b"Hello", FILM, NOTE])
        self.assertEqual(leaves[1].get_filename(), "film.mp4")
        self.assertNotIn(b"RRS-Part", whole)

    def test_never_whole_in_memory(self) -> None:
        """It comes in blocks, the placeholder's own long runs too."""
        raw = lines("From: alice@foo.test", "", *["x" * 900] * 200)
        self.world.store.kept[digest_of(raw)] = raw
        plain = evolve(self.message, raw=digest_of(raw), raw_size=len(raw), parts=())
        restorer = Restorer(self.world.store, len(raw), 10)
        for each, most in ((plain, BLOCK), (self.message, 80_000)):
            got: list[bytes] = []
            self.run_now(collect(self.run_now(restorer.restore(each)).blocks, got))
            self.assertLessEqual(max(len(block) for block in got), most)
        self.assertEqual(b"".join(got).count(b"--b1--"), 1)

    def test_missing_part(self) -> None:
        """A part that has not arrived is a reason to come back later."""
        self.world.box.arrive(1, Arrival.WAITING)
        self.refuse_now(self.world.restorer.restore(self.world.box.kept[0]), Unavailable)

    def test_bytes_of_another_recipient(self) -> None:
        """That the bytes are in the store for somebody else gives this recipient nothing."""
        foreign = message(Arrival.STORED, Arrival.HELD)
        refused = self.refuse_now(self.world.restorer.restore(foreign), Unavailable)
        self.assertIn("number 1", refused.detail)
        self.refuse_now(self.world.restorer.restore(evolve(foreign, parts=())), Unavailable)

    def test_collected_bytes(self) -> None:
        """Bytes that have gone from the store are not promised."""
        del self.world.store.kept[digest_of(NOTE)]
        self.refuse_now(self.world.restorer.restore(self.message), Unavailable)

    def test_truer_size(self) -> None:
        """The announced size follows what is stored, whatever the placeholder says."""
        lying = RAW.replace(f"size={len(NOTE)}".encode(), b"size=7000")
        self.world.store.kept[digest_of(lying)] = lying
        restorer = Restorer(self.world.store, len(lying), 10)
        restoration = self.run_now(restorer.restore(evolve(self.message, raw=digest_of(lying), raw_size=len(lying))))
        got: list[bytes] = []
        self.run_now(collect(restoration.blocks, got))
        self.assertEqual(sum(map(len, got)), restoration.size)

    def test_limits(self) -> None:
        """A placeholder beyond the limit is not read."""
        self.refuse_now(Restorer(self.world.store, len(RAW) - 1, 10).restore(self.message), TooLarge)
