"""Draws client_proof.svg: how a client's key is proved, method by method. The table `METHODS` is the picture."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

METHODS = (
    ("dane", "TLSA at OU.CN", "DNSSEC only", "it matches", "dnssec", "no match, unusable, insecure, bogus"),
    ("webfinger", "https at the CN", "", "the key's hash is there", "tls", "other hashes, nonsense"),
    ("dns-txt", "TXT at OU.CN", "", "the key's hash is there", "dnssec or weak", "other hashes, two records, bogus"),
    ("issuer", "the delegation's issuer", "", "its host is the CN", "issuer", ""),
)
"""Method, where it looks, on which condition, what proves, what the proof rests on, what refuses."""

OUTAGE = "an outage of any of them: come back later; nobody goes on to the next"
NOTHING = ("refused", "nothing is published")

WIDTH, TOP, STEP, BOX = 1040, 96, 112, 62
LEFT, MIDDLE, RIGHT = 60, 430, 740
INK, FAINT = "#1f2933", "#5b6773"
GOOD, BAD = ("#eef5ee", "#3f7d4f"), ("#fbeeec", "#b4432f")
FONT = "font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\""


def text(x: float, y: float, words: str, size: int = 13, style: str = "", fill: str = INK) -> str:
    """One line of text, from `x` on unless `style` says otherwise."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" {style}>{escape(words)}</text>'


def box(
    x: int, y: int, width: int, words: tuple[str, str], colours: tuple[str, str] = ("#ffffff", INK)
) -> Iterator[str]:
    """Two lines in a frame."""
    fill, line = colours
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{BOX}" rx="8" fill="{fill}" stroke="{line}"/>'
    yield text(x + 14, y + 26, words[0], 14, 'font-weight="700"')
    yield text(x + 14, y + 46, words[1], 11, "", FAINT)


def across(x1: int, x2: int, y: int, words: str) -> Iterator[str]:
    """An arrow to the right."""
    yield f'<line x1="{x1}" y1="{y}" x2="{x2 - 9}" y2="{y}" stroke="{INK}" stroke-width="1.6"/>'
    yield f'<path d="M{x2},{y} l-11,-5.5 v11 z" fill="{INK}"/>'
    yield text((x1 + x2) / 2, y - 7, words, 11, 'text-anchor="middle"', FAINT)


def down(x: int, y1: int, y2: int) -> Iterator[str]:
    """An arrow to the next method."""
    yield f'<line x1="{x}" y1="{y1}" x2="{x}" y2="{y2 - 9}" stroke="{INK}" stroke-width="1.6"/>'
    yield f'<path d="M{x},{y2} l-5.5,-11 h11 z" fill="{INK}"/>'
    yield text(x + 12, (y1 + y2) / 2 + 4, "absent", 11, "", FAINT)


def method(index: int) -> Iterator[str]:
    """One method: the next one below, what proves and what refuses beside it."""
    name, where, condition, proves, strength, refuses = METHODS[index]
    y = TOP + STEP * index
    yield from box(LEFT, y, 230, (name, f"{where}, {condition}" if condition else where))
    yield from across(LEFT + 230, MIDDLE, y + BOX // 2, "published")
    yield from box(MIDDLE, y, 210, (f"proved: {strength}", proves), GOOD)
    if refuses:
        yield from across(MIDDLE + 210, RIGHT, y + BOX // 2, "else")
        yield from box(RIGHT, y, 260, ("refused, final", refuses), BAD)
    yield from down(LEFT + 115, y + BOX, y + STEP)


def draw() -> str:
    """The picture as SVG."""
    height = TOP + STEP * len(METHODS) + BOX + 60
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" {FONT}>',
        "<title>How a client's key is proved</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(LEFT, 44, "Does this certificate's key belong to OU.CN?", 18, 'font-weight="700"'),
        text(LEFT, 68, "The first method that is published decides.", 13, "", FAINT),
    ]
    for index in range(len(METHODS)):
        lines += method(index)
    bottom = TOP + STEP * len(METHODS)
    lines += box(LEFT, bottom, 230, NOTHING, BAD)
    lines.append(text(LEFT, height - 24, OUTAGE, 12, "", FAINT))
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
