"""Knot and Unbound: what bar.test publishes in real zones decides at foo.test whose key bar.test's client has.

curl asks foo.test for a resource with the certificate of bar.test's agent; foo.test asks Unbound, which asks Knot.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from rrsd.cli.demo.daemons import Daemon
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import Discovery, parse_issuer
from rrsd.core.wire.texts import render_client_keys, render_issuer_text
from rrsd.core.wire.tlsa import of_key, render_tlsa
from rrsd.drivers.keys.certificates import load_pair
from tests.interop.case import BAR, FOO
from tests.interop.retrieval import Retrieval
from tests.processes.houses import SENDER, change, set_key, trail_of
from tests.support.nameservers import Kind, Nameservers

CLIENT = "_rra"
SIGNED: Mapping[str, Kind] = {FOO: Kind.SIGNED, BAR: Kind.SIGNED}
OTHER = digest_of(b"another key")
OWN_POLICY = """\
@id("weak-will-do-for-bar")
permit (principal is User, action == Action::"retrieve", resource is Grant)
when { resource.recipient == principal.address && resource.recipient like "*@bar.test" };
"""


class NamesCase(Retrieval):
    """Both daemons ask Unbound; addresses come from the host table."""

    kinds: Mapping[str, Kind] = SIGNED

    @override
    def setUp(self) -> None:
        super().setUp()
        folder = self.root / "dns"
        folder.mkdir()
        self.servers = Nameservers(folder, zones=self.kinds)
        self.addCleanup(self.servers.stop)
        self.servers.start()
        for daemon in (self.foo, self.bar):
            set_key(daemon, "dns", "resolver", f"{self.servers.resolver.address} {self.servers.resolver.port}")
        agent = self.agent(BAR)
        self.spki = load_pair(agent.certificate.read_bytes(), agent.key.read_bytes()).certificate.spki

    def publish(self, kind: str, name: str = CLIENT) -> None:
        """Put into bar.test's zone what `rrsctl identity records` says of that type, at that label."""
        said = self.told(self.bar, "records")
        found = [each["data"] for each in said["records"] if (each["name"], each["type"]) == (f"{name}.{BAR}", kind)]
        self.assertEqual(len(found), 1, said)
        self.servers.set(BAR, name, 60, kind, f'"{found[0]}"' if kind == "TXT" else found[0])

    def told(self, daemon: Daemon, *words: str, status: int = 0) -> Any:
        """What `rrsctl identity` says."""
        command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(daemon.plan.config), "--json", "identity"]
        done = self.run_to_end([*command, *words])
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def only(self, *methods: str, **more: str) -> None:
        """foo.test uses these methods and no others."""
        set_key(self.foo, "identity", "methods", "\n    ".join(["", *methods]))
        for key, value in more.items():
            set_key(self.foo, "identity", key, value)

    def asked_again(self) -> str:
        """The status once foo.test has forgotten everything."""
        self.foo.stop()
        self.start(self.foo)
        return self.status()

    def require_proved(self, evidence: str, way: Discovery = Discovery.WEBFINGER) -> None:
        """The newest granted line of foo.test's trail says what was believed, and how the issuer was found."""
        lines = [each for each in trail_of(self.foo, "retrieve") if each["outcome"] == "granted"]
        self.assertEqual(lines[-1]["evidence"], f"{evidence} https://{BAR} {way}")

    def require_refused(self, why: str) -> None:
        """So does the newest refused one."""
        lines = [each for each in trail_of(self.foo, "retrieve") if each["outcome"] == "refused"]
        self.assertIn(why, lines[-1]["evidence"])


