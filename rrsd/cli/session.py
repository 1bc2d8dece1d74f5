"""What every verb is given: the global options, where to write, and the two ways to a daemon."""

import os
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import click
from attrs import define, field

from rrsd.cli.client import Client
from rrsd.cli.local import Local
from rrsd.cli.output import Console
from rrsd.cli.profile import Keeper, profile_path
from rrsd.config.ini import parse_ini
from rrsd.core.refusals import Unavailable

CONFIG = "/etc/rrsd/rrsd.ini"
SOCKET = "/run/rrsd/admin.sock"


def clock() -> float:
    """Seconds since the epoch."""
    return time.time_ns() / 1e9


@define(eq=False)
class Session:
    """One call of `rrsctl`."""

    config: str = ""
    profile: str = ""
    console: Console = field(factory=Console)
    input: BinaryIO = field(factory=lambda: sys.stdin.buffer)
    environ: Mapping[str, str] = field(factory=lambda: os.environ)
    now: Callable[[], float] = clock
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[int], bytes] = os.urandom
    browse: Callable[[str], object] = webbrowser.open

    @property
    def config_path(self) -> Path:
        """The daemon's INI file."""
        return Path(self.config or self.environ.get("RRSD_CONFIG", "") or CONFIG)

    def local(self) -> Local:
        """The daemon of the INI file, by its administrator's socket."""
        return Local(self._socket())

    @property
    def keeper(self) -> Keeper:
        """The user's profile."""
        return Keeper(profile_path(self.profile, self.environ))

    def client(self) -> Client:
        """The user's API."""
        return Client(self.keeper, self.now)

    def confirm(self, question: str) -> None:
        """Ask on the terminal, or wherever the input comes from.

        Raises:
            click.Abort: the answer is not yes, or there is none.
        """
        self.console.err.write(f"{question} [y/N]: ")
        self.console.err.flush()
        if self.input.readline().strip().lower() not in (b"y", b"yes"):
            raise click.Abort

    def _socket(self) -> str:
        # Only this one key is read: delivering must work for users who may not see anything else, and must be quick.
        try:
            sections, _ = parse_ini(self.config_path.read_text())
        except FileNotFoundError:
            if self.config:
                raise Unavailable(f"{self.config}: no such file: name the daemon's INI file with --config") from None
            return SOCKET
        except PermissionError:
            return SOCKET
        except (OSError, UnicodeDecodeError):
            raise Unavailable(f"{self.config_path} cannot be read: run `rrsctl check --config FILE`") from None
        admin = next((section for section in sections if section.name == "admin"), None)
        entry = admin.entries.get("socket") if admin else None
        return entry.text if entry else SOCKET


pass_session = click.make_pass_decorator(Session)
