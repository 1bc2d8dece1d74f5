"""The contract of personal links and their codes, and of the outbox of messages that we write ourselves."""

from datetime import timedelta

from attrs import evolve
from twisted.logger import capturedLogs

from rrsd.core.refusals import Damaged, Unknown
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.links import Attempt, Link, LinkSession, OneTimeCode
from rrsd.core.values.notices import Notice
from rrsd.core.values.resources import Grant
from rrsd.drivers.store.sql.notices import KEPT
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, CAROL, NOW, later

HOUR, DAY = timedelta(hours=1), 86400
LINK = Link(digest_of(b"link"), "1@foo.test", ALICE, BOB, later(DAY))
RIGHT, WRONG = digest_of(b"right"), digest_of(b"wrong")
CODE = OneTimeCode(LINK.key, BOB, RIGHT, NOW, later(600))
SESSION = LinkSession(digest_of(b"cookie"), LINK.key, later(7200))
NOTICE = Notice("k", BOB, "Files", "text", later(600), "1@foo.test", ALICE, NOW)


class LinksContract(StoreCase):
    """What the store promises about them."""

    def spoil(self, statement: str) -> None:
        """Change rows behind the store's back."""
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(statement).rowcount))

    def attempt(self, code: Digest, at: float = 0, session: LinkSession = SESSION) -> Attempt:
        """Enter a code."""
        return self.done(self.store.links.try_code(code, session, later(at), 5))

    def test_links(self) -> None:
        """By the digest of their secret."""
        links = self.store.links
        self.refused(Unknown, links.find(LINK.key))
        self.done(links.add(LINK, NOW))
        self.assertEqual(self.done(links.find(LINK.key)), LINK)
        self.spoil("UPDATE links SET expires = 'x'")
        self.refused(Damaged, links.find(LINK.key))

    def test_the_same_link_again(self) -> None:
        """It is one link, and lasts as long as either."""
        for expires in (DAY * 2, DAY):
            self.done(self.store.links.add(evolve(LINK, expires=later(expires)), NOW))
        self.assertEqual(self.done(self.store.links.find(LINK.key)), evolve(LINK, expires=later(DAY * 2)))

    def test_limits(self) -> None:
        """So many for one link, so many for one address, within a window that moves."""
        add = self.store.links.add_code
        for second in (0, 10):
            self.assertEqual(self.done(add(evolve(CODE, made=later(second)), 2, 3, HOUR)), 0)
        self.assertEqual(self.done(add(evolve(CODE, made=later(20)), 2, 3, HOUR)), 3581)
        other = evolve(CODE, link=digest_of(b"other"), made=later(30))
        self.assertEqual(self.done(add(other, 2, 3, HOUR)), 0)
        self.assertEqual(self.done(add(evolve(other, made=later(40)), 2, 3, HOUR)), 3561)
        self.assertEqual(self.done(add(evolve(other, recipient=CAROL, made=later(40)), 2, 3, HOUR)), 0)
        self.assertEqual(self.done(add(evolve(CODE, made=later(3601)), 2, 3, HOUR)), 0)

    def test_right_code(self) -> None:
        """It is good once, and begins a session."""
        self.refused(Unknown, self.store.links.session(SESSION.key))
        self.assertEqual(self.attempt(RIGHT), Attempt.OVER)
        self.done(self.store.links.add_code(CODE, 5, 5, HOUR))
        self.assertEqual(self.attempt(RIGHT, 599), Attempt.RIGHT)
        self.assertEqual(self.done(self.store.links.session(SESSION.key)), SESSION)
        self.assertEqual(self.attempt(RIGHT, 599, evolve(SESSION, key=digest_of(b"2"))), Attempt.OVER)
        self.spoil("UPDATE link_sessions SET link = 'x', expires = 'x'")
        self.refused(Damaged, self.store.links.session(SESSION.key))

    def test_wrong_codes(self) -> None:
        """Five tries; only the newest counts, and only for a while."""
        self.done(self.store.links.add_code(CODE, 5, 5, HOUR))
        self.assertEqual([self.attempt(WRONG) for _ in range(5)], [Attempt.WRONG] * 5)
        self.assertEqual(self.attempt(RIGHT), Attempt.OVER)
        newer = evolve(CODE, code=digest_of(b"newer"), made=later(1))
        self.done(self.store.links.add_code(newer, 5, 5, HOUR))
        self.assertEqual(self.attempt(RIGHT), Attempt.WRONG)
        self.assertEqual(self.attempt(newer.code, 600), Attempt.OVER)
        self.assertEqual(self.attempt(newer.code, 2), Attempt.RIGHT)

    def test_sweep(self) -> None:
        """What is long over is forgotten."""
        links = self.store.links
        self.done(links.add(LINK, NOW))
        self.done(links.add_code(CODE, 5, 5, HOUR))
        self.assertEqual(self.attempt(RIGHT), Attempt.RIGHT)
        for number in range(64):
            key, expires = digest_of(str(number).encode()), later(DAY * 9)
            self.done(links.add(evolve(LINK, key=key, expires=expires), later(DAY + 1)))
        self.refused(Unknown, links.find(LINK.key))
        self.refused(Unknown, links.session(SESSION.key))
        self.assertEqual(self.attempt(RIGHT), Attempt.OVER)
        self.done(links.find(digest_of(b"63")))

    def test_grants_of_a_message(self) -> None:
        """As they were made, and when the recipient had all of one."""
        digest = self.done(self.store.blobs.put(b"data")).digest
        grant = Grant("1@foo.test", digest, 4, ALICE, BOB, later(DAY))
        grants = self.store.grants
        self.done(grants.add([grant, evolve(grant, recipient=CAROL), evolve(grant, message_id="2@foo.test")]))
        self.assertEqual(self.done(grants.addressed("1@foo.test", ALICE, BOB)), [grant])
        for second in (1, 2):
            self.done(grants.downloaded(grant, later(second)))
        self.assertEqual(self.done(grants.addressed("1@foo.test", ALICE, BOB)), [evolve(grant, downloaded=later(1))])
        self.assertEqual(self.done(grants.addressed("1@foo.test", BOB, ALICE)), [])

    def test_outbox(self) -> None:
        """Once by its key, tried until it ends, and then without its text."""
        outbox = self.store.outbox
        self.assertIsNone(self.done(outbox.next_due()))
        self.assertTrue(self.done(outbox.add(NOTICE, NOW)))
        self.assertFalse(self.done(outbox.add(NOTICE, later(1))))
        self.assertEqual(self.done(outbox.due(NOW, 9)), [NOTICE])
        self.done(outbox.later("k", later(15)))
        self.assertEqual(self.done(outbox.due(later(14), 9)), [])
        self.assertEqual(self.done(outbox.next_due()), later(15))
        self.assertEqual(self.done(outbox.due(later(15), 9)), [evolve(NOTICE, tries=1)])
        self.done(outbox.end("k"))
        self.assertIsNone(self.done(outbox.next_due()))
        self.assertFalse(self.done(outbox.add(NOTICE, later(20))))
        self.assertEqual(self.done(outbox.due(later(99), 9)), [])
        self.assertTrue(self.done(outbox.add(NOTICE, later(KEPT + 1))))

    def test_outbox_without_a_sender(self) -> None:
        """For users of ours."""
        own = evolve(NOTICE, message_id="", sender=None)
        self.done(self.store.outbox.add(own, NOW))
        self.assertEqual(self.done(self.store.outbox.due(NOW, 9)), [own])

    def test_damaged_row_stopped_the_outbox(self) -> None:
        """It ends and is named in the log; those behind it are not held up, not even where it fills all places."""
        outbox = self.store.outbox
        for number, spoilt in enumerate(
            ("expires = 'x'", "recipient = x'00'", "text = x'00'", "tries = 'x'", "made = ''")
        ):
            key = f"spoilt {number}"
            self.done(outbox.add(evolve(NOTICE, key=key), NOW))
            self.spoil(f"UPDATE notices SET {spoilt} WHERE key = '{key}'")
        self.done(outbox.add(evolve(NOTICE, key="z", made=later(1)), later(1)))
        with capturedLogs() as logs:
            self.assertEqual(self.done(outbox.due(later(1), 2)), [evolve(NOTICE, key="z", made=later(1))])
        self.assertEqual([each for each in logs if "set aside" not in each["log_format"]], [])
        self.assertEqual(len(logs), 5)
        self.assertEqual(self.done(outbox.next_due()), later(1))
        self.spoil("UPDATE notices SET due = 'x'")
        self.assertIsNone(self.done(outbox.next_due()))
        self.assertEqual(self.done(outbox.due(later(2), 2)), [])
