"""The three pages that a person sees: log in, copy the code, and what went wrong. They need no JavaScript."""

import base64
import hashlib

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, flattenString, tags

from rrsd.core.refusals import Expired, Forbidden, Malformed, Refusal, TooMany, Unavailable, UnknownClient
from rrsd.roles.idp.flow import LoginPage

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #cfd6dd; --ground: #f4f6f8;
  --sheet: #ffffff; --deed: #1f6f5c; --said: #fff; --wrong: #9b2c2c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebef; --soft: #a3afba; --line: #3a4550; --ground: #14191e;
  --sheet: #1d242b; --deed: #5fc4a8; --said: #10201b; --wrong: #ff9d9d; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 2rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .75rem; }
h1 { margin: 0 0 .25rem; font-size: 1.375rem; line-height: 1.25; }
p { margin: 0 0 1rem; color: var(--soft); overflow-wrap: anywhere; }
p.wrong { color: var(--wrong); }
label { display: block; margin: 0 0 1rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: .25rem; padding: .625rem .75rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--line); border-radius: .5rem; }
button { width: 100%; padding: .75rem; font: inherit; font-weight: 600; color: var(--said); background: var(--deed);
  border: 0; border-radius: .5rem; cursor: pointer; }
:focus-visible { outline: 3px solid var(--deed); outline-offset: 2px; }
a { display: block; margin-top: 1rem; text-align: center; color: var(--soft); }
code { display: block; margin: 0 0 1rem; padding: .75rem; font: 1rem/1.4 ui-monospace, monospace;
  overflow-wrap: anywhere; user-select: all; border: 1px solid var(--line); border-radius: .5rem; }
"""
_STYLE_SOURCE = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"

_WORDS: tuple[tuple[type[Refusal], str], ...] = (
    (Expired, "This page was open for too long. Go back to the program and start again."),
    (UnknownClient, "The program that sent you here is not registered with this domain."),
    (Malformed, "The program that sent you here asked for something that cannot be done. Nothing was changed."),
    (TooMany, "There were too many attempts. Wait a moment and try again."),
    (Unavailable, "This cannot be done right now. Wait a moment and try again."),
)
_OTHERWISE = "This cannot be done."
_WRONG = "The address or the password is not right."


@frozen
class Page:
    """A whole page: its body, and what a browser may be led to by its form."""

    title: str
    body: tuple[Tag, ...]
    target: str = ""


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


async def leave(request: IRequest, uri: str) -> bytes:
    """Send the browser on; what it shows meanwhile is nothing."""
    request.setResponseCode(303)
    for name, value in {"Location": uri, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}.items():
        request.setHeader(name, value)
    return b""


async def render(request: IRequest, page: Page, status: int = 200) -> bytes:
    """The page as HTML with headers that keep it out of frames, caches, logs and the reach of scripts."""
    form_action = f"'self' {page.target}".strip()
    policy = (
        f"default-src 'none'; style-src {_STYLE_SOURCE}; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    request.setResponseCode(status)
    for name, value in {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }.items():
        request.setHeader(name, value)
    head = tags.head(
        tags.meta(charset="utf-8"), tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.title(page.title), tags.style(STYLE),
    )  # fmt: skip
    html = await flattenString(request, tags.html(head, tags.body(Tag("main")(*page.body)), lang="en"))
    return b"<!DOCTYPE html>\n" + html
