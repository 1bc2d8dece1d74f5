"""A mail program of Debian, used as a person uses it: mutt, on a screen that tmux draws."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tests.support.mailhosts import PASSWORD, MailHost

WIDTH, HEIGHT = 100, 26
WITHIN = 120.0
"""Seconds for the largest of what it does: it reads the whole message by IMAP before it shows it."""

_SETTINGS = """\
set imap_user="{user}" imap_pass="{password}"
set folder="imap://127.0.0.1:{port}/" spoolfile="imap://127.0.0.1:{port}/INBOX"
set ssl_starttls=no ssl_force_tls=no tmpdir="{folder}" header_cache="" message_cachedir=""
set quit=yes move=no delete=no mark_old=no sleep_time=0 pager_stop=yes help=no smart_wrap=no
set index_format="%4C %Z %{{%b %d}} %-16.16L %5c  %s" status_format=" bob's mailbox: %m messages "
set pager_format=" %n: %s" attach_format="%u%D %n %T%.40d %> [%.18m/%.7M, %.6e, %s] "
ignore *
unignore from to subject authentication-results
hdr_order from to subject authentication-results
"""


@define(eq=False)
class Mutt:
    """One screen with one mailbox."""

    host: MailHost
    user: str
    folder: Path
    _name: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._name = f"rrsd-demo-{os.getpid()}"

    @property
    def command(self) -> str:
        """How a person would start it."""
        return f"mutt -n -F {self.folder / 'muttrc'}"

    def prepare(self) -> None:
        """Write down where the mailbox is."""
        self.folder.mkdir(exist_ok=True)
        words = {"user": f"{self.user}@{self.host.name}", "port": self.host.ports["imap"]}
        text = _SETTINGS.format(folder=self.folder, password=PASSWORD, **words)
        path = self.folder / "muttrc"
        path.touch(0o600)
        path.write_text(text)

    def __enter__(self) -> "Mutt":
        self.prepare()
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, f"env LC_ALL=C.UTF-8 {self.command}")
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def press(self, *keys: str) -> None:
        """Keys, one after another."""
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Text, letter by letter."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> list[str]:
        """The lines that a person sees."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p").splitlines()]

    def shown(self, holds: Callable[[str], bool]) -> list[str]:
        """The screen as soon as it holds.

        Raises:
            AssertionError: it does not in time.
        """
        end = time.monotonic() + WITHIN
        while time.monotonic() < end:
            lines = self.screen()
            if holds("\n".join(lines)):
                return lines
            time.sleep(0.1)
        raise AssertionError("mutt shows something else:\n" + "\n".join(self.screen()))

    def save(self, path: Path) -> None:
        """Save the attachment under the cursor."""
        self.press("s")
        self.shown(lambda text: "Save to file" in text)
        self.press("C-u")
        self.write(str(path))
        self.press("Enter")
        self.shown(lambda text: "saved" in text)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._name, *words], capture_output=True, text=True, check=False)
        return done.stdout
