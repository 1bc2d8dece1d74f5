"""`rrsctl inbox` and `get`: what came, and its parts on this disk."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from rrsd.cli.client import Client
from rrsd.cli.downloads import Downloader, Wanted
from rrsd.cli.exits import sentence_of
from rrsd.cli.output import clean, size, table, when
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Conflict, Damaged, Malformed, Unavailable, Unknown
from rrsd.core.values.digests import Digest, parse_digest, parse_ni

_PAUSE = 5.0  # seconds before a server that went away is asked for news again
_UNSAFE = frozenset('/\\:*?"<>|')


@click.command(short_help="The messages that came.")
@click.option("--most", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many messages.")
@click.option("--watch", is_flag=True, help="Go on and tell what happens, until Ctrl-C.")
@pass_session
def inbox(session: Session, most: int, watch: bool) -> None:
    """The messages that came, newest first, and how far their parts are.

    \b
      rrsctl inbox
      rrsctl inbox --watch
    """
    client = session.client()
    found = client.messages(most)
    rows = [row for message in found for row in _rows(message)]
    columns = ("MESSAGE", "RECEIVED (UTC)", "FROM", "SUBJECT", "PART", "FILE", "SIZE", "STATE")
    session.console.rows({"messages": found}, columns, rows, "no messages yet")
    while watch:
        _tell(session, client)


def _tell(session: Session, client: Client) -> None:
    """Tell the news until the stream ends, as it does when the access token does; a pause when the server is away."""
    try:
        for news in client.news():
            session.console.out.write((json.dumps(news) if session.console.is_json else news_text(news)) + "\n")
            session.console.out.flush()
    except Unavailable as refusal:
        session.console.note(sentence_of(refusal))
        session.sleep(_PAUSE)


def _rows(message: dict[str, Any]) -> list[tuple[object, ...]]:
    head = (name_of(message), when(message.get("received")), message.get("sender"), message.get("subject"))
    parts = [
        (str(part.get("index")), part.get("filename") or "-", size(int(part.get("size", 0))), arrival_of(part))
        for part in message.get("parts", [])
    ] or [("-", "-", "-", "-")]
    return [(*(head if number == 0 else ("", "", "", "")), *part) for number, part in enumerate(parts)]


def arrival_of(part: dict[str, Any]) -> str:
    """How far a part is, for a person."""
    total, done = int(part.get("size", 0)), int(part.get("done") or 0)
    state = str(part.get("arrival", ""))
    return f"{state} {done * 100 // total}%" if total and 0 < done < total else state


def news_text(news: dict[str, Any]) -> str:
    """One piece of news in one line."""
    total, done = int(news.get("size") or 0), int(news.get("done") or 0)
    far = f"{size(done)} of {size(total)}" if total else ""
    return clean(f"{news.get('message')}  part {news.get('part')}  {news.get('state')}  {far}").rstrip()


@click.command(short_help="A message, or one of its parts.")
@click.argument("message")
@click.argument("part", required=False)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), default=None, help="Where to put it.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@pass_session
def get(session: Session, message: str, part: str | None, output: Path | None, force: bool) -> None:
    """Get the complete message, or one part of it, named by its number or its file name.

    MESSAGE is an id of `rrsctl inbox`, the beginning of one, or `last`. A part that has not arrived yet is hurried and
    comes while it is being pulled. What an interrupted call left in FILE.part is continued. The SHA-256 is verified.

    \b
      rrsctl get last                    the complete message, as last.eml
      rrsctl get last 0 -o film.mp4
      rrsctl get 8f3c film.mp4
    """
    client = session.client()
    found = find_message(client, message)
    wanted, name = _whole(found) if part is None else _part(found, part)
    path = output or Path(name)
    if path.is_dir():
        path = path / name
    if path.exists() and not force:
        raise Conflict(f"{path} is there already: choose another with -o, or say --force")
    digest = download(session, client, wanted, path)
    result = {"file": str(path), "size": path.stat().st_size, "sha256": digest}
    session.console.result(result, f"{clean(path)}  {size(path.stat().st_size)}  SHA-256 {digest}")


def download(session: Session, client: Client, wanted: Wanted, path: Path) -> str:
    """Fetch what is wanted with a progress line; its SHA-256 in hex."""
    said: set[str] = set()

    def waiting(text: str) -> None:
        line = _standing(text)
        if line not in said:
            said.add(line)
            session.console.note(line)

    with session.console.progress(path.name, wanted.size or 0, session.monotonic) as progress:
        return Downloader(client, session.sleep).fetch(wanted, path, progress.at, waiting)


def find_message(client: Client, text: str) -> dict[str, Any]:
    """The message that an id, the beginning of one, or `last` means.

    Raises:
        Unknown: there is none.
        Malformed: there are several.
    """
    found = client.messages(500)
    if text == "last":
        found = found[:1]
    else:
        found = [each for each in found if name_of(each) == text] or [e for e in found if name_of(e).startswith(text)]
    if not found:
        raise Unknown(f"there is no message {clean(text)}: see `rrsctl inbox`")
    if len(found) > 1:
        raise Malformed(f"{len(found)} messages begin with {clean(text)}: write more of the id")
    return found[0]


def name_of(message: dict[str, Any]) -> str:
    """The id of a message at the API."""
    return str(message.get("message") or message.get("id") or "")


def _whole(message: dict[str, Any]) -> tuple[Wanted, str]:
    name = name_of(message)
    wanted = Wanted(f"/api/messages/{quote(name, safe='')}/raw", "the message")
    return wanted, f"{safe_name(name)}.eml"


def _part(message: dict[str, Any], text: str) -> tuple[Wanted, str]:
    parts = message.get("parts", [])
    chosen = [p for p in parts if str(p.get("index")) == text] or [p for p in parts if p.get("filename") == text]
    if len(chosen) != 1:
        known = table(("PART", "FILE"), [(str(p.get("index")), p.get("filename") or "-") for p in parts])
        listed = "; ".join(" ".join(line.split()) for line in known.split("\n")[1:])
        raise Unknown(f"the message has no single part {clean(text)}: it has {listed or 'none'}")
    return part_wanted(message, chosen[0]), safe_name(
        str(chosen[0].get("filename") or f"part-{chosen[0].get('index')}")
    )


def part_wanted(message: dict[str, Any], part: dict[str, Any]) -> Wanted:
    """One part of a message, as a download."""
    target = f"/api/messages/{quote(name_of(message), safe='')}/parts/{part.get('index')}"
    return Wanted(target, f"part {part.get('index')}", int(part.get("size", 0)), _digest(str(part.get("digest", ""))))


def _digest(text: str) -> Digest:
    try:
        return parse_ni(text) if text.startswith("ni:") else parse_digest(text)
    except Malformed:
        raise Damaged("the server names no SHA-256 for this part: ask its administrator") from None


def safe_name(name: str) -> str:
    """A file name in the present folder, whatever a stranger called the file."""
    plain = "".join("_" if c in _UNSAFE else c for c in clean(name)).strip().lstrip(".-")
    return plain[-200:] or "part"


def _standing(text: str) -> str:
    try:
        document = json.loads(text)
        return clean(document.get("explanation") or f"it has not arrived yet ({document.get('arrival', 'waiting')})")
    except (ValueError, AttributeError):
        return "it has not arrived yet"
