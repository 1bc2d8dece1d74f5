"""Exit statuses and advice."""

import os

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.exits import ADVICE, EXITS, PERMANENT, delivery_exit_of, exit_of, sentence_of
from rrsd.core.refusals import ALL, Conflict, Expired, Malformed, NoSpace, TooLarge, Unavailable, Unknown


class Exits(SynchronousTestCase):
    """The tables of the command line."""

    def test_total(self) -> None:
        """Every refusal has a status and advice."""
        self.assertEqual(set(EXITS), set(ALL))
        self.assertEqual(set(ADVICE), set(ALL))

    def test_sysexits(self) -> None:
        """Statuses are those of sysexits.h and never success."""
        self.assertTrue(all(os.EX_USAGE <= status <= os.EX_CONFIG for status in EXITS.values()))
        self.assertEqual(exit_of(Unavailable()), os.EX_TEMPFAIL)

    def test_delivery_never_bounces_for_our_own_fault(self) -> None:
        """Only what the message or its recipient is at fault for ends a delivery for good."""
        for kind in ALL:
            status = delivery_exit_of(kind())
            self.assertEqual(status == os.EX_TEMPFAIL, kind not in PERMANENT, kind)

    def test_delivery_statuses_that_mail_servers_know(self) -> None:
        """A bad message is EX_DATAERR, a missing user EX_NOUSER, a full disk or a conflict another try."""
        self.assertEqual(delivery_exit_of(Malformed()), os.EX_DATAERR)
        self.assertEqual(delivery_exit_of(TooLarge()), os.EX_DATAERR)
        self.assertEqual(delivery_exit_of(Unknown()), os.EX_NOUSER)
        self.assertEqual(delivery_exit_of(NoSpace()), os.EX_TEMPFAIL)
        self.assertEqual(delivery_exit_of(Conflict()), os.EX_TEMPFAIL)

    def test_sentence(self) -> None:
        """A refusal without words of its own gets its plain meaning and the advice."""
        self.assertEqual(sentence_of(Unknown("no such pull: list them")), "no such pull: list them")
        self.assertTrue(sentence_of(Expired()).endswith(ADVICE[Expired]))
        self.assertNotIn("\n", sentence_of(Expired()))
