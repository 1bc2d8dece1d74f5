"""Log observers for people and machines, and the audit trail. Nothing secret gets through (S-21, Z-11)."""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

HIDDEN = "[redacted]"
_NAMES = re.compile(r"token|assertion|secret|key|cookie|authorization|password|code", re.IGNORECASE)
_SECRETS = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic|DPoP)\s+)[A-Za-z0-9._~+/=-]+"
    r"|\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,4}|\beyJ[A-Za-z0-9_-]{41,}"
    r"|(?P<link>/rrs/links/)[^/\s\"'?]+"
    r"|(?P<name>\b\w*(?:token|assertion|secret|password|code)=)[^&\s\"']+",
    re.IGNORECASE,
)
_MARKS = ("=", "eyj", "bearer", "basic", "dpop", "/rrs/links/")
"""Nothing that `_SECRETS` finds is without one of these, in lower case."""


def new_reference() -> str:
    """A short random name that ties an answer to a log line."""
    return secrets.token_hex(6)


@lru_cache(maxsize=1024)
def is_hidden(name: str) -> bool:
    """Whether a field of this name must not be logged."""
    return _NAMES.search(name) is not None


def scrub(text: str) -> str:
    """`text` without anything that looks like a credential."""
    folded = text.casefold()
    # Most texts have no mark, and need no closer look.
    if not any(mark in folded for mark in _MARKS):
        return text
    return _SECRETS.sub(lambda found: (found["scheme"] or found["link"] or found["name"] or "") + HIDDEN, text)


def redact(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with the values of its hidden fields replaced."""
    return {name: HIDDEN if not name.startswith("log_") and is_hidden(name) else value for name, value in event.items()}


@implementer(ILogObserver)
class Log:
    """Writes events of the least level or above, each in the form that it is given: `as_text` or `as_json`."""

    def __init__(self, out: IO[str], form: Callable[[LogEvent], str], least: LogLevel = LogLevel.info) -> None:
        self._out = out
        self._form = form
        self._least = least

    def __call__(self, event: LogEvent) -> None:
        """Write the event if it is of the least level or above."""
        if event.get("log_level", LogLevel.info) >= self._least:
            self._out.write(self._form(event))
            self._out.flush()


def as_text(event: LogEvent) -> str:
    """One line for a terminal, time, level, namespace, text, then the trace of a failure."""
    level = event.get("log_level", LogLevel.info).name
    stamp = _stamp(event).strftime("%H:%M:%S")
    trace = "".join(f"    {line}\n" for line in _trace(event).splitlines())
    return f"{stamp} {level:8} {event.get('log_namespace', '-')}: {_text(event)}\n{trace}"


def as_json(event: LogEvent) -> str:
    """One JSON object in a line: time, level, namespace, message, trace and the event's plain fields."""
    line: dict[str, Any] = {
        "time": _stamp(event).isoformat(timespec="milliseconds"),
        "level": event.get("log_level", LogLevel.info).name,
        "namespace": event.get("log_namespace", ""),
        "message": _text(event),
    }
    line |= _fields(event)
    if trace := _trace(event):
        line["trace"] = trace
    return json.dumps(line, ensure_ascii=True) + "\n"


def rendered(event: Mapping[str, Any]) -> str:
    """One line of the audit trail."""
    line = {name: _scrubbed(value) for name, value in redact(event).items() if value not in ("", None)}
    return json.dumps(line, ensure_ascii=True, default=str)


def _scrubbed(value: Any) -> Any:
    return scrub(value) if isinstance(value, str) else value


def _stamp(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time", 0.0), UTC)


def _text(event: LogEvent) -> str:
    text = formatEvent(redact(event)) or ("" if "log_failure" in event else "-")
    return scrub(text.replace("\n", "\\n").replace("\r", "\\r"))


def _trace(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return scrub(failure.getTraceback(detail="brief")) if isinstance(failure, Failure) else ""


def _fields(event: LogEvent) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in redact(event).items():
        if name.startswith("log_") or name in ("time", "level", "namespace", "message", "trace", "isError", "format"):
            continue
        if isinstance(value, str):
            found[name] = scrub(value)
        elif value is None or isinstance(value, (bool, int, float)):
            found[name] = value
    return found


class AuditTrail:
    """An append-only file, one JSON line per decision. A line that cannot be written is an error of the request
    (`OSError`): nothing is decided without a trace (Z-08)."""

    def __init__(self, path: str, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._is_torn = False
        self._file = self._opened()

    def record(self, event: Mapping[str, Any]) -> None:
        """Append one line; empty fields are left out, hidden ones and what looks like a credential replaced."""
        data = (rendered({"time": self._now().isoformat(timespec="milliseconds"), **event}) + "\n").encode("ascii")
        if os.fstat(self._file).st_nlink == 0:
            self.reopen()  # somebody removed the file: what is written into it now would be lost
        if self._is_torn:
            # A disk that was full, or a crash, left half a line: it must not swallow this one.
            data = b"\n" + data
        while data:
            data = data[os.write(self._file, data) :]
            self._is_torn = bool(data)

    def reopen(self) -> None:
        """Go on in a new file after the old one was moved away."""
        old, self._file = self._file, self._opened()
        os.close(old)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _opened(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(file).st_size
        self._is_torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        return file
