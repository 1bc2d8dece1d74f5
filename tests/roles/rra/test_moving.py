"""The queue leaves one host and begins anew on another; nothing is there twice, and no secret leaves."""

import json
from base64 import b64encode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed, Unavailable
from rrsd.core.values.jobs import Priority, State
from rrsd.roles.rra import moving
from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.moving import HEADER, require_header
from tests.roles.rra.agents import Desk
from tests.roles.rra.mailboxes import RAW
from tests.roles.rra.peers import BOB


class Move(SynchronousTestCase):
    """Two hosts."""

    def setUp(self) -> None:
        """A message with two pulls on the old one."""
        self.old, self.new = Desk(), Desk()
        self.addCleanup(self.old.close)
        self.addCleanup(self.new.close)
        (message,) = self.old.result(self.old.acceptance.accept(RAW, [BOB]))
        self.numbers = [part.job for part in message.parts]

    def lines(self, desk: Desk) -> list[dict[str, Any]]:
        """All that it exports."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = desk.result(desk.moving.export(after))
            found += page.lines
            after = page.next
        return found

    def take(self, line: dict[str, Any]) -> int:
        """The new host takes it up."""
        return self.new.result(self.new.moving.take(line))

    def test_a_queue_moves_once(self) -> None:
        """Held stays held, the class stays; a second import changes nothing."""
        self.old.result(self.old.operations.act("hold", self.numbers[0]))
        self.old.result(self.old.operations.act("set-priority", self.numbers[1], given=Given(priority=Priority.BULK)))
        (line,) = self.lines(self.old)
        self.assertEqual(self.take(line), len(self.numbers))
        before = self.new.states()
        self.assertEqual(before[:2], [State.HELD, State.NEW])
        self.assertEqual(self.new.job(2).priority, Priority.BULK)
        self.assertEqual((self.take(line), self.new.states()), (0, before))
        self.assertEqual(self.lines(self.new)[0]["raw"], line["raw"])

    def test_what_had_ended_does_not_begin_again(self) -> None:
        """It is cancelled there; a message of which everything has ended or arrived is not exported."""
        self.old.rewrite(self.numbers[0], state=State.FAILED, due=None)
        (line,) = self.lines(self.old)
        self.take(line)
        self.assertEqual(self.new.states(), [State.CANCELLED, State.NEW])
        self.old.rewrite(self.numbers[1], state=State.RECEIPTED, due=None)
        self.assertEqual(self.lines(self.old), [])

    def test_a_long_queue_comes_in_pages(self) -> None:
        """By bytes and by number."""
        self.patch(moving, "MOST_PAGE_BYTES", 1)
        self.patch(moving, "PAGE", 1)
        self.assertEqual({line["raw"] for line in self.lines(self.old)}, {b64encode(RAW).decode()})

    def test_an_export_held_a_secret(self) -> None:
        """No token of any kind, whatever the agent has in its hands; the first line says what it is."""
        for number in self.numbers:
            self.old.peers.always("GET", self.old.job(number).origin, Unavailable("reset"))
        self.old.start()
        self.old.advance(1)
        self.assertTrue(self.old.trail.of("exchange"))
        text = json.dumps([HEADER, *self.lines(self.old)])
        for word in ("eyJ", "token", "Bearer", "PRIVATE"):
            self.assertNotIn(word, text)
        require_header(json.loads(json.dumps(HEADER)))
        others: list[Any] = [{}, {"rrsd": "queue", "version": 2}, []]
        for wrong in others:
            with self.assertRaises(Malformed):
                require_header(wrong)

    def test_lines_that_are_none(self) -> None:
        """400, and nothing changes."""
        good = {"recipient": "bob@bar.test", "raw": b64encode(RAW).decode(), "pulls": []}
        for wrong in (
            {}, {**good, "recipient": 7}, {**good, "recipient": "bob"}, {**good, "raw": "%"}, {**good, "raw": None},
            {**good, "pulls": 3}, {**good, "pulls": [3]},
            {**good, "pulls": [{"index": 0, "state": "x", "priority": "bulk"}]}, {**good, "granted": 7},
            {**good, "raw": b64encode(b"no message").decode()},
        ):  # fmt: skip
            with self.assertRaises(Malformed):
                self.take(wrong)
        self.assertEqual(self.new.states(), [])

    def test_a_recipient_of_somebody_elses(self) -> None:
        """It is refused, with who."""
        (line,) = self.lines(self.old)
        self.new.members.refused = {BOB: Forbidden("suspended")}
        with self.assertRaises(Forbidden):
            self.take(line)

    def test_a_message_whose_bytes_are_gone_holds_up_no_other(self) -> None:
        """It is left out, and whoever moves the queue hears of it."""
        (gone,) = self.old.accept(b"one", name="without a placeholder")
        page = self.old.result(self.old.moving.export(0))
        self.assertEqual((len(page.lines), page.left_out, page.next), (1, (gone,), None))
