"""What Postfix's log says of a message, in the lines that Postfix 3.7 writes."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.wire.postfix import Noted, Step, Trace, parse_log_line

FRONT = "Nov 21 15:42:40 mx postfix/"
D = "619612304F8-TZWjBnB8XxYZGBhW"
OPENED = f"smtpd[1855]: 6EBF22304FA: client=unknown[127.0.0.1], orig_queue_id={D}, orig_client=unknown[127.0.0.1]"
ACTIVE = "qmgr[1664]: 6EBF22304FA: from=<alice@foo.test>, size=483, nrcpt=1 (queue active)"
REMOVED = "qmgr[1664]: 6EBF22304FA: removed"
LEFT = "smtpd[1855]: disconnect from unknown[127.0.0.1] ehlo=1 xforward=1 mail=1 rcpt=1 data=1 commands=5"
STARTED = "master[1662]: daemon started -- version 3.7.11, configuration /etc/postfix"
KILLED = "master[1662]: warning: process /usr/lib/postfix/sbin/smtpd pid 1855 killed by signal 9"


def noted(text: str, front: str = FRONT) -> Noted | None:
    """What one line says."""
    return parse_log_line(f"{front}{text}".encode())


def trace(*texts: str) -> Trace:
    """What they say together."""
    found = Trace(D)
    found.tell(f"{FRONT}{text}".encode() for text in texts)
    return found


class Lines(SynchronousTestCase):
    """One line."""

    def test_what_they_say(self) -> None:
        """Whatever stands in front, a service's own name too."""
        opened = Noted(Step.OPENED, "6EBF22304FA", 1855, D)
        fronts = (FRONT, "2026-11-21T15:42:40.123456+00:00 mx postfix/reinject/", "Nov  1 1:2:3 h postfix-out/", "a/")
        for front in fronts:
            self.assertEqual(noted(OPENED, front), opened)
        self.assertEqual(noted(OPENED.partition(", orig_client")[0]), opened)
        self.assertEqual(noted("smtpd[1]: 4A: client=b[::1]"), Noted(Step.OPENED, "4A", 1))
        self.assertEqual(noted("pickup[7]: 4A: uid=0 from=<root>"), Noted(Step.OPENED, "4A", 7))
        kept = Noted(Step.KEPT, "6EBF22304FA")
        self.assertEqual([noted(each) for each in (ACTIVE, REMOVED)], [kept, kept])
        for each in ("postsuper[3]: 4A: removed", "postsuper[3]: 4A: requeued"):
            self.assertEqual(noted(each), Noted(Step.KEPT, "4A"))
        for each in (LEFT, KILLED, "smtpd[1855]: fatal: timeout"):
            self.assertEqual(noted(each), Noted(Step.LEFT, process=1855))
        self.assertEqual(noted(STARTED), Noted(Step.ENDED))

    def test_what_they_do_not_say(self) -> None:
        """Other programs, other words."""
        for each in (
            "cleanup[1]: 4A: message-id=<1@foo.test>", "qmgr[1]: 4A: to=<b@c>, status=deferred", "master[1]: reload",
            "smtpd[1]: connect from unknown[127.0.0.1]", "smtpd: 4A: client=x", "qmgr[1]: 4A: from=<a>, size=1",
            "smtpd[99999999999]: 4A: client=x", "qmgr[1]: -: removed", "smtpd[1]: NOQUEUE: reject: RCPT",
        ):  # fmt: skip
            self.assertIsNone(noted(each), each)
        for line in (b"", b"\xff" * 100, b"[" * 5000, b"a/b" * 5000):
            self.assertIsNone(parse_log_line(line))

    def test_what_strangers_write(self) -> None:
        """Words of a message that a line quotes are not the line's own."""
        for each in (
            f"cleanup[1]: 4B: warning: header Subject: postfix/{OPENED}", f"smtpd[2]: NOQUEUE: helo=<postfix/{ACTIVE}>",
            f"cleanup[1]: 4B: message-id=<{FRONT}{REMOVED}>",
        ):  # fmt: skip
            self.assertIsNone(noted(each), each)


class Traces(SynchronousTestCase):
    """Several lines."""

    def test_kept(self) -> None:
        """Taken up, or gone after it was there; before that it is not known."""
        self.assertTrue(trace(OPENED, "cleanup[1]: 6EBF22304FA: message-id=<1@foo.test>", ACTIVE).is_kept)
        self.assertTrue(trace(OPENED, LEFT, REMOVED).is_kept)
        self.assertTrue(trace(OPENED, STARTED, ACTIVE).is_kept)
        self.assertFalse(trace(ACTIVE, REMOVED, OPENED).is_kept)
        self.assertFalse(trace(ACTIVE).is_kept)

    def test_being_written(self) -> None:
        """Until the process that opened it has left."""
        self.assertTrue(trace(OPENED, LEFT.replace("1855", "1856")).is_being_written)
        for each in (LEFT, KILLED, STARTED):
            found = trace(OPENED, each)
            self.assertEqual((found.is_being_written, found.open), (False, {"6EBF22304FA": None}))
        self.assertEqual(trace(LEFT).open, {})

    def test_others(self) -> None:
        """Files of other messages say nothing of ours, neither does a name that was used again."""
        other = OPENED.replace(D, "4A-other").replace("6EBF22304FA", "4B")
        self.assertEqual(trace(other).open, {})
        self.assertFalse(trace(OPENED, ACTIVE.replace("6EBF22304FA", "4B")).is_kept)
        again = trace(OPENED, LEFT, OPENED.replace(D, "4A-other"), ACTIVE)
        self.assertEqual((again.is_kept, again.open), (False, {}))

    def test_two_files(self) -> None:
        """A connection that was lost before DATA has left one of which nothing became."""
        second = OPENED.replace("6EBF22304FA", "4B").replace("1855", "1856")
        found = trace(OPENED, LEFT, second)
        self.assertEqual(found.open, {"6EBF22304FA": None, "4B": 1856})
        found.tell([f"{FRONT}{ACTIVE.replace('6EBF22304FA', '4B')}".encode()])
        self.assertTrue(found.is_kept)
