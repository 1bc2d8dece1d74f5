"""What a credential looks like in a log, and where logs lie.

A finding is told by file, line and class. The secret itself is never shown: whoever prints it writes it into a log.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

LOGS = ("test.log*", "out.log", "err.log", "*.log", "*.jsonl")
"""Trial's own logs, those of its workers, and those of processes: their logs and audit trails."""

KNOWN = ("correct horse", "caf\u00e9 au lait", "caf\\u00e9 au lait")
"""The passwords that the tests give to people."""

_NAMED = r"(?:access_token|refresh_token|id_token|subject_token|actor_token|client_assertion|client_secret|assertion"
_NAMED += r"|code_verifier|password)"

CLASSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("JWS or JWE", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("credential in a header", re.compile(r"\b(?:Bearer|Basic|DPoP)[ \t]+(?=[A-Za-z0-9._~+/-]*[0-9A-Z])"
                                          r"[A-Za-z0-9._~+/-]{16,}=*(?![A-Za-z0-9._~+/=\"-])", re.IGNORECASE)),
    ("private key", re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|\bMIGHAgEAMBMGByqGSM49|\"d\": ?\"[A-Za-z0-9_-]{20,}\"")),
    ("password hash", re.compile(r"\$argon2(?:id|i|d)\$")),
    ("form value", re.compile(rf"\b{_NAMED}=(?!\[redacted\]|None\b|<)[^&\s\"',)]{{4,}}")),
    ("JSON value", re.compile(rf"[\"']{_NAMED}[\"']: ?b?[\"'](?!\[redacted\])[^\"']{{4,}}[\"']")),
    ("authorization code", re.compile(r"[?&\s]code=(?!\[redacted\])[A-Za-z0-9_~.-]{8,}")),
    ("password of a test", re.compile("|".join(re.escape(each) for each in KNOWN))),
)  # fmt: skip

SAMPLES = {
    "JWS or JWE": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    "credential in a header": "Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA",
    "private key": "-----BEGIN EC PRIVATE KEY-----",
    "password hash": "$argon2id$v=19$m=65536",
    "form value": "grant_type=x&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA",
    "JSON value": '{"access_token": "2YotnFZFEjr1zCsicMWpAA"}',
    "authorization code": "GET /callback?code=SplxlOBeZQQYbYS6WxSbIA",
    "password of a test": "the password was correct horse",
}
"""One planted secret of each class: a search that does not find these finds nothing."""


@frozen
class Finding:
    """A line that holds something like a credential."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}"


def kinds_in(text: str) -> Iterator[str]:
    """The classes of what looks like a credential in a line."""
    return (kind for kind, pattern in CLASSES if pattern.search(text))


def blind_to() -> list[str]:
    """The classes whose planted sample is not found; none, or the search is worth nothing."""
    return [kind for kind, sample in SAMPLES.items() if kind not in kinds_in(sample)]


def logs_in(places: Iterable[Path]) -> list[Path]:
    """Every log below the places, each once."""
    found = {path for place in places for pattern in LOGS for path in place.rglob(pattern) if path.is_file()}
    return sorted(found)


def search(path: Path) -> Iterator[Finding]:
    """What is found in one file, line by line, however large it is."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            yield from (Finding(str(path), number, kind) for kind in kinds_in(line))
