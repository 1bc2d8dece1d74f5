"""Draws nine_steps.svg: who calls whom when a resource is pulled. The table `STEPS` is the picture."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

COLUMNS = (
    ("bob's client", "", 130),
    ("RRA", "retrieval agent", 390),
    ("STS", "token service", 650),
    ("RS", "resource server", 960),
)
DOMAINS = (("bar.test", "the recipient's domain", 30, 770, "#eef5ee", "#3f7d4f"),
           ("foo.test", "the sender's domain", 820, 1100, "#eef2fa", "#3a5fa8"))  # fmt: skip

STEPS = (
    ("1", 0, 1, "asks for the message", "or it arrives by itself"),
    ("2", 1, 1, "signs an assertion for bob", "impersonation, certificate's key, 60 s"),
    ("3", 1, 2, "exchanges it", "mutual TLS, RFC 8693"),
    ("4", 2, 1, "delegation assertion", "bound to the certificate, never outlives step 2"),
    ("5", 1, 3, "GET /.well-known/ni/sha-256/…", "mutual TLS, bearer delegation assertion"),
    ("6", 3, 3, "believes none of it", "until key, issuer and grant are proved"),
    ("7", 3, 1, "the bytes, resumable in ranges", "RRA hashes, stores and syncs them"),
    ("", 1, 3, "signed receipt: bar.test keeps its own copy", ""),
    ("8", 0, 1, "reads the message", "bearer access token"),
    ("9", 1, 0, "the message, whole", "attachments in their places"),
)
"""Number, from, to, what happens, how. A step from a column to itself happens inside."""

WIDTH, TOP, STEP = 1130, 150, 68
INK, FAINT, LINE = "#1f2933", "#5b6773", "#9aa5b1"
FONT = "font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\""


def text(x: float, y: float, words: str, size: int = 13, style: str = "", fill: str = INK) -> str:
    """One line of text, centred on `x` unless `style` says otherwise."""
    anchor = "" if "text-anchor" in style else ' text-anchor="middle"'
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}"{anchor} {style}>{escape(words)}</text>'


def domains(height: int) -> Iterator[str]:
    """The two domains behind everything."""
    for name, said, left, right, fill, ink in DOMAINS:
        yield f'<rect x="{left}" y="20" width="{right - left}" height="{height - 40}" rx="14" fill="{fill}"/>'
        yield text((left + right) / 2, 48, name, 18, 'font-weight="700"', ink)
        yield text((left + right) / 2, 67, said, 12, "", FAINT)


def columns(height: int) -> Iterator[str]:
    """Who takes part, each with a line down."""
    for name, said, x in COLUMNS:
        yield f'<line x1="{x}" y1="128" x2="{x}" y2="{height - 40}" stroke="{LINE}" stroke-dasharray="3 4"/>'
        yield f'<rect x="{x - 75}" y="82" width="150" height="46" rx="8" fill="#ffffff" stroke="{LINE}"/>'
        yield text(x, 110 if not said else 102, name, 15, 'font-weight="700"')
        yield text(x, 119, said, 11, "", FAINT)


def step(number: str, start: int, end: int, y: int, words: tuple[str, str]) -> Iterator[str]:
    """One arrow, or a box where a column works by itself."""
    x1, x2 = COLUMNS[start][2], COLUMNS[end][2]
    if start == end:
        yield from _alone(x1, y, words)
        yield from _badge(x1 - 128, y + 16, number)
        return
    way = 1 if x2 > x1 else -1
    dash = "" if number else ' stroke-dasharray="7 4"'
    yield f'<line x1="{x1}" y1="{y + 16}" x2="{x2 - 9 * way}" y2="{y + 16}" stroke="{INK}" stroke-width="1.6"{dash}/>'
    yield f'<path d="M{x2},{y + 16} l{-11 * way},-5.5 v11 z" fill="{INK}"/>'
    middle = (x1 + x2) / 2
    yield text(middle, y + 8, words[0], 13, 'font-weight="600"')
    yield text(middle, y + 33, words[1], 11, "", FAINT)
    if number:
        yield from _badge(x1, y + 16, number)


def _alone(x: int, y: int, words: tuple[str, str]) -> Iterator[str]:
    yield f'<rect x="{x - 128}" y="{y - 6}" width="256" height="44" rx="8" fill="#ffffff" stroke="{INK}"/>'
    yield text(x + 6, y + 12, words[0], 13, 'font-weight="600"')
    yield text(x + 6, y + 29, words[1], 11, "", FAINT)


def _badge(x: int, y: int, number: str) -> Iterator[str]:
    yield f'<circle cx="{x}" cy="{y}" r="13" fill="#b4432f"/>'
    yield text(x, y + 5, number, 14, 'font-weight="700"', "#ffffff")


def draw() -> str:
    """The picture as SVG."""
    height = TOP + STEP * len(STEPS) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" {FONT}>',
        "<title>The nine steps of a pull</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *domains(height),
        *columns(height),
    ]
    for index, (number, start, end, what, how) in enumerate(STEPS):
        lines += step(number, start, end, TOP + STEP * index + 22, (what, how))
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(), encoding="utf-8")
