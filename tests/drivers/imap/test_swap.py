"""Tests for rrsd.drivers.imap.mailboxes: what is swapped and what is not, and what the user does meanwhile."""

from collections.abc import Callable, Iterator

from typing_extensions import override

from rrsd.core.refusals import Forbidden, Malformed, Unavailable, Unsupported
from rrsd.drivers.imap import mailboxes
from rrsd.drivers.imap.folder import AT_ONCE, MOST_FOUND
from tests.drivers.imap.case import FLAGS, RAW, TRACE, WHOLE, ImapCase, done, mark
from tests.support.imapserver import Folder, Kept


class Swapped(ImapCase):
    """As it is meant."""

    def test_once(self) -> None:
        """Flags, keywords, date and trace are the placeholder's; a repeat finds it done and uploads nothing."""
        self.imap.put(TRACE + RAW, FLAGS | {r"\Recent"})
        self.assertEqual(self.swap(), 1)
        self.require_swapped()
        self.assertEqual((self.swap(), self.uploads), (1, 1))
        self.require_swapped()

    def test_trace_fields_in_front(self) -> None:
        """Whatever those who deliver put on top, ours among it, in any order; the bytes below it say which it is."""
        ours, path = b"RRS-Delivery: 4ABC bob@bar.test\r\n", b"Return-Path: <alice@foo.test>\r\n"
        to, received = b"Delivered-To: bob@bar.test\r\n", b"Received: from x\r\n\tby y with LMTP\r\n\tid z; now\r\n"
        traces = (b"", ours, path + to + received + ours, ours + received * 30, received + path + ours + to)
        for trace in traces:
            self.serve().put(trace + RAW, FLAGS)
            self.assertEqual(self.swap(), 1)
            self.require_swapped(done(1, trace))

    def test_not_a_trace(self) -> None:
        """Another message around it, a body on top of it, and a line that is none: not touched."""
        for top in (b"Subject: x\r\n\r\n", b"\r\n", b"Received: x", b"X: y\r\n" * 20_000):
            self.imap.put(top + RAW)
        before = [each.raw for each in self.imap.all()]
        self.assertEqual((self.swap(), self.uploads), (0, 0))
        self.assertEqual([each.raw for each in self.imap.all()], before)

    def test_others_under_its_name(self) -> None:
        """A message that somebody sent under the same Message-ID stays, of whatever size."""
        for raw in (RAW.replace(b"placeholder", b"placeholdeR"), RAW[:-4] + b"\r\n", RAW + b"more\r\n"):
            self.imap.put(TRACE + raw)
        others = [each.raw for each in self.imap.all()]
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertEqual(self.swap(), 1)
        self.assertEqual([each.raw for each in self.imap.all()], [*others, done(4)])

    def test_forged_mark(self) -> None:
        """What came by mail has its mark below the trace of the delivery, and makes no placeholder go; one of another
        placeholder is none either."""
        forged = TRACE + mark() + WHOLE
        self.imap.put(TRACE + RAW, FLAGS)
        self.imap.put(forged)
        self.imap.put(mark().replace(b" 1\r", b"x 1\r") + TRACE + WHOLE)
        self.assertEqual(self.swap(), 1)
        self.assertEqual(len(self.imap.all()), 3)
        self.assertEqual(self.imap.all()[-1].raw, done())

    def test_pending_of_another_size(self) -> None:
        """Made otherwise than today, with a seal for example, or broken: made anew."""
        self.imap.put(TRACE + RAW, FLAGS)
        self.imap.put(done()[:-1], {r"\Deleted"})
        self.assertEqual(self.swap(), 1)
        self.require_swapped()

    def test_sealed_before_and_not_today(self) -> None:
        """What counted when we were killed is the message, whatever would be made of the placeholder today."""
        sealed = mark() + TRACE + b"ARC-Seal: x\r\n" + WHOLE
        self.imap.put(TRACE + RAW, FLAGS)
        self.imap.put(sealed, set(FLAGS))
        self.assertEqual((self.swap(), self.uploads), (1, 0))
        self.require_swapped(sealed)

    def test_every_folder(self) -> None:
        """Odd names too, each copy by itself, those in one folder as well; what cannot be selected is passed over."""
        for name in ("INBOX", 'to "do" &AOQ-', "a\\b", "INBOX"):
            self.imap.put(TRACE + RAW, FLAGS, name)
        self.imap.folders["tree"] = Folder(attributes=r"\HasChildren \Noselect")
        self.assertEqual(self.swap(), 4)
        self.require_swapped(done(1), done(2), done(1), done(1))
        self.assertEqual((self.swap(), self.uploads), (4, 4))

    def test_only_these_folders(self) -> None:
        """Those that the operator names."""
        self.imap.put(TRACE + RAW, FLAGS, "Archive")
        self.assertEqual(self.swap(folders=("INBOX",)), 0)
        self.assertEqual(self.swap(folders=("INBOX", "Archive")), 1)
        self.assertNotIn("LIST", self.imap.verbs())

    def test_closed_folders(self) -> None:
        """One that cannot be opened, or where nothing may be deleted, keeps nothing from being swapped elsewhere;
        while it may be there, nothing is called gone."""
        self.imap.folders["theirs"] = Folder(permanent=r"(\Seen \*)")
        self.imap.folders["shared"] = Folder(is_read_only=True)
        self.imap.folders["closed"] = Folder(refusal="[NOPERM] not yours")
        self.assertIn("may be deleted", str(self.refusal(Forbidden)))
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertEqual(self.swap(), 1)

    def test_folder_that_shows_what_is_in_others(self) -> None:
        """A virtual folder has every message and takes none: it keeps nothing from being swapped where it is."""
        inbox = self.imap.folders["INBOX"]
        every = Folder(full="[CANNOT] virtual", messages=inbox.messages)
        self.imap.folders = {"All": every, "INBOX": inbox}
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertTrue(self.swap())
        self.assertEqual([each.raw for each in inbox.messages], [done()])

    def test_one_copy_for_which_there_is_no_room(self) -> None:
        """The other is swapped; it is tried again as long as one is left."""
        self.imap.put(TRACE + RAW, FLAGS, "Archive")
        self.imap.put(TRACE + RAW, FLAGS)
        self.imap.folders["Archive"].full = "[OVERQUOTA]"
        self.assertIn("OVERQUOTA", str(self.refusal(Forbidden)))
        self.assertEqual(sorted(each.raw for each in self.imap.all()), sorted((done(), TRACE + RAW)))
        self.imap.folders["Archive"].full = ""
        self.assertEqual(self.swap(), 2)
        self.require_swapped(done(), done())

    def test_folder_whose_name_is_no_text(self) -> None:
        """It may be in there."""
        self.imap.beside = b'* LIST () "/" {2}\r\n\xff\xfe\r\n'
        self.assertIn("no text", str(self.refusal(Forbidden)))
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertEqual(self.swap(), 1)

    def test_more_folders_than_are_looked_into(self) -> None:
        """It may be in one of them."""
        self.imap.put(b"", folder="Archive")
        self.assertIn("most_folders", str(self.refusal(Forbidden, most_folders=1)))
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertEqual(self.swap(most_folders=1), 1)

    def test_many_under_its_name(self) -> None:
        """They are asked about so many at a time; too many are not called none."""
        for _ in range(AT_ONCE + 3):
            self.imap.put(b"Message-ID: <1@foo.test>\r\n\r\n")
        self.imap.put(TRACE + RAW, FLAGS)
        self.assertEqual(self.swap(), 1)
        for _ in range(MOST_FOUND):
            self.imap.put(b"Message-ID: <1@foo.test>\r\n\r\n")
        self.assertIn("too many", str(self.refusal()))


