"""The operator's routes about pulls."""

import json
from datetime import timedelta
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Unavailable, Unknown
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.jobs import State
from rrsd.roles.rra.local import Operator
from tests.roles.rra.agents import Desk
from tests.roles.rra.mailboxes import RAW
from tests.roles.rra.peers import OTHER
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import files
from tests.support.callers import Caller, Response

BOB, CAROL = parse_address("bob@bar.test"), parse_address("carol@bar.test")


class Routes(SynchronousTestCase):
    """The window on the queue."""

    def setUp(self) -> None:
        """Three pulls from one server and one from another."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        operator = Operator(self.desk.operations, self.desk.acceptance, self.desk.stock, self.desk.moving, len(RAW))
        self.caller = Caller(operator.routes)
        self.desk.accept(*files(3))
        self.desk.accept(b"other", name="m2", origin=OTHER)

    def call(self, method: str, path: str, body: bytes = b"", status: int = 200) -> Response:
        """The answer, of that status."""
        response = self.caller.ask(method, path, body, Content_Type="application/json")
        self.assertEqual(response.status, status, response.body)
        return response

    def test_the_queue_in_numbers(self) -> None:
        """By state, and bytes still to come."""
        document = self.call("GET", "/queue").json()
        self.assertEqual((document["by_state"], document["bytes_waiting"]), ({"new": 4}, 35))

    def test_a_page(self) -> None:
        """Filtered, after a number, at most so many; `next` says where to go on."""
        page = self.call("GET", "/pulls?most=2&after=1").json()
        self.assertEqual(([each["job"] for each in page["pulls"]], page["next"]), ([2, 3], 3))
        page = self.call("GET", f"/pulls?origin={OTHER}&state=new").json()
        self.assertEqual(([each["job"] for each in page["pulls"]], page["next"]), ([4], None))
        self.assertEqual(len(self.call("GET", "/pulls?most=0").json()["pulls"]), 1)

    def test_questions_that_are_none(self) -> None:
        """400, and nothing happens."""
        for query in ("most=x", "after=-1", "state=asleep", "origin=foo", "after=%ff", "most=" + "9" * 20):
            self.call("GET", f"/pulls?{query}", status=400)
        self.call("POST", "/pulls/1/explode", status=400)
        self.call("POST", "/pulls/hold", b'{"all": false}', status=400)
        self.call("POST", "/pulls/hold", b'{"all": true, "state": 7}', status=400)
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_destinations(self) -> None:
        """How many at once, and what led there, by name or all."""
        self.desk.peers.always("GET", RS, Unavailable("connect: refused"))
        self.desk.start()
        document = self.call("GET", f"/destinations?name={RS}").json()
        (known,) = document["destinations"]
        self.assertEqual((known["name"], known["limit"], known["until"]), (str(RS), 3, None))
        self.assertEqual([each["event"] for each in document["changes"]], ["lowered"])
        self.assertIn("connect: refused", document["changes"][0]["reason"])
        self.assertEqual(
            self.call("GET", "/destinations?name=sts").json(), {"destinations": [], "changes": [], "rulings": []}
        )

    def test_one_pull(self) -> None:
        """Everything about it, and why it is where it is."""
        self.desk.start()
        self.desk.advance(1)
        shown = self.call("GET", "/pulls/1").json()
        self.assertEqual((shown["job"]["state"], shown["job"]["done"]), ("receipted", 10))
        self.assertEqual([row["event"] for row in shown["history"]][-1], "receipted")
        self.assertEqual(shown["fetch"]["origin"], str(RS))
        explained = self.call("GET", "/pulls/1/explain").json()
        self.assertIn("has arrived", explained["text"])
        self.assertEqual(explained["facts"]["next"], None)
        for number in ("99", "9" * 40):
            self.call("GET", f"/pulls/{number}", status=404)

    def test_one_verb(self) -> None:
        """The pull after it; a second time too; 409 where its state does not allow it."""
        self.assertEqual(self.call("POST", "/pulls/1/hold").json()["job"]["state"], "held")
        self.assertEqual(self.call("POST", "/pulls/1/hold").json()["job"]["state"], "held")
        self.assertEqual(self.call("POST", "/pulls/1/cancel").json()["job"]["state"], "cancelled")
        self.call("POST", "/pulls/1/release", status=409)

    def test_a_bulk_verb(self) -> None:
        """How many it moved, and how many did not allow it."""
        self.assertEqual(self.all("cancel", origin=str(RS)), {"changed": 3, "unchanged": 0, "next": None})
        self.assertEqual(self.all("release", state="cancelled"), {"changed": 0, "unchanged": 3, "next": None})

    def all(self, verb: str, **wanted: object) -> Any:
        """The verb for all that are wanted, counted and confirmed."""
        asked = self.call("POST", f"/pulls/{verb}", json.dumps({"all": True, **wanted}).encode()).json()
        confirmed = {"all": True, **wanted, "token": asked["token"]}
        return self.call("POST", f"/pulls/{verb}", json.dumps(confirmed).encode()).json()

    def test_a_due_time_is_written_as_a_date(self) -> None:
        """ISO 8601, UTC."""
        self.desk.rewrite(1, due=self.desk.timers.now() + timedelta(hours=1))
        self.assertRegex(self.call("GET", "/pulls/1").json()["job"]["due"], r"^20..-..-..T..:..:..\+00:00$")

    def test_deliver(self) -> None:
        """The message goes to its recipients; what they have already is left out."""
        path = "/deliver?recipient=bob@bar.test&recipient=carol@bar.test"
        accepted = self.call("POST", path, RAW).json()["accepted"]
        self.assertEqual([each["recipient"] for each in accepted], ["bob@bar.test", "carol@bar.test"])
        self.assertEqual([len(each["pulls"]) for each in accepted], [2, 2])
        self.assertEqual(self.call("POST", path, RAW).json(), {"accepted": []})
        self.call("POST", "/deliver", RAW, status=400)
        refused = self.call("POST", "/deliver?recipient=bob", RAW, status=400).json()
        self.assertIn("recipient: ", str(refused))
        self.call("POST", path, RAW + b"x", status=413)

    def test_a_delegation_for_nobody(self) -> None:
        """The field that is wrong is named."""
        for name, body in (("user", {"resource": "https://api.baz.test"}), ("resource", {"user": "bob@bar.test"})):
            refused = self.call("POST", "/delegations", json.dumps(body).encode(), status=400).json()
            self.assertIn(f"{name}: ", str(refused))

    def test_a_delegation_by_hand(self) -> None:
        """The agent asks its token service as it does for itself; the trail has the operator before it."""
        body = b'{"user": "bob@bar.test", "resource": "https://api.baz.test"}'
        document = self.call("POST", "/delegations", body).json()
        self.assertEqual(set(document), {"user", "resource", "delegation"})
        (line,) = self.desk.trail.of("operate")
        self.assertEqual(
            (line.subject, line.resource, line.evidence), ("bob@bar.test", "https://api.baz.test", "delegate")
        )
        for wrong in (b"{}", b'{"user": "bob", "resource": "https://api.baz.test"}',
                      b'{"user": "bob@bar.test", "resource": "https://api.baz.test/"}'):  # fmt: skip
            self.call("POST", "/delegations", wrong, status=400)
        self.assertEqual([each.outcome for each in self.desk.trail.of("operate")], ["granted", *["refused"] * 3])

    def test_delegation_for_nobody_said_400_and_no_more(self) -> None:
        """Who is unknown or suspended is named, with what to do, before the token service is asked."""
        self.desk.members.refused = {CAROL: Unknown("user"), BOB: Forbidden("suspended")}
        for user, status, word in ((CAROL, 404, "rrsctl users list"), (BOB, 403, f"rrsctl users resume {BOB}")):
            body = json.dumps({"user": str(user), "resource": "https://api.baz.test"}).encode()
            detail = self.call("POST", "/delegations", body, status=status).json()["detail"]
            self.assertTrue(detail.startswith(str(user)), detail)
            self.assertIn(word, detail)
        lines = self.desk.trail.of("operate")
        self.assertEqual(
            [(each.outcome, each.refusal) for each in lines], [("refused", "unknown"), ("refused", "forbidden")]
        )
        self.assertEqual((lines[0].subject, lines[0].resource), (str(CAROL), "https://api.baz.test"))
        self.assertEqual((self.desk.trail.of("impersonate"), self.desk.trail.of("exchange")), ([], []))
