"""A placeholder in a real mailbox becomes the complete message: Dovecot, and a client of Python's own that looks."""

from rrsd.core.refusals import Forbidden, Unavailable
from tests.mail.mailbox import MARK, RAW, TRACE, WHOLE, DovecotCase


class Swap(DovecotCase):
    """bob's mailbox at bar.test."""

    async def test_swapped(self) -> None:
        """Flags, keywords and date stay, the trace stays on top, a repeat does nothing, and others stay as they are."""
        forged = RAW.replace(b"placeholder", b"placeholdeR")
        self.put(TRACE + RAW)
        self.put(TRACE + forged)
        self.assertEqual(await self.run_swap(), 1)
        others, (about, message) = self.kept()
        self.assertEqual(others[1], TRACE + forged)
        self.assertEqual(message, MARK + TRACE + WHOLE)
        for each in (rb"\Seen", rb"\Flagged", b"work", b'"01-Feb-2024 02:04:05 +0000"'):
            self.assertIn(each, about)
        self.assertEqual((await self.run_swap(), self.tries), (1, 1))
        self.assertEqual(len(self.kept()), 2)

    async def test_moved(self) -> None:
        """A placeholder that the user moved is found, also in a folder with an odd name."""
        self.view.create('"to \\"do\\" &AOQ-"')
        self.put(TRACE + RAW, '"to \\"do\\" &AOQ-"')
        self.assertEqual(await self.run_swap(), 1)
        self.assertEqual([each[1] for each in self.kept('"to \\"do\\" &AOQ-"')], [MARK + TRACE + WHOLE])
        self.assertEqual(self.kept(), [])

    async def test_deleted(self) -> None:
        """What the user deleted does not come back, expunged or not."""
        self.assertEqual(await self.run_swap(), 0)
        self.put(TRACE + RAW, flags=r"(\Deleted)")
        self.assertEqual(await self.run_swap(), 0)
        self.assertEqual(([each[1] for each in self.kept()], self.tries), ([TRACE + RAW], 0))

    async def test_broken_off(self) -> None:
        """An upload that breaks off leaves the placeholder and nothing else; the next one completes it."""
        self.put(TRACE + RAW)
        await self.assertFailure(self.run_swap(cut=70_000), Unavailable)
        self.assertEqual([each[1] for each in self.kept()], [TRACE + RAW])
        self.assertEqual(await self.run_swap(), 1)
        self.assertEqual([each[1] for each in self.kept()], [MARK + TRACE + WHOLE])

    async def test_both_are_there(self) -> None:
        """Killed between the new one and the old one: the repeat removes the placeholder and adds nothing."""
        self.put(TRACE + RAW)
        self.put(MARK + TRACE + WHOLE, flags="")
        self.assertEqual(await self.run_swap(cut=0), 1)
        ((about, message),) = self.kept()
        self.assertEqual(message, MARK + TRACE + WHOLE)
        self.assertIn(rb"\Flagged", about)

    async def test_forged_completion(self) -> None:
        """A message that came by mail and says it were the complete one makes no placeholder go."""
        self.put(TRACE + MARK + RAW + b"x" * (len(WHOLE) - len(RAW)))
        self.put(TRACE + RAW)
        self.assertEqual(await self.run_swap(), 1)
        self.assertEqual(len(self.kept()), 2)
        self.assertEqual(self.kept()[-1][1], MARK.replace(b" 1\r", b" 2\r") + TRACE + WHOLE)

    async def test_closed_folder(self) -> None:
        """A folder that cannot be opened keeps nothing from being swapped elsewhere; nothing is called gone."""
        self.folders = ("nowhere", "INBOX")
        await self.assertFailure(self.run_swap(), Forbidden)
        self.put(TRACE + RAW)
        self.assertEqual(await self.run_swap(), 1)

    async def test_wrong_password(self) -> None:
        """Nothing happens, and the refusal says no secret."""
        refusal = await self.assertFailure(self.run_swap(password="wrong"), Forbidden)
        self.assertNotIn("wrong", str(refusal))
