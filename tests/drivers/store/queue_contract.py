"""The contract of the queue and the mailbox."""

from itertools import chain
from typing import Any

from attrs import evolve

from rrsd.core.refusals import Conflict, Unknown
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Adjustment, Ask, Blame, Breaker, Candidate, Change, Job, Priority, State
from rrsd.core.values.messages import Arrival
from rrsd.core.values.operations import Fault
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Checkpoint
from rrsd.drivers.store.sql import queue
from rrsd.roles.rra.selfcheck import LIVE
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, CAROL, NOW, OTHER_RS, RS, job, later, message_of, with_due

A, B, C = digest_of(b"a"), digest_of(b"b"), digest_of(b"c")


def ended(given: Job, state: State, **more: Any) -> Job:
    """The job in another state."""
    return evolve(given, state=state, **more)


class QueueContract(StoreCase):
    """What the queue and the mailbox promise."""

    def changed(self, given: Job, state: State, event: str = "x", receipt: bool = False, **more: Any) -> Job:
        """Change the job; as it is afterwards."""
        after = ended(given, state, **more)
        self.done(self.store.queue.change([Change(after, event, self.now, given.state, "why", receipt)]))
        return after

    def test_accept_gives_numbers(self) -> None:
        """An accepted message comes back with the numbers of its jobs, and each job can be found as it was given."""
        given = job(A), job(B, 1)
        numbers = self.accepted(*given)
        found = [self.done(self.store.queue.find(number)) for number in numbers]
        self.assertEqual(found, [evolve(each, job=number) for each, number in zip(given, numbers, strict=True)])

    def test_accept_twice(self) -> None:
        """A message that the recipient has already changes nothing."""
        self.assertFalse(self.done(self.store.queue.has(message_of(job(A)))))
        self.accepted(job(A))
        self.assertTrue(self.done(self.store.queue.has(message_of(job(A)))))
        self.assertIsNone(self.done(self.store.queue.accept(message_of(job(A)), [job(A)])))
        self.assertEqual(self.done(self.store.queue.counts()).by_state, {State.NEW: 1})

    def test_find_unknown(self) -> None:
        """A job that is not there is Unknown."""
        self.refused(Unknown, self.store.queue.find(7))

    def test_lease_writes_the_way(self) -> None:
        """A NEW job that is due passes READY on its way to LEASED, and the history says so."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        self.assertEqual((lease.job.state, lease.job.attempts, lease.job.epoch), (State.LEASED, 1, 1))
        self.assertEqual((lease.fetch.epoch, lease.fetch.offset), (1, 0))
        self.assertEqual(self.done(self.store.queue.find(number)), lease.job)
        rows = self.done(self.store.queue.history(number, 10))
        self.assertEqual(
            [(row.before, row.event, row.after) for row in rows],
            [(State.NEW, "due", State.READY), (State.READY, "leased", State.LEASED)],
        )

    def test_a_long_history_is_told_from_its_end(self) -> None:
        """Who has tried for weeks is judged by the last attempts, not by the first."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        self.changed(lease.job, State.DEFERRED, "deferred", due=later(60))
        rows = self.done(self.store.queue.history(number, 2))
        self.assertEqual([row.event for row in rows], ["leased", "deferred"])

    def test_a_damaged_line_of_a_history_hides_no_other(self) -> None:
        """Nor does it keep anybody from being told why the job waits."""
        (number,) = self.accepted(job(A))
        self.leased()
        spoil = "UPDATE history SET after = 'nonsense' WHERE event = 'due'"
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(spoil).rowcount))
        self.assertEqual([row.event for row in self.done(self.store.queue.history(number, 9))], ["leased"])

    def test_lease_waits_for_due(self) -> None:
        """A job that is not due yet, or waits for a condition only, is not leased."""
        self.accepted(with_due(job(A), 60), evolve(job(B, 1), due=None, condition="policy"))
        self.assertEqual(self.leased(), [])
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 9)), [])
        self.assertEqual(self.done(self.store.queue.next_due(NOW)), later(60))
        self.assertEqual(self.done(self.store.queue.eligible(later(60), 9)), [RS])

    def test_every_waiting_state_is_leased(self) -> None:
        """DEFERRED, NEEDS_AUTH, NO_SPACE and READY jobs that are due are leased like NEW ones; HELD ones never."""
        states = (State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE, State.READY, State.HELD)
        digests = [digest_of(bytes([n])) for n in range(len(states))]
        self.accepted(*(evolve(job(d, n), state=s) for n, (d, s) in enumerate(zip(digests, states, strict=True))))
        self.assertEqual([lease.job.index for lease in self.leased()], [0, 1, 2, 3])

    def test_lease_order(self) -> None:
        """Interactive jobs come first, then those that are due longest."""
        urgent = evolve(job(A, 0), priority=Priority.INTERACTIVE)
        bulk = evolve(with_due(job(digest_of(b"d"), 3), -90), priority=Priority.BULK)
        self.accepted(urgent, with_due(job(B, 1), -5), with_due(job(C, 2), -9), bulk)
        self.assertEqual([lease.job.index for lease in self.leased(3)], [0, 2, 1])
        self.assertEqual([lease.job.index for lease in self.leased(3)], [3])

    def test_one_lease_per_digest(self) -> None:
        """Never are two jobs with one digest leased, nor one whose digest is busy, however many wait before."""
        same = [job(A, n) for n in range(100)]
        self.accepted(*same, job(B, 100), job(C, 101))
        leases = self.done(self.store.queue.lease(RS, 5, NOW, frozenset({C})))
        self.assertEqual([lease.job.index for lease in leases], [0, 100])

    def test_lease_of_one_origin(self) -> None:
        """A lease asks for one origin and gets nothing of another."""
        self.accepted(job(A), job(B, 1, OTHER_RS))
        self.assertEqual(len(self.leased()), 1)
        self.assertEqual(self.looked(OTHER_RS), [1])
        self.assertEqual(self.looked(RS), [])

    def looked(self, origin: Origin, most: int = 9, known: frozenset[int] = frozenset()) -> list[int]:
        """The positions of what could run next of the origin."""
        (answer,) = self.done(self.store.queue.look([Ask(origin, most, known)], self.now))
        return [self.done(self.store.queue.find(each.job)).index for each in answer.candidates]

    def test_look(self) -> None:
        """Of every recipient some, longest due first, in the form that the picker needs; none that is known already."""
        numbers = self.accepted(*(with_due(job(digest_of(bytes([n])), n), n - 50) for n in range(30)))
        other = evolve(with_due(job(B, 30), -5), recipient=CAROL)
        self.done(self.store.queue.accept(evolve(message_of(other, name="m2"), recipient=CAROL), [other]))
        (answer,) = self.done(self.store.queue.look([Ask(RS, 8)], NOW))
        self.assertEqual([each.recipient for each in answer.candidates], [str(BOB)] * 4 + [str(CAROL)])
        self.assertTrue(answer.is_more)
        first = answer.candidates[0]
        whole = Candidate(
            numbers[0], RS, str(BOB), digest_of(b"\0"), 100, Priority.NORMAL, later(-50), later(7 * 86400)
        )
        self.assertEqual(first, whole)
        self.assertEqual(self.looked(RS, 8, frozenset(numbers[:4])), [4, 5, 6, 7, 30])

    def test_a_destination_is_looked_at_when_there_is_news(self) -> None:
        """Looked at, it is eligible again when a job is due, added or changed, or the daemon begins."""
        self.accepted(job(A), with_due(job(B, 1), 60))
        self.assertEqual(self.looked(RS), [0])
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 9)), [])
        self.assertEqual(self.done(self.store.queue.next_due(NOW)), later(60))
        self.done(self.store.queue.recover(NOW))
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 9)), [RS])
        self.looked(RS)
        self.accepted(job(C, 2, message="m2"), name="m2")
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 9)), [RS])
        self.assertEqual(self.looked(RS), [0, 2])

    def test_a_destination_without_jobs_is_forgotten(self) -> None:
        """When the last one has gone and that was noticed, nothing is left to look at."""
        self.accepted(job(A))
        (lease,) = self.leased()
        self.changed(lease.job, State.FAILED, due=None)
        self.assertEqual(self.looked(RS), [])
        self.assertIsNone(self.done(self.store.queue.next_due(NOW)))

    def test_put_off(self) -> None:
        """One row, whatever waits behind it: nothing is looked at before its time, or before somebody wakes it."""
        self.accepted(job(A), job(B, 1, OTHER_RS))
        self.done(self.store.queue.put_off([(RS, later(60))]))
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 9)), [OTHER_RS])
        self.assertEqual(self.done(self.store.queue.next_due(NOW)), later(60))
        self.done(self.store.queue.wake(NOW, RS, None))
        self.assertCountEqual(self.done(self.store.queue.eligible(NOW, 9)), [OTHER_RS, RS])

    def test_take(self) -> None:
        """What was chosen is leased as long as it waits and is due."""
        numbers = self.accepted(job(A), job(B, 1), with_due(job(C, 2), 60))
        leases = self.done(self.store.queue.take([numbers[1], numbers[2], 99], NOW, 0)).leases
        self.assertEqual([lease.job.index for lease in leases], [1])
        self.assertEqual(self.done(self.store.queue.take(numbers[:2], NOW, 0)).leases[0].job.index, 0)

    def test_probe(self) -> None:
        """The smallest goes first; of equal ones the one that ends first."""
        self.accepted(evolve(job(A), size=9), evolve(job(B, 1), size=5), evolve(job(C, 2), size=5, deadline=later(60)))
        order = []
        for _ in range(3):
            found = self.done(self.store.queue.probe(RS, NOW, frozenset()))
            order += [each.job.index for each in self.done(self.store.queue.take(found, NOW, 0)).leases]
        self.assertEqual(order, [2, 1, 0])
        self.assertEqual(self.done(self.store.queue.probe(RS, NOW, frozenset())), [])

    def test_change_with_history(self) -> None:
        """A change writes the job and the row that explains it."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        after = self.changed(
            lease.job, State.DEFERRED, "deferred", due=later(30), retries=1, blame=Blame.DESTINATION, evidence="reset"
        )
        self.assertEqual(self.done(self.store.queue.find(number)), after)
        row = self.done(self.store.queue.history(number, 10))[-1]
        self.assertEqual(
            (row.before, row.after, row.event, row.evidence), (State.LEASED, State.DEFERRED, "deferred", "why")
        )

    def test_change_is_fenced(self) -> None:
        """A change of a job that another lease holds, or that is in another state, is a Conflict and writes nothing."""
        self.accepted(job(A), job(B, 1))
        first, second = self.leased()
        self.changed(first.job, State.READY, due=NOW)
        (again,) = self.leased()
        late = Change(ended(first.job, State.FAILED), "failed", NOW, State.LEASED)
        fine = Change(ended(second.job, State.FAILED), "failed", NOW, State.LEASED)
        self.refused(Conflict, self.store.queue.change([fine, late]))
        self.assertEqual(self.done(self.store.queue.find(again.job.job)).state, State.LEASED)
        self.assertEqual(self.done(self.store.queue.find(second.job.job)).state, State.LEASED)

    def test_recover(self) -> None:
        """After a restart every LEASED job is READY and due, and its checkpoints are kept."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        self.done(self.store.queue.checkpoint(lease, '"v"', Checkpoint(50, B)))
        self.assertEqual(self.done(self.store.queue.recover(later(5))), 1)
        found = self.done(self.store.queue.find(number))
        self.assertEqual((found.state, found.due), (State.READY, later(5)))
        self.now = later(5)
        (again,) = self.leased()
        self.assertEqual((again.fetch.checkpoints, again.fetch.validator), ((Checkpoint(50, B),), '"v"'))
        self.assertEqual(self.done(self.store.queue.history(number, 10))[2].event, "restarted")

    def test_checkpoints_are_fenced(self) -> None:
        """A checkpoint, a rewind or a forgetting of an epoch that is over is a Conflict."""
        self.accepted(job(A))
        (lease,) = self.leased()
        self.done(self.store.queue.recover(NOW))
        self.leased()
        self.refused(Conflict, self.store.queue.checkpoint(lease, "", Checkpoint(50, B)))
        self.refused(Conflict, self.store.queue.rewind(lease, 0))
        self.refused(Conflict, self.store.queue.forget(lease))

    def test_rewind_and_forget(self) -> None:
        """A rewind drops the checkpoints beyond an offset; forgetting drops all of them and the validator."""
        self.accepted(job(A))
        (lease,) = self.leased()
        for offset in (10, 20, 30):
            self.done(self.store.queue.checkpoint(lease, '"v"', Checkpoint(offset, B)))
        self.done(self.store.queue.rewind(lease, 20))
        fetch = self.done(self.store.queue.fetch(RS, A))
        self.assertEqual(([point.offset for point in fetch.checkpoints], fetch.validator), ([10, 20], '"v"'))
        self.done(self.store.queue.forget(lease))
        fetch = self.done(self.store.queue.fetch(RS, A))
        self.assertEqual((fetch.checkpoints, fetch.validator, fetch.epoch), ((), "", 1))

    def test_change_forgets(self) -> None:
        """A change that says so drops the fetch's checkpoints in its own transaction."""
        self.accepted(job(A))
        (lease,) = self.leased()
        self.done(self.store.queue.checkpoint(lease, '"v"', Checkpoint(10, B)))
        change = Change(ended(lease.job, State.READY, due=NOW), "x", NOW, State.LEASED, forget=True)
        self.done(self.store.queue.change([change]))
        self.assertEqual(self.done(self.store.queue.fetch(RS, A)).checkpoints, ())

    def test_new_fetch(self) -> None:
        """A transfer that nobody began is a new one."""
        self.assertEqual(self.done(self.store.queue.fetch(RS, A)).epoch, 0)

    def test_jobs_by_number(self) -> None:
        """Jobs are listed by number, after a number, by state and by origin."""
        first, second, third = self.accepted(job(A), job(B, 1, OTHER_RS), evolve(job(C, 2), state=State.HELD))
        queue = self.store.queue

        def numbers(*asked: object) -> list[int]:
            return [each.job for each in self.done(queue.jobs(*asked))]  # type: ignore[arg-type]

        self.assertEqual(numbers(None, None, 0, 2), [first, second])
        self.assertEqual(numbers(None, None, second, 9), [third])
        self.assertEqual(numbers(State.HELD, None, 0, 9), [third])
        self.assertEqual(numbers(None, OTHER_RS, 0, 9), [second])
        self.assertEqual(numbers(State.NEW, RS, 0, 9), [first])

    def test_counts(self) -> None:
        """The counts name every state that has jobs and the bytes that are still to come."""
        self.accepted(job(A), job(B, 1), evolve(job(C, 2), state=State.FAILED))
        counts = self.done(self.store.queue.counts())
        self.assertEqual(counts.by_state, {State.NEW: 2, State.FAILED: 1})
        self.assertEqual(counts.bytes_waiting, 200)

    def test_adrift(self) -> None:
        """The self-check finds a job that waits for neither a time nor a condition, and no terminal one."""
        lost = evolve(job(A), due=None)
        fine = evolve(job(C, 2), state=State.DEFERRED, due=None, condition="destination")
        over = evolve(job(C, 3), state=State.FAILED, due=None)
        numbers = self.accepted(lost, fine, over)
        looks = [self.done(self.store.checks.rows(state, 0)).found for state in LIVE]
        self.assertEqual([(each.fault, each.job) for each in chain(*looks)], [(Fault.LOST, numbers[0])])

    def test_wake(self) -> None:
        """A wake-up makes the waiting jobs of its origin or condition READY, and no others."""
        far = later(999)
        first, second, third, fourth = self.accepted(
            evolve(job(A), state=State.DEFERRED, due=far, condition="destination"),
            evolve(job(B, 1, OTHER_RS), state=State.NEEDS_AUTH, due=far, condition="authorization"),
            evolve(job(C, 2), state=State.NO_SPACE, due=far, condition="space"),
            evolve(job(C, 3), state=State.HELD, due=None, condition="space"),
        )
        self.assertEqual(self.done(self.store.queue.wake(NOW, None, "space")), 1)
        self.assertEqual(self.done(self.store.queue.wake(NOW, OTHER_RS, None)), 1)
        self.assertEqual(self.done(self.store.queue.wake(NOW, RS, "authorization")), 0)
        states = [self.done(self.store.queue.find(number)) for number in (first, second, third, fourth)]
        self.assertEqual(
            [(each.state, each.due) for each in states],
            [(State.DEFERRED, far), (State.READY, NOW), (State.READY, NOW), (State.HELD, None)],
        )
        self.assertEqual([row.event for row in self.done(self.store.queue.history(second, 9))], ["woken"])
        self.assertEqual(self.done(self.store.queue.wake(NOW, None, None)), 1)

    def test_wake_of_many(self) -> None:
        """A change of trust may be about as many as the queue is long: they are read and woken a page at a time."""
        self.patch(queue, "_WAKE_AT_ONCE", 2)
        waits = evolve(job(A), due=later(999), condition="authorization")
        states = [State.DEFERRED] * 2 + [State.NEEDS_AUTH] * 5 + [State.NO_SPACE]
        numbers = self.accepted(
            *[evolve(waits, digest=digest_of(b"%d" % n), index=n, state=state) for n, state in enumerate(states)]
        )
        self.assertEqual(self.done(self.store.queue.wake(NOW, None, "authorization")), 8)
        self.assertEqual({self.done(self.store.queue.find(number)).state for number in numbers}, {State.READY})

    def test_a_damaged_destination_among_many_hides_none_behind_it(self) -> None:
        """A page is as full as it would be without it, so that nobody takes it for the last one."""
        origins = [Origin(parse_domain(f"rs{n}.foo.test")) for n in range(4)]
        self.accepted(*[evolve(job(digest_of(b"%d" % n), n), origin=origin) for n, origin in enumerate(origins)])
        spoil = "UPDATE destinations SET origin = 'https://rs0.foo.test:x' WHERE origin = 'https://rs0.foo.test'"
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(spoil).rowcount))
        self.assertEqual(self.done(self.store.queue.eligible(NOW, 3)), origins[1:])

    def test_breakers(self) -> None:
        """A breaker is remembered by kind and name, the last word counting."""
        breaker = Breaker("https://rs.foo.test", 3, 1, NOW, later(60), 2, 1, "down")
        self.done(self.store.queue.save_breaker("destination", Breaker(breaker.name)))
        self.done(self.store.queue.save_breaker("destination", breaker))
        self.assertEqual(self.done(self.store.queue.breakers("destination")), [breaker])
        self.assertEqual(self.done(self.store.queue.breakers("issuer")), [])

    def test_adjustments(self) -> None:
        """The newest changes of each breaker are kept with their reasons, and what a breaker learned."""
        learned = Breaker("d", ceiling=5, patience=8)
        for number in range(30):
            change = Adjustment("destination", "d", later(number), "lowered", 6, 5, later(60), f"reason {number}")
            self.done(self.store.queue.save_breaker("destination", learned, change))
        other = Adjustment("issuer", "sts", NOW, "opened", 4, 4, None, "down")
        self.done(self.store.queue.save_breaker("issuer", Breaker("sts"), other))
        self.assertEqual(self.done(self.store.queue.breakers("destination")), [learned])
        kept = self.done(self.store.queue.adjustments("d", 50))
        self.assertEqual([each.reason for each in kept], [f"reason {number}" for number in range(29, 9, -1)])
        self.assertEqual((kept[0].at, kept[0].until), (later(29), later(60)))
        self.assertEqual(self.done(self.store.queue.adjustments("", 2)), [other, kept[0]])

    def test_outbox(self) -> None:
        """A stored job owes a receipt until it is acknowledged; trying again keeps its identifier."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        self.changed(lease.job, State.STORED, "stored", receipt=True, stored=NOW, due=None)
        (owed,) = self.done(self.store.queue.receipts_due(NOW, 5))
        self.assertEqual(
            (owed.job, owed.origin, owed.recipient, owed.digest, owed.size, owed.stored, owed.message_id, owed.tries),
            (number, RS, BOB, A, 100, NOW, "<m1@foo.test>", 0),
        )
        self.done(self.store.queue.receipts_deferred([evolve(owed, tries=1, due=later(60))], "no", NOW))
        self.assertEqual(self.done(self.store.queue.receipts_due(NOW, 5)), [])
        self.assertEqual(self.done(self.store.queue.next_receipt()), later(60))
        (again,) = self.done(self.store.queue.receipts_due(later(60), 5))
        self.assertEqual((again.jti, again.tries), (owed.jti, 1))
        self.done(self.store.queue.receipts_sent([number, number], later(61)))
        self.assertEqual(self.done(self.store.queue.find(number)).state, State.RECEIPTED)
        self.assertIsNone(self.done(self.store.queue.next_receipt()))
        rows = self.done(self.store.queue.history(number, 10))
        self.assertEqual([row.event for row in rows].count("receipted"), 1)

    def test_receipt_for_an_extension(self) -> None:
        """What was granted to bob+news is bob's, and its receipt names bob+news."""
        news = parse_address("bob+news@bar.test")
        (number,) = self.accepted(evolve(job(A), granted=news))
        (lease,) = self.leased()
        self.assertEqual((lease.job.recipient, lease.job.subject), (BOB, news))
        self.changed(lease.job, State.STORED, "stored", receipt=True, stored=NOW, due=None)
        (owed,) = self.done(self.store.queue.receipts_due(NOW, 5))
        self.assertEqual((owed.job, owed.recipient), (number, news))

    def test_mailbox(self) -> None:
        """A mailbox shows messages newest first, each part with how far it has come and why it waits."""
        self.accepted(job(A), evolve(job(B, 1), state=State.HELD, condition="policy", evidence="not ours"))
        newer = evolve(message_of(name="m2"), received=later(9))
        self.done(self.store.queue.accept(newer, []))
        (lease,) = self.leased()
        self.done(self.store.queue.checkpoint(lease, "", Checkpoint(40, C)))
        found = self.done(self.store.mailbox.messages(BOB, None, 9))
        self.assertEqual([message.message for message in found], ["m2", "m1"])
        self.assertEqual(
            [(part.arrival, part.done, part.explanation) for part in found[1].parts],
            [(Arrival.ARRIVING, 40, ""), (Arrival.HELD, 0, "policy: not ours")],
        )
        older = self.done(self.store.mailbox.messages(BOB, later(9), 9))
        self.assertEqual([message.message for message in older], ["m1"])
        self.changed(lease.job, State.STORED, stored=NOW)
        part = self.done(self.store.mailbox.message(BOB, "m1")).parts[0]
        self.assertEqual((part.arrival, part.done, part.filename), (Arrival.STORED, 100, "0.mp4"))

    def test_mailbox_is_private(self) -> None:
        """Another recipient's message is Unknown, as one that is not there."""
        self.accepted(job(A))
        self.refused(Unknown, self.store.mailbox.message(CAROL, "m1"))
        self.refused(Unknown, self.store.mailbox.message(BOB, "m2"))
        self.assertEqual(self.done(self.store.mailbox.messages(ALICE, None, 9)), [])

    def test_part_without_job(self) -> None:
        """A part that nothing brings keeps the arrival and the explanation that it came with."""
        message = message_of(job(A))
        part = evolve(message.parts[0], arrival=Arrival.FAILED, explanation="no such origin")
        self.done(self.store.queue.accept(evolve(message, parts=(part,)), []))
        self.assertEqual(self.done(self.store.mailbox.message(BOB, "m1")).parts, (part,))
