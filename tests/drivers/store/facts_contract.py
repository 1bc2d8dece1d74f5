"""The contract of what has happened to the attachments of messages, and of the counts of notices."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.logger import capturedLogs

from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import ENDED, Change, State
from rrsd.core.values.notices import Notice, Plight, Said
from rrsd.drivers.store.sql import facts, notices, picking
from rrsd.drivers.store.sql.facts import AT_RISK, MOST_EXAMPLES
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, CAROL, NOW, job, later, message_of

DIGESTS = [digest_of(b"%d" % number) for number in range(30)]


class FactsContract(StoreCase):
    """What the store promises about them."""

    def come(self, parts: int, name: str = "m1", **changes: Any) -> list[int]:
        """A message with so many attachments is accepted."""
        jobs = [job(DIGESTS[index % len(DIGESTS)], index, message=name) for index in range(parts)]
        message = self.done(self.store.queue.accept(evolve(message_of(*jobs, name=name), **changes), jobs))
        assert message is not None
        return [part.job for part in message.parts]

    def change(self, number: int, state: State, event: str = "x", at: Instant = NOW) -> None:
        """The job becomes that."""
        given = self.done(self.store.queue.find(number))
        self.done(self.store.queue.change([Change(evolve(given, state=state), event, at, given.state)]))

    def due(self, at: Instant = NOW) -> Sequence[Plight]:
        """What has to be looked at."""
        return self.done(self.store.facts.due(at, 9))

    def test_nothing_is_looked_at_before_its_time(self) -> None:
        """One that has none is not looked at at all."""
        self.come(1)
        self.come(1, "m2", look=later(60), is_answerable=True)
        self.assertEqual(self.due(later(59)), [])
        self.assertEqual(self.done(self.store.facts.next_due()), later(60))
        (found,) = self.due(later(60))
        self.assertEqual((found.message, found.recipient, found.sender), ("m2", BOB, ALICE))
        self.assertEqual((found.parts, found.missing, found.failed, found.facts), (1, 1, 0, 0))
        self.assertEqual((found.is_answerable, found.said, found.received), (True, Said.NOTHING, NOW))
        self.assertEqual([(each.job.message, each.filename) for each in found.examples], [("m2", "0.mp4")])
        self.done(self.store.facts.looked(found, Said.RECIPIENT_DELAYED, later(120)))
        self.assertEqual(self.due(later(119)), [])
        (found,) = self.due(later(120))
        self.assertEqual(found.said, Said.RECIPIENT_DELAYED)
        self.done(self.store.facts.looked(found, found.said, None))
        self.assertIsNone(self.done(self.store.facts.next_due()))

    def test_what_ends_without_its_bytes_is_looked_at(self) -> None:
        """In the same transaction; what comes in is not, before something of its message was lost."""
        first, second, third = self.come(3)
        self.change(first, State.STORED)
        self.assertEqual(self.due(), [])
        self.change(second, State.DEFERRED)
        self.assertEqual(self.due(), [])
        self.change(second, State.EXPIRED)
        (found,) = self.due()
        self.assertEqual((found.parts, found.missing, found.failed, found.facts), (3, 1, 1, 1))
        self.done(self.store.facts.looked(found, Said.NOTHING, None))
        self.change(third, State.STORED, at=later(5))
        self.assertEqual(self.due(later(4)), [])
        (found,) = self.due(later(5))
        self.assertEqual((found.missing, found.failed, found.facts), (0, 1, 2))

    def test_every_end(self) -> None:
        """Whatever it is called; what was cancelled is counted by itself."""
        for index, state in enumerate(sorted(ENDED)):
            (number,) = self.come(1, f"m{index}")
            self.change(number, state)
        self.assertEqual(sorted((each.failed, each.cancelled) for each in self.due()), [(0, 1), (1, 0), (1, 0), (1, 0)])

    def test_at_risk(self) -> None:
        """The event alone, its state being what it was; what has ended is in no danger any more."""
        number, _ = self.come(2)
        given = self.done(self.store.queue.find(number))
        self.done(self.store.queue.change([Change(evolve(given, at_risk=NOW), AT_RISK, NOW, given.state)]))
        self.assertEqual([each.at_risk for each in self.due()], [NOW])
        self.change(number, State.FAILED)
        self.assertEqual([(each.at_risk, each.missing) for each in self.due()], [(None, 1)])

    def test_something_happened_meanwhile(self) -> None:
        """What was said is remembered, and it is looked at once more, in the same moment too."""
        first, second = self.come(2)
        self.change(first, State.FAILED)
        (found,) = self.due()
        self.change(second, State.FAILED)
        self.done(self.store.facts.looked(found, Said.SENDER_FAILED, None))
        (again,) = self.due()
        self.assertEqual((again.said, again.failed, again.facts), (Said.SENDER_FAILED, 2, 2))

    def test_begun_again(self) -> None:
        """A new pull in the place of one that was lost: what becomes of it may be said again, even where that begins
        while it is looked at."""
        (number,) = self.come(1)
        self.change(number, State.FAILED)
        (found,) = self.due()
        old = self.done(self.store.queue.find(number))
        fresh = evolve(old, job=0, state=State.NEW)
        number = self.done(self.store.books.requeue(old, fresh, NOW))
        self.done(self.store.facts.looked(found, Said.RECIPIENT_DELAYED | Said.RECIPIENT_FAILED, None))
        (again,) = self.due()
        self.assertEqual((again.said, again.missing), (Said.RECIPIENT_DELAYED | Said.BEGUN_AGAIN, 1))
        self.done(self.store.facts.looked(again, again.said, None))
        self.change(number, State.FAILED)
        self.assertEqual([(each.failed, each.said) for each in self.due()], [(1, again.said)])

    def test_few_examples(self) -> None:
        """The first of those that are not here; what was cancelled comes last."""
        numbers = self.come(25)
        self.change(numbers[0], State.CANCELLED)
        self.change(numbers[1], State.STORED)
        for number in numbers[3:]:
            self.change(number, State.FAILED)
        (found,) = self.due()
        self.assertEqual(len(found.examples), MOST_EXAMPLES)
        self.assertEqual([each.job.index for each in found.examples[:2]], [2, 3])
        self.assertEqual((found.missing, found.failed, found.cancelled), (1, 22, 1))

    def test_ten_thousand_attachments(self) -> None:
        """As many as a message may have, all late: counted, and twenty of them shown."""
        self.come(10_000, look=NOW)
        (found,) = self.due()
        self.assertEqual((found.parts, found.missing, len(found.examples)), (10_000, 10_000, MOST_EXAMPLES))

    def test_sender_that_proved_it(self) -> None:
        """And no other."""
        self.come(1, is_answerable=True)
        self.come(1, "m2")
        answerable = self.store.facts.answerable
        self.assertEqual([self.done(answerable(number)) for number in (1, 2, 3)], [ALICE, None, None])

    def test_damaged_job(self) -> None:
        """It is quarantined where its row is found to be damaged, and its message is looked at."""
        (number,) = self.come(1)
        self.spoil(f"UPDATE jobs SET accepted = 'x' WHERE job = {number}")
        with capturedLogs():
            self.assertEqual(self.leased(), [])
        (found,) = self.due()
        self.assertEqual((found.failed, found.missing, found.examples), (1, 0, ()))
        self.spoil(f"UPDATE jobs SET state = 'x' WHERE job = {number}")
        self.assertEqual(self.due()[0].failed, 1)

    def test_damaged_message_stopped_the_notices(self) -> None:
        """It is named in the log and looked at no more; those behind it are not held up."""
        for number, spoilt in enumerate(("recipient = x'00'", "said = 'x'", "received = 'x'")):
            self.come(1, f"m{number}", look=NOW)
            self.spoil(f"UPDATE messages SET {spoilt} WHERE message = 'm{number}'")
        self.come(1, "m9", look=NOW)
        with capturedLogs() as logs:
            self.assertEqual([each.message for each in self.due()], ["m9"])
        self.assertEqual(len(logs), 3)
        self.spoil("UPDATE messages SET look = 'x'")
        self.assertIsNone(self.done(self.store.facts.next_due()))
        self.assertEqual(self.due(), [])

    def test_nothing_is_scanned(self) -> None:
        """Every statement walks an index, whatever the length of the queue."""
        statements: list[tuple[str, tuple[object, ...]]] = [
            (facts._NOTE, (1, "[]")), (facts._NOTE_MORE, (1, "[]")), (facts._DUE, (1, 1)), (facts._NEXT, ()),
            (facts._LOOKED, (1, 1, 1, 1)), (facts._SAID, (1, 1)), (facts._BEGIN_AGAIN, ("a", "m")),
            (facts._STATES, (1,)), (facts._EXAMPLES, (1, 1)), (picking._LOOK, (1, 1)),
            (notices._HAS, ("k",)), (notices._TO_ONE, ("a", 1, 1)), (notices._TO_DOMAIN, ("a", 1, 1)),
        ]  # fmt: skip
        for statement, values in statements:
            rows = self.plan(statement, values)
            scanned = [row[3] for row in rows if row[3].startswith("SCAN") and "json_each" not in row[3]]
            self.assertEqual([each for each in scanned if "subquery" not in each], [], statement)

    def plan(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        """How SQLite would do it."""
        explained = f"EXPLAIN QUERY PLAN {statement}"
        work = self.store._engine.read(lambda connection: connection.execute(explained, values).fetchall())
        return list(self.done(work))

    def spoil(self, statement: str) -> None:
        """Damage rows."""
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(statement).rowcount))

    def test_notices_are_counted(self) -> None:
        """Those of a kind, by whom they go to and by domain, since then."""
        add, counted = self.store.outbox.add, self.store.outbox.counted
        base = Notice("a", BOB, "s", "t", later(60), sender=ALICE, kind="failed", about=3, report="Action: failed\n")
        for notice, at in (
            (base, NOW),
            (evolve(base, key="b", recipient=CAROL), later(9)),
            (evolve(base, key="c", kind=""), later(9)),
            (evolve(base, key="d", recipient=evolve(BOB, local="BOB")), later(9)),
            (evolve(base, key="e", sender=CAROL), later(9)),
        ):
            self.done(add(notice, at))
        self.assertEqual(self.done(counted(base, later(-1), 9)), (2, 4))
        self.assertEqual(self.done(counted(base, NOW, 9)), (1, 3))
        self.assertEqual(self.done(counted(base, later(-1), 1)), (1, 1))
        self.assertEqual(self.done(self.store.outbox.due(NOW, 1)), [evolve(base, made=NOW)])
        self.assertEqual([self.done(self.store.outbox.has(key)) for key in "af"], [True, False])
