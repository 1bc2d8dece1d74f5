"""The programs that a user may log in with, and where each may have the user sent back to (RFC 8252, RFC 9700 2.1)."""

import re

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.peers import Issuer, parse_url

CODE_PAGE = "/rrs/code"
"""Where a program without a browser of its own sends the user: the page shows the code to copy."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::([1-9][0-9]{0,4}))?(/[A-Za-z0-9._~/-]*)", re.ASCII)
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+:/[A-Za-z0-9._~/-]*", re.ASCII)


@frozen
class Client:
    """A registered program: public, so it proves itself by redirect URI and PKCE alone."""

    client_id: str
    title: str
    redirects: tuple[str, ...]


def register(client_id: str, title: str, redirects: tuple[str, ...]) -> Client:
    """The client, if it can be registered (RFC 7591 5).

    Raises:
        Malformed: the identifier could be taken for a user's address, or a redirect URI leads somewhere unsafe.
    """
    if not _CLIENT_ID.fullmatch(client_id):
        raise Malformed("a client identifier has letters, digits, dots, dashes and underscores only")
    if not redirects:
        raise Malformed("a client needs a redirect URI")
    for uri in redirects:
        if not _LOOPBACK.fullmatch(uri) and not _PRIVATE_USE.fullmatch(uri):
            parse_url(uri)
    return Client(client_id, title, redirects)


def command_line(issuer: Issuer) -> Client:
    """The built-in client: `rrsctl`, which listens on loopback or has the user copy the code."""
    return register("rrsctl", "rrsctl, the command line", ("http://127.0.0.1/callback", f"{issuer}{CODE_PAGE}"))


def is_redirect(registered: str, asked: str) -> bool:
    """Whether `asked` is the registered redirect URI: exactly, or on another port of the same loopback address.

    RFC 9700 2.1, RFC 8252 7.3.
    """
    if registered == asked:
        return True
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(asked)
    if ours is None or theirs is None or int(theirs[2] or 80) > 65535:
        return False
    return (ours[1], ours[3]) == (theirs[1], theirs[3])
