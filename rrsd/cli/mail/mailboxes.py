"""Whether rrsd comes into the mailboxes, and finds there what a swap needs: nothing is changed by looking."""

import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rrsd.cli.check import Finding
from rrsd.cli.mail.lines import Around
from rrsd.cli.mail.places import Place, server
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed, Refusal, Unavailable
from rrsd.drivers.imap.responses import quoted
from rrsd.drivers.imap.settings import Settings as Imap
from rrsd.drivers.keys.files import read_private
from rrsd.drivers.tls.settings import Version

PATIENCE = 10.0
"""Seconds that the server has for each answer."""
ABOUT = "[imap] endpoint"
Users = Callable[[], Sequence[str]]
"""The addresses of our users."""

_CODE = re.compile(r"\[[A-Z-]{1,40}\]", re.IGNORECASE)
_VERSIONS = {Version.TLS13: ssl.TLSVersion.TLSv1_3, Version.TLS12: ssl.TLSVersion.TLSv1_2}


def look_into_mailboxes(settings: Settings, around: Around, users: Users) -> Iterator[Finding]:
    """Everything that was looked at, in the mailbox of the first of the users."""
    imap = settings.imap
    if imap.endpoint is None:
        if settings.mail.inbound is not None:
            text = "what was delivered after [mail] max_hold stays a placeholder: write endpoint = tcp:127.0.0.1:143"
            yield Finding("note", ABOUT, text)
        return
    try:
        user, password = _user(users), _password(imap)
        with _Connection(server(imap.endpoint), _context(settings), imap.tls or "") as connection:
            yield from _mechanism(connection)
            yield from _inside(connection, imap, around, user, password)
    except Refusal as refusal:
        yield Finding("error", ABOUT, refusal.detail)
    except (OSError, imaplib.IMAP4.error) as problem:
        why = "no IMAP server there that can be spoken with: dovecot.conf needs protocols = imap lmtp"
        yield Finding("error", ABOUT, f"{imap.endpoint}: {problem or type(problem).__name__}: {why}")


def _user(users: Users) -> str:
    found = users()
    if not found:
        raise Unavailable("there is no user whose mailbox could be looked into: name one with --mailbox")
    return found[0]


def _password(imap: Imap) -> str:
    password = read_private(Path(imap.password))
    if password is None:
        raise Unavailable(
            f"[imap] password: there is no file {imap.password}: install -m 600 -o rrsd /dev/stdin {imap.password}, "
            f"then give the password of the master user {imap.master}"
        )
    return password.decode("utf-8", "replace").rstrip("\r\n")


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.imap.tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls.roots)
    except OSError as error:
        raise Unavailable(f"[tls] roots: {settings.tls.roots}: {error.strerror or error}") from None
    context.minimum_version = _VERSIONS[settings.tls.minimum]
    return context


class _Connection(imaplib.IMAP4):
    """With the server at a place, under `context` if there is one."""

    def __init__(self, place: Place, context: ssl.SSLContext | None, name: str) -> None:
        self._place, self._context, self._name = place, context, name
        super().__init__(place.host, place.port, PATIENCE)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        if self._place.path:
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(timeout)
            plain.connect(self._place.path)
        else:
            plain = socket.create_connection((self._place.host, self._place.port), timeout)
        return plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self._name)

    def words(self) -> frozenset[str]:
        """What it announces now."""
        _, (said, *_) = self.capability()
        return frozenset(said.decode("ascii", "replace").upper().split())


def _mechanism(connection: _Connection) -> Iterator[Finding]:
    words = connection.words()
    if "AUTH=PLAIN" not in words:
        text = "it does not take AUTH=PLAIN: dovecot.conf needs auth_mechanisms = plain"
        if "LOGINDISABLED" in words:
            text = (
                "it takes no password without TLS from here: set [imap] tls and the port for IMAP over TLS, or put "
                "this host among login_trusted_networks in dovecot.conf"
            )
        yield Finding("error", ABOUT, text)


def _inside(connection: _Connection, imap: Imap, around: Around, user: str, password: str) -> Iterator[Finding]:
    try:
        connection.authenticate("PLAIN", lambda _: f"{user}\0{imap.master}\0{password}".encode())
    except imaplib.IMAP4.error as problem:
        # A server may repeat what it was told: of its words only the response code is shown.
        code = _CODE.search(str(problem))
        said = f"it does not let {imap.master} into the mailbox of {user}{f' {code[0]}' if code else ''}"
        mend = (
            f"dovecot.conf needs the passdb with master = yes that rrsctl mail setup prints, and {around.masters} the "
            f"line {imap.master}:HASH of the password in {imap.password} (doveadm pw)"
        )
        yield Finding("error", ABOUT, f"{said}: {mend}; and {user} has to have a mailbox")
        return
    words = connection.words()
    if "UIDPLUS" not in words:
        text = "no UIDPLUS, and nothing is swapped without it: imap_capability in dovecot.conf must not leave it out"
        yield Finding("error", ABOUT, text)
    if "CONDSTORE" not in words:
        text = "it has no CONDSTORE: a message that is deleted in the moment of its swap comes back"
        yield Finding("note", ABOUT, text)
    closed = [name for name in imap.folders or ("INBOX",) if not _opens(connection, name)]
    for name in closed:
        yield Finding("error", "[imap] folders", f"{name} of {user} cannot be opened by {imap.master}")
    if not closed and "UIDPLUS" in words:
        yield Finding("ok", ABOUT, f"{imap.endpoint} lets {imap.master} into the mailbox of {user}, with UIDPLUS")


def _opens(connection: _Connection, name: str) -> bool:
    try:
        kind, _ = connection.select(quoted(name).decode(), readonly=True)
    except Malformed:
        return False
    return kind == "OK"
