"""What the demo needs of this machine, and what to say when it is not there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.support import nameservers
from tests.support.mailhosts import LIBRARIES, PACKAGES
from tests.support.nameservers import PATH


def missing() -> str:
    """Why it cannot be shown, "" when it can."""
    programs = {**PACKAGES, **nameservers.PACKAGES}
    packages = {package for program, package in programs.items() if shutil.which(program, path=PATH) is None}
    packages |= {package for library, package in LIBRARIES.items() if not Path(library).exists()}
    if packages:
        return f"real mail servers are missing.\n    apt install {' '.join(sorted(packages))}"
    if os.geteuid():
        return "mail servers change users, so it takes root, on a machine or in a container of its own."
    return ""


def optional() -> Iterator[str]:
    """What would be shown with more programs."""
    if not has_mutt():
        yield "Without mutt and tmux bob's mailbox is read by IMAP commands: apt install mutt tmux"
    if browser() is None:
        yield "Without chromium the page of the link is shown as text: apt install chromium"


def has_mutt() -> bool:
    """Whether a mail program's screen can be shown."""
    return all(shutil.which(name) for name in ("mutt", "tmux"))


def browser() -> str | None:
    """A browser that draws pages without a screen."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
