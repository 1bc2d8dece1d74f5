"""What the recipients see: bob in a mail program, carol in a browser."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from rrsd.cli.demo.daemons import Daemon
from rrsd.cli.demo.files import Attached
from rrsd.cli.demo.screen import Screen, speed
from rrsd.cli.output import size
from rrsd.core.refusals import Damaged
from rrsd.core.values.digests import Digest
from tests.maildemo.mutt import WIDTH, Mutt
from tests.maildemo.needs import has_mutt
from tests.maildemo.page import draw, words_of
from tests.support.linkpages import Browser, code_in, link_in
from tests.support.mailhosts import MailHost
from tests.support.mailprograms import Mailbox, read
from tests.support.pace import slowness

SUBJECT = "The holiday"
_BREAK_AT = 0.4  # of the large file
_WITHIN = 60.0


def bobs_view(screen: Screen, host: MailHost, root: Path, film: Attached) -> None:
    """The list, the message and its attachment, which is saved.

    Raises:
        Damaged: it is not what alice attached.
    """
    screen.title("bob opens his mailbox" + (", in mutt over IMAP" if has_mutt() else " by IMAP"))
    saved = root / "bob" / film.path.name
    saved.parent.mkdir()
    if has_mutt():
        _by_mutt(screen, Mutt(host, "bob", root / "mutt"), saved)
    else:
        _by_imap(screen, host, saved)
    _require_same(screen, "bob", saved, film)


def _by_mutt(screen: Screen, mutt: Mutt, saved: Path) -> None:
    shots: list[str] = []
    with mutt:
        shots += _shot(screen, "the list", mutt.shown(lambda text: SUBJECT in text))
        mutt.press("Enter")
        shots += _shot(screen, "the message", mutt.shown(lambda text: "dkim=pass" in text and "Dear Bob" in text))
        mutt.press("v")
        shots += _shot(screen, "its parts", mutt.shown(lambda text: saved.name in text and "mp4" in text))
        mutt.press("Down")
        mutt.save(saved)
        screen.say("saved", f"the attachment, as {saved.name}")
        mutt.press("q", "q", "q")
    (saved.parent.parent / "mutt.txt").write_text("\n".join(shots) + "\n")


def _shot(screen: Screen, what: str, lines: list[str]) -> list[str]:
    """Show the screen in a frame, without rows of empty lines."""
    lines = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    frame = [f"  ┌─ {what} {'─' * (WIDTH - len(what) - 1)}┐"]
    frame += [f"  │ {line[:WIDTH].ljust(WIDTH)} │" for line in lines]
    frame.append(f"  └{'─' * (WIDTH + 2)}┘")
    for line in frame:
        screen.plain(line)
    return frame


def _by_imap(screen: Screen, host: MailHost, saved: Path) -> None:
    with Mailbox(host, "bob") as box:
        for uid in box.find():
            head = box.message_head(uid)
            screen.plain(f"  {uid}  {head['From']}  {head['Subject']}  {size(box.size(uid))}")
        (uid,) = box.find(SUBJECT)
        screen.plain(f"  {box.structure(uid)}")
        with saved.open("wb") as file:
            for block in box.decoded(uid, "2"):
                file.write(block)
    screen.say("saved", f"BODY[2], as {saved.name}")


def carols_view(
    screen: Screen, host: MailHost, foo: Daemon, root: Path, film: Attached, tell_news: Callable[[], None]
) -> None:
    """The message, the link, the page, the code, and a download that breaks and goes on.

    Raises:
        Damaged: it is not what alice attached.
    """
    screen.title("carol@old.test reads her mail: her domain has no rrsd")
    (message,) = read(host, "carol", SUBJECT)
    for line in _notice(message):
        screen.quiet(f"  │ {line}")
    link = link_in(message)
    assert foo.plan.authority is not None
    browser = Browser(foo.port, foo.plan.authority / "ca.pem")
    _show(screen, foo, link, root / "link-page.png", browser)
    (url,) = [each for each in browser.open(link, lambda: _code(host)) if each.endswith(_digest(film))]
    tell_news()
    saved = root / "carol" / film.path.name
    saved.parent.mkdir()
    began = time.monotonic()
    broken = browser.get(url, most=int(film.size * _BREAK_AT))
    screen.say("broken", f"the download, at {size(len(broken.body))} of {size(film.size)}")
    rest = browser.get(url, Range=f"bytes={len(broken.body)}-", If_Range=broken.headers["etag"])
    saved.write_bytes(broken.body + rest.body)
    took = time.monotonic() - began
    tell_news()
    screen.say("resumed", f"{rest.status}, {rest.headers.get('content-range')}: {speed(film.size, took)}")
    _require_same(screen, "carol", saved, film)


def _show(screen: Screen, foo: Daemon, link: str, picture: Path, browser: Browser) -> None:
    words = words_of(browser.get(link).text)
    screen.say("page", " · ".join(words)[:160])
    if draw(foo, link, picture):
        screen.quiet(f"            as a browser draws it: {picture.name}, which stays in DEMO_DIR where that is set")


def _notice(message: bytes) -> list[str]:
    """What the message says about the files."""
    text = message.decode(errors="replace").replace("\r\n", "\n")
    at = text.find("https://foo.test/rrs/links/")
    begin = text.rfind("\n\n", 0, text.rfind("\n\n", 0, at)) + 2
    return [line for line in text[begin : text.find("\n--", at)].splitlines() if line]


def _code(host: MailHost) -> str:
    end = time.monotonic() + _WITHIN * slowness()
    while time.monotonic() < end:
        found = read(host, "carol", "code")
        if found:
            return code_in(found[-1])
        time.sleep(0.1)
    raise AssertionError("no code came")


def _digest(file: Attached) -> str:
    return Digest(bytes.fromhex(file.sha256)).b64


def _require_same(screen: Screen, who: str, saved: Path, film: Attached) -> None:
    with saved.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    screen.plain(f"  alice  {film.sha256}  {film.path.name}")
    screen.plain(f"  {who.ljust(5)}  {found}  {'the same' if found == film.sha256 else 'NOT THE SAME'}")
    if found != film.sha256:
        raise Damaged(f"what {who} has is not what alice attached")
