"""The internet in memory carries what the daemon really runs."""

from typing import Any

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

from rrsd.web.peers import address_of, certificate_of
from tests.support.calling import World, get
from tests.support.certificates import client


class TwoDomains(SynchronousTestCase):
    """Two daemons call each other over mutual TLS on one clock."""

    def test_mutual_tls_in_both_directions(self) -> None:
        """Each side learns the other's client certificate and address, over real OpenSSL and without a socket."""
        world = World()
        foo = world.internet.host("foo.test", "20.0.0.1")
        bar = world.internet.host("bar.test", "20.0.0.2")
        foo_client, bar_client = client("_rra", "foo.test"), client("_rra", "bar.test")
        for host in (foo, bar):
            world.serve(host, _telling_who())
        to_bar = self.successResultOf(world.internet.run(world.outbound(foo, foo_client).ask(get("bar.test"))))
        to_foo = self.successResultOf(world.internet.run(world.outbound(bar, bar_client).ask(get("foo.test"))))
        self.assertEqual(to_bar.body, b"_rra.foo.test 20.0.0.1")
        self.assertEqual(to_foo.body, b"_rra.bar.test 20.0.0.2")

    def test_byte_by_byte(self) -> None:
        """The smallest segments change nothing."""
        world = World()
        world.internet.segment = 7
        foo = world.internet.host("foo.test", "20.0.0.1")
        bar = world.internet.host("bar.test", "20.0.0.2")
        world.serve(bar, _telling_who())
        answer = self.successResultOf(world.internet.run(world.outbound(foo).ask(get("bar.test"))))
        self.assertEqual(answer.body, b"None 20.0.0.1")


def _telling_who() -> Klein:
    app = Klein()

    @app.route("/")
    def who(request: Any) -> str:
        certificate = certificate_of(request)
        return f"{certificate.client if certificate else None} {address_of(request)}"

    return app
