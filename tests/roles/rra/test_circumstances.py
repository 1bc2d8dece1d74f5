"""What surrounds a pull, as `explain` and `shape` say it."""

from datetime import timedelta

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.values.jobs import Breaker, Change, State
from rrsd.roles.rra import circumstances
from rrsd.roles.rra.circumstances import CRASHED
from rrsd.roles.rra.explain import Explanation
from rrsd.runtime.awaits import deferred_of
from tests.roles.rra.operators import Case
from tests.roles.rra.peers import OTHER, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import Gate, files


class Looking(Case):
    """What surrounds a job."""

    def test_whichever_share_is_used_up_is_named(self) -> None:
        """The house, the destination, the recipient."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(50))
        self.desk.start()
        said = self.desk.result(self.operations.explain(50))
        self.assertEqual(said.waits_for, ("slot",))
        self.assertIn("all the transfers", said.sentence)
        sentences = {number: self.desk.result(self.operations.explain(number)).sentence for number in range(1, 51)}
        pulled = [number for number, sentence in sentences.items() if "is being pulled" in sentence]
        self.assertEqual(pulled, [each.lease.job.job for each in self.desk.scheduler.puller.transfers.all()])
        self.assertIn("one of the next", sentences[pulled[-1] + 1])
        self.patch(self.desk.scheduler.house, "active", 4)
        self.assertIn("All slots", self.desk.result(self.operations.explain(50)).sentence)
        self.patch(self.desk.scheduler.house, "active", 400)
        self.patch(self.desk.scheduler.house, "per_recipient", 1)
        self.desk.accept(b"other", name="m2", origin=OTHER, due=self.desk.timers.now())
        self.assertIn("one recipient", self.desk.result(self.operations.explain(51)).sentence)

    def test_what_could_not_be_stored_holds_everything_back(self) -> None:
        """This host is named, and until when."""
        self.desk.accept(b"one")
        self.desk.health.pause()
        said = self.desk.result(self.operations.explain(1))
        self.assertEqual((said.waits_for, said.blame), (("host",), "this host"))
        self.desk.advance(31)
        self.assertNotIn("host", self.desk.result(self.operations.explain(1)).waits_for)

    def test_after_the_clock_was_set_back_the_token_service_is_not_said_to_keep_anybody_waiting(self) -> None:
        """A breaker that would be closed for a day keeps nobody back, and `explain` says no other than is done."""
        tomorrow = self.desk.timers.now() + timedelta(days=1)
        self.desk.result(self.desk.store.queue.save_breaker("issuer", Breaker("sts", 1, not_before=tomorrow)))
        self.desk.accept(b"one")
        self.desk.result(self.desk.health.recall())
        self.assertIsNone(self.desk.health.held_back(self.desk.timers.now()))
        self.assertNotIn("token service of our own domain does not answer, and",
                         self.desk.result(self.operations.explain(1)).sentence)  # fmt: skip

    def test_a_transfer_has_an_end_in_sight(self) -> None:
        """From its own speed; and the last attempts are told, newest first."""
        self.peers.always("GET", RS, served(b"z" * 2_000_000, still=1_000_000))
        self.desk.accept(b"z" * 2_000_000)
        self.desk.start()
        self.desk.advance(5)
        facts = self.call("GET", "/pulls/1/explain")["facts"]
        self.assertEqual((facts["waits_for"], facts["state"]), (["attempt"], "leased"))
        self.assertIsNotNone(facts["eta"])
        self.desk.accept(b"gone", name="m2")
        for each in range(7):
            before = self.desk.job(2)
            now = self.desk.timers.now()
            leased = evolve(before, state=State.LEASED)
            self.desk.result(self.desk.store.queue.change([Change(leased, "leased", now, before.state)]))
            after = evolve(before, state=State.DEFERRED, due=now + timedelta(days=1))
            row = Change(after, "deferred", now, State.LEASED, f"attempt {each}")
            self.desk.result(self.desk.store.queue.change([row]))
        attempts = self.call("GET", "/pulls/2/explain")["facts"]["attempts"]
        self.assertEqual([each["evidence"] for each in attempts], [f"attempt {each}" for each in (6, 5, 4, 3, 2)])

    def said(self, number: int = 1) -> Explanation:
        """What is said of the pull; nothing of it contradicts the facts."""
        self.assertEqual(self.desk.result(self.operations.circumstances.check(number)), "")
        return self.desk.result(self.operations.explain(number))

    def test_a_stall_was_an_average_that_grew(self) -> None:
        """Ten seconds without a byte are said, with the end of the attempt; bytes that come end that."""
        body = served(b"z" * 2_000_000, still=1_000_000)
        self.peers.always("GET", RS, body)
        self.desk.accept(b"z" * 2_000_000)
        self.desk.start()
        self.desk.advance(12)
        said = self.said()
        self.assertEqual((said.waits_for, said.eta), (("attempt", "stall"), None))
        self.assertRegex(
            said.sentence, "Nothing has come for 12 seconds; if it stays so, this attempt ends within 4[78]"
        )
        body.held = 4096
        self.desk.advance(1)
        self.assertEqual((self.said().waits_for, self.said().eta is None), (("attempt",), False))

    def test_behind_a_pause_a_slot_was_named_that_nobody_has(self) -> None:
        """Pause, drain and outage, with nothing running."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, state=State.READY)
        self.desk.result(self.governing.pause(RS, "moves house"))
        self.assertEqual(self.said().waits_for, ("paused",))
        self.desk.result(self.governing.resume(RS))
        self.desk.result(self.governing.drain())
        self.assertEqual(self.said().waits_for, ("drained",))
        self.desk.result(self.governing.undrain())
        now = self.desk.timers.now()
        breaker = Breaker(str(RS), opened=now, not_before=now + timedelta(minutes=5))
        self.desk.result(self.desk.store.queue.save_breaker("destination", breaker))
        self.desk.result(self.desk.health.recall())
        self.assertEqual(self.said().waits_for, ("outage",))
        self.desk.advance(301)
        self.assertEqual(self.said().waits_for, ("probe",))

    def test_a_limit_that_keeps_a_pull_back_was_nowhere_to_be_seen(self) -> None:
        """`explain` names it, and `destinations` says no more at once than it lets run."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(3))
        self.desk.result(self.governing.limit(RS, 1, "asked for"))
        self.desk.start()
        waits = {self.said(number).waits_for for number in (1, 2, 3)}
        self.assertEqual(waits, {("attempt",), ("limited", "slot")})
        self.assertIn("Reason: asked for.", "".join(self.said(number).sentence for number in (1, 2, 3)))
        self.desk.result(self.desk.store.queue.save_breaker("destination", Breaker(str(RS), limit=2)))
        self.desk.result(self.desk.health.recall())
        (known,) = self.call("GET", "/destinations")["destinations"]
        self.assertEqual((known["limit"], known["earned"]), (1, 2))

    def test_the_same_resource_for_somebody_else(self) -> None:
        """It is never fetched twice at once, and that is said."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(b"one")
        self.desk.accept(b"one", name="m2")
        self.desk.start()
        self.assertIn("The same resource is being pulled for somebody else", self.said(2).sentence)
        self.assertEqual(self.said(2).waits_for, ("slot",))

    def test_an_attempt_that_a_crash_ended_was_left_out(self) -> None:
        """It is among the last attempts; what was given back unused was none."""
        self.desk.accept(b"one")
        now = self.desk.timers.now()
        for event in ("restarted", "returned"):
            change = Change(self.desk.job(1), "leased", now, self.desk.state(1))
            self.desk.result(self.desk.store.queue.change([evolve(change, job=evolve(change.job, state=State.LEASED))]))
            ready = evolve(self.desk.job(1), state=State.READY)
            self.desk.result(self.desk.store.queue.change([Change(ready, event, now, State.LEASED)]))
        self.assertEqual([(row.event, row.evidence) for row in self.said().attempts], [("restarted", CRASHED)])

    def test_who_ended_it_and_whose_bytes_are_here(self) -> None:
        """An operator, now; and what its successor brings is none of its own."""
        self.peers.always("GET", RS, served(b"z" * 2_000_000, still=1_000_000))
        self.desk.accept(b"z" * 2_000_000)
        self.act("expire-now")
        said = self.said()
        self.assertIn("An operator ended it before its time was over. (operator, ", said.sentence)
        self.act("requeue-fresh")
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(self.call("GET", "/pulls/2")["job"]["done"], 1_000_000)
        self.assertEqual(self.call("GET", "/pulls/1")["job"]["done"], 0)
        self.assertEqual(self.said().remedy, "It went on as pull 2.")

    def test_g10_a_false_word_about_slots_is_found(self) -> None:
        """As the one that was said of every pull behind a pause: the facts do not come from where the word does."""
        self.desk.accept(b"one")
        self.patch(circumstances.Circumstances, "_gate", lambda *_: "destination")
        self.assertEqual(self.desk.result(self.operations.circumstances.check(1)), "it does not wait for slot")
        self.desk.result(self.governing.drain())
        self.assertEqual(self.desk.result(self.operations.circumstances.check(1)), "it does not wait for slot")

    def test_what_changes_while_it_is_explained_is_no_contradiction(self) -> None:
        """The row has to be the same before and after."""
        self.desk.accept(b"one")
        self.patch(circumstances, "contradiction", lambda *_: "no word is true")
        self.assertEqual(self.desk.result(self.operations.circumstances.check(1)), "no word is true")
        gate = self.desk.queue.gates["history"] = Deferred()
        found: list[str] = []
        deferred_of(self.operations.circumstances.check(1)).addCallback(found.append)
        self.desk.rewrite(1, attempts=7)
        gate.callback(None)
        self.assertEqual(found, [""])

    def test_shape(self) -> None:
        """By destination and age, most first, the rest in one row; held and running ones are live too."""
        self.desk.accept(*files(3), due=None)
        self.desk.advance(3600, 3600)
        self.desk.accept(b"a", b"b", name="m2")
        self.desk.accept(b"c", name="m3", origin=OTHER)
        for number, state in ((1, State.HELD), (2, State.LEASED), (3, State.FAILED)):
            self.desk.rewrite(number, state=state)
        document = self.call("GET", "/shape")
        rows = {row["name"]: row["counts"] for row in document["rows"]}
        self.assertEqual(document["ages"][:3], [300, 1200, 3600])
        self.assertEqual(rows, {str(RS): [2, 0, 2, 0, 0, 0, 0, 0, 0], str(OTHER): [1] + [0] * 8})
        (first, rest) = self.call("GET", "/shape?most=1")["rows"]
        self.assertEqual((first["total"], rest["name"], rest["destinations"], rest["total"]), (4, "", 1, 1))
        self.assertEqual(self.call("GET", "/shape?most=1")["total"], 5)
