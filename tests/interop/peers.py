"""Who the strangers are: which version is wanted, which is here, how a missing one is installed."""

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
NPM = Path(__file__).resolve().parent / "npm"
_NUMBERS = re.compile(r"\d+(?:\.\d+)+")

PROGRAMS = {
    "node": ("20.0", "nodejs", "--version"),
    "npm": ("9.0", "npm", "--version"),
    "curl": ("7.83", "curl", "--version"),
    "openssl": ("3.0", "openssl", "version"),
    "knotd": ("3.2", "knot", "--version"),
    "unbound": ("1.17", "unbound", "-V"),
}
"""Programs of the system: the oldest version that is wanted, the Debian package, how it says its version."""


@frozen
class Peer:
    """One stranger. `is_least` tells a lower bound from the one version that is wanted."""

    name: str
    wanted: str
    found: str
    install: str
    is_least: bool = False

    @property
    def is_here(self) -> bool:
        """Whether it is there in a version that is wanted."""
        return bool(self.found) and (
            _numbers(self.found) >= _numbers(self.wanted) if self.is_least else self.found == self.wanted
        )

    @property
    def pin(self) -> str:
        """The version that is wanted, as people write it."""
        return f">= {self.wanted}" if self.is_least else self.wanted


def all_peers() -> list[Peer]:
    """Everybody, whether they are here or not."""
    return [*_packages(), *_distributions(), *_programs()]


def _packages() -> Iterator[Peer]:
    pins = json.loads((NPM / "package.json").read_text())["dependencies"]
    for name, wanted in pins.items():
        place = NPM / "node_modules" / name / "package.json"
        found = json.loads(place.read_text())["version"] if place.exists() else ""
        yield Peer(name, wanted, found, "make interop (npm ci in tests/interop/npm)")


def _distributions() -> Iterator[Peer]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for line in setup["options.extras_require"]["interop"].split("\n"):
        name, mark, wanted = (word.strip() for word in line.partition("=="))
        if mark:
            yield Peer(name, wanted, _installed(name), "make interop (pip install -e .[interop])")


def _programs() -> Iterator[Peer]:
    for name, (wanted, package, flag) in PROGRAMS.items():
        yield Peer(name, wanted, _said(name, flag), f"apt install {package}", is_least=True)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def place_of(name: str) -> str:
    """Where a program is; servers lie beside the paths of ordinary users. Empty when it is nowhere."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin") or ""


def _said(name: str, flag: str) -> str:
    place = place_of(name)
    if not place:
        return ""
    done = subprocess.run([place, flag], capture_output=True, text=True, check=False)
    found = _NUMBERS.search(done.stdout + done.stderr)
    return found.group() if found else ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d+", text))