class Proofs(NamesCase):
    """bar.test's zone is signed."""

    def test_dane(self) -> None:
        """A secure TLSA record proves the key; a whole pull with its receipt goes by it; another key is refused."""
        self.publish("TLSA")
        self.begin(1000)
        self.assertEqual(self.status(), "200")
        self.require_proved("dane dnssec")
        self.told(self.foo, "verify", f"{CLIENT}.{BAR}")
        message, _ = self.send(self.settle(SENDER), 1000)
        self.await_state(self.deliver(message)[0], "receipted")
        self.servers.set(BAR, CLIENT, 60, "TLSA", render_tlsa(of_key(OTHER)))
        self.assertEqual(self.asked_again(), "401")
        self.require_refused("TLSA records are about other certificates")
        self.did("knotd", "published and signed what `rrsctl identity records` says")
        self.did("unbound", "validated: DANE believed, another key refused")

    def test_webfinger(self) -> None:
        """A signed zone without a record says securely that there is none, and WebFinger decides."""
        self.begin(1000)
        self.assertEqual(self.status(), "200")
        self.require_proved("webfinger tls")
        self.did("unbound", "validated the absence of a TLSA record, so that WebFinger decides")

    def test_secure_txt(self) -> None:
        """A secure TXT record proves the key, and two keys in it do; another key is refused."""
        self.only("dane", "dns-txt", "issuer", require_dnssec="yes")
        self.servers.set(BAR, CLIENT, 60, "TXT", f'"{render_client_keys([OTHER, self.spki])}"')
        self.begin(1000)
        self.assertEqual(self.status(), "200")
        self.require_proved("dns-txt dnssec")
        self.servers.set(BAR, CLIENT, 60, "TXT", f'"{render_client_keys([OTHER])}"')
        self.assertEqual(self.asked_again(), "401")
        self.require_refused("publishes other keys")
        self.did("unbound", "validated a TXT record with two keys; another key refused")

    def test_issuer(self) -> None:
        """Where nothing is published, the issuer of that very host vouches."""
        self.only("dane", "dns-txt", "issuer")
        self.begin(1000)
        self.assertEqual(self.status(), "200")
        self.require_proved("issuer issuer")

    def test_introduction(self) -> None:
        """`_rrs` TXT under DNSSEC names the issuer: the same one is believed, another one speaks for the domain."""
        self.servers.set(BAR, "_rrs", 60, "TXT", f'"{render_issuer_text(parse_issuer(f"https://{BAR}"))}"')
        line = f"bar.test = 127.0.0.1 {self.bar.port}"
        change(self.foo, line, f"{line}\n    id.{line}")
        self.begin(1000)
        self.assertEqual(self.status(), "200")
        self.require_proved("webfinger tls", Discovery.DNSSEC)
        self.servers.set(BAR, "_rrs", 60, "TXT", f'"{render_issuer_text(parse_issuer(f"https://id.{BAR}"))}"')
        self.assertEqual(self.asked_again(), "401")
        self.require_refused("issuer")
        self.did("unbound", "validated the issuer record at _rrs; another issuer there shuts the domain's own out")


class Unsigned(NamesCase):
    """bar.test's zone is not signed, and its parent says so."""

    kinds: Mapping[str, Kind] = {**SIGNED, BAR: Kind.UNSIGNED}

    def test_txt(self) -> None:
        """O-05: a TXT record without DNSSEC is weak: no policy that comes with rrsd permits it, an operator's may."""
        self.publish("TXT")
        self.only("dane", "dns-txt")
        self.begin(1000)
        self.assertEqual(self.status(), "403")
        own = self.root / "policy.cedar"
        own.write_text(OWN_POLICY)
        set_key(self.foo, "policy", "path", str(own))
        self.assertEqual(self.asked_again(), "200")
        self.require_proved("dns-txt weak")
        self.assertIn("weak-will-do-for-bar", str(trail_of(self.foo, "retrieve")[-1]["policy"]))
        set_key(self.foo, "identity", "require_dnssec", "yes")
        self.assertEqual(self.asked_again(), "401")
        self.require_refused("records without DNSSEC")
        self.did("unbound", "insecure zone: a TXT record is weak, and for a policy to permit, or refused")

    def test_tlsa(self) -> None:
        """O-05: a TLSA record without DNSSEC is refused, and nothing weaker is asked instead."""
        self.publish("TLSA")
        self.begin(1000)
        self.assertEqual(self.status(), "401")
        self.require_refused("records without DNSSEC")
        self.did("unbound", "insecure zone: a TLSA record is refused")


class Bogus(NamesCase):
    """bar.test's zone is signed by a key that its parent does not name."""

    kinds: Mapping[str, Kind] = {**SIGNED, BAR: Kind.BOGUS}

    def test_bogus(self) -> None:
        """O-06: a bogus answer is not an absence: neither WebFinger nor the issuer is asked instead."""
        self.begin(1000)
        self.assertEqual(self.status(), "401")
        self.require_refused("DNSSEC: validation failed")
        self.told(self.foo, "verify", f"{CLIENT}.{BAR}", status=os.EX_NOPERM)
        self.did("unbound", "bogus zone: everything refused")
