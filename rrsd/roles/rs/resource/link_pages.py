"""What a person sees who has a personal link: in plain words, without an account and without scripts."""

from collections.abc import Sequence

from twisted.web.template import Tag, tags

from rrsd.core.refusals import Expired, Malformed, NotGranted, Refusal, TooMany, Unknown, Withdrawn
from rrsd.core.values.resources import Grant
from rrsd.core.wire.mime_fields import safe_filename
from rrsd.core.wire.mime_render import readable_size
from rrsd.roles.rs.flow.links import Shown
from rrsd.roles.rs.rules_links import PATH, masked
from rrsd.web.pages import Page

_NOWHERE = "This link leads nowhere. Its time may be over, or the sender has taken the files back. Ask the sender."
_WORDS: tuple[tuple[type[Refusal], str], ...] = (
    (Unknown, _NOWHERE),
    (Withdrawn, _NOWHERE),
    (TooMany, "Too many codes were asked for or tried. Wait a while, then open the link again."),
    (Malformed, "This cannot be read. Open the link again."),
    (NotGranted, "That is not the code. Look at the newest message, and type it as it stands there."),
    (Expired, "This code is no longer good. Let a new one be sent."),
)
_OTHERWISE = "This cannot be done right now. Wait a moment, then open the link again."
_LOCKED = "Open the link again and enter a code first."


def files(shown: Shown, token: str) -> Page:
    """Which files there are: each a download where the code was entered, or else the way to get one."""
    path = f"{PATH}/{token}"
    count = "A file was" if len(shown.grants) == 1 else f"{len(shown.grants)} files were"
    heading = tags.h1("Your files" if shown.is_open else "Files for you")
    intro = tags.p(f"{count} sent to {masked(shown.recipient)}.")
    if shown.is_open:
        rows = [
            _row(tags.a(_name(each), class_="name", href=f"{path}/files/{each.digest.b64}"), each)
            for each in shown.grants
        ]
        after = tags.p("If a download stops, start it again: it goes on where it was. Save the files, they stay here "
                       f"until {_earliest(shown.grants)} only.")  # fmt: skip
        return Page("Your files", (heading, intro, tags.ul(*rows), after))
    rows = [_row(tags.span(_name(each), class_="name"), each) for each in shown.grants]
    why = tags.p("To show that this address is yours, let a code be sent to it, and enter it on the next page.")
    have = tags.a("I have a code", href=f"{path}/code")
    return Page("Files for you", (heading, intro, tags.ul(*rows), why, _send(path, "Send me a code"), have))


def enter(token: str, refusal: Refusal | None = None) -> Page:
    """Where the code is entered."""
    path = f"{PATH}/{token}"
    box = tags.input(
        type="text", name="code", class_="code", required="required", autocomplete="one-time-code",
        autocapitalize="characters", spellcheck="false", maxlength="20", autofocus="autofocus",
    )  # fmt: skip
    form = tags.form(
        tags.label("Code", box), tags.button("Show me the files", type="submit"), method="post", action=f"{path}/code"
    )
    wrong = () if refusal is None else (tags.p(said(refusal), class_="wrong", role="alert"),)
    intro = tags.p("Look for the newest message with a code in your mailbox. A code is good for ten minutes.")
    again = _send(path, "Send me a new code", class_="quiet")
    return Page("Enter the code", (tags.h1("Enter the code"), intro, *wrong, form, again))


def locked(token: str) -> Page:
    """A download without a code."""
    words, back = tags.p(_LOCKED, class_="wrong", role="alert"), tags.a("Open the link", href=f"{PATH}/{token}")
    return Page("Not yet", (tags.h1("Not yet"), words, back))


def wrong(refusal: Refusal) -> Page:
    """What went wrong, in words for the person who sees it."""
    return Page("No files", (tags.h1("No files"), tags.p(said(refusal), class_="wrong", role="alert")))


def said(refusal: Refusal) -> str:
    """The words for a refusal."""
    return next((words for kind, words in _WORDS if isinstance(refusal, kind)), _OTHERWISE)


def _send(path: str, words: str, **attributes: str) -> Tag:
    return tags.form(tags.button(words, type="submit", **attributes), method="post", action=path)


def _row(name: Tag, grant: Grant) -> Tag:
    return tags.li(name, tags.small(readable_size(grant.size)))


def _name(grant: Grant) -> str:
    return safe_filename(grant.filename) or "unnamed"


def _earliest(grants: Sequence[Grant]) -> str:
    end = min(grant.not_after for grant in grants)
    return f"{end.day} {end:%B %Y}"
