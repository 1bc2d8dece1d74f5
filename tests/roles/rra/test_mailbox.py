"""A recipient reads their own mailbox: what is stored, what is arriving, and nothing of anybody else's."""

from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Forbidden, Unavailable, Unknown, Unproven, Unsatisfiable, Withdrawn
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from rrsd.core.values.messages import Arrival
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import Span, etag
from rrsd.roles.rra.mailbox import Posting, Reading, Wish, require_reader
from tests.roles.rra.mailboxes import (
    BOB,
    CAROL,
    DAY,
    FILM,
    NOTE,
    OPEN_END,
    RAW,
    File,
    FlowCase,
    Gateway,
    Transfer,
    World,
    collect,
)
from tests.roles.rra.samples import lease

WISH = Wish(BOB, "m1", 0, "token of bob")
TAG = etag(digest_of(FILM))
ACCESS = VerifiedAccess(parse_issuer("https://id.bar.test"), BOB, "cli", frozenset({"mail"}), DAY, "j1")


class Case(FlowCase):
    """A world with one message of two parts."""

    def setUp(self) -> None:
        """Nothing has arrived."""
        self.world = World()
        self.transfer = Transfer()

    def read(self, reading: Reading) -> bytes:
        """All of its bytes, which are there."""
        got: list[bytes] = []
        self.run_now(collect(reading.blocks, got))
        return b"".join(got)

    def part(self, **changes: Any) -> Reading:
        """The answer to a wish."""
        return self.run_now(self.world.reader.part(evolve(WISH, **changes)))

    def follow(self) -> tuple[list[bytes], Deferred[None]]:
        """What comes of the film while it arrives, and the end of it."""
        self.world.pulls.transfers[1] = self.transfer
        self.transfer.grow(FILM[:10])
        got: list[bytes] = []
        return got, Deferred.fromCoroutine(collect(self.part().blocks, got))


class Look(Case):
    """Messages."""

    def test_own_only(self) -> None:
        """A message of somebody else does not exist."""
        reader = self.world.reader
        self.assertEqual(self.run_now(reader.messages(BOB, None, 5)), self.world.box.kept)
        self.assertEqual(self.run_now(reader.messages(CAROL, None, 5)), [])
        self.assertEqual(self.run_now(reader.message(BOB, "m1")), self.world.box.kept[0])
        self.refuse_now(reader.message(CAROL, "m1"), Unknown)
        self.refuse_now(reader.part(evolve(WISH, recipient=CAROL)), Unknown)
        self.refuse_now(reader.raw(evolve(WISH, recipient=CAROL)), Unknown)


class Stored(Case):
    """A part that has arrived."""

    def setUp(self) -> None:
        """The film is here."""
        super().setUp()
        self.world.arrive(0)

    def test_whole(self) -> None:
        """All of it, verified, without waking anything."""
        reading = self.part()
        self.assertEqual((self.read(reading), reading.span, reading.verified), (FILM, Span(0, len(FILM)), True))
        self.assertEqual(self.world.pulls.hurried, [])

    def test_ranges(self) -> None:
        """One range, if it is of this resource; one outside is refused."""
        self.assertEqual(self.read(self.part(range="bytes=10-19")), FILM[10:20])
        self.assertEqual(self.read(self.part(range="bytes=-7", if_range=TAG)), FILM[-7:])
        self.assertEqual(self.read(self.part(range="bytes=10-19", if_range='"other"')), FILM)
        self.refuse_now(self.world.reader.part(evolve(WISH, range=f"bytes={len(FILM)}-")), Unsatisfiable)

    def test_unchanged(self) -> None:
        """Who has it gets no bytes."""
        reading = self.part(if_none_match=TAG)
        self.assertTrue(reading.unchanged and reading.blocks is None)
        self.assertFalse(self.part(if_none_match='"other"').unchanged)

    def test_no_such_part(self) -> None:
        """A number that no part has is unknown."""
        self.refuse_now(self.world.reader.part(evolve(WISH, index=2)), Unknown)