class Servers(ImapCase):
    """What servers have and have not."""

    def setUp(self) -> None:
        """The placeholder is there."""
        super().setUp()
        self.imap.put(TRACE + RAW, FLAGS)

    def require_untouched(self) -> None:
        """Nothing was done to the placeholder."""
        self.require_swapped(TRACE + RAW)

    def test_no_uidplus(self) -> None:
        """EXPUNGE alone would remove what the user has marked: nothing is changed."""
        for offers in ("IMAP4rev1 CONDSTORE AUTH=PLAIN", "IMAP4rev1 UIDPLUSX", ""):
            self.imap.offers = offers
            self.refusal(Unsupported)
        self.assertEqual(set(self.imap.verbs()), {"AUTHENTICATE", "CAPABILITY"})
        self.require_untouched()

    def test_nothing_but_uidplus(self) -> None:
        """Neither CONDSTORE nor MOVE nor anything else is needed; words may be in small letters."""
        self.imap.offers = "imap4rev1 uidplus"
        self.assertEqual(self.swap(), 1)
        self.require_swapped()

    def test_keywords_that_cannot_be_kept(self) -> None:
        """What the server keeps goes over; what is gone with the connection anyway is not asked for."""
        self.imap.folders["INBOX"].permanent = r"(\Seen \Deleted work)"
        self.assertEqual(self.swap(), 1)
        self.require_swapped(flags={r"\Seen", "work"})

    def test_no_word_about_keywords(self) -> None:
        """Then all can be kept (RFC 3501 7.1)."""
        self.imap.folders["INBOX"].permanent = None
        self.assertEqual(self.swap(), 1)
        self.require_swapped()

    def test_keywords_refused(self) -> None:
        """A no before the message is sent: it costs no upload and changes nothing."""
        self.imap.before = lambda verb, _: b"TAG NO [LIMIT] keywords\r\n" if verb == "APPEND" else None
        self.assertIn("[LIMIT] keywords", str(self.refusal(Forbidden)))
        self.assertEqual(self.uploads, 0)
        self.require_untouched()

    def test_mailbox_is_full(self) -> None:
        """The placeholder stays until there is room."""
        self.imap.room = len(WHOLE)
        self.assertIn("[OVERQUOTA]", str(self.refusal(Forbidden)))
        self.require_untouched()
        self.imap.room = None
        self.assertEqual(self.swap(), 1)
        self.require_swapped()

    def test_each_no(self) -> None:
        """No to any one command: a refusal, nothing lost, and the next time it is done."""
        self.swap()
        for number in range(1, len(self.imap.heard) + 1):
            for word in (b"NO", b"BAD"):
                imap = self.serve()
                imap.put(TRACE + RAW, FLAGS)
                imap.before = lambda _, __, word=word, number=number: (  # type: ignore[misc]
                    b"TAG " + word + b" \xff\x07 not now\r\n" if len(self.imap.heard) == number else None
                )
                result = self.start()
                if not isinstance(getattr(result, "result", None), int):
                    refusal = self.failureResultOf(result, Forbidden, Unavailable).value
                    self.assertTrue(str(refusal).isprintable())
                self.assertTrue(self.live())
                imap.before = lambda _, __: None
                self.assertEqual(self.swap(), 1)
                self.require_swapped()

    def test_size_that_is_none(self) -> None:
        """A content of another size than it says breaks the connection: no message comes of it."""
        for size in (len(WHOLE) - 1, len(WHOLE) + 1):
            self.refusal(Malformed, size=size)
            self.require_untouched()

    def test_content_breaks_off(self) -> None:
        """The same, and the refusal is the content's own."""
        self.assertIn("disk", str(self.refusal(trouble=Unavailable("disk"))))
        self.require_untouched()
        self.assertEqual(self.swap(), 1)


