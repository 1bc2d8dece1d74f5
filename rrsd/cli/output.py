"""What people and programs read: tables, JSON, sizes, times and a progress line."""

import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from attrs import define, field

from rrsd.core.refusals import Malformed

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BAR = 28
_EVERY = 0.1  # seconds between two drawings of a progress line


def clean(text: object) -> str:
    """`text` in one line that cannot drive a terminal: control and bidirectional characters become a middle dot."""
    return "".join("·" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in str(text))


def size(number: float) -> str:
    """A number of bytes as a person says it: "1.0 GiB"."""
    unit = 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number /= 1024
        unit += 1
    return f"{int(number)} B" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


def parse_size(text: str) -> int:
    """The bytes that "64MiB", "1 GiB", "10M" or "4096" mean, always in steps of 1024.

    Raises:
        Malformed: it is none of these.
    """
    compact = text.strip().upper().removesuffix("B").removesuffix("I")
    power = "KMGTP".find(compact[-1:]) + 1 if compact else 0
    digits = compact[:-1].strip() if power else compact
    if not digits.isascii() or not digits.isdigit():
        raise Malformed(f"{clean(text)!r} is no size: write 64MiB, 1GiB or a number of bytes")
    return int(digits) << (10 * power)


def duration(seconds: float) -> str:
    """A span of time as a person says it: "0.4 s", "2 min 05 s", "3 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def when(text: object) -> str:
    """An ISO 8601 instant in UTC, short; "-" for none."""
    if not text:
        return "-"
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return clean(text)


def is_past(text: object, now: float) -> bool:
    """Whether the ISO 8601 instant is not after `now`, in seconds of the epoch; what cannot be read is not."""
    try:
        return datetime.fromisoformat(str(text)).timestamp() <= now
    except ValueError:
        return False


@define(eq=False)
class Console:
    """Where a command writes: results to `out`, everything else to `err`.

    `is_json` makes every result one JSON document and silences progress.
    """

    out: TextIO = field(factory=lambda: sys.stdout)
    err: TextIO = field(factory=lambda: sys.stderr)
    is_json: bool = False
    is_quiet: bool = False

    def document(self, value: object) -> None:
        """Write `value` as JSON."""
        self.out.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def result(self, value: object, text: str) -> None:
        """Write the result of a verb: `value` for a program, `text` for a person."""
        if self.is_json:
            self.document(value)
        elif text:
            self.out.write(text.rstrip("\n") + "\n")

    def rows(self, value: object, columns: Sequence[str], rows: Sequence[Sequence[object]], none: str) -> None:
        """Write a list: `value` for a program; for a person a table of `rows`, or the sentence `none`."""
        self.result(value, table(columns, rows) if rows else none)

    def octets(self, data: bytes) -> None:
        """Write a result that is not text, byte for byte."""
        self.out.flush()
        raw = getattr(self.out, "buffer", None)
        if raw is None:
            self.out.write(data.decode("utf-8", "surrogateescape"))
        else:
            raw.write(data)
            raw.flush()

    def note(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if not self.is_json and not self.is_quiet:
            self.err.write(text + "\n")
            self.err.flush()

    def progress(self, label: str, total: int, monotonic: Callable[[], float]) -> "Progress":
        """A line that shows how far `total` bytes have come; nothing unless `err` is a terminal."""
        return Progress(self.err, label, total, monotonic, self.err.isatty() and not (self.is_json or self.is_quiet))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of text, aligned; numbers to the right."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    right = [all(isinstance(row[i], int) for row in rows) for i in range(len(columns))]
    lines = []
    for line in [list(columns), *cells]:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def facts(pairs: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> str:
    """One fact per line, names aligned; facts without a value are left out."""
    items = [(k, v) for k, v in (pairs.items() if isinstance(pairs, Mapping) else pairs) if v not in (None, "")]
    width = max((len(name) for name, _ in items), default=0)
    return "\n".join(f"{name.ljust(width)}  {clean(value)}" for name, value in items)


def bar(done: int, total: int, width: int = _BAR) -> str:
    """How far `done` of `total` is, drawn."""
    filled = width if total <= 0 else min(width, done * width // total)
    return "█" * filled + "░" * (width - filled)


@define(eq=False)
class Progress:
    """One line on a terminal that is drawn over itself."""

    _stream: TextIO
    _label: str
    _total: int
    _monotonic: Callable[[], float]
    _is_shown: bool
    _start: float = field(init=False)
    _base: int | None = None
    _drawn: float = float("-inf")

    def __attrs_post_init__(self) -> None:
        self._start = self._monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def at(self, done: int) -> None:
        """`done` bytes have come."""
        now = self._monotonic()
        if self._base is None:
            self._base, self._start = done, now
        if not self._is_shown or (now - self._drawn < _EVERY and done < self._total):
            return
        self._drawn = now
        self._stream.write("\r\x1b[K" + progress_line(self._label, done, self._total, self._speed(done, now)))
        self._stream.flush()

    def _speed(self, done: int, now: float) -> float:
        return (done - (self._base or 0)) / max(now - self._start, 0.001)


def progress_line(label: str, done: int, total: int, speed: float) -> str:
    """Label, bar, share, bytes, speed and the time that is left."""
    share = 100 if total <= 0 else done * 100 // total
    left = f", {duration((total - done) / speed)} left" if speed > 0 and done < total else ""
    return (
        f"{clean(label)[:24]:<24} {bar(done, total)} {share:3}%  {size(done)} of {size(total)}, {size(speed)}/s{left}"
    )
