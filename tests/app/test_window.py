"""The administrator's window on a whole domain."""

from pathlib import Path
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource

from rrsd.app.sites import local_site, status_site
from rrsd.app.urls import Switchboard
from rrsd.core.values.jobs import State
from tests.support.callers import Caller
from tests.support.world import World


@define(eq=False)
class _Board:
    """A switchboard where a caller expects routes."""

    board: Switchboard

    def resource(self) -> IResource:
        return self.board


def caller(board: Switchboard) -> Caller:
    """A caller on this host."""
    routes: Any = _Board(board)
    return Caller(routes)


class Windows(SynchronousTestCase):
    """A domain as its administrator sees it."""

    def setUp(self) -> None:
        """bar.test at work, and a message from foo.test in it."""
        self.world = World(Path(self.mktemp()))
        self.foo, self.bar = self.world.domain("foo.test"), self.world.domain("bar.test")
        self.bar.add_user("bob")
        whole = self.bar.whole
        self.desk = caller(local_site(whole.window, whole.retrieving, 1 << 20))

    def test_keys_and_their_rotation(self) -> None:
        """Names and states, never the keys themselves; a second rotation at once is none."""
        response = self.desk.ask("GET", "/keys")
        self.assertEqual(response.json()["client"]["name"], "_rra.bar.test")
        self.assertNotIn(b'"d"', response.body)
        self.assertTrue(self.desk.ask("POST", "/keys/rotate").json()["rotated"])
        self.assertFalse(self.desk.ask("POST", "/keys/rotate").json()["rotated"])

    def test_reload(self) -> None:
        """Certificates and keys are taken up; what cannot be used is refused and changes nothing."""
        self.assertEqual(self.desk.ask("POST", "/reload").status, 200)
        certificate = self.bar.plan.certificate
        good = certificate.read_bytes()
        certificate.write_bytes(b"nonsense")
        self.assertGreaterEqual(self.desk.ask("POST", "/reload").status, 400)
        certificate.write_bytes(good)
        self.assertEqual(self.desk.ask("POST", "/reload").status, 200)

    def test_ready_and_the_numbers(self) -> None:
        """The same at the endpoint that any program may ask, and nothing else there."""
        status = caller(status_site(self.bar.whole.window))
        self.assertEqual(status.ask("GET", "/ready").status, 200)
        self.assertIn(b"rrsd_pulls", status.ask("GET", "/metrics").body)
        for path in ("/users", "/pulls", "/keys", "/queue", "/deliver"):
            self.assertEqual(status.ask("GET", path).status, 404)

    def test_users(self) -> None:
        """Added, listed, suspended, removed."""
        new = {"address": "carol@bar.test", "password": "correct horse battery"}
        self.assertEqual(self.desk.send("POST", "/users", new).status, 201)
        self.assertEqual(self.desk.ask("POST", "/users/carol@bar.test/suspend").status, 200)
        users = {each["address"]: each["suspended"] for each in self.desk.ask("GET", "/users").json()["users"]}
        self.assertEqual(users, {"bob@bar.test": False, "carol@bar.test": True})
        self.assertEqual(self.desk.ask("POST", "/users/carol@bar.test/resume").status, 200)
        self.assertEqual(self.desk.ask("DELETE", "/users/carol@bar.test").status, 200)

    def test_a_delivery_and_its_pulls(self) -> None:
        """What the mail server hands over can be looked at until it has arrived."""
        raw = self.foo.send(["bob@bar.test"], {"f": b"hello"})
        accepted = self.desk.ask("POST", "/deliver?recipient=bob@bar.test", raw).json()["accepted"]
        self.world.advance(2)
        number = accepted[0]["pulls"][0]
        self.assertEqual(self.desk.ask("GET", f"/pulls/{number}").json()["job"]["state"], State.RECEIPTED)
        self.assertEqual(self.desk.ask("GET", "/queue").json()["by_state"], {"receipted": 1})
