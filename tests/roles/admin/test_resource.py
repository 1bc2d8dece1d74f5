"""The operator's window over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Malformed, NoSpace, Refusal, Unavailable, Unknown
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Counts, Holding, State
from rrsd.roles.admin.flow import Window
from rrsd.roles.admin.meters import Meters
from rrsd.roles.admin.ports import Keys, Pulls, Users
from rrsd.roles.admin.resource import Desk, Status
from tests.support.callers import Caller


@frozen
class Somebody:
    """A user."""

    address: Address
    suspended: bool = False
    created: Instant = field(factory=lambda: instant(1_800_000_000))


@define(eq=False)
class People:
    """Users in a list; what is done to them is written down."""

    done: list[tuple[str, str]] = field(factory=list)
    own: int | None = None

    async def add(self, address: Address, password: str) -> None:
        if password == "weak":
            raise Malformed("password")
        if str(address).startswith("bob"):
            raise Conflict("user")
        self.done.append(("add", str(address)))

    async def set_password(self, address: Address, password: str) -> None:
        self.done.append(("password", str(address)))

    async def suspend(self, address: Address) -> None:
        raise Unknown("user")

    async def resume(self, address: Address) -> None:
        self.done.append(("resume", str(address)))

    async def remove(self, address: Address) -> None:
        self.done.append(("remove", str(address)))

    async def list(self) -> Sequence[Somebody]:
        return [Somebody(parse_address("bob@bar.test"))]

    quota = 70

    async def holdings(self) -> Mapping[str, Holding]:
        return {"bob@bar.test": Holding(9, 4, self.own)}

    async def set_quota(self, address: Address, quota: int | None) -> None:
        self.own = quota


class Nobody:
    """Clients, none."""

    async def list(self) -> Sequence[Mapping[str, Any]]:
        return []

    async def show(self, name: str) -> Mapping[str, Any]:
        raise Unknown(name)

    async def add(self, name: str, document: Mapping[str, Any]) -> None:
        raise Malformed(name)

    async def disable(self, name: str) -> None:
        raise Unknown(name)

    async def enable(self, name: str) -> None:
        raise Unknown(name)

    async def remove(self, name: str) -> None:
        raise Unknown(name)


class World:
    """Says that it believes every name."""

    async def verify(self, name: str) -> Mapping[str, object]:
        if name == "":
            raise Malformed("domain length")
        return {"name": name, "believed": True}

    async def explain(self, given: Mapping[str, object]) -> Mapping[str, object]:
        return {**given, "permitted": True}


@define(eq=False)
class Ring:
    """Keys by name."""

    rotations: int = 0
    forced: list[bool] = field(factory=list)

    def document(self) -> Mapping[str, object]:
        return {"keys": [{"kid": "k1"}]}

    def rotate(self) -> bool:
        self.rotations += 1
        return self.rotations == 1

    async def change_client(self, step: str, *, is_forced: bool) -> bool:
        if step != "use":
            raise Unknown("no such step")
        self.forced.append(is_forced)
        return True


class Some:
    """A queue with two pulls."""

    async def counts(self) -> Counts:
        return Counts({State.NEW: 2}, 99)


@define(eq=False)
class Trail:
    """The audit trail."""

    events: list[Event] = field(factory=list)
    refusal: Refusal | None = None

    def record(self, event: Event) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.events.append(event)


class Windows(SynchronousTestCase):
    """Health for anyone, changes for the administrator."""

    def setUp(self) -> None:
        """A window on doubles."""
        self.people, self.meters = People(), Meters()
        self.trouble: list[Exception] = []
        self.trail = Trail()
        users: Users = self.people
        self.keys = Ring()
        keys: Keys = self.keys
        pulls: Pulls = Some()

        async def store() -> None:
            for each in self.trouble:
                raise each

        async def fine() -> None: ...

        async def reload(decided: Callable[[Sequence[str]], None]) -> Sequence[str]:
            for each in self.trouble:
                raise each
            decided(["certificates"])
            return ["certificates"]

        window = Window(
            users=users, keys=keys, pulls=pulls, identity=World(), clients=Nobody(), policy=World(),
            checks={"store": store, "keys": fine}, reload=reload, meters=self.meters,
        )  # fmt: skip
        self.status, self.desk = Caller(Status(window).routes), Caller(Desk(window, self.trail).routes)

    def test_health(self) -> None:
        """The reactor answers."""
        self.assertEqual(self.status.ask("GET", "/health").json(), {"status": "ok"})

    def test_verify(self) -> None:
        """A name that is none is refused; the report is passed on as it is."""
        response = self.desk.send("POST", "/policy/explain", {"user": "bob@bar.test"})
        self.assertEqual(response.json(), {"user": "bob@bar.test", "permitted": True})
        response = self.desk.send("POST", "/identity/verify", {"name": "_rra.bar.test"})
        self.assertEqual(response.json(), {"name": "_rra.bar.test", "believed": True})
        for given in ({"name": ""}, {"name": 7}, {}):
            self.assertEqual(self.desk.send("POST", "/identity/verify", given).status, 400)

    def test_ready(self) -> None:
        """200 when every check passes; 503 with what is wrong and what to do."""
        self.assertEqual(self.status.ask("GET", "/ready").json()["checks"], {"store": "ok", "keys": "ok"})
        self.trouble = [NoSpace("free some space")]
        response = self.status.ask("GET", "/ready")
        self.assertEqual((response.status, response.json()["status"]), (503, "not ready"))
        self.assertIn("free some space", response.json()["checks"]["store"])

    def test_metrics(self) -> None:
        """Decisions, durations, bytes, the queue, the lag; labels from closed lists."""
        self.meters.record(Event("pull", "granted", took=0.5, size=7, who="_rra.bar.test"))
        self.meters.record(Event("pull", "failed", refusal="broken"))
        self.meters.lagged(0.25)
        response = self.status.ask("GET", "/metrics")
        self.assertTrue(response.headers["content-type"].startswith("text/plain"))
        text = response.body.decode()
        for line in (
            'rrsd_decisions_total{outcome="granted",refusal="",what="pull"} 1.0',
            'rrsd_decisions_total{outcome="failed",refusal="broken",what="pull"} 1.0',
            "rrsd_pulled_bytes_total 7.0",
            'rrsd_took_seconds_count{what="pull"} 1.0',
            'rrsd_pulls{state="new"} 2.0',
            'rrsd_pulls{state="leased"} 0.0',
            "rrsd_pull_bytes_waiting 99.0",
            "rrsd_reactor_lag_seconds 0.25",
        ):
            self.assertIn(line, text)
        self.assertNotIn("bar.test", text)

    def test_users(self) -> None:
        """Listed, added, changed, removed; what the domain refuses is refused."""
        (user,) = self.desk.ask("GET", "/users").json()["users"]
        self.assertEqual((user["address"], user["suspended"]), ("bob@bar.test", False))
        good = {"address": "carol@bar.test", "password": "correct horse"}
        self.assertEqual(self.desk.send("POST", "/users", good).status, 201)
        for changed, status in (
            ({"password": "weak"}, 400), ({"address": "bob@bar.test"}, 409), ({"address": "bob"}, 400),
            ({"address": 7}, 400), ({"password": None}, 400),
        ):  # fmt: skip
            self.assertEqual(self.desk.send("POST", "/users", {**good, **changed}).status, status)
        self.assertEqual(self.desk.send("POST", "/users/carol@bar.test/password", {"password": "x"}).status, 200)
        self.assertEqual(self.desk.ask("POST", "/users/eve@bar.test/suspend").status, 404)
        self.assertEqual(self.desk.ask("POST", "/users/carol@bar.test/resume").json(), {"address": "carol@bar.test"})
        self.assertEqual(self.desk.ask("DELETE", "/users/carol@bar.test").status, 200)
        self.assertEqual([what for what, _ in self.people.done], ["add", "password", "resume", "remove"])

    def test_quota(self) -> None:
        """What a user holds stands beside what they may; it is set in bytes, to none, or to the domain's."""
        path = "/users/bob@bar.test/quota"
        for given, own, limit in ((50, 50, 50), (0, 0, 0), (None, None, 70)):
            self.assertEqual(self.desk.send("POST", path, {"quota": given}).json()["quota"], given)
            document = self.desk.ask("GET", "/users").json()
            (user,) = document["users"]
            found = [user[name] for name in ("held", "reserved", "quota", "limit")]
            self.assertEqual((found, document["quota"]), ([9, 4, own, limit], 70))
        wrongs: tuple[object, ...] = (-1, 1.5, True, "5GiB", 1 << 62, [], {})
        for wrong in wrongs:
            self.assertEqual(self.desk.send("POST", path, {"quota": wrong}).status, 400, wrong)

    def test_keys(self) -> None:
        """Public parts; a rotation that just happened is not repeated."""
        self.assertEqual(self.desk.ask("GET", "/keys").json(), {"keys": [{"kid": "k1"}]})
        self.assertTrue(self.desk.ask("POST", "/keys/rotate").json()["rotated"])
        self.assertFalse(self.desk.ask("POST", "/keys/rotate").json()["rotated"])

    def test_client_keys(self) -> None:
        """A step is taken, by force where the body says so; another word, or a force that is none, is refused."""
        for body in ({}, {"force": True}):
            self.assertTrue(self.desk.send("POST", "/keys/client/use", body).json()["changed"])
        self.assertEqual(self.keys.forced, [False, True])
        self.assertEqual(self.desk.send("POST", "/keys/client/use", {"force": "yes"}).status, 400)
        self.assertEqual(self.desk.send("POST", "/keys/client/lose", {}).status, 404)

    def test_reload(self) -> None:
        """What was taken up, or what could not be."""
        self.assertEqual(self.desk.ask("POST", "/reload").json(), {"reloaded": ["certificates"]})
        self.trouble = [Unavailable("certificate")]
        self.assertEqual(self.desk.ask("POST", "/reload").status, 503)
        self.assertEqual(
            [(each.what, each.outcome, each.who) for each in self.trail.events],
            [("reload", "granted", "operator"), ("administer", "refused", "operator")],
        )

    def test_every_refusal_leaves_a_line(self) -> None:
        """What an administrator may not do is on record with the route; the users' verbs write what was done."""
        self.desk.ask("POST", "/users/eve@bar.test/suspend")
        self.desk.send("POST", "/users", {"address": "bob", "password": "correct horse"})
        self.assertEqual(
            [(each.what, each.resource, each.refusal) for each in self.trail.events],
            [("administer", "POST /users/eve@bar.test/suspend", "unknown"), ("administer", "POST /users", "malformed")],
        )

    def test_z08_trail_is_down(self) -> None:
        """A refusal that cannot be written down is a 503, not an error of ours."""
        self.trail.refusal = Unavailable("audit trail: No space left on device")
        answer = self.desk.ask("POST", "/users/eve@bar.test/suspend")
        self.assertEqual((answer.status, answer.json()["reason"]), (503, "unavailable"))
