"""DNS with real servers: Knot's zones, validated by Unbound and by libunbound, as a domain hears them."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from rrsd.cli.names import look_at_names
from rrsd.config.settings import parse_settings
from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.records import Host, Records, RecordType, Service, Text, Tlsa, Verdict
from rrsd.drivers.dns import probe as probing
from rrsd.drivers.dns.client import Client
from rrsd.drivers.dns.exchange import Exchange
from rrsd.drivers.dns.libunbound import MISSING, open_libunbound
from rrsd.drivers.dns.lookup import Lookup
from rrsd.drivers.dns.places import Place
from rrsd.drivers.dns.service import build_lookup, build_resolver
from rrsd.drivers.dns.settings import Backend, Settings
from rrsd.runtime.timers import Timers
from tests.support.nameservers import Missing, Nameservers, require_installed

DEBIAN = "/usr/lib/python3/dist-packages"
"""Where Debian puts python3-unbound."""
SECURE, INSECURE, BOGUS, TEMPORARY = Verdict.SECURE, Verdict.INSECURE, Verdict.BOGUS, Verdict.TEMPORARY

VERDICTS: Mapping[str, tuple[Verdict, int]] = {
    "TXT _proof.foo.test": (SECURE, 1),
    "TLSA _proof.foo.test": (SECURE, 1),
    "SRV _rrs._tcp.foo.test": (SECURE, 1),
    "A rs.foo.test": (SECURE, 1),
    "AAAA rs.foo.test": (SECURE, 1),
    "TXT alias.foo.test": (SECURE, 1),
    "TXT large.foo.test": (SECURE, 1),
    "TXT nothing.foo.test": (SECURE, 0),
    "TLSA rs.foo.test": (SECURE, 0),
    # O-05
    "TXT _proof.plain.test": (INSECURE, 1),
    "TXT nothing.plain.test": (INSECURE, 0),
    "TXT elsewhere.foo.test": (INSECURE, 1),
    # O-06
    "TXT _proof.bogus.test": (BOGUS, 0),
    "TXT nothing.bogus.test": (BOGUS, 0),
    "A rs.bogus.test": (BOGUS, 0),
    "TXT _proof.expired.test": (BOGUS, 0),
    "TXT nothing.expired.test": (BOGUS, 0),
    "TXT _proof.weak.test": (INSECURE, 1),
    "TXT any.wild.foo.test": (SECURE, 0),
    # More records than anybody needs.
    "TXT many.foo.test": (BOGUS, 0),
}
"""What each question comes to: its verdict, and how many records there are."""


class ServersCase(TestCase):
    """Real servers, and the real reactor."""

    timeout = 60
    extended = True

    @override
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        folder = Path(tempfile.mkdtemp(prefix="rrsd-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.servers = Nameservers(folder, extended=self.extended)
        self.addCleanup(self.servers.stop)
        self.servers.start()
        # A socket that was closed is gone after one more turn.
        self.addCleanup(deferLater, self.reactor, 0)
        self.lookup = self.lookup_by(self.servers.resolver)

    def lookup_by(self, server: Place, **changes: Any) -> Lookup:
        """A lookup that asks there."""
        settings = evolve(Settings(resolver=f"{server.address} {server.port}"), **changes)
        return build_lookup(settings, self.reactor, Timers(self.reactor))

    async def ask(self, question: str, lookup: Lookup | None = None) -> Records:
        """The answer to `TYPE name`."""
        kind, name = question.split()
        return await (lookup or self.lookup).ask(name, RecordType(kind))

    async def require_verdicts(self, lookup: Lookup) -> None:
        """The table holds, and what was kept says the same again."""
        for _ in range(2):
            heard = {question: await self.ask(question, lookup) for question in VERDICTS}
            said = {question: (each.verdict, len(each.records)) for question, each in heard.items()}
            self.assertEqual(said, VERDICTS)


class Resolver(ServersCase):
    """Unbound on loopback."""

    async def test_o05_o06_verdicts(self) -> None:
        """Signed, unsigned, bogus, expired and weakly signed zones; denials; wildcards; large answers by stream."""
        await self.require_verdicts(self.lookup)

    async def test_records(self) -> None:
        """Records are what was published."""
        self.assertEqual((await self.ask("TXT alias.foo.test")).records, (Text(b"v=proof"),))
        self.assertEqual((await self.ask("TXT large.foo.test")).records, (Text(b"x" * 3000),))
        self.assertEqual((await self.ask("SRV _rrs._tcp.foo.test")).records, (Service(0, 5, 8443, "rs.foo.test"),))
        self.assertEqual((await self.ask("AAAA rs.foo.test")).records, (Host("2a00::9"),))
        (tlsa,) = (await self.ask("TLSA _proof.foo.test")).records
        assert isinstance(tlsa, Tlsa)
        self.assertEqual((tlsa.usage, tlsa.selector, tlsa.matching, len(tlsa.data)), (3, 1, 1, 32))

    async def test_f04_addresses(self) -> None:
        """Addresses are validated too: those of a bogus zone are never called."""
        settings = Settings(resolver=f"127.0.0.1 {self.servers.resolver.port}")
        resolver = build_resolver(settings, self.reactor, Timers(self.reactor), self.lookup)
        self.assertEqual(await resolver.lookup("rs.foo.test", 443), (Place("20.0.0.9", 443), Place("2a00::9", 443)))
        self.assertEqual(len(await resolver.lookup("rs.plain.test", 443)), 2)
        for host in ("rs.bogus.test", "rs.expired.test"):
            with self.assertRaises(Unavailable) as caught:
                await resolver.lookup(host, 443)
            self.assertIn("bogus", caught.exception.detail)

    async def test_changes_are_heard(self) -> None:
        """A record that is published, changed and withdrawn is heard so, securely, without a start of anything."""
        lookup = self.lookup_by(self.servers.resolver, kept=0)
        for data in (["one"], ["two", "three"], []):
            self.servers.set("bar.test", "_rra", 60, "TXT", *(f'"{each}"' for each in data))
            found = await self.ask("TXT _rra.bar.test", lookup)
            self.assertEqual(found.verdict, Verdict.SECURE)
            self.assertEqual(
                {each.data for each in found.records if isinstance(each, Text)}, {d.encode() for d in data}
            )

    async def test_o07_server_that_does_not_validate(self) -> None:
        """A server on this host that does not set the AD bit makes everything insecure; refusals are temporary."""
        lookup = self.lookup_by(self.servers.authority)
        self.assertEqual((await self.ask("TXT _proof.foo.test", lookup)).verdict, Verdict.INSECURE)
        self.assertEqual((await self.ask("TXT _proof.bogus.test", lookup)).verdict, Verdict.INSECURE)
        self.assertEqual((await self.ask("TXT elsewhere.example", lookup)).verdict, Verdict.TEMPORARY)

    async def test_outages(self) -> None:
        """A resolver that is stopped is temporary at once; so is a signed zone whose servers are; neither is bogus."""
        self.servers.stop("unbound")
        found = await self.ask("TXT _proof.foo.test")
        self.assertEqual((found.verdict, found.reason), (Verdict.TEMPORARY, "the resolver is not there"))
        self.servers.start_resolver()
        await self.ask("TXT _proof.bar.test")
        self.servers.stop("knot")
        # Unbound itself goes on for more than ten seconds before it says so.
        lookup = self.lookup_by(self.servers.resolver, deadline=timedelta(seconds=2), patience=timedelta(seconds=1))
        for name in ("_proof.foo.test", "rs.bar.test"):
            self.assertEqual((await self.ask(f"TXT {name}", lookup)).verdict, TEMPORARY)


class Taciturn(ServersCase):
    """Unbound as it comes: without extended errors."""

    extended = False

    async def test_o05_o06_verdicts(self) -> None:
        """What is bogus is found out by asking without validation."""
        await self.require_verdicts(self.lookup)


class Check(ServersCase):
    """What `rrsctl check` says about the resolver."""

    def said(self, **changes: Any) -> tuple[str, str]:
        """Level and text with those settings of `[dns]`."""
        text = "[domain]\nname = foo.test\nissuer = https://foo.test\n[rs]\norigin = https://foo.test\n"
        settings = parse_settings(text)
        return look_at_names(evolve(settings, dns=evolve(settings.dns, **changes)))

    def require_said(self, level: str, part: str, **changes: Any) -> None:
        """That level, and those words."""
        told, text = self.said(**changes)
        self.assertEqual(told, level, text)
        self.assertIn(part, text)

    def test_check(self) -> None:
        """It says who validates, whether it does, and what cannot be believed otherwise."""
        port = self.servers.resolver.port
        self.require_said("ok", f"127.0.0.1 port {port}: it validates", resolver=f"127.0.0.1 {port}")
        self.require_said("note", "DANE cannot be used and TXT records prove little")
        self.require_said("error", "does not validate", resolver=f"127.0.0.1 {self.servers.authority.port}")
        self.servers.stop("unbound")
        self.require_said("error", "nobody listens there", resolver=f"127.0.0.1 {port}")
        self.patch(sys, "path", [*sys.path, DEBIAN])
        self.require_said("error", "/nonexistent", backend=Backend.LIBUNBOUND, anchors="/nonexistent")
        library = str(self.servers.library)
        self.require_said("ok", f"libunbound validates, with {library}", backend=Backend.LIBUNBOUND, libunbound=library)

    def test_offline(self) -> None:
        """Where nothing can be heard, check says that it cannot tell."""
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            self.patch(probing, "PATIENCE", 0.05)
            self.require_said("note", "cannot be told now (no answer)", resolver=f"127.0.0.1 {silent.getsockname()[1]}")


class Library(ServersCase):
    """libunbound in this process."""

    @override
    def setUp(self) -> None:
        super().setUp()
        sys.path.append(DEBIAN)
        self.addCleanup(sys.path.remove, DEBIAN)

    async def test_verdicts(self) -> None:
        """The library comes to the same verdicts, and is asked by the same rules."""
        two = timedelta(seconds=2)
        settings = Settings(backend=Backend.LIBUNBOUND, libunbound=str(self.servers.library), deadline=two)
        where = os.getcwd()
        lookup = build_lookup(settings, self.reactor, Timers(self.reactor))
        await self.require_verdicts(lookup)
        self.assertEqual(os.getcwd(), where)
        self.servers.stop("knot")
        self.assertEqual((await self.ask("TXT new.bar.test", lookup)).verdict, Verdict.TEMPORARY)
        self.assertEqual((await self.ask(f"TXT {'a' * 64}.test", lookup)).verdict, Verdict.BOGUS)
        await lookup.stop()


class Ways(TestCase):
    """There is no way to the server at all."""

    async def test_no_way(self) -> None:
        """A place that the system does not send to is an outage like any other, and leaves no socket open."""
        from twisted.internet import reactor

        before = _sockets()
        exchange = Exchange(reactor, Timers(cast(IReactorTime, reactor)))
        client = Client(exchange, lambda: (Place("255.255.255.255", 53),), True)
        found = await client.ask("foo.test", RecordType.TXT)
        self.assertEqual((found.verdict, found.reason), (TEMPORARY, "the resolver cannot be asked (PermissionError)"))
        await deferLater(cast(IReactorTime, reactor), 0)
        self.assertEqual(_sockets(), before)


class Absence(SynchronousTestCase):
    """What is not there is said so."""

    def test_no_module(self) -> None:
        """Without the module the configuration is wrong, and says what to install."""
        path, sys.path[:] = sys.path[:], [each for each in sys.path if each != DEBIAN]
        self.addCleanup(sys.path.__setitem__, slice(None), path)
        module = sys.modules.pop("unbound", None)
        if module is not None:
            self.addCleanup(sys.modules.__setitem__, "unbound", module)
        refusal = self.assertRaises(Malformed, open_libunbound, Settings(backend=Backend.LIBUNBOUND), None)
        self.assertEqual(refusal.detail, MISSING)

    def test_no_anchors(self) -> None:
        """Without trust anchors the library would call everything insecure: that is a wrong configuration too."""
        sys.path.append(DEBIAN)
        self.addCleanup(sys.path.remove, DEBIAN)
        for settings in (Settings(anchors="/nonexistent"), Settings(libunbound="/nonexistent")):
            refusal = self.assertRaises(Malformed, open_libunbound, settings, None)
            self.assertIn("/nonexistent cannot be read", refusal.detail)

    def test_no_programs(self) -> None:
        """A test that needs programs that are not there fails, and says what to install."""
        self.patch(shutil, "which", lambda *_, **__: None)
        missing = self.assertRaises(Missing, require_installed)
        self.assertIn("install knot unbound", str(missing))


def _sockets() -> set[str]:
    """The sockets that are open in this process."""
    held = (each for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return {name for name in map(_target, held) if name.startswith("socket:")}


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
