"""kill -9 at each step of a swap: what stands in the mailbox then, and what the next swap makes of it."""

from collections.abc import Callable, Iterator
from itertools import count

from rrsd.core.refusals import Unavailable
from tests.drivers.imap.case import FLAGS, RAW, TRACE, WHOLE, ImapCase, done
from tests.support.imapserver import DATE, Folder, Kept


class StepsCase(ImapCase):
    """One placeholder, and an end at each step: the step has its effect and nobody hears of it, the step never comes,
    or it breaks off in the middle of the message."""

    def begin(self) -> None:
        """A new mailbox; after each effect it is looked at."""
        self.serve()
        self.imap.folders["Archive"] = Folder()
        self.old = self.imap.put(TRACE + RAW, FLAGS)
        self.imap.after = self.look

    def look(self, verb: str, _: bytes) -> None:
        """At each moment the user has the placeholder or the complete message, whole."""
        held = [each for each in self.live() if each.raw in (TRACE + RAW, done())]
        self.assertTrue(held, verb)

    def ends(self) -> Iterator[str]:
        """Each end, after it."""
        for name in ("cut", "lost"):
            for number in count(1):
                self.begin()
                setattr(self.imap, name, number)
                result = self.start()
                if getattr(result, "result", None) == 1:
                    break
                self.failureResultOf(result, Unavailable)
                self.again()
                yield f"{name} {number} {self.imap.heard[-1].decode()}"
        for size in (1, 200, 65536, len(done()) - 1, len(done()) + 2):
            self.begin()
            self.imap.literal = size
            self.refusal()
            self.again()
            yield f"literal {size}"

    def again(self) -> None:
        """The server answers again."""
        self.imap.cut = self.imap.lost = self.imap.literal = None

    def require_whole(self, end: str, flags: set[str] = FLAGS) -> None:
        """One message, complete, with all that the placeholder had."""
        found = [(each.raw, each.flags, each.date) for each in self.imap.all()]
        self.assertEqual(found, [(done(), flags, DATE)], end)


class Killed(StepsCase):
    """And nobody else is there."""

    def test_each_step(self) -> None:
        """The next swap makes one message of it, complete, with flags, keywords and date, and so does one more."""
        ends = 0
        for end in self.ends():
            self.assertEqual(self.swap(), 1, end)
            self.require_whole(end)
            self.assertEqual(self.swap(), 1, end)
            self.require_whole(end)
            self.assertLessEqual(self.uploads, 2, end)
            ends += 1
        self.assertGreater(ends, 40)

    def test_each_step_twice(self) -> None:
        """Killed at any step, and killed at any step of what comes after that."""
        for first in range(1, 40):
            for second in range(1, 40):
                self.begin()
                self.imap.cut = first
                if getattr(self.quiet(), "result", None) == 1:
                    return
                self.imap.cut = len(self.imap.heard) + second
                is_done = getattr(self.quiet(), "result", None) == 1
                self.again()
                self.assertEqual(self.swap(), 1)
                self.require_whole(f"{first}, {second}")
                if is_done:
                    break

    def quiet(self) -> object:
        """One attempt, whatever comes of it."""
        result = self.start()
        result.addErrback(lambda failure: failure.trap(Unavailable) and None)
        return result

    def test_nothing_is_uploaded_twice(self) -> None:
        """Once the server has the message, a repeat sends it no more."""
        for end in self.ends():
            had = any(each.raw == done() for each in self.imap.all())
            before = self.uploads
            self.swap()
            self.assertEqual(self.uploads - before, 0 if had else 1, end)


class KilledAndUsed(StepsCase):
    """And the user goes on before the next swap, with what is to be seen."""

    def each(self, act: Callable[[Kept], None]) -> Iterator[tuple[str, list[Kept]]]:
        """The user does it with each message that is to be seen; how it ended, and what was to be seen before."""
        for end in self.ends():
            seen = self.live()
            for message in seen:
                act(message)
            self.imap.after = lambda _, __: None
            yield end, seen

    def test_flagged(self) -> None:
        """It stays flagged."""
        for end, _ in self.each(lambda message: message.flags.add(r"\Flagged")):
            self.assertEqual(self.swap(), 1)
            self.require_whole(end, FLAGS | {r"\Flagged"})

    def test_deleted(self) -> None:
        """It does not come back."""
        for end, _ in self.each(lambda message: message.flags.add(r"\Deleted")):
            self.swap()
            self.assertEqual(self.live(), [], end)

    def test_expunged(self) -> None:
        """It does not come back, and what nobody saw goes too."""
        for end, _ in self.each(self.imap_remove):
            self.assertEqual(self.swap(), 0)
            self.assertEqual([each for each in self.imap.all() if each is not self.old], [], end)

    def imap_remove(self, message: Kept) -> None:
        """The user's own EXPUNGE."""
        self.imap.folders["INBOX"].messages.remove(message)

    def test_placeholder_is_deleted_beside_the_complete_message(self) -> None:
        """Who sees both and deletes the placeholder keeps the other."""
        shown = 0
        for end, seen in self.each(lambda _: None):
            if len(seen) == 2:
                shown += 1
                self.old.flags.add(r"\Deleted")
                self.assertEqual(self.swap(), 1)
                self.require_whole(end)
        self.assertGreater(shown, 1)

    def test_deleted_in_the_moment_of_the_next_swap(self) -> None:
        """The same: who has seen both beside each other keeps the complete one."""

        def after(verb: str, line: bytes) -> None:
            if b"MODSEQ" in line:
                self.old.flags.add(r"\Deleted")

        self.begin()
        self.imap.put(done(), set(FLAGS))
        self.imap.after = after
        self.assertEqual(self.swap(), 1)
        self.require_whole("both")

    def test_moved(self) -> None:
        """It is complete where it is now. Who sees both, and moves both, has it twice."""

        def move(message: Kept) -> None:
            self.imap_remove(message)
            self.imap.put(message.raw, message.flags, "Archive", message.date)

        for end, seen in self.each(move):
            self.swap()
            self.assertEqual({each.raw.partition(b"\r\n")[2] for each in self.live()}, {TRACE + WHOLE}, end)
            self.assertLessEqual(len(self.live()), len(seen), end)
