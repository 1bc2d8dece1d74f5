"""What breaks on the way, and a count from outside: nothing lost, nothing doubled, nothing empty."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from typing_extensions import override

from tests.mail.case import BAR, BOB, CAROL, FOO, MailCase

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

    def require_whole(self, sending: threading.Thread, what: str, *, stops: int = 0) -> None:
        """Everything that was sent has arrived once, in both mailboxes. The recipients' Postfix was stopped so often:
        what the sender's Postfix sent it twice for that reason is allowed, and counted (RFC 1047)."""
        sending.join(60)
        self.assertEqual(len(self.sent), MANY)
        arrived = self.require_arrived({BOB: self.sent, CAROL: self.sent}, what, at_least=bool(stops))
        twice = {queue for copies in arrived.values() for queue in self._sent_twice(copies)}
        if twice:
            print(f"sent twice by the sender's Postfix, as its log says: {', '.join(sorted(twice))}")
        self.assertLessEqual(len(twice), stops)

    def _sent_twice(self, copies: Sequence[bytes]) -> Iterator[str]:
        """The names in the sender's queue of messages of which a mailbox has several copies. Each came to the
        recipients' Postfix by itself and was one message in the sender's, whose log says that it was in doubt."""
        log = self.foo.log.read_text()
        names = [(queues_of(FOO, each), queues_of(BAR, each)) for each in copies]
        for here, there in Counter(names).items():
            self.assertEqual(there, 1, f"{here} is in the mailbox {there} times, and our LMTP proxy had it once")
        for (foo, *_), count in Counter(foo for foo, _ in names).items():
            if count > 1:
                self.assertRegex(log, f"{foo}: to=.*may be sent more than once", f"{foo} went out {count} times")
                yield foo
        submitted = Counter(foo[-1] for foo in {foo for foo, _ in names})
        self.assertEqual(
            [name for name, count in submitted.items() if count > 1], [], "taken twice by the re-injection"
        )

    def some_sent(self, count: int) -> None:
        """Return when so many messages were handed in."""
        self.until(f"{count} were sent", lambda: len(self.sent) >= count)

    def test_out_is_killed(self) -> None:
        """kill -9 of the sender's daemon, twice."""
        sending = self.stream()
        for count in (5, 16):
            self.some_sent(count)
            self._kill(self.foo)
        self.require_whole(sending, "kill -9 of the sender's rrsd, twice")

    def test_in_is_killed(self) -> None:
        """kill -9 of the recipients' daemon, twice."""
        sending = self.stream()
        for count in (5, 16):
            self.some_sent(count)
            self._kill(self.bar)
        self.require_whole(sending, "kill -9 of the recipient's rrsd, twice")

    def test_postfix_restarts(self) -> None:
        """The recipients' mail server, in front of our LMTP proxy."""
        sending = self.stream()
        self.some_sent(8)
        self.bar.stop_postfix()
        self.pause(0.5)
        self.bar.start_postfix()
        self.require_whole(sending, "the recipient's Postfix restarted", stops=1)

    def test_postfix_of_the_sender_restarts(self) -> None:
        """On both sides of our filter, with messages in it: its re-injection is asked what it has. Nothing leaves the
        domain meanwhile, so that no message is on its way to another Postfix when its own stops."""
        self.bar.stop_postfix()
        sending = self.stream()
        sending.join(60)
        self.foo.stop_postfix()
        self.pause(0.5)
        self.foo.start_postfix()
        self.until("all are through the filter", lambda: not self.waiting_for_filter())
        self.bar.start_postfix()
        self.require_whole(sending, "the sender's Postfix restarted, on both sides of the filter")

    def waiting_for_filter(self) -> list[object]:
        """What has not been through it."""
        log = self.foo.log.read_text()
        return [each for each in self.foo.queue() if f"{each['queue_id']}: client=unknown[127.0.0.1], orig" not in log]

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


def queues_of(domain: str, message: bytes) -> tuple[str, ...]:
    """The names that the message had in the queues of the domain's Postfix, the last one first."""
    return tuple(re.findall(rf"by mx\.{domain} \(Postfix\) with E?SMTP id (\w+)", message.decode("latin-1")))
