"""The user's side of the command line, kept between calls: where the domain is, and the tokens (mode 0600)."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

from rrsd.core.refusals import Damaged, NoSpace, Unauthenticated

_SLACK = 30  # seconds before its end from which on an access token is not used any more


@frozen
class Tokens:
    """What the issuer handed out; `expires` is the end of the access token in seconds of the epoch."""

    access: str = field(repr=False)
    expires: float
    refresh: str = field(default="", repr=False)

    def is_fresh(self, now: float) -> bool:
        """Whether the access token can still be used."""
        return now + _SLACK < self.expires


@frozen
class Profile:
    """One user at one domain. `hosts` maps "name:port" to "address:port", `roots` is a file of more trusted roots."""

    user: str
    issuer: str
    api: str
    roots: str = ""
    hosts: Mapping[str, str] = field(factory=dict)
    tokens: Tokens | None = None


def profile_path(given: str, environ: Mapping[str, str]) -> Path:
    """The file of a profile: `given` is a name or a path, else $RRSD_CLIENT, else client.json of the user's folder."""
    chosen = given or environ.get("RRSD_CLIENT", "") or "client"
    if os.sep in chosen:
        return Path(chosen)
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "."), ".config")
    return Path(home, "rrsd", chosen.removesuffix(".json") + ".json")


@frozen
class Keeper:
    """The file that one profile lives in."""

    path: Path

    def load(self) -> Profile:
        """The profile as it was saved last.

        Raises:
            Unauthenticated: there is none yet.
            Damaged: the file is not a profile.
        """
        try:
            document = json.loads(self.path.read_bytes())
            tokens = document.pop("tokens", None)
            return Profile(**document, tokens=Tokens(**tokens) if tokens else None)
        except FileNotFoundError:
            raise Unauthenticated("nobody is logged in here: run `rrsctl login ADDRESS` first") from None
        except (OSError, ValueError, TypeError, AttributeError):
            raise Damaged(f"{self.path} is not a profile: remove it and run `rrsctl login ADDRESS`") from None

    def save(self, profile: Profile) -> None:
        """Put the profile in place in one step, readable by its owner only.

        Raises:
            NoSpace: the file cannot be written.
        """
        write_private(self.path, asdict(profile))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes the profile meanwhile: a refresh token that is used twice ends the whole login."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def fresh(self, now: float, refresh: Callable[[Profile], Tokens]) -> Profile:
        """The profile with an access token that can be used, refreshed by one process at a time.

        Raises:
            Unauthenticated: there are no tokens.
        """
        profile = self.load()
        if profile.tokens is not None and profile.tokens.is_fresh(now):
            return profile
        with self.alone():
            profile = self.load()
            if profile.tokens is None:
                raise Unauthenticated(f"{profile.user} is logged out: run `rrsctl login {profile.user}`")
            if not profile.tokens.is_fresh(now):
                profile = evolve(profile, tokens=refresh(profile))
                self.save(profile)
        return profile


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file with mode 0600 in one step.

    Raises:
        NoSpace: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        raise NoSpace(f"{path} cannot be written ({error.strerror}): free some space or choose --profile") from None
