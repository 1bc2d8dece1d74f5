"""Draws client_key.svg: the walk of the agent's client key, from the very table that `rrsctl keys client` obeys.

The stages have places here; the arrows and their words come from `rrsd.drivers.keys.walk.TABLE`. A stage without a
place, or an arrow that leads between two stages in no order known here, ends the drawing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

from rrsd.drivers.keys.walk import FOLLOWING, TABLE, Stage, State, Step


class Box(NamedTuple):
    """Where a stage stands (its middle), which keys there are, and what the stage waits for."""

    x: int
    y: int
    keys: tuple[State, ...]
    said: str


BOXES: Mapping[Stage, Box] = {
    Stage.SETTLED: Box(170, 190, (State.CURRENT,), "one key"),
    Stage.PUBLISHED: Box(560, 190, (State.CURRENT, State.NEXT), "until everybody has looked again"),
    Stage.SWITCHED: Box(950, 190, (State.CURRENT, State.OLD), "until nothing of the old key is in use"),
}
MEANING: Mapping[State, str] = {
    State.CURRENT: "presented, signs, published",
    State.NEXT: "published",
    State.OLD: "published, accepted",
}
COLOURS: Mapping[Step, str] = {Step.PUBLISH: "#3a5fa8", Step.USE: "#2f7d4f", Step.WITHDRAW: "#a8661b"}

WIDTH, HEIGHT, HALF_W, HALF_H = 1120, 360, 130, 52
INK, FAINT = "#1f2933", "#5b6773"
FONT = "font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\""


def arrows() -> dict[tuple[Stage, Stage], list[Step]]:
    """The steps of each arrow, in the table's order."""
    found: dict[tuple[Stage, Stage], list[Step]] = defaultdict(list)
    for (before, step), after in TABLE.items():
        found[before, after].append(step)
    return found


def text(x: float, y: float, words: str, size: int, fill: str, style: str = "") -> str:
    """One line of text, centred on `x`."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="middle" {style}>{escape(words)}</text>'


def box(stage: Stage) -> Iterator[str]:
    """A stage with its keys."""
    place = BOXES[stage]
    left, top = place.x - HALF_W, place.y - HALF_H
    yield (
        f'<rect x="{left}" y="{top}" width="{2 * HALF_W}" height="{2 * HALF_H}" rx="10" fill="#eef2fa" '
        'stroke="#3a5fa8" stroke-width="1.6"/>'
    )
    yield text(place.x, top + 24, stage.value, 15, INK, 'font-weight="700"')
    for line, key in enumerate(place.keys):
        yield text(place.x, top + 46 + 17 * line, f"{key.value}: {MEANING[key]}", 12, INK)
    yield text(place.x, top + 2 * HALF_H - 8, place.said, 11, FAINT)


def path(before: Stage, after: Stage) -> tuple[str, tuple[float, float]]:
    """The way of an arrow and where its words stand."""
    start, end = BOXES[before], BOXES[after]
    if before is after:
        top = start.y - HALF_H
        way = f"M{start.x - 34},{top} C{start.x - 46},{top - 50} {start.x + 46},{top - 50} {start.x + 34},{top - 2}"
        return way, (start.x, top - 39)
    if end.x > start.x:
        return f"M{start.x + HALF_W},{start.y} H{end.x - HALF_W - 4}", ((start.x + end.x) / 2, start.y - 2)
    low = start.y + HALF_H + 50
    way = f"M{start.x},{start.y + HALF_H} V{low} H{end.x} V{end.y + HALF_H + 4}"
    return way, ((start.x + end.x) / 2, low - 1)


def arrow(before: Stage, after: Stage, steps: list[Step]) -> Iterator[str]:
    """A way with its words; the command again is a faint loop."""
    way, (x, y) = path(before, after)
    dash = ' stroke-dasharray="4 4"' if before is after else ""
    colour = COLOURS[steps[0]]
    yield f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="1.7"{dash} marker-end="url(#{_head(colour)})"/>'
    words = ", ".join(step.value for step in steps) + (" again" if before is after else "")
    wide = 7.6 * len(words) + 8
    yield f'<rect x="{x - wide / 2}" y="{y - 9}" width="{wide}" height="18" fill="#ffffff" opacity="0.92"/>'
    yield text(x, y + 4, words, 12, colour, 'font-weight="600"')


def _head(colour: str) -> str:
    return f"to-{colour[1:]}"


def heads() -> Iterator[str]:
    """The arrow heads, one per colour."""
    for colour in sorted(COLOURS.values()):
        yield (
            f'<marker id="{_head(colour)}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
        )


def draw() -> str:
    """The picture as SVG."""
    if set(FOLLOWING) != set(BOXES):
        raise ValueError("not every stage leads on, or not every stage has a place")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {FONT}>',
        "<title>The walk of the client key</title>",
        "<defs>", *heads(), "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(WIDTH / 2, 40, "The walk of the client key", 20, INK, 'font-weight="700"'),
        text(WIDTH / 2, 62, "Boxes are the stages with the keys that there are, words on arrows the steps of rrsctl"
             " keys client; any other step is refused.", 12, FAINT),
    ]  # fmt: skip
    for (before, after), steps in arrows().items():
        lines += arrow(before, after, steps)
    for stage in Stage:
        lines += box(stage)
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
