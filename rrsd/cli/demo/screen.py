"""What the demo shows: one calm line per fact with the time that has passed, and one live line on a terminal."""

import shutil
from collections.abc import Callable, Mapping
from typing import TextIO

from attrs import define, field

from rrsd.cli.output import bar, clean, duration, size

_WORD = 10
_EVERY = 0.1
_LEAST = 4 * 1024 * 1024  # what is smaller is there before anybody can read a progress line
_PLAIN_STEP = 25  # per cent between two progress lines where there is no terminal


@define(eq=False)
class Screen:
    """Writes the story. `is_live` draws progress over itself and uses bold and dim letters."""

    _out: TextIO
    _monotonic: Callable[[], float]
    is_live: bool
    _began: float = field(init=False)
    _drawn: float = float("-inf")
    _told: int = 0

    def __attrs_post_init__(self) -> None:
        self._began = self._monotonic()

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return self._monotonic() - self._began

    def title(self, text: str) -> None:
        """A heading with an empty line before it."""
        self._line("")
        self._line(self._bold(text))

    def say(self, word: str, text: str) -> None:
        """A fact: when, about what, and what."""
        self._line(f"{self._dim(self._stamp())}  {self._bold(word.ljust(_WORD))}  {text}")

    def step(self, number: str, who: str, text: str, measured: str) -> None:
        """One of the nine steps, without its claims."""
        self._line(f"  {self._bold(f'{number}  {who}')}")
        self._line(f"     {text}" + self._dim(f"  [{measured}]" if measured else ""))

    def plain(self, text: str = "") -> None:
        """A line of its own, without the time."""
        self._line(text)

    def quiet(self, text: str) -> None:
        """A line that is less important."""
        self._line(self._dim(text))

    def progress(self, word: str, done: int, total: int, note: str = "") -> None:
        """How far something is: drawn over itself on a terminal, else said at every quarter."""
        if total < _LEAST:
            return
        share = done * 100 // total
        text = f"{bar(done, total)} {share:3}%  {size(done)} of {size(total)}{'  ' if note else ''}{note}"
        if self.is_live:
            self._draw(f"{self._stamp()}  {word.ljust(_WORD)}  {text}")
        elif share // _PLAIN_STEP > self._told:
            self._told = share // _PLAIN_STEP
            self.say(word, f"{share}%  {size(done)} of {size(total)}")

    def settle(self) -> None:
        """The progress that was shown is over."""
        self._told, self._drawn = 0, float("-inf")
        if self.is_live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _draw(self, text: str) -> None:
        now = self._monotonic()
        if now - self._drawn < _EVERY:
            return
        self._drawn = now
        width = shutil.get_terminal_size().columns - 1
        self._out.write("\r\x1b[K" + text[:width])
        self._out.flush()

    def _line(self, text: str) -> None:
        self._out.write(("\r\x1b[K" if self.is_live else "") + text + "\n")
        self._out.flush()

    def _stamp(self) -> str:
        return f"{self.passed:6.1f} s"

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.is_live else text

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.is_live else text


def is_live(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `out` is a terminal that may be drawn on."""
    return out.isatty() and "NO_COLOR" not in environ and environ.get("TERM") != "dumb"


def speed(number: int, seconds: float) -> str:
    """Bytes, time, and the one per the other."""
    rate = f", {size(number / seconds)}/s" if seconds > 0.05 and number > 1024 * 1024 else ""
    return f"{size(number)} in {duration(seconds)}{rate}"


def claim_lines(claims: Mapping[str, object], indent: str) -> list[str]:
    """Decoded claims, one per line; nothing that was signed with them is there to be shown."""
    width = max((len(name) for name in claims), default=0)
    return [f"{indent}{clean(name).ljust(width)}  {_plain(value)}" for name, value in claims.items()]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{clean(name)}: {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(inner) for inner in value)
    return clean(value)
