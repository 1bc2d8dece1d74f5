"""Draws pull_states.svg: the life of a pull job, from the very table that the scheduler obeys.

The states have places here; the arrows and their words come from `rrsd.roles.rra.rules.TABLE`. A state without a place
or an event without a colour ends the drawing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

from rrsd.core.values.jobs import State
from rrsd.roles.rra.rules import ARRIVED, TABLE, TERMINAL


class Box(NamedTuple):
    """Where a state stands (its middle), and what it means in a few words."""

    x: int
    y: int
    said: str


BOXES: Mapping[State, Box] = {
    State.NEW: Box(120, 185, "accepted, durable"),
    State.READY: Box(390, 185, "may run"),
    State.LEASED: Box(690, 185, "one attempt at work"),
    State.STORED: Box(1040, 185, "verified and kept"),
    State.RECEIPTED: Box(1320, 185, "the sender knows"),
    State.DEFERRED: Box(390, 400, "has its next time"),
    State.NEEDS_AUTH: Box(390, 480, "an issuer or grant said no"),
    State.NO_SPACE: Box(390, 560, "this host is full"),
    State.HELD: Box(600, 690, "until somebody releases it"),
    State.FAILED: Box(1040, 330, "gone for good"),
    State.EXPIRED: Box(1040, 410, "its time was over"),
    State.QUARANTINED: Box(1040, 490, "twice other bytes"),
    State.CANCELLED: Box(1040, 690, "somebody gave it up"),
}

COLOURS = {
    "due": "#3a5fa8", "woken": "#3a5fa8", "hurried": "#3a5fa8", "leased": "#1f2933", "returned": "#6b7684",
    "restarted": "#6b7684", "stored": "#2f7d4f", "receipted": "#2f7d4f", "deferred": "#a8661b", "needs_auth": "#a8661b",
    "no_space": "#a8661b", "failed": "#a8322b", "expired": "#a8322b", "quarantined": "#a8322b", "held": "#6a4c93",
    "released": "#6a4c93", "cancelled": "#a8322b", "extended": "#6a4c93", "ranked": "#6a4c93",
}  # fmt: skip
"""The colour of each event's arrow: forward, back, waiting, by hand, the end."""

WAITING = (State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE)
FROM_ANYWHERE = ("held", "cancelled", "expired")
"""Events that lead from every open state: one arrow from the frame around these states stands for all."""
IN_LINE = (State.NEW, State.READY, *WAITING)
UNTRIED = ("no_space",)
"""States in which a pull may wait for room before an attempt: events that no arrow stands for."""
STAYING = ("extended", "ranked")
"""Events that change no state: words in the frame stand for all."""

WIDTH, HEIGHT, HALF_W, HALF_H = 1440, 780, 92, 26
FRAME = (20, 95, 810, 610)  # left, top, right, bottom
INK, FAINT = "#1f2933", "#5b6773"
FONT = "font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\""


def transitions() -> dict[tuple[State, State], list[str]]:
    """The events of each arrow, in the table's order; what leads from anywhere is drawn once."""
    found: dict[tuple[State, State], list[str]] = defaultdict(list)
    for (before, event), after in TABLE.items():
        if event not in (*FROM_ANYWHERE, *STAYING) and not (event in UNTRIED and before in IN_LINE):
            found[before, after].append(event)
    return found


def fill_of(state: State) -> tuple[str, str]:
    """The colours of a state's box: inside, and its line."""
    if state in ARRIVED:
        return "#e6f4ea", "#2f7d4f"
    if state in TERMINAL:
        return "#fbeae9", "#a8322b"
    if state in WAITING:
        return "#fdf3e4", "#a8661b"
    return ("#f1ecf8", "#6a4c93") if state is State.HELD else ("#eef2fa", "#3a5fa8")


