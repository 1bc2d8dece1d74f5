"""What the demo of mail says of logs and trails, and what it needs."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.maildemo import needs
from tests.maildemo.follow import Follower
from tests.maildemo.page import words_of
from tests.maildemo.telling import Told, of_log, of_trail

SENT = (
    "Nov 21 16:00:00 vm postfix/smtp[7]: 4ABC: to=<bob@bar.test>, relay=127.0.0.1[127.0.0.1]:2525, delay=0.1, "
    "delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5DEF)"
)
HELD = SENT.replace("postfix/smtp", "postfix/rrsdin/lmtp").replace("status=sent", "status=deferred").replace(
    "250 2.0.0 Ok: queued as 5DEF", "host 127.0.0.1[127.0.0.1] said: 450 4.3.0 1 resources are being pulled"
)  # fmt: skip


class Telling(SynchronousTestCase):
    """Lines in words."""

    def test_log(self) -> None:
        """What moved, under which name there, and what waits and why."""
        said = of_log("foo.test", SENT)
        self.assertEqual(said, Told("postfix", "foo.test: 4ABC for bob@bar.test by SMTP: taken, 5DEF there"))
        self.assertEqual(
            of_log("bar.test", HELD), Told("postfix", "bar.test keeps 4ABC: 450 4.3.0 1 resources are being pulled")
        )
        self.assertIsNone(of_log("foo.test", "Nov 21 16:00:00 vm postfix/qmgr[7]: 4ABC: removed"))

    def test_trail(self) -> None:
        """Decisions of the story, with their claims; a terminal is told nothing that it would obey."""
        line = {"what": "impersonate", "outcome": "granted", "who": "_rra.bar.test", "claims": {"sub": "bob@bar.test"}}
        told = of_trail("bar.test", line)
        assert told is not None
        self.assertEqual((told.word, told.claims), ("exchange", {"sub": "bob@bar.test"}))
        odd = of_trail("foo.test", {"what": "send", "outcome": "granted", "evidence": "\x1b[2J"})
        assert odd is not None
        self.assertNotIn("\x1b", odd.text)
        self.assertIsNone(of_trail("foo.test", {"what": "admit", "outcome": "refused"}))

    def test_follow(self) -> None:
        """Whole lines, each once, after what was there before."""
        path = Path(self.mktemp())
        path.write_text(SENT + "\n")
        follower = Follower.of_log("foo.test", path)
        follower.skip()
        with path.open("a") as file:
            file.write(f"{HELD}\n{HELD}\n{SENT[:40]}")
        self.assertEqual(len(list(follower.news())), 1)
        with path.open("a") as file:
            file.write(f"{SENT[40:]}\n")
        self.assertEqual([each.text[:14] for each in follower.news()], ["foo.test: 4ABC"])

    def test_page(self) -> None:
        """What a person reads."""
        page = "<head><title>x</title></head><style>p {}</style><body><h1>Files &amp; more</h1><p> a </p></body>"
        self.assertEqual(words_of(page), ["Files & more", "a"])

    def test_needs(self) -> None:
        """What is missing comes with the line that installs it."""
        self.patch(needs, "PATH", "")
        self.assertIn("apt install ", needs.missing())
        self.assertIn("postfix", needs.missing())
