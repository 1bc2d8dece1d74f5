"""The search finds what it is for, and tells it without telling it again."""

import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.secrets.__main__ import main
from tests.secrets.scan import CLASSES, KNOWN, SAMPLES, blind_to, kinds_in


class Searches(SynchronousTestCase):
    """`python -m tests.secrets`."""

    def setUp(self) -> None:
        """A folder as trial leaves it: logs of workers, of processes, and an audit trail."""
        self.place = Path(self.mktemp())
        for name in ("0/_trial_temp/test.log", "0/out.log", "some.test/foo.log", "some.test/audit.jsonl", "film.bin"):
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("nothing to see\n")

    def search(self) -> tuple[int, str]:
        """Status and text."""
        out = io.StringIO()
        return main([str(self.place)], out), out.getvalue()

    def test_nothing(self) -> None:
        """Status 0, and how much was read."""
        self.assertEqual(self.search(), (0, "secrets: 0 in 4 logs of 60 bytes\n"))

    def test_every_class_is_found_and_not_shown(self) -> None:
        """In each kind of file, by line and class."""
        for kind, sample in SAMPLES.items():
            for name in ("0/_trial_temp/test.log", "0/out.log", "some.test/foo.log", "some.test/audit.jsonl"):
                with self.subTest(kind=kind, name=name):
                    path = self.place / name
                    path.write_text(f"one\ntwo {sample} three\n")
                    status, text = self.search()
                    self.assertEqual((status, text.splitlines()[0]), (1, f"secrets: {path}:2: {kind}"))
                    self.assertNotIn(sample[-16:], text)
                    path.write_text("nothing to see\n")

    def test_other_files(self) -> None:
        """Keys lie in key files and tokens in stores: those are no logs."""
        (self.place / "film.bin").write_text("-----BEGIN PRIVATE KEY-----")
        self.assertEqual(self.search()[0], 0)

    def test_nothing_was_read(self) -> None:
        """No logs is no success."""
        self.assertEqual(main([str(self.place / "elsewhere")], io.StringIO()), 2)
        self.assertEqual(main([], io.StringIO()), 2)

    def test_what_logs_are_full_of(self) -> None:
        """Digests, paths, challenges, redacted fields and words are no secrets."""
        for line in (
            'www-authenticate: Bearer resource_metadata="https://foo.test/.well-known/oauth-protected-resource"',
            "GET /.well-known/ni/sha-256/3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 200 17",
            "https://foo.test/authorize?code=[redacted]&state=x",
            json.dumps({"access_token": "[redacted]", "what": "delegate", "evidence": "access token"}),
            "Bearer [redacted]",
            "the bearer of a token; basic authentication is not taken",
        ):
            self.assertEqual(list(kinds_in(line)), [], line)

    def test_samples(self) -> None:
        """One of each class, and every password that the tests know."""
        self.assertEqual([name for name, _ in CLASSES], list(SAMPLES))
        self.assertEqual(blind_to(), [])
        self.assertEqual([each for each in KNOWN if not list(kinds_in(each))], [])