def text(x: float, y: float, words: str, size: int, fill: str, style: str = "") -> str:
    """One line of text, centred on `x`."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="middle" {style}>{escape(words)}</text>'


def box(state: State) -> Iterator[str]:
    """A state; a second line around it says that nothing leads out."""
    place, (fill, ink) = BOXES[state], fill_of(state)
    left, top = place.x - HALF_W, place.y - HALF_H
    if state in TERMINAL:
        yield (
            f'<rect x="{left - 4}" y="{top - 4}" width="{2 * HALF_W + 8}" height="{2 * HALF_H + 8}" rx="13" '
            f'fill="none" stroke="{ink}" stroke-width="1"/>'
        )
    yield (
        f'<rect x="{left}" y="{top}" width="{2 * HALF_W}" height="{2 * HALF_H}" rx="10" fill="{fill}" '
        f'stroke="{ink}" stroke-width="1.6"/>'
    )
    yield text(place.x, place.y - 3, state.value, 15, INK, 'font-weight="700"')
    yield text(place.x, place.y + 15, place.said, 11, FAINT)


def arrow(path: str, events: list[str], at: tuple[float, float]) -> Iterator[str]:
    """A way with its words, in the colour of its first event."""
    colour = COLOURS[events[0]]
    yield (f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.7" marker-end="url(#{_marker(colour)})"/>')
    wide = 7.4 * max(map(len, events)) + 8
    height = 15 * len(events)
    top = at[1] - height / 2
    yield f'<rect x="{at[0] - wide / 2}" y="{top}" width="{wide}" height="{height + 2}" fill="#ffffff" opacity="0.92"/>'
    for line, event in enumerate(events):
        yield text(at[0], top + 12 + 15 * line, event, 12, COLOURS[event], 'font-weight="600"')


def _marker(colour: str) -> str:
    return f"to-{colour[1:]}"


def markers() -> Iterator[str]:
    """The arrow heads, one per colour."""
    for colour in sorted(set(COLOURS.values())):
        yield (
            f'<marker id="{_marker(colour)}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
        )


def way(before: State, after: State) -> tuple[str, tuple[float, float]]:
    """The path of an arrow and where its words stand."""
    if before is after:
        return _loop(BOXES[before])
    if after is State.READY and before is State.LEASED:
        return _back(BOXES[before], BOXES[after])
    if after is State.READY and before is State.HELD:
        return _under(BOXES[before], BOXES[after])
    if after is State.READY and before in WAITING:
        return _gutter(BOXES[before], BOXES[after], WAITING.index(before))
    return _straight(BOXES[before], BOXES[after], after)


def _loop(at: Box) -> tuple[str, tuple[float, float]]:
    top = at.y - HALF_H
    return f"M{at.x - 30},{top} C{at.x - 40},{top - 48} {at.x + 40},{top - 48} {at.x + 30},{top}", (at.x, top - 37)


def _back(start: Box, end: Box) -> tuple[str, tuple[float, float]]:
    top, middle = start.y - HALF_H, (start.x + end.x) / 2
    path = f"M{start.x - 40},{top} C{start.x - 60},{top - 46} {end.x + 90},{top - 46} {end.x + 62},{top}"
    return path, (middle + 10, top - 34)


def _under(start: Box, end: Box) -> tuple[str, tuple[float, float]]:
    gutter = FRAME[0] + 20
    path = f"M{start.x - HALF_W},{start.y} H{gutter} V{end.y + 60} H{end.x - 78} V{end.y + HALF_H + 2}"
    return path, (gutter + 190, start.y)


def _gutter(start: Box, end: Box, index: int) -> tuple[str, tuple[float, float]]:
    gutter = start.x - HALF_W - 34 - 62 * index
    rise = end.y + 128 - 22 * index
    landing = end.x - 36 + 20 * (1 - index)
    path = f"M{start.x - HALF_W},{start.y} H{gutter} V{rise} H{landing} V{end.y + HALF_H + 2}"
    return path, (gutter, start.y - 46 if index == 0 else start.y - 22)


def _straight(start: Box, end: Box, after: State) -> tuple[str, tuple[float, float]]:
    if start.y == end.y:
        return f"M{start.x + HALF_W},{start.y} H{end.x - HALF_W - 5}", ((start.x + end.x) / 2, start.y - 1)
    if end.x > start.x:
        path = f"M{start.x + HALF_W - 14 - _LANE[after] * 22},{start.y + HALF_H} V{end.y} H{end.x - HALF_W - 6}"
        return path, ((FRAME[2] + end.x - HALF_W) / 2 - 8, end.y)
    column = start.x - 40 - _LANE[after] * 22
    return f"M{column},{start.y + HALF_H} V{end.y} H{end.x + HALF_W + 2}", (end.x + HALF_W + 70, end.y)


_LANE = {
    State.FAILED: 0, State.EXPIRED: 1, State.QUARANTINED: 2, State.DEFERRED: 1, State.NEEDS_AUTH: 0, State.NO_SPACE: -1,
}  # fmt: skip
"""Which of the lanes below LEASED an arrow takes."""


def by_hand() -> Iterator[str]:
    """What leads from every open state: from the frame to HELD and to CANCELLED; HELD itself can be cancelled too."""
    for event in FROM_ANYWHERE:
        states = {state for state, each in TABLE if each == event}
        inside = {state for state, place in BOXES.items() if _framed(place)}
        if states - {State.HELD} != inside:
            raise ValueError(f"{event} does not lead from the states in the frame")
    held, cancelled = BOXES[State.HELD], BOXES[State.CANCELLED]
    yield from arrow(f"M{held.x},{FRAME[3]} V{held.y - HALF_H - 2}", ["held"], (held.x, FRAME[3] + 26))
    corner = FRAME[2] - 30
    path = f"M{corner},{FRAME[3]} V{cancelled.y - 12} H{cancelled.x - HALF_W - 6}"
    yield from arrow(path, ["cancelled"], (cancelled.x - HALF_W - 66, cancelled.y - 13))
    path = f"M{held.x + HALF_W},{held.y + 12} H{cancelled.x - HALF_W - 6}"
    yield from arrow(path, ["cancelled"], (cancelled.x - HALF_W - 66, cancelled.y + 13))
    expired = BOXES[State.EXPIRED]
    path = f"M{FRAME[2]},{expired.y} H{expired.x - HALF_W - 6}"
    yield from arrow(path, ["expired"], ((FRAME[2] + expired.x - HALF_W) / 2 - 8, expired.y))
    path = f"M{held.x + HALF_W},{held.y} H821 V{expired.y + 14} H{expired.x - HALF_W - 6}"
    yield from arrow(path, ["expired"], (821, 560))
    for line, event in enumerate(STAYING):
        yield text(FRAME[0] + 60 + 70 * line, FRAME[1] + 28, event, 12, COLOURS[event], 'font-weight="600"')
    yield text(FRAME[0] + 220, FRAME[1] + 28, "change no state", 11, FAINT)


def _framed(place: Box) -> bool:
    return FRAME[0] < place.x < FRAME[2] and FRAME[1] < place.y < FRAME[3]


def draw() -> str:
    """The picture as SVG."""
    left, top, right, bottom = FRAME
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {FONT}>',
        "<title>The life of a pull job</title>",
        "<defs>", *markers(), "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(WIDTH / 2, 40, "The life of a pull job", 20, INK, 'font-weight="700"'),
        text(WIDTH / 2, 62, "Boxes are the states that the database holds, words on arrows the events of its history;"
             " nothing leads out of a box with two lines.", 12, FAINT),
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="16" fill="#fafbfc" '
        'stroke="#9aa5b1" stroke-dasharray="5 5"/>',
        text(left + 120, bottom - 14, "open: from every state in here", 11, FAINT),
    ]  # fmt: skip
    for (before, after), events in transitions().items():
        lines += arrow(*_with_words(before, after, events))
    lines += by_hand()
    for state in State:
        lines += box(state)
    return "\n".join([*lines, "</svg>", ""])


def _with_words(before: State, after: State, events: list[str]) -> tuple[str, list[str], tuple[float, float]]:
    path, at = way(before, after)
    return path, events, at


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
