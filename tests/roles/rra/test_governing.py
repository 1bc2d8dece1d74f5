"""What operators lay down about destinations, the issuer and the daemon lasts until they take it back."""

from datetime import timedelta
from typing import Any

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.jobs import State
from rrsd.core.values.operations import Kind
from rrsd.runtime.loops import Nursery
from tests.roles.rra.operators import Case
from tests.roles.rra.peers import OTHER, STS
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, Gate, files


class Governed(Case):
    """What lasts until it is taken back."""

    def restart(self) -> None:
        """Another process on the same store."""
        self.desk.stop()
        self.desk.nursery = Nursery(lambda: "ref")
        self.desk.assemble()
        self.operations, self.governing = self.desk.operations, self.desk.operations.governing
        self.desk.start()

    def test_drained_nothing_starts_after_a_restart_either(self) -> None:
        """What runs goes on to its end; `list` and `explain` say so; undrained, everything runs."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(*files(20))
        self.desk.start()
        running = len(gate.waiting)
        self.call("POST", "/queue/drain", {"reason": "disk is replaced"})
        gate.all()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        self.restart()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        (ruling,) = self.call("GET", "/pulls")["rulings"] or [None]
        self.assertEqual(ruling["reason"], "disk is replaced")
        waiting = next(number for number in range(1, 21) if self.desk.state(number) not in ARRIVED)
        said = self.desk.result(self.operations.explain(waiting))
        self.assertEqual((said.waits_for[0], said.next), ("drained", None))
        self.peers.rules.clear()
        self.desk.result(self.governing.undrain())
        self.desk.advance(5)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))
        self.restart()
        self.assertEqual(self.governing.rulings, ())

    def test_a_paused_destination_rests_and_others_go_on(self) -> None:
        """After a restart too; nothing of it expires; resumed, it is asked at once."""
        self.call("POST", "/destinations/pause", {"name": str(RS), "reason": "asked for"})
        self.desk.accept(*files(3))
        self.desk.accept(b"other", name="m2", origin=OTHER)
        self.desk.start()
        self.desk.advance(5)
        self.assertEqual([state in ARRIVED for state in self.desk.states()], [False] * 3 + [True])
        self.restart()
        self.desk.advance(8 * 86400, 1800)
        self.assertEqual(set(self.desk.states()[:3]), {State.NEW})
        self.assertEqual(self.peers.to("GET", RS), [])
        said = self.desk.result(self.operations.explain(1))
        self.assertIn("asked for", said.sentence)
        self.desk.result(self.governing.resume(RS))
        self.desk.advance(5)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_pause_while_it_runs(self) -> None:
        """What is leased ahead goes back; no probe either."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(*files(20))
        self.desk.start()
        running = len(gate.waiting)
        self.desk.result(self.governing.pause(RS))
        gate.all()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        self.assertNotIn(State.LEASED, self.desk.states())
        self.act("retry-now", 20)
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)

    def test_a_limit_is_kept(self) -> None:
        """Also where the destination would bear more; 0 lifts it; nonsense is refused."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.call("POST", "/destinations/limit", {"name": str(RS), "most": 2})
        self.desk.accept(*files(20))
        self.desk.start()
        for _ in range(8):
            gate.let_go()
            self.desk.advance(0.1)
        self.assertEqual(gate.most, 2)
        self.call("POST", "/destinations/limit", {"name": str(RS), "most": 0})
        self.desk.advance(0.1)
        gate.all()
        self.assertGreater(gate.most, 2)
        for wrong in (-1, "2", 10_001, None):
            body = {"name": str(RS), "most": wrong}
            self.call("POST", "/destinations/limit", body, 200 if wrong is None else 400)
        self.call("POST", "/destinations/pause", {"name": "rs.foo.test"}, 400)
        self.call("POST", "/destinations/pause", {"name": str(RS), "reason": "x" * 501}, 400)
        self.call("POST", "/destinations/explode", {"name": str(RS)}, 400)
        with self.assertRaises(Malformed):
            self.desk.result(self.governing.limit(RS, -1))

    def test_said_twice_it_is_one_ruling(self) -> None:
        """The newest reason counts; taking back what is not there is no error."""
        for reason in ("one", "two  lines\n"):
            self.desk.result(self.governing.pause(RS, reason))
        (ruling,) = self.governing.rulings
        self.assertEqual((ruling.kind, ruling.reason), (Kind.PAUSE, "two lines"))
        self.desk.result(self.governing.drain("secret"))
        drained, paused = self.governing.notes()
        self.assertRegex(drained, r"^drained since [-0-9: ]+ UTC: no pull starts$")
        self.assertEqual(paused, "1 resource servers are paused")
        self.desk.result(self.governing.undrain())
        self.desk.result(self.governing.resume(RS))
        self.desk.result(self.governing.resume(RS))
        self.assertEqual(self.governing.rulings, ())

    def test_a_ruling_that_is_damaged_keeps_no_daemon_from_starting(self) -> None:
        """It is left out."""
        self.desk.result(self.desk.store._engine.write(_plant))
        self.desk.start()
        self.assertEqual(self.governing.rulings, ())

    def test_a_flood_of_retries_probes_once_in_ten_seconds(self) -> None:
        """Flushing a queue into a server that is down makes it worse: a hundred times asked, once done."""
        self.peers.always("GET", RS, Unavailable("connect"))
        self.desk.accept(*files(50))
        self.desk.start()
        self.desk.advance(2)
        before = len(self.peers.to("GET", RS))
        for _ in range(100):
            said = self.call("POST", "/destinations/retry", {"name": str(RS)})
            self.desk.advance(0.05)
        self.assertLessEqual(len(self.peers.to("GET", RS)) - before, 1)
        self.assertEqual(said, {"woken": 0, "wait": 6, "waits_for": []})  # five seconds after the first

    def test_retry_now_promised_an_attempt_that_nobody_would_make(self) -> None:
        """Paused or drained, it says what has to be taken back first; of one pull, of a destination, and of many."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        order = {"all": True, "origin": str(RS)}
        for lay_down, waits_for in (
            (self.governing.pause(RS), ["paused"]),
            (self.governing.drain(), ["drained", "paused"]),
        ):
            self.desk.result(lay_down)
            self.assertEqual(self.call("POST", "/pulls/1/retry-now")["waits_for"], waits_for)
            self.assertEqual(self.call("POST", "/destinations/retry", {"name": str(RS)})["waits_for"], waits_for)
            token = self.call("POST", "/pulls/retry-now", order)["token"]
            said = self.call("POST", "/pulls/retry-now", {**order, "token": token})
            self.assertEqual((said["changed"], said["waits_for"]), (1, waits_for))
        self.assertEqual(self.call("POST", "/pulls/1/hold")["waits_for"], [])
        self.desk.result(self.governing.undrain())
        self.desk.result(self.governing.resume(RS))
        self.call("POST", "/pulls/1/release")
        self.assertEqual(self.call("POST", "/pulls/1/retry-now")["waits_for"], [])

    def test_the_reason_was_not_in_the_trail(self) -> None:
        """Why somebody laid something down is read where it is read who did."""
        self.desk.result(self.governing.pause(RS, "asked  for"))
        self.desk.result(self.governing.limit(RS, 2, "by its postmaster"))
        self.desk.result(self.governing.drain())
        lines = [line.evidence for line in self.desk.trail.of("operate")]
        self.assertEqual(lines, ["pause (asked for)", "limit 2 (by its postmaster)", "drain"])

    def test_the_issuer_is_asked_at_once(self) -> None:
        """Where it failed; and not again within ten seconds."""
        self.peers.always("POST", STS, Unavailable("connect"))
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.advance(60)
        before = len(self.peers.to("POST", STS))
        said = self.desk.result(self.operations.explain(1))
        self.assertIn("issuer", said.waits_for)
        self.assertTrue(self.call("POST", "/destinations/retry-issuer")["asked"])
        self.desk.advance(0.5)
        self.assertFalse(self.call("POST", "/destinations/retry-issuer")["asked"])
        self.assertLessEqual(len(self.peers.to("POST", STS)) - before, 2)
        self.peers.rules.clear()
        self.desk.advance(301, 1)
        self.assertFalse(self.call("POST", "/destinations/retry-issuer")["asked"])


def _plant(connection: Any) -> None:
    connection.execute("INSERT INTO rulings VALUES ('explode', '', 1.0, '', '', 0)")
