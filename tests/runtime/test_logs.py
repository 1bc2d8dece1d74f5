"""Logs tell what happened and never a secret."""

import io
import json
import os
import stat
from datetime import UTC, datetime
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rrsd.runtime.logs import AuditTrail, JsonLog, TextLog, scrub

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


class Observers(SynchronousTestCase):
    """Both observers write one readable record per event."""

    def setUp(self) -> None:
        self.json, self.text = io.StringIO(), io.StringIO()
        self.observers = (JsonLog(self.json), TextLog(self.text))

    def log(self, format: str, level: LogLevel = LogLevel.info, **fields: Any) -> str:
        """What both observers write about one event."""
        for observer in self.observers:
            Logger("rrsd.test", observer=observer).emit(level, format, **fields)
        return self.json.getvalue() + self.text.getvalue()

    def test_fields(self) -> None:
        """The JSON line has the message and the plain fields."""
        self.log("{who} pulled {size}", who="_rra.bar.test", size=3, what=object())
        line = json.loads(self.json.getvalue())
        self.assertEqual((line["message"], line["size"], line["level"]), ("_rra.bar.test pulled 3", 3, "info"))
        self.assertNotIn("what", line)
        self.assertIn("rrsd.test: _rra.bar.test pulled 3\n", self.text.getvalue())

    def test_hidden_names(self) -> None:
        """S-21: a field named like a secret is never written, in the message neither."""
        names = ("token", "assertion", "client_secret", "private_key", "cookie", "authorization", "password", "code")
        for name in names:
            written = self.log(f"got {{{name}}}", LogLevel.info, **{name: "hush-hush"})
            self.assertNotIn("hush-hush", written)

    def test_credentials_in_texts(self) -> None:
        """Z-11: a credential in a text is cut out wherever it stands."""
        for text in (
            f"Bearer {JWT}",
            JWT,
            f"x {JWT} y",
            "https://a.test/?code=hush-hush&a=1",
            "Authorization: Basic aaaa",
        ):
            self.assertNotIn("hush-hush", scrub(text))
            self.assertNotIn("aaaa", scrub(text))
            self.assertNotIn(JWT, scrub(text))
        self.assertIn("&a=1", scrub("https://a.test/?code=hush-hush&a=1"))

    def test_traceback_without_token(self) -> None:
        """S-21: the trace of a failure does not tell the token that its exception holds."""
        for observer in self.observers:
            Logger("rrsd.test", observer=observer).failure("it broke", Failure(ValueError(f"bad {JWT}")))
        written = self.json.getvalue() + self.text.getvalue()
        self.assertNotIn(JWT, written)
        self.assertIn("ValueError", written)

    def test_one_line(self) -> None:
        """A line break in a value does not start a new record."""
        self.log("path {path}", path="/a\nERROR forged")
        self.assertEqual(self.text.getvalue().count("\n"), 1)
        self.assertEqual(self.json.getvalue().count("\n"), 1)

    def test_least_level(self) -> None:
        """Below the least level nothing is written."""
        self.assertEqual(self.log("chatter", LogLevel.debug), "")


class Trails(SynchronousTestCase):
    """The audit trail is appended to, line by line."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.trail = AuditTrail(self.path, lambda: datetime(2026, 11, 20, tzinfo=UTC))
        self.addCleanup(self.trail.close)

    def lines(self) -> list[dict[str, object]]:
        """What the file holds."""
        with open(self.path) as file:
            return [json.loads(line) for line in file]

    def test_append(self) -> None:
        """One decision is one line; empty fields are left out; only the daemon's user can read it."""
        self.trail.record({"what": "pull", "outcome": "granted", "who": "", "took": 0.5})
        self.trail.record({"what": "pull", "outcome": "refused", "token": "hush-hush"})
        first, second = self.lines()
        self.assertEqual((first["time"], first["took"]), ("2026-11-20T00:00:00.000+00:00", 0.5))
        self.assertNotIn("who", first)
        self.assertEqual(second["token"], "[redacted]")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_reopen(self) -> None:
        """After the file was moved away the trail goes on in a new one."""
        self.trail.record({"what": "old"})
        os.rename(self.path, self.path + ".1")
        self.trail.reopen()
        self.trail.record({"what": "new"})
        self.assertEqual([line["what"] for line in self.lines()], ["new"])

    def test_sink_down(self) -> None:
        """Z-08: what cannot be written down is an error of the request."""
        full = AuditTrail("/dev/full", lambda: datetime(2026, 11, 20, tzinfo=UTC))
        self.addCleanup(full.close)
        self.assertRaises(OSError, full.record, {"what": "pull"})
