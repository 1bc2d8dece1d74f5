"""Which addresses are called, and that the checked one is the one that is called."""

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed, Unavailable
from rrsd.core.values.peers import parse_origin
from rrsd.drivers.dns.places import Place, parse_hosts
from rrsd.drivers.dns.resolver import Resolver, SystemAddresses
from rrsd.drivers.fetch.guard import Guard, parse_networks
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.timers import Timers
from tests.support.calling import World, get
from tests.support.internet import Names

PRIVATE = (
    "127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "fc00::1", "fd12::1", "fe80::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001::1", "2001:db8::1", "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255", "240.0.0.1",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "192.88.99.1", "100::1", "3fff::1",
)  # fmt: skip
ODD = (
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "localhost",
    "localhost.",
    "fe80::1%lo",
    "2a00::1%25lo",
    "",
    "1.1",
)
PUBLIC = ("8.8.8.8", "20.0.0.1", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "2606:4700::1111")


class Guards(SynchronousTestCase):
    """The guard's own list."""

    def test_private_addresses(self) -> None:
        """F-02: nothing private, special, or carrying another address inside."""
        for address in PRIVATE:
            self.assertFalse(Guard().permits(address), address)
            self.assertRaises(Forbidden, Guard().require_permitted, address)

    def test_odd_spellings(self) -> None:
        """F-03: decimal, octal, hexadecimal, scoped and named hosts are no addresses."""
        for address in ODD:
            self.assertFalse(Guard().permits(address), address)

    def test_odd_hosts_are_no_origins(self) -> None:
        """F-03: nor are they hosts of an origin."""
        for host in ("2130706433", "0177.1", "0x7f.1", "localhost", "localhost.", "[::1%25lo]", "127.0.0.1"):
            self.assertRaises(Malformed, parse_origin, f"https://{host}")

    def test_public_addresses(self) -> None:
        """Public unicast addresses are called."""
        for address in PUBLIC:
            self.assertTrue(Guard().permits(address), address)
            Guard().require_permitted(address)

    def test_operators_networks(self) -> None:
        """F-18: the operator allows a private network, and forbids a public address such as our own."""
        guard = Guard(parse_networks(("10.20.0.0/16", "fd00::/8")), parse_networks(("20.0.0.1", "10.20.9.0/24")))
        permitted = {"10.20.0.1": True, "fd00::1": True, "10.21.0.1": False, "20.0.0.1": False, "10.20.9.1": False}
        for address, expected in permitted.items():
            self.assertEqual(guard.permits(address), expected, address)

    def test_networks_that_are_none(self) -> None:
        """A network that is none is told at once."""
        self.assertRaises(Malformed, parse_networks, ("10.0.0.1/8",))


class Resolving(SynchronousTestCase):
    """Names become places."""

    def setUp(self) -> None:
        self.clock, self.names = Clock(), Names()

    def resolver(self, *hosts: str, most: int = 8) -> Resolver:
        """The resolver under test."""
        return Resolver(SystemAddresses(self.names), Timers(self.clock), parse_hosts(hosts), most=most)

    def test_system(self) -> None:
        """What the system's resolver says, in order, without repetition, and not too many."""
        self.names.table["foo.test"] = ["20.0.0.2", "20.0.0.1", "20.0.0.2", "20.0.0.3"]
        found = self.successResultOf(deferred_of(self.resolver(most=2).lookup("foo.test", 443)))
        self.assertEqual(found, (Place("20.0.0.2", 443), Place("20.0.0.1", 443)))

    def test_host_table(self) -> None:
        """The operator's table goes first, names the port too, and DNS is not asked."""
        found = self.successResultOf(
            deferred_of(self.resolver("Foo.test = 127.0.0.1 8443", "bar.test=::1 1").lookup("foo.test", 443))
        )
        self.assertEqual(found, (Place("127.0.0.1", 8443, True),))
        self.assertEqual(self.names.asked, [])

    def test_nothing_there(self) -> None:
        """A name without an address cannot be called now."""
        self.failureResultOf(deferred_of(self.resolver().lookup("foo.test", 443)), Unavailable)

    def test_no_answer(self) -> None:
        """A resolver that says nothing is given up."""
        self.names.table["foo.test"] = None
        waiting = deferred_of(self.resolver().lookup("foo.test", 443))
        self.clock.advance(10)
        self.failureResultOf(waiting, Unavailable)

    def test_bad_tables(self) -> None:
        """A table that is not one is told at once."""
        for lines in (
            ["foo.test 127.0.0.1 443"], ["foo.test = 127.0.0.1"], ["foo.test = localhost 443"],
            ["foo.test = 127.0.0.1 0"], ["foo.test = 127.0.0.1 65536"], ["127.0.0.1 = 127.0.0.1 443"],
            ["foo.test = 127.0.0.1 443", "FOO.test = 127.0.0.1 444"],
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_hosts, lines)


