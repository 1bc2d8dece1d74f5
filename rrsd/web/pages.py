"""Whole HTML pages for people: no scripts, nothing from elsewhere, readable on a telephone."""

import base64
import hashlib

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, flattenString, tags

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
ul { margin: 0 0 1rem; padding: 0; list-style: none; border: 1px solid var(--line); border-radius: .5rem; }
li { display: flex; justify-content: space-between; gap: 1rem; padding: .625rem .75rem; }
li + li { border-top: 1px solid var(--line); }
li .name { min-width: 0; overflow-wrap: anywhere; }
li a { display: inline; margin: 0; text-align: left; color: var(--deed); font-weight: 600; }
small { flex: none; font-size: .875rem; line-height: 1.75; color: var(--soft); }
form + form { margin-top: 1rem; }
button.quiet { color: var(--ink); background: transparent; border: 1px solid var(--line); }
input.code { font: 1.25rem/1.5 ui-monospace, monospace; letter-spacing: .1em; text-transform: uppercase; }
"""
_STYLE_SOURCE = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"


@frozen
class Page:
    """A whole page: its body, and what a browser may be led to by its form."""

    title: str
    body: tuple[Tag, ...]
    target: str = ""


async def leave(request: IRequest, uri: str) -> bytes:
    """Send the browser on; what it shows meanwhile is nothing."""
    request.setResponseCode(303)
    for name, value in {"Location": uri, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}.items():
        request.setHeader(name, value)
    return b""


async def render(request: IRequest, page: Page, status: int = 200, referrer: str = "no-referrer") -> bytes:
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
        "Referrer-Policy": referrer,
        "Cache-Control": "no-store",
    }.items():
        request.setHeader(name, value)
    head = tags.head(
        tags.meta(charset="utf-8"), tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.title(page.title), tags.style(STYLE),
    )  # fmt: skip
    html = await flattenString(request, tags.html(head, tags.body(Tag("main")(*page.body)), lang="en"))
    return b"<!DOCTYPE html>\n" + html
