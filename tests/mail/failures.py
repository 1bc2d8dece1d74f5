"""What breaks on the way, and a count from outside: nothing lost, nothing doubled, nothing empty."""

import threading

from typing_extensions import override

from tests.mail.case import BOB, CAROL, MailCase

MANY = 30


class Failures(MailCase):
    """Messages go out one after another while something breaks."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.sent: list[bytes] = []

    def stream(self, count: int = MANY) -> threading.Thread:
        """Send so many messages of different sizes, beside what the test does meanwhile."""

        def work() -> None:
            for number in range(count):
                message = self.message(b"%d.\r\n" % number + b"line\r\n" * (number * 400))
                self.send(message, BOB, CAROL)
                self.sent.append(message)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def require_whole(self, sending: threading.Thread, what: str, *, at_least: bool = False) -> None:
        """Everything that was sent has arrived once, in both mailboxes; with `at_least` it may have come again where a
        connection was lost between the end of a message and its reply (RFC 1047)."""
        sending.join(60)
        self.assertEqual(len(self.sent), MANY)
        self.require_arrived({BOB: self.sent, CAROL: self.sent}, what, at_least=at_least)

    def some_sent(self, count: int) -> None:
        """Return when so many messages were handed in."""
        self.until(f"{count} were sent", lambda: len(self.sent) >= count)

    def test_out_is_killed(self) -> None:
        """kill -9 of the sender's daemon, three times."""
        sending = self.stream()
        for count in (5, 12, 20):
            self.some_sent(count)
            self._kill(self.foo)
        self.require_whole(sending, "kill -9 of the sender's rrsd, three times", at_least=True)

    def test_in_is_killed(self) -> None:
        """kill -9 of the recipients' daemon, three times."""
        sending = self.stream()
        for count in (5, 12, 20):
            self.some_sent(count)
            self._kill(self.bar)
        self.require_whole(sending, "kill -9 of the recipient's rrsd, three times", at_least=True)

    def test_postfix_restarts(self) -> None:
        """The recipients' mail server, and the sender's filter transport."""
        sending = self.stream()
        self.some_sent(8)
        self.bar.stop_postfix()
        self.pause(0.5)
        self.bar.start_postfix()
        self.require_whole(sending, "the recipient's Postfix restarted", at_least=True)

    def test_mailboxes_are_closed(self) -> None:
        """Dovecot is away: everything waits in Postfix."""
        sending = self.stream()
        self.some_sent(8)
        self.bar.running.stop("dovecot")
        self.pause(1.0)
        self.bar.start_dovecot()
        self.bar.wait_ready()
        self.require_whole(sending, "Dovecot down and up again")

    def test_names_are_away(self) -> None:
        """No DNS: signatures cannot be verified, mail waits."""
        self.hosts.servers.stop("unbound")
        sending = self.stream()
        self.some_sent(8)
        self.pause(1.0)
        self.hosts.servers.start_resolver()
        self.require_whole(sending, "DNS down and up again")

    def test_verifier_is_away(self) -> None:
        """Nothing is let in unseen."""
        self.bar.running.stop("dkim-verify")
        sending = self.stream()
        self.some_sent(8)
        self.pause(1.0)
        self.bar.start_dkim("verify")
        self.bar.wait_ready()
        self.require_whole(sending, "the verifying milter down and up again")

    def test_signer_is_away(self) -> None:
        """Nothing leaves unsigned."""
        self.foo.running.stop("dkim-sign")
        sending = self.stream()
        self.some_sent(8)
        self.pause(1.0)
        self.foo.start_dkim("sign")
        self.foo.wait_ready()
        self.require_whole(sending, "the signing milter down and up again")

    def test_twice(self) -> None:
        """A message that its sender has sent twice arrives twice."""
        message = self.message(b"x\r\n")
        for _ in range(2):
            self.send(message)
        self.settle()
        arrived = self.inbox(BOB)
        self.assertEqual([each.endswith(message) for each in arrived], [True, True])
        self.did("the same message sent twice is two messages", 2, arrived)

    def _kill(self, host: object) -> None:
        daemon = host.daemon  # type: ignore[attr-defined]
        daemon.kill()
        self.pause(0.2)
        daemon.start()
        daemon.wait_ready()
