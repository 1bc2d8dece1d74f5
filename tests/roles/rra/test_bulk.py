"""Verbs for many pulls: nothing before it is confirmed, and in steps."""

from typing import Any

from rrsd.core.refusals import Conflict, Unavailable
from rrsd.core.values.jobs import State
from rrsd.core.values.operations import Filter
from rrsd.roles.rra.acting import Acted
from rrsd.roles.rra.bulk import STEP, Order
from tests.roles.rra.agents import Desk
from tests.roles.rra.operators import Case
from tests.roles.rra.peers import OTHER
from tests.roles.rra.scheduling import files


class Many(Case):
    """Bulk verbs."""

    def test_nothing_happens_before_it_is_confirmed(self) -> None:
        """A token is for the very same order, and for five minutes."""
        self.desk.accept(*files(3))
        asked = self.call("POST", "/pulls/hold", {"all": True, "state": "new"})
        self.assertEqual((asked["jobs"], asked["seconds"]), (3, 300))
        self.assertEqual(set(self.desk.states()), {State.NEW})
        confirmed = {"all": True, "state": "new", "token": asked["token"]}
        for wrong in ({**confirmed, "state": "held"}, {"all": True, "token": asked["token"]},
                      {**confirmed, "token": "x"}, {**confirmed, "age": 5}):  # fmt: skip
            self.call("POST", "/pulls/hold", wrong, 409)
        self.call("POST", "/pulls/cancel", confirmed, 409)
        self.desk.advance(301, 301)
        self.call("POST", "/pulls/hold", confirmed, 409)
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_the_count_was_of_pulls_that_cannot_be_changed(self) -> None:
        """Only those are counted that the verb changes: of every state, of one, and receipts that were given up."""
        for number, state in enumerate((*State, State.STORED), 1):
            self.desk.accept(b"%d" % number, name=f"m{number}")
            self.desk.rewrite(number, state=state)
        self.desk.rewrite(len(State) + 1, condition="receipt")
        for verb, wanted, jobs in (
            ("hold", {}, 6), ("release", {}, 1), ("cancel", {}, 7), ("extend", {"for": 60}, 7),
            ("requeue-fresh", {}, 4),
            ("retry-now", {}, 6), ("retry-now", {"state": "stored"}, 1), ("retry-now", {"condition": "space"}, 0),
            ("hold", {"state": "held"}, 0), ("hold", {"state": "ready"}, 1), ("cancel", {"state": "receipted"}, 0),
        ):  # fmt: skip
            order = {"all": True, **wanted}
            asked = self.call("POST", f"/pulls/{verb}", order)
            self.assertEqual(asked["jobs"], jobs, (verb, wanted))
        before = len(self.desk.states())
        asked = self.call("POST", "/pulls/cancel", {"all": True})
        done = self.call("POST", "/pulls/cancel", {"all": True, "token": asked["token"]})
        self.assertEqual((done["changed"], done["unchanged"]), (7, before - 7))

    def test_what_was_so_already_was_counted_as_changed(self) -> None:
        """A class or an end that a pull has already is no change."""
        self.desk.accept(*files(2))
        order = {"all": True, "priority": "bulk"}
        for changed in (2, 0):
            asked = self.call("POST", "/pulls/set-priority", order)
            done = self.call("POST", "/pulls/set-priority", {**order, "token": asked["token"]})
            self.assertEqual((done["changed"], done["unchanged"]), (changed, 2 - changed))

    def test_what_is_misspelt_in_a_query_is_refused(self) -> None:
        """`recipint=bob` listed everything, a condition that there is not nothing; errors name the field."""
        for path, words in (
            ("/pulls?recipint=bob", "'recipint'"), ("/pulls?condition=bogus", "condition: one of authorization, "),
            ("/pulls?state=gone", "state: one of new, "), ("/pulls?age=x", "age"), ("/pulls?most=-1", "most"),
            ("/pulls?recipient=bob", "recipient: "), ("/pulls?origin=x", "origin: "), ("/pulls?sender=-", "sender: "),
            ("/pulls?most=1&most=2", "'most'"), ("/shape?m=1", "'m'"), ("/destinations?origin=x", "'origin'"),
        ):  # fmt: skip
            self.assertIn(words, str(self.call("GET", path, status=400)), path)
        for order, words in (
            ({"all": True, "condition": "bogus"}, "condition: one of"), ({"all": True, "age": "1h"}, "age: "),
            ({"all": True, "recipient": 7}, "recipient: "), ({"all": True, "after": -1}, "after: "),
        ):  # fmt: skip
            self.assertIn(words, str(self.call("POST", "/pulls/hold", order, 400)), order)

    def test_a_filter_that_is_misspelt_does_not_mean_every_pull(self) -> None:
        """It is refused by its name."""
        self.desk.accept(*files(3))
        answer = self.call("POST", "/pulls/hold", {"all": True, "recipent": "bob@bar.test"}, 400)
        self.assertIn("recipent", str(answer))
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_an_age_is_counted_from_the_question(self) -> None:
        """Who was young enough then is not meant a minute later."""
        self.desk.accept(b"one", due=None)
        self.desk.advance(60, 60)
        self.desk.accept(b"two", name="m2")
        order = {"all": True, "age": 30}
        asked = self.call("POST", "/pulls/cancel", order)
        self.assertEqual(asked["jobs"], 1)
        self.desk.advance(45, 45)
        done = self.call("POST", "/pulls/cancel", {**order, "token": asked["token"]})
        self.assertEqual((done["changed"], self.desk.states()), (1, [State.CANCELLED, State.NEW]))
        self.assertIn("cancel --all", self.desk.trail.of("operate")[0].evidence)

    def test_a_long_one_goes_on_where_it_was(self) -> None:
        """Ten seconds a request; the answer says after which job."""
        self.desk.accept(*files(3))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.patch(self.operations.bulk, "acts", Slow(self.desk))
        books = Pages(self.desk.store.books)
        self.patch(self.operations.bulk, "books", books)
        first = self.desk.result(self.operations.bulk.carry_out(order, asked.token, 0))
        self.assertEqual((first.changed, first.next), (1, 1))
        rest = self.desk.result(self.operations.bulk.carry_out(order, asked.token, 1))
        self.assertEqual(rest.next, 2)

    def test_an_order_of_many_steps_outlives_its_five_minutes(self) -> None:
        """Each step confirms the next: a million pulls are not left half done."""
        self.desk.accept(*files(3))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.patch(self.operations.bulk, "acts", Slow(self.desk))
        self.patch(self.operations.bulk, "books", Pages(self.desk.store.books))
        for after in (0, 1, 2):
            self.desk.advance(200, 200)
            step = self.desk.result(self.operations.bulk.carry_out(order, asked.token, after))
            self.assertEqual(step.changed, 1)
        self.desk.advance(301, 301)
        with self.assertRaises(Conflict):
            self.desk.result(self.operations.bulk.carry_out(order, asked.token, 2))

    def test_a_trail_that_is_full_ends_the_whole_order(self) -> None:
        """Nothing is changed without its line, and whoever asked hears of it."""
        self.desk.accept(*files(60))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.desk.trail.refusal = Unavailable("audit trail")
        for after in (0, 1):
            with self.assertRaises(Unavailable):
                self.desk.result(self.operations.bulk.carry_out(order, asked.token, after))
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_filters(self) -> None:
        """Everything that is given counts; a page looks at a bounded number of rows."""
        self.desk.accept(*files(2))
        self.desk.accept(b"other", name="m2", origin=OTHER)
        self.desk.rewrite(2, state=State.NO_SPACE, condition="space")
        for query, numbers in (
            ("condition=space", [2]), (f"origin={OTHER}", [3]), ("sender=foo.test", [1, 2, 3]), ("sender=x.test", []),
            ("recipient=BOB@bar.test", [1, 2, 3]), ("recipient=carol@bar.test", []), ("age=1", []), ("after=1", [2, 3]),
            ("state=no_space&condition=space", [2]),
        ):  # fmt: skip
            page = self.call("GET", f"/pulls?{query}")
            self.assertEqual([each["job"] for each in page["pulls"]], numbers, query)
        for query in ("recipient=bob", "sender=-", "age=x", "age=99999999999"):
            self.call("GET", f"/pulls?{query}", status=400)


class Slow:
    """Acts that take as long as a step may."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def acted(self, _: str, number: int, *__: object) -> Acted:
        """One job, ten seconds."""
        self.desk.clock.advance(STEP.total_seconds())
        return Acted(self.desk.job(number))


class Pages:
    """One job a page."""

    def __init__(self, books: Any) -> None:
        self.books = books

    async def chosen(self, wanted: Filter, after: int, most: int) -> Any:
        """One at a time."""
        return await self.books.chosen(wanted, after, 1)
