"""SIGKILL in mid-transfer, of either side and at any moment: nothing is lost, doubled, or fetched again needlessly."""

import random  # noqa: TID251 (of a fixed seed)

from tests.processes.houses import MIB, HouseCase, trail_of

CHECKPOINT = 8 * MIB
IN_FLIGHT = 12 * MIB  # of one transfer: in the store's lanes, between two syncs, and in socket buffers


class Crashes(HouseCase):
    """One message with one large file."""

    def test_recipient_killed(self) -> None:
        """R4: the puller goes on where it was durable; at most a checkpoint and what was in flight come twice."""
        self.start()
        bob = self.settle("bob@bar.test")
        message, (film,) = self.send(self.settle("alice@foo.test"), 96 * MIB)
        self.gate.most = 60 * MIB
        (number,) = self.deliver(message)
        self.until("the transfer is in its middle", lambda: self.gate.is_holding)
        before = self.until("something is durable", lambda: (job := self.job(number))["durable"] and job)
        self.bar.kill()
        self.gate.open()
        self.start(self.bar)
        self.await_state(number, "receipted")
        self.require_kept(film)
        fetched = self.fetched(number)
        self.assertLessEqual(fetched, film.size - before["durable"])
        self.assertLessEqual(self.gate.passed - film.size, CHECKPOINT + IN_FLIGHT)
        self.assertEqual([row["outcome"] for row in trail_of(self.bar, "pull")], ["granted"])
        self.assertEqual(len([row for row in trail_of(self.foo, "acknowledge") if row["outcome"] == "granted"]), 1)
        self.assertTrue(bob.access_token)

    def test_sender_killed(self) -> None:
        """The sending daemon dies in mid-transfer and comes back: the pull recovers by itself, where it was durable."""
        self.start()
        self.settle("bob@bar.test")
        message, (film,) = self.send(self.settle("alice@foo.test"), 96 * MIB)
        self.gate.most = 60 * MIB
        (number,) = self.deliver(message)
        self.until("the transfer is in its middle", lambda: self.gate.is_holding)
        self.until("something is durable", lambda: self.job(number)["durable"])
        self.foo.kill()
        self.gate.open()
        waits = self.await_state(number, "deferred")
        self.assertEqual((waits["blame"], bool(waits["due"])), ("destination", True))
        self.start(self.foo)
        self.await_state(number, "receipted", seconds=45)
        self.require_kept(film)
        self.assertLessEqual(self.fetched(number), film.size - waits["durable"])
        self.assertGreater(waits["durable"], 0)

    def test_ten_kills(self) -> None:
        """Ten kills at random moments of start and transfer: what was accepted arrives once and whole."""
        chance = random.Random(20)
        self.start()
        self.settle("bob@bar.test")
        message, files = self.send(self.settle("alice@foo.test"), 200 * MIB, 100_000, 3)
        numbers = self.deliver(message)
        for _ in range(10):
            self.pause(chance.uniform(0.0, 0.25))
            self.bar.kill()
            self.bar.start()
            if chance.random() < 0.7:
                self.bar.wait_ready()
        self.bar.wait_ready()
        for number, file in zip(numbers, files, strict=True):
            self.await_state(number, "receipted")
            self.require_kept(file)
        with self.local(self.bar) as local:
            self.assertEqual(local.queue()["by_state"], {"receipted": 3})
            self.assertEqual(local.deliver("alice@foo.test", ["bob@bar.test"], message), {"accepted": []})
