"""Rows that a failing disk or a careless hand damaged: one clear line, and everything else goes on."""

import json
from functools import partial

from tests.processes.houses import HouseCase

_DAMAGE = {
    "digest": b"short",
    "state": "nonsense",
    "origin": "https://foo.test:nonsense",
    "due": "nonsense",
    "blame": "the weather",
}


_LOUD = ("error", "critical")


class Damage(HouseCase):
    """Each of five jobs gets one damaged column; the sixth and a later seventh are whole."""

    def test_rows_of_jobs(self) -> None:
        """The whole ones arrive; each damaged one is named in the log, once by the self-check or the queue or by each,
        and keeps nobody waiting."""
        self.start()
        self.settle("bob@bar.test")
        alice = self.settle("alice@foo.test")
        message, files = self.send(alice, *range(1001, 1007))
        later, (more,) = self.send(alice, 2000)
        self.foo.stop()
        numbers = self.deliver(message)
        with self.rows() as rows:
            rows.execute("UPDATE jobs SET due = 0, state = 'ready', condition = ''")
            rows.execute("DELETE FROM breakers")
            for number, (column, value) in zip(numbers, _DAMAGE.items(), strict=False):
                rows.execute(f"UPDATE jobs SET {column} = ? WHERE job = ?", (value, number))
            self.foo.start()
            self.foo.wait_ready()
        self.await_state(numbers[-1], "receipted")
        self.require_kept(files[-1])
        (number,) = self.deliver(later)
        self.await_state(number, "receipted")
        self.require_kept(more)
        for damaged in numbers[:-1]:
            said = self.until(f"pull {damaged} is named", partial(self._lines_about, damaged))
            self.assertEqual(len(said), len(set(said)), said)

    def _lines_about(self, number: int) -> list[str]:
        found = []
        for line in self.bar.log.read_text().splitlines():
            event = json.loads(line)
            if f"pull {number}" in (f"pull {event.get('number')}", event.get("what")) and event["level"] in _LOUD:
                found.append(event["namespace"])
        return found