class Waiting(Case):
    """A part that has not arrived."""

    def test_hurried(self) -> None:
        """Asking makes it go first, with the reader's own token, and tells how far it is."""
        reading = self.part()
        self.assertIsNone(reading.blocks)
        self.assertEqual((reading.part.arrival, reading.verified), (Arrival.WAITING, False))
        self.assertEqual(self.world.pulls.hurried, [(1, "token of bob")])

    def test_head_wakes_nothing(self) -> None:
        """Asking for the head changes nothing."""
        self.assertIsNone(self.part(body=False, wait=timedelta(seconds=60)).blocks)
        self.assertEqual((self.world.pulls.hurried, self.world.clock.seconds()), ([], 0))

    def test_arrives_in_time(self) -> None:
        """A part that is stored while the reader waits is read from the store."""
        self.world.pulls.meanwhile = [lambda: None, lambda: self.world.arrive(0)]
        reading = self.part(wait=timedelta(seconds=60))
        self.assertEqual((self.read(reading), reading.verified), (FILM, True))

    def test_starts_in_time(self) -> None:
        """A part whose transfer starts while the reader waits is read as it arrives."""

        def start() -> None:
            self.world.pulls.transfers[1] = self.transfer

        self.transfer.partial = None
        self.world.pulls.meanwhile = [start, lambda: setattr(self.transfer, "partial", File(FILM))]
        self.assertFalse(self.part(wait=timedelta(seconds=60)).verified)

    def test_waits_no_longer(self) -> None:
        """The wait ends when its time is up, or when nothing moves."""
        self.assertIsNone(self.part(wait=timedelta(seconds=10)).blocks)
        self.assertEqual(self.world.clock.seconds(), 10)
        self.world.stop(0)
        self.assertIsNone(self.part(wait=timedelta(seconds=10)).blocks)
        self.assertEqual(self.world.clock.seconds(), 10)

    def test_never(self) -> None:
        """A part that will never arrive is gone, before and while somebody waits."""
        self.world.pulls.meanwhile = [lambda: self.world.box.arrive(0, Arrival.FAILED)]
        self.world.stop(0, State.FAILED)
        self.refuse_now(self.world.reader.part(evolve(WISH, wait=timedelta(seconds=1))), Withdrawn)
        self.refuse_now(self.world.reader.part(WISH), Withdrawn)

    def test_transfer_of_another_recipient(self) -> None:
        """Bytes on their way to somebody else are not shown to one whose own pull was not authorized."""
        self.world.pulls.transfers[1] = Transfer(lease=lease(recipient=CAROL), partial=File(FILM))
        self.assertIsNone(self.part(wait=timedelta(seconds=1)).blocks)


