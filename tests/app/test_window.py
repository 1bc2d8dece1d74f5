"""The administrator's window on a whole domain."""

from errno import ENOSPC
from pathlib import Path
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource

from rrsd.app.sites import local_site, status_site
from rrsd.app.urls import Switchboard
from rrsd.core.refusals import Forbidden
from rrsd.core.values.jobs import State
from rrsd.drivers.keys.service import Keyring
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
        self.desk.pump = self.world.internet.pump

    def test_keys_and_their_rotation(self) -> None:
        """Names and states, never the keys themselves; a second rotation at once is none."""
        response = self.desk.ask("GET", "/keys")
        self.assertEqual(response.json()["client"]["name"], "_rra.bar.test")
        self.assertNotIn(b'"d"', response.body)
        self.assertTrue(self.desk.ask("POST", "/keys/rotate").json()["rotated"])
        self.assertFalse(self.desk.ask("POST", "/keys/rotate").json()["rotated"])

    def test_the_client_key(self) -> None:
        """Each step leaves a line, says what the zone must say, and comes no sooner than others have forgotten."""
        first = self.desk.ask("GET", "/keys").json()["clients"][0]
        self.assertEqual((first["state"], first["name"]), ("current", "_rra.bar.test"))
        self.assertEqual(self.step("use"), (409, "publish comes before use"))
        self.assertEqual(self.step("publish"), (200, ""))
        seen = self.desk.ask("GET", "/keys").json()
        hashes = [each["spki"] for each in seen["clients"]]
        self.assertEqual(
            seen["records"],
            [
                f'_rra.bar.test. 3600 IN TXT "v=DANCE1; h=sha256; p={",".join(hashes)}"',
                *(f"_rra.bar.test. 3600 IN TLSA 3 1 1 {each}" for each in hashes),
            ],
        )
        self.assertEqual(seen["following"]["step"], "use")
        self.assertEqual(self.step("use"), (409, "wait until"))
        self.world.advance(3600, 600)
        self.assertEqual(self.step("use"), (200, ""))
        self.assertEqual(self.step("withdraw"), (409, "wait until"))
        self.assertEqual(self.step("withdraw", force=True), (200, ""))
        self.assertEqual(self.step("lose"), (404, ""))
        lines = [(line["what"], line["outcome"], line["evidence"].partition(":")[0]) for line in self.bar.trail.lines]
        self.assertEqual([line[1] for line in lines if line[0] == "administer"], ["refused"] * 4)
        done = ["publish", "use", "withdraw, forced"]
        self.assertEqual(
            [line for line in lines if line[0] != "administer"], [("client_key", "granted", each) for each in done]
        )

    def step(self, step: str, *, force: bool = False) -> tuple[int, str]:
        """The status of a step, and those of the expected words that its refusal says."""
        response = self.desk.send("POST", f"/keys/client/{step}", {"force": force})
        said = response.json().get("detail", "")
        return response.status, next((each for each in ("publish comes before use", "wait until") if each in said), "")

    def test_z08_no_line_no_change(self) -> None:
        """Keys stay as they are when the trail cannot be written."""
        before = self.desk.ask("GET", "/keys").json()
        self.bar.trail.broken = OSError(ENOSPC, "no space")
        for path in ("rotate", "client/publish"):
            self.assertEqual(self.desk.send("POST", f"/keys/{path}", {}).status, 503)
        self.assertEqual(self.desk.ask("GET", "/keys").json(), before)

    def test_rotation_by_itself(self) -> None:
        """It leaves a line as the administrator's does, and one when it fails, since nobody asked who could be told."""
        keys = self.bar.whole.keys
        self.assertTrue(keys.rotate_by_itself())
        folder = Path(self.bar.settings.keys.path)
        folder.chmod(0o770)
        self.assertRaises(Forbidden, keys.rotate_by_itself)
        folder.chmod(0o700)
        self.assertEqual(
            [(line["outcome"], line["who"]) for line in self.bar.trail.of("rotate")],
            [("granted", "clock"), ("failed", "clock")],
        )

    def test_a_rotation_that_fails(self) -> None:
        """It leaves a line, and the key that signed signs on."""
        before = self.bar.access_token("bob").partition(".")[0]
        folder = Path(self.bar.settings.keys.path)
        folder.chmod(0o770)
        self.assertEqual(self.desk.ask("POST", "/keys/rotate").status, 403)
        folder.chmod(0o700)
        (line,) = self.bar.trail.lines
        self.assertEqual((line["what"], line["refusal"]), ("administer", "forbidden"))
        self.assertEqual(self.bar.access_token("bob").partition(".")[0], before)

    def test_reload(self) -> None:
        """Certificates and keys are taken up; what cannot be used is refused and changes nothing."""
        self.assertEqual(self.desk.ask("POST", "/reload").status, 200)
        certificate = self.bar.plan.certificate
        good = certificate.read_bytes()
        certificate.write_bytes(b"nonsense")
        self.assertGreaterEqual(self.desk.ask("POST", "/reload").status, 400)
        certificate.write_bytes(good)
        self.assertEqual(self.desk.ask("POST", "/reload").status, 200)

    def test_new_keys_were_used_before_the_trail_said_so(self) -> None:
        """The line comes first: without it everything is as it was."""
        doors = self.bar.whole.means.doors
        Keyring(self.bar.settings.keys, self.bar.whole.means.effects.timers.now).rotate()
        before = doors.keyring.signing_keys()
        self.bar.trail.broken = OSError(ENOSPC, "full")
        self.assertEqual(self.desk.ask("POST", "/reload").status, 503)
        self.assertEqual(doors.keyring.signing_keys(), before)
        self.bar.trail.broken = None
        self.assertEqual(self.desk.ask("POST", "/reload").status, 200)
        self.assertNotEqual(doors.keyring.signing_keys(), before)
        self.assertEqual(self.bar.trail.of("reload")[0]["evidence"], "front certificate, keys, 2 policies")

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