class Meanwhile(ImapCase):
    """What the user does between two of our commands."""

    offers = "IMAP4rev1 UIDPLUS CONDSTORE"
    conflict = "OK"

    def setUp(self) -> None:
        """The placeholder is there, and a folder that is looked into before."""
        super().setUp()
        self.begin()

    def begin(self) -> None:
        """A new mailbox."""
        self.serve()
        self.imap.offers, self.imap.conflict = self.offers, self.conflict
        self.archive, self.inbox = Folder(), Folder()
        self.imap.folders = {"Archive": self.archive, "INBOX": self.inbox}
        self.old = self.imap.put(TRACE + RAW, FLAGS)

    def moments(self, act: Callable[[], None]) -> Iterator[int]:
        """Swap as often as there are moments, with the user acting in each; the command that was the last before."""
        self.begin()
        self.swap()
        for number in range(1, len(self.imap.heard) + 1):
            self.begin()

            def after(_: str, __: bytes, number: int = number) -> None:
                if len(self.imap.heard) == number:
                    act()

            self.imap.after = after
            self.assertIn(self.swap(), (0, 1, 2), number)
            yield number

    def is_unheard(self, number: int) -> bool:
        """Whether nobody can be heard in this moment: the placeholder goes with the next command."""
        return self.imap.verbs()[number : number + 1] == ["UID EXPUNGE"]

    def test_flags(self) -> None:
        """Other flags go over, whenever they came while the placeholder was there."""
        is_there = False

        def act() -> None:
            nonlocal is_there
            is_there = self.old in self.inbox.messages
            self.old.flags |= {r"\Flagged"}

        for number in self.moments(act):
            (message,) = self.imap.all()
            self.assertEqual((message.raw, message.date), (done(), self.old.date))
            if is_there and not self.is_unheard(number):
                self.assertEqual(message.flags, FLAGS | {r"\Flagged"}, number)

    def test_moved(self) -> None:
        """To a folder that was looked into already: found there, once, and no other is left."""

        def act() -> None:
            for each in [each for each in self.inbox.messages if each.is_live]:
                self.inbox.messages.remove(each)
                self.archive.put(each.raw, each.flags, each.date)

        for number in self.moments(act):
            (message,) = self.imap.all()
            self.assertTrue(message.raw.endswith(TRACE + WHOLE), number)
            self.assertEqual(message.flags, FLAGS, number)

    def test_deleted(self) -> None:
        """What the user sees and deletes does not come back, whether marked or expunged."""

        def mark_them() -> None:
            for each in self.live():
                each.flags |= {r"\Deleted"}

        def expunge() -> None:
            self.inbox.messages[:] = [each for each in self.inbox.messages if not each.is_live]

        for act in (mark_them, expunge):
            for number in self.moments(act):
                self.require_deleted(number)

    def require_deleted(self, number: int) -> None:
        """Nobody sees it any more."""
        self.assertEqual(self.live(), [], number)

    def test_goes_on_moving(self) -> None:
        """Never where it was a moment ago: looked for later, and neither lost nor doubled."""

        def after(verb: str, _: bytes) -> None:
            if verb == "APPEND":
                inbox = self.inbox.messages
                inbox[:] = [Kept(each.uid + 100 * each.is_live, each.flags, each.date, each.raw) for each in inbox]

        self.imap.after = after
        self.assertIn("a moment ago", str(self.refusal()))
        self.assertEqual([each.raw for each in self.imap.all()], [TRACE + RAW])
        self.assertEqual(self.uploads, mailboxes.MOST_ROUNDS)

    def test_read_only_since(self) -> None:
        """Between two looks the folder was closed: what was done stands."""

        def after(verb: str, _: bytes) -> None:
            if verb == "UID EXPUNGE":
                self.inbox.is_read_only = True

        self.imap.after = after
        self.assertEqual(self.swap(), 1)
        self.require_swapped()

    def test_goes_on_changing_flags(self) -> None:
        """Another flag in each moment: it stays as it is for now."""
        count = 0

        def after(verb: str, _: bytes) -> None:
            nonlocal count
            if verb == "UID FETCH" and self.inbox.messages[1:]:
                count += 1
                self.old.flags |= {str(count)}

        self.imap.after = after
        if self.offers.endswith("CONDSTORE"):
            self.assertIn("all the time", str(self.refusal()))
            self.imap.after = lambda _, __: None
        self.assertEqual(self.swap(), 1)
        (message,) = self.imap.all()
        self.assertLess(FLAGS, message.flags)


class MeanwhileWithNo(Meanwhile):
    """The same, where a server says NO to a STORE that did nothing (RFC 7162 3.1.3 allows both)."""

    conflict = "NO"


class MeanwhileUnheard(Meanwhile):
    """The same without CONDSTORE."""

    offers = "IMAP4rev1 UIDPLUS"

    @override
    def require_deleted(self, number: int) -> None:
        """What is marked for deletion between the last look and our own mark looks like our own mark: it comes back."""
        verbs = self.imap.verbs()
        last = len(verbs) - 1 - verbs[::-1].index("UID EXPUNGE") if "UID EXPUNGE" in verbs else 0
        is_unheard = verbs[last - 4 : last + 1] == ["UID FETCH", "UID STORE", "UID STORE", "UID FETCH", "UID EXPUNGE"]
        if not (is_unheard and last - 4 < number <= last - 2):
            super().require_deleted(number)
