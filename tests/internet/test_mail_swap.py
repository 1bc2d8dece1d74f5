"""What was delivered as a placeholder goes to the mailboxes when it has arrived; over the memory internet."""

from pathlib import Path

from attrs import evolve
from typing_extensions import override

from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.holds import Stand
from rrsd.drivers.imap.settings import Settings as Imap
from tests.support.incoming import MOST, WayInCase
from tests.support.mailservers import HERE


class Swapping(WayInCase):
    """bar.test with the IMAP server of its mailboxes, which is down."""

    endpoint = f"tcp:{HERE}:143"

    @override
    def change(self, settings: Settings) -> Settings:
        """With its password in a file."""
        self.password = Path(self.mktemp())
        return evolve(super().change(settings), imap=Imap(endpoint=self.endpoint, password=str(self.password)))

    def test_tried_and_written_down(self) -> None:
        """No password, then no server: the row stays, and the trail says why each time and never the password."""
        raw = self.signed()
        listeners = dict(self.world.internet.listeners)
        self.take_away()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(MOST.total_seconds())
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.stand(raw), self.bar.trail.of("swap")), (Stand.PLACEHOLDER, []))
        self.world.internet.listeners.update(listeners)
        self.world.advance(3600)
        self.password.touch(0o600)
        self.password.write_text("of-the-master\n")
        self.world.advance(3600)
        said = [line["evidence"] for line in self.bar.trail.of("swap")]
        self.assertIn("there is no file", said[0])
        self.assertIn("cannot be reached", said[-1])
        self.assertNotIn("of-the-master", " ".join(said))
        self.assertEqual(self.stand(raw), Stand.PLACEHOLDER)


class Endpoint(WayInCase):
    """Settings."""

    def test_mistake(self) -> None:
        """An endpoint that is none is said at the start."""
        imap = Imap(endpoint="nowhere:1")
        with self.assertRaises(Malformed):
            self.world.domain("baz.test", lambda settings: evolve(self.change(settings), imap=imap))
