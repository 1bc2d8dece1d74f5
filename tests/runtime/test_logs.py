"""Logs tell what happened and never a secret."""

import io
import json
import os
import resource
import signal
import stat
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rrsd.runtime import logs
from rrsd.runtime.logs import AuditTrail, Log, as_json, as_text, scrub

FRAGMENTS = ("Bearer ", "ba\u017fic ", "DPoP\t", "eyJ", "A" * 41, "a.b", "/rrs/links/", "token=", "/", "x", " ", "&")
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


class Observers(SynchronousTestCase):
    """Both observers write one readable record per event."""

    def setUp(self) -> None:
        self.json, self.text = io.StringIO(), io.StringIO()
        self.observers = (Log(self.json, as_json), Log(self.text, as_text))

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
            "POST /rrs/links/hush-hush/code",
        ):
            self.assertNotIn("hush-hush", scrub(text))
            self.assertNotIn("aaaa", scrub(text))
            self.assertNotIn(JWT, scrub(text))
        self.assertIn("&a=1", scrub("https://a.test/?code=hush-hush&a=1"))

    @given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=6).map("".join))
    def test_shortcut_hides_as_much(self, text: str) -> None:
        """Z-11: the look at the marks lets nothing pass that the whole pattern finds."""
        self.assertIsNone(logs._SECRETS.search(text) if scrub(text) == text and logs.HIDDEN not in text else None)

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

    def test_half_a_line(self) -> None:
        """What a full disk or a crash has cut off does not swallow the next line."""
        with open(self.path, "ab") as file:
            file.write(b'{"what": "pull", "outc')
        self.trail.reopen()
        self.trail.record({"what": "next"})
        self.trail.record({"what": "last"})
        with open(self.path) as lines:
            self.assertEqual([json.loads(line)["what"] for line in list(lines)[1:]], ["next", "last"])

    def test_half_a_line_of_this_process(self) -> None:
        """The same when the disk fills up in the middle of a line and has room again."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGXFSZ, before)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))
        for _ in range(2):
            self.assertRaises(OSError, self.trail.record, {"what": "pull"})
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.trail.record({"what": "next"})
        with open(self.path) as lines:
            torn, whole = lines
        self.assertEqual((len(torn), json.loads(whole)["what"]), (31, "next"))

    def test_removed(self) -> None:
        """Lines do not go into a file that nobody can see any more."""
        self.trail.record({"what": "old"})
        os.unlink(self.path)
        self.trail.record({"what": "new"})
        self.assertEqual([line["what"] for line in self.lines()], ["new"])

    def test_credentials_in_fields(self) -> None:
        """Z-11: a token in a path or a name is not kept."""
        token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJib2JAYmFyLnRlc3QifQ.c2lnbmF0dXJl"
        for text in (f"GET /orders/{token}", token[:30], f"Bearer {token}", f"refresh_token={token}", "eyJ" + "a" * 60):
            self.trail.record({"what": "call", "resource": text})
        for line in self.lines():
            self.assertIn("[redacted]", str(line["resource"]))
            self.assertNotIn("eyJ", str(line["resource"]))
        self.trail.record({"what": "retrieve", "resource": f"ni:///sha-256;eyJ{'a' * 40}"})
        self.assertNotIn("[redacted]", str(self.lines()[-1]["resource"]), "a digest may begin like that")
