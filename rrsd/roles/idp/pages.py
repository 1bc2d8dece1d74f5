"""The three pages that a person sees: log in, copy the code, and what went wrong. They need no JavaScript."""

from twisted.web.template import tags

from rrsd.core.refusals import Expired, Forbidden, Malformed, Refusal, TooMany, Unavailable, UnknownClient
from rrsd.roles.idp.flow import LoginPage
from rrsd.web.pages import STYLE, Page, leave, render

__all__ = ["STYLE", "Page", "code", "leave", "login", "render", "wrong"]

_WORDS: tuple[tuple[type[Refusal], str], ...] = (
    (Expired, "This page was open for too long. Go back to the program and start again."),
    (UnknownClient, "The program that sent you here is not registered with this domain."),
    (Malformed, "The program that sent you here asked for something that cannot be done. Nothing was changed."),
    (TooMany, "There were too many attempts. Wait a moment and try again."),
    (Unavailable, "This cannot be done right now. Wait a moment and try again."),
)
_OTHERWISE = "This cannot be done."
_WRONG = "The address or the password is not right."


def login(page: LoginPage, domain: str) -> Page:
    """Address and password."""
    hidden = tags.input(type="hidden", name="request", value=page.sealed)
    name = tags.input(
        type="text", name="username", value=page.hint, autocomplete="username", autocapitalize="none",
        spellcheck="false", required="required", **({} if page.hint else {"autofocus": "autofocus"}),
    )  # fmt: skip
    password = tags.input(
        type="password", name="password", autocomplete="current-password", required="required",
        **({"autofocus": "autofocus"} if page.hint else {}),
    )  # fmt: skip
    form = tags.form(
        hidden, tags.label("Address", name), tags.label("Password", password), tags.button("Log in", type="submit"),
        method="post", action="authorize",
    )  # fmt: skip
    wrong = () if page.refusal is None else (tags.p(_said(page.refusal), class_="wrong", role="alert"),)
    intro = tags.p(f"{page.title} wants to act for you.")
    body = (tags.h1(f"Log in to {domain}"), intro, *wrong, form, tags.a("Cancel", href=page.cancel))
    return Page(f"Log in to {domain}", body, page.target)


def code(text: str, domain: str) -> Page:
    """The code that is copied into a program without a browser."""
    return Page(
        "Your code",
        (
            tags.h1("Your code"),
            tags.p(f"You are logged in to {domain}. Copy this code into the terminal where you started to log in."),
            tags.code(text),
            tags.p("Give it to nobody: whoever asks you for it wants to read your mail."),
        ),
    )


def wrong(refusal: Refusal) -> Page:
    """What went wrong, in words for the person who sees it."""
    return Page("Not logged in", (tags.h1("Not logged in"), tags.p(_said(refusal), class_="wrong", role="alert")))


def _said(refusal: Refusal) -> str:
    if isinstance(refusal, Forbidden):
        return _WRONG
    return next((words for kind, words in _WORDS if isinstance(refusal, kind)), _OTHERWISE)