class Connecting(SynchronousTestCase):
    """Resolve, check, connect to what was checked."""

    def setUp(self) -> None:
        self.world = World()
        self.bar = self.world.internet.host("bar.test", "20.0.0.2")
        self.foo = self.world.internet.host("foo.test", "20.0.0.1")
        self.world.serve_raw(self.foo, lambda raw: raw.transport.write(b"HTTP/1.1 204 fine\r\n\r\n"))

    def resolve(self, *addresses: str) -> None:
        """What DNS says about foo.test."""
        self.world.internet.names.table["foo.test"] = list(addresses)

    def assert_forbidden(self, *addresses: str) -> None:
        """Refused, and nobody was called."""
        self.resolve(*addresses)
        result = self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test")))
        self.failureResultOf(result, Forbidden)
        self.assertEqual(self.world.internet.connections, [])

    def test_private_answer(self) -> None:
        """F-02: a name that points inside is not followed."""
        self.assert_forbidden("169.254.169.254")
        self.assert_forbidden("127.0.0.1", "10.0.0.1")

    def test_rebinding(self) -> None:
        """F-04: the address that was checked is the one that is called, whatever DNS says a moment later."""
        self.world.internet.names.later["foo.test"] = ["127.0.0.1"]
        outbound = self.world.outbound(self.bar)
        self.successResultOf(self.world.internet.run(outbound.ask(get("foo.test"))))
        self.assertEqual(self.world.internet.connections, [("20.0.0.2", "20.0.0.1", 443)])
        self.successResultOf(self.world.internet.run(outbound.stop()))
        self.failureResultOf(self.world.internet.run(outbound.ask(get("foo.test"))), Forbidden)
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_mixed_answer(self) -> None:
        """F-04: of a public and a private address only the public one is called."""
        self.resolve("127.0.0.1", "20.0.0.1")
        self.successResultOf(self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test"))))
        self.assertEqual(self.world.internet.connections, [("20.0.0.2", "20.0.0.1", 443)])

    def test_host_table_goes_past_the_guard(self) -> None:
        """What the operator's own table names is called, private or not."""
        self.world.internet.host("inside.test", "127.0.0.1")
        self.world.internet.listeners["127.0.0.1", 8443] = self.world.internet.listeners["20.0.0.1", 443]
        outbound = self.world.outbound(self.bar, hosts=("foo.test = 127.0.0.1 8443",))
        self.successResultOf(self.world.internet.run(outbound.ask(get("foo.test"))))
        self.assertEqual(self.world.internet.connections, [("20.0.0.2", "127.0.0.1", 8443)])

    def test_second_address(self) -> None:
        """An address where nobody listens is followed by the next one."""
        self.resolve("20.0.0.7", "20.0.0.1")
        self.successResultOf(self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test"))))

    def test_nobody_listens(self) -> None:
        """A refused connection is a fact for the retry table."""
        self.resolve("20.0.0.7")
        result = self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test")))
        self.assertEqual(self.failureResultOf(result, Unavailable).value.detail, "connection refused")

    def test_silence(self) -> None:
        """An address that never answers is given up after 15 seconds."""
        self.world.internet.silent.add("20.0.0.1")
        result = self.world.internet.run(self.world.outbound(self.bar).fetch(get("foo.test")))
        self.world.internet.advance(15)
        self.failureResultOf(result, Unavailable)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_proxy_variables(self) -> None:
        """F-19: proxy variables of the environment are ignored."""
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            os.environ[name] = "http://20.0.0.9:3128"
            self.addCleanup(os.environ.pop, name)
        self.successResultOf(self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test"))))
        self.assertEqual(self.world.internet.connections, [("20.0.0.2", "20.0.0.1", 443)])
