"""The keys of running daemons change by commands, and a transfer that runs goes on."""

import json

from rrsd.cli.demo.trail import read_trail
from tests.processes.houses import MIB, HouseCase, set_key, trail_of


class Changing(HouseCase):
    """bar.test pulls from foo.test while its administrator changes the keys."""

    def test_client_key_during_a_transfer(self) -> None:
        """The transfer finishes in one attempt; the next has the new certificate; nobody is refused."""
        self.start()
        self.settle("bob@bar.test")
        alice = self.settle("alice@foo.test")
        message, (film,) = self.send(alice, 48 * MIB)
        before = self._presented()
        self.gate.most = 20 * MIB
        (number,) = self.deliver(message)
        self.until("the transfer is in its middle", lambda: self.gate.is_holding)
        status, complaint = self.rrsctl(self.bar, "keys", "client", "use")
        self.assertNotEqual(status, 0)
        self.assertIn("run: rrsctl keys client publish", complaint)
        for words in (("publish",), ("use", "--force"), ("use", "--force")):
            self.assertEqual(self.rrsctl(self.bar, "keys", "client", *words), (0, ""))
        self.assertEqual(self.rrsctl(self.bar, "keys", "rotate"), (0, ""))
        self.assertNotEqual(self._presented(), before)
        self.assertEqual(self.job(number)["state"], "leased")
        self.gate.open()
        done = self.await_state(number, "receipted")
        self.assertEqual((done["attempts"], self.fetched(number)), (1, film.size))
        self.require_kept(film)
        self.assertEqual(self.rrsctl(self.bar, "keys", "client", "withdraw", "--force"), (0, ""))
        message, _ = self.send(alice, MIB, MIB)
        for each in self.deliver(message):
            self.assertEqual(self.await_state(each, "receipted")["attempts"], 1)
        self.assertEqual(self._refused(), [])

    def test_after_a_restart(self) -> None:
        """A daemon that was stopped in the middle of the walk goes on from there, with the same keys."""
        self.start(self.bar)
        for words in (("publish",), ("use", "--force")):
            self.assertEqual(self.rrsctl(self.bar, "keys", "client", *words), (0, ""))
        before = self._keys()
        self.bar.stop()
        path = self.bar.plan.folder / "keys" / "clients.json"
        self.secrets |= {key["key"].splitlines()[1] for key in json.loads(path.read_text())["keys"]}
        self.start(self.bar)
        self.assertEqual(self._keys(), before)

    def test_a_signing_key_that_is_old(self) -> None:
        """It is changed as soon as the daemon starts, in one line of the log and one of the trail, and never twice."""
        path = self.bar.plan.folder / "keys" / "signing.json"
        document = json.loads(path.read_text())
        for key in document["keys"]:
            key["since"] -= 91 * 86_400
        path.write_text(json.dumps(document))
        old = next(key["jwk"]["kid"] for key in document["keys"] if key["state"] == "active")
        for _ in range(2):
            self.start(self.bar)
            states = {key["kid"]: key["state"] for key in json.loads(json.dumps(self._keys()["keys"]))}
            self.assertEqual((states[old], len(states)), ("retired", 3))
            self.bar.stop()
        (line,) = trail_of(self.bar, "rotate")
        self.assertEqual((line["who"], line["outcome"]), ("clock", "granted"))
        self.assertEqual(self.bar.log.read_text().count("the signing key was changed"), 1)

    def test_w05_grace_that_is_too_short(self) -> None:
        """A configuration that would forget a key before its tokens does not start."""
        set_key(self.bar, "keys", "grace", "1min")
        done = self.run_to_end(self.bar.command())
        self.assertIn(b"[keys] grace: tokens outlive the key that signed them", done.stderr)

    def _keys(self) -> dict[str, object]:
        with self.local(self.bar) as local:
            keys: dict[str, object] = local.keys()
        return keys

    def _presented(self) -> str:
        with self.local(self.bar) as local:
            return str(local.keys()["client"]["x5t"])

    def _refused(self) -> list[object]:
        lines = [line for each in (self.foo, self.bar) for line in read_trail(each.audit.read_text())]
        return [line for line in lines if line["outcome"] != "granted" and line["what"] != "administer"]