class Follow(Case):
    """A part that is arriving."""

    def test_as_it_comes(self) -> None:
        """Bytes are handed on as they are written; the last ones come from the store when the whole is verified."""
        got, end = self.follow()
        self.assertEqual(b"".join(got), FILM[:10])
        self.transfer.grow(FILM[10:100_000])
        self.assertEqual(b"".join(got), FILM[:100_000])
        self.world.pulls.meanwhile = [lambda: self.world.arrive(0)]
        self.transfer.grow(FILM[100_000:])
        self.successResultOf(end)
        self.assertEqual(b"".join(got), FILM)

    def test_stored_while_the_reader_is_slow(self) -> None:
        """When the transfer is over, the rest comes from the store."""
        got, end = self.follow()
        self.world.arrive(0)
        self.transfer.end(stored=True)
        self.successResultOf(end)
        self.assertEqual(b"".join(got), FILM)

    def test_file_taken_away(self) -> None:
        """A transfer without a file any more is waited for, not read."""
        got, end = self.follow()
        self.world.arrive(0)
        self.transfer.grow(FILM[10:20])
        self.transfer.partial = None
        self.transfer.end(stored=True)
        self.successResultOf(end)
        self.assertEqual(b"".join(got), FILM)

    def test_wrong_bytes_never_look_complete(self) -> None:
        """Bytes that turn out wrong at the end are cut off before the end."""
        got, end = self.follow()
        self.world.pulls.meanwhile = [lambda: self.world.stop(0, State.QUARANTINED)]
        self.transfer.grow(b"x" * (len(FILM) - 10))
        self.failureResultOf(end, Unavailable)
        self.assertEqual(sum(map(len, got)), OPEN_END)

    def test_transfer_fails(self) -> None:
        """A transfer that ends early cuts the answer off."""
        got, end = self.follow()
        self.world.stop(0)
        self.transfer.end(stored=False)
        self.failureResultOf(end, Unavailable)
        self.assertEqual(b"".join(got), FILM[:10])

    def test_begins_anew(self) -> None:
        """Bytes of two generations are never mixed."""
        got, end = self.follow()
        self.transfer.generation = 1
        self.transfer.grow(FILM[10:20])
        self.failureResultOf(end, Unavailable)
        self.assertEqual(b"".join(got), FILM[:10])

    def test_range_is_not_honoured(self) -> None:
        """Nobody can put a file together from ranges that nobody has verified."""
        self.world.pulls.transfers[1] = self.transfer
        reading = self.part(range="bytes=100-")
        self.assertEqual((reading.span, reading.verified), (Span(0, len(FILM)), False))

    def test_small_ones_are_verified_first(self) -> None:
        """Of a short resource nothing is sent before it was verified."""
        self.world.pulls.transfers[2] = Transfer(partial=File(NOTE))
        self.world.pulls.meanwhile = [lambda: self.world.arrive(1)]
        self.assertEqual(self.read(self.part(index=1)), NOTE)


class Raw(Case):
    """The complete message."""

    def test_waits_for_all(self) -> None:
        """Missing parts are hurried and waited for."""
        self.world.pulls.meanwhile = [lambda: self.world.arrive(0), lambda: self.world.arrive(1)]
        restoration = self.run_now(self.world.reader.raw(evolve(WISH, wait=timedelta(seconds=60))))
        self.assertGreater(restoration.size, len(FILM))
        self.assertEqual([number for number, _ in self.world.pulls.hurried], [1, 2])

    def test_not_in_time(self) -> None:
        """The wait is shared by all parts; then it is refused."""
        self.refuse_now(self.world.reader.raw(evolve(WISH, wait=timedelta(seconds=60))), Unavailable)
        self.assertEqual(self.world.clock.seconds(), 60)

    def test_complete_or_head(self) -> None:
        """Nothing is woken when all is here, or only the head is wanted."""
        self.refuse_now(self.world.reader.raw(evolve(WISH, body=False)), Unavailable)
        self.world.arrive(0)
        self.world.arrive(1)
        self.run_now(self.world.reader.raw(WISH))
        self.assertEqual(self.world.pulls.hurried, [])


class RequireReader(Case):
    """`require_reader`."""

    def test_scope(self) -> None:
        """A token for something else opens no mailbox."""
        require_reader(ACCESS, None)
        with self.assertRaises(Forbidden):
            require_reader(evolve(ACCESS, scope=frozenset({"openid"})), None)

    def test_stolen_bound_token(self) -> None:
        """A token that is bound to a certificate opens nothing without it (RFC 8705)."""
        bound = evolve(ACCESS, confirmation=digest_of(b"certificate"))
        require_reader(bound, digest_of(b"certificate"))
        for presented in (None, digest_of(b"another")):
            with self.assertRaises(Unproven):
                require_reader(bound, presented)


class Post(Case):
    """`Posting`."""

    def test_own_mailbox(self) -> None:
        """A user brings messages into their own mailbox, or to others."""
        gateway = Gateway()
        posting = Posting(gateway)
        self.assertEqual(len(self.run_now(posting.post(BOB, RAW, ()))), 1)
        self.run_now(posting.post(BOB, RAW, (BOB,)))
        self.run_now(posting.post(BOB, RAW, (CAROL,)))
        self.assertEqual(gateway.taken, [(RAW, (BOB,)), (RAW, (BOB,)), (RAW, (CAROL,))])
        self.assertEqual(gateway.authors, [BOB, BOB, BOB], "who brings it is known where it is judged")
