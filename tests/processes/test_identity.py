"""Whose a client's key is, with real daemons and real name servers: Knot's zones, validated by Unbound."""

import json
import os
import sys
from typing import Any

from typing_extensions import override

from rrsd.cli.demo.daemons import Daemon
from tests.processes.houses import MIB, HouseCase, set_key, trail_of
from tests.support.nameservers import Nameservers

CLIENT = "_rra.bar.test"


class Zones(HouseCase):
    """foo.test and bar.test ask a validating resolver, and remember nothing."""

    @override
    def setUp(self) -> None:
        super().setUp()
        folder = self.root / "names"
        folder.mkdir()
        self.servers = Nameservers(folder)
        self.addCleanup(self.servers.stop)
        self.servers.start()
        for each in (self.foo, self.bar):
            set_key(each, "dns", "resolver", f"{self.servers.resolver.address} {self.servers.resolver.port}")
            for key in ("least_kept", "most_kept", "failures_kept"):
                set_key(each, "dns", key, "0s")
            for key in ("least_kept", "most_kept", "negative_kept", "outage_kept"):
                set_key(each, "identity", key, "0s")

    def identity(self, daemon: Daemon, *words: str) -> tuple[int, Any]:
        """The exit status and the document of `rrsctl identity`."""
        command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(daemon.plan.config), "--json", "identity"]
        done = self.run_to_end([*command, *words])
        return done.returncode, json.loads(done.stdout)

    def verify(self, name: str, daemon: Daemon | None = None) -> tuple[int, str]:
        """The exit status, and the method that decides."""
        status, document = self.identity(daemon or self.foo, "verify", name)
        return status, "".join(look["method"] for look in document["methods"] if look["decides"])

    def publish(self, record: dict[str, str], ttl: int = 0) -> None:
        """Put a record into the zone."""
        data = f'"{record["data"]}"' if record["type"] == "TXT" else record["data"]
        name = record["name"].removesuffix(".bar.test")
        self.servers.set("bar.test", name, ttl, record["type"], data)

    def pull(self, alice: Any) -> dict[str, Any]:
        """What foo.test decides about one more file on its way to bar.test."""
        before = len(trail_of(self.foo, "retrieve"))
        message, _ = self.send(alice, MIB)
        self.deliver(message)
        decisions = self.until("it is decided", lambda: trail_of(self.foo, "retrieve")[before:], 30)
        decision: dict[str, Any] = decisions[0]
        return decision

    def test_records_as_they_are_printed(self) -> None:
        """What rrsctl prints is believed when it is in the zone; each record by its turn, and the wrong one refused."""
        records = {f"{each['type']} {each['name']}": each for each in self.identity(self.bar, "records")[1]["records"]}
        self.start()
        self.settle("bob@bar.test")
        alice = self.settle("alice@foo.test")
        self.assertEqual(self.verify(CLIENT), (0, "webfinger"))
        self.assertTrue(self.pull(alice)["evidence"].startswith("webfinger tls "))
        for each in records.values():
            self.publish(each)
        self.assertEqual(self.verify(CLIENT), (0, "dane"))
        self.assertEqual(self.verify(CLIENT, self.bar), (0, "dane"))
        self.assertEqual(self.verify("bob@bar.test"), (0, "dnssec"))
        self.assertTrue(self.pull(alice)["evidence"].startswith("dane dnssec "))
        self.publish({**records[f"TLSA {CLIENT}"], "data": f"3 1 1 {'ab' * 32}"})
        self.assertEqual(self.verify(CLIENT, self.bar), (os.EX_NOPERM, "dane"))
        refused = self.pull(alice)
        self.assertEqual((refused["outcome"], refused["refusal"]), ("refused", "unproven"))

    def test_o05_o06_zones_of_other_kinds(self) -> None:
        """An unsigned zone's TLSA records, a bogus and an expired zone are refused; an outage is none."""
        self.start(self.foo)
        expected = {"foo.test": 0, "plain.test": os.EX_NOPERM, "bogus.test": os.EX_NOPERM, "expired.test": os.EX_NOPERM}
        for domain, status in expected.items():
            self.assertEqual(self.verify(f"_proof.{domain}"), (status, "dane"), domain)
        self.servers.stop("unbound")
        self.assertEqual(self.verify("_proof.bar.test"), (os.EX_TEMPFAIL, "dane"))
