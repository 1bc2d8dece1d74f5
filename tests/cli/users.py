"""A user with a profile, and the domain that the commands ask."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.main import run
from rrsd.core.values.digests import digest_of
from tests.cli.doubles import NOW, Asked, Bench, Table, bench, log_in, secure_daemon

ISSUER = "https://foo.test"
FILM = bytes(range(256)) * 1024
DIGEST = digest_of(FILM)
PART = {
    "index": 0, "digest": DIGEST.b64, "size": len(FILM), "media_type": "video/mp4", "filename": "film.mp4",
    "arrival": "arriving", "done": len(FILM) // 2, "explanation": "",
}  # fmt: skip
MESSAGE = {
    "message": "8f3c01", "message_id": "<1@bar.test>", "sender": "bob@bar.test", "recipient": "alice@foo.test",
    "subject": "Holiday\x1b[31m", "date": "", "received": "2026-11-20T12:00:00+00:00", "parts": [PART],
}  # fmt: skip


class Case(SynchronousTestCase):
    """A domain with TLS, and alice's profile."""

    def setUp(self) -> None:
        """Make room for the profile and the certificates."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.table = Table()
        self.bench = bench(self.folder)

    def rrsctl(self, *words: str, is_logged_in: bool = True, expires: float = NOW + 600) -> tuple[int, Bench]:
        """Run one command line; alice is logged in."""
        with secure_daemon(self.folder, self.table) as profile:
            if is_logged_in:
                log_in(self.folder, profile, expires)
            self.profile = profile
            words = tuple(word.replace("PORT", profile.hosts["foo.test:443"]) for word in words)
            return run(["--profile", str(self.folder / "client.json"), *words], self.bench.session), self.bench

    def asked(self, method: str, path: str) -> list[Asked]:
        """The requests that came there."""
        return [each for each in self.table.asked if (each.method, each.path) == (method, path)]
