"""Whom a limit for each network address counts."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.networks import network_of


class Networks(SynchronousTestCase):
    """T-12, F-01: nobody has more than one bucket."""

    def test_t12_one_network_is_one_caller(self) -> None:
        """The addresses of one /64 are one caller's, who chooses among them freely; another /64 is another's."""
        for address, network in (
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("fe80::1%eth0", "fe80::"),
        ):
            self.assertEqual(network_of(address), network)

    def test_ipv4(self) -> None:
        """An IPv4 address is one caller, also where a socket for both kinds shows it within IPv6."""
        self.assertEqual(network_of("192.0.2.7"), "192.0.2.7")
        self.assertEqual(network_of("::ffff:192.0.2.7"), "192.0.2.7")
        self.assertNotEqual(network_of("::ffff:192.0.2.8"), network_of("::ffff:192.0.2.7"))

    def test_no_address(self) -> None:
        """What is no address, as with a unix socket, stays what it is."""
        for text in ("", "bar.test", "1.2.3.4.5"):
            self.assertEqual(network_of(text), text)
