"""Draws mail_view.svg: what alice sends, what bar.test receives, what bob sees. The tables are the picture."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

SENT = (
    ("To", "bob@bar.test"),
    ("Subject", "The holiday"),
    ("", "Dear Bob, the film is attached."),
    ("+", "film.mp4|1.0 GiB"),
    ("+", "photograph.png|1.1 MiB"),
)
CARRIED = (
    ("", "DKIM-Signature: d=foo.test"),
    ("", "Dear Bob, the film is attached."),
    ("-", "message/external-body"),
    ("-", "URL=…/ni/sha-256/kmwNYMtp-Wk5…"),
    ("-", "size=1073741824"),
    ("-", 'filename="film.mp4"'),
)
SEEN = (
    ("From", "Alice <alice@foo.test>"),
    ("Subject", "The holiday"),
    ("", "Dear Bob, the film is attached."),
    ("+", "film.mp4|1.0 GiB"),
    ("+", "photograph.png|1.1 MiB"),
)
"""Lines of a window: a field and its value; text; "+" an attachment and its size; "-" what stands for one."""

WINDOWS = (
    ("alice's mail program", "any: an ordinary attachment", SENT),
    ("what bar.test receives", "by SMTP: 2.6 KiB, signed", CARRIED),
    ("bob's mail program", "any: an ordinary attachment", SEEN),
)
ARROWS = (
    ("rrsd and Postfix", "of foo.test"),
    ("rrsd of bar.test", "before bob's IMAP"),
)
PULL = ("foo.test keeps the file", "bar.test pulls it: HTTPS, mutual TLS, 1.0 GiB, each byte verified", "its own copy")

UNDER = "bob has each file to the byte, in an ordinary message. No mail server carries it, and nobody clicks a link."

WIDTH, HEIGHT, LEFT, TOP = 1080, 400, 24, 66
WINDOW, GAP, TALL, ROW = 272, 108, 214, 26
INK, FAINT, RULE, BACK = "#1f2933", "#5b6773", "#c4ccd4", "#f4f6f8"
FILE, STAND = ("#eef5ee", "#3f7d4f"), ("#fdf6e7", "#a8731a")
FONT = "font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\""


def text(x: float, y: float, words: str, size: int = 12, style: str = "", fill: str = INK) -> str:
    """One line of text, from `x` on unless `style` says otherwise."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" {style}>{escape(words)}</text>'


def frame(x: float, y: float, width: float, height: float, colours: tuple[str, str]) -> str:
    """A box."""
    fill, line = colours
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{line}"/>'


def row(x: float, y: float, kind: str, words: str) -> Iterator[str]:
    """One line of a window."""
    if kind == "+":
        name, _, size = words.partition("|")
        yield frame(x - 4, y - 16, WINDOW - 20, 22, FILE)
        yield text(x + 4, y, name, 12, 'font-weight="700"')
        yield text(x + WINDOW - 32, y, size, 11, 'text-anchor="end"', FAINT)
    elif kind == "-":
        yield text(x + 8, y, words, 11, "font-family=\"'DejaVu Sans Mono', monospace\"", STAND[1])
    elif kind:
        yield text(x, y, kind, 11, "", FAINT)
        yield text(x + 56, y, words)
    else:
        yield text(x, y, words)


def window(index: int) -> Iterator[str]:
    """One of the three."""
    title, under, rows = WINDOWS[index]
    x = LEFT + index * (WINDOW + GAP)
    yield text(x, TOP - 26, title, 15, 'font-weight="700"')
    yield text(x, TOP - 8, under, 11, "", FAINT)
    yield frame(x, TOP, WINDOW, TALL, ("#ffffff", RULE))
    yield f'<rect x="{x}" y="{TOP}" width="{WINDOW}" height="18" rx="6" fill="{BACK}" stroke="{RULE}"/>'
    yield from (f'<circle cx="{x + 12 + 12 * n}" cy="{TOP + 9}" r="3.5" fill="{RULE}"/>' for n in range(3))
    standing = [at for at, (kind, _) in enumerate(rows) if kind == "-"]
    if standing:
        yield frame(x + 8, TOP + 28 + ROW * standing[0], WINDOW - 20, ROW * len(standing) + 4, STAND)
    for number, (kind, words) in enumerate(rows):
        yield from row(x + 14, TOP + 44 + ROW * number, kind, words)


def arrow(index: int, words: Sequence[str]) -> Iterator[str]:
    """From one window to the next."""
    x, y = LEFT + WINDOW + index * (WINDOW + GAP), TOP + TALL / 2
    yield f'<line x1="{x + 6}" y1="{y}" x2="{x + GAP - 14}" y2="{y}" stroke="{INK}" stroke-width="1.6"/>'
    yield f'<path d="M{x + GAP - 6},{y} l-11,-5.5 v11 z" fill="{INK}"/>'
    for number, line in enumerate(words):
        yield text(x + GAP / 2, y - 24 + 14 * number, line, 11, 'text-anchor="middle"', FAINT)


def pull() -> Iterator[str]:
    """The bytes, beside the mail."""
    y, end = TOP + TALL + 54, LEFT + 2 * (WINDOW + GAP)
    first, between, last = PULL
    yield frame(LEFT, y - 24, WINDOW, 48, FILE)
    yield text(LEFT + WINDOW / 2, y + 4, first, 12, 'text-anchor="middle" font-weight="700"')
    yield frame(end, y - 24, WINDOW, 48, FILE)
    yield text(end + WINDOW / 2, y + 4, last, 12, 'text-anchor="middle" font-weight="700"')
    yield f'<line x1="{LEFT + WINDOW}" y1="{y}" x2="{end - 10}" y2="{y}" stroke="{FILE[1]}" stroke-width="4"/>'
    yield f'<path d="M{end - 1},{y} l-14,-8 v16 z" fill="{FILE[1]}"/>'
    yield text((LEFT + WINDOW + end) / 2, y - 10, between, 11, 'text-anchor="middle"', FAINT)
    x = end + WINDOW / 2
    yield f'<line x1="{x}" y1="{y - 24}" x2="{x}" y2="{TOP + TALL + 12}" stroke="{FILE[1]}" stroke-width="2"/>'
    yield f'<path d="M{x},{TOP + TALL + 2} l-6,11 h12 z" fill="{FILE[1]}"/>'


def draw() -> str:
    """The picture as SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {FONT}>',
        "<title>An attachment of any size, from any mail program to any other</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for index in range(len(WINDOWS)):
        lines += window(index)
    for index, words in enumerate(ARROWS):
        lines += arrow(index, words)
    lines += pull()
    lines.append(text(LEFT, HEIGHT - 18, UNDER, 11, "", FAINT))
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
