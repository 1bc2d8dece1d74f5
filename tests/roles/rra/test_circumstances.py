"""What surrounds a pull, as `explain` and `shape` say it."""

from datetime import timedelta

from attrs import evolve

from rrsd.core.values.jobs import Breaker, Change, State
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
        self.assertEqual((said.waits_for, said.blame), (("host", "slot"), "this host"))
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
        self.desk.advance(10)
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
