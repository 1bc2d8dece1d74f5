"""What a mail server or a filter announces: one greeting, from outside, without sending anything."""

import smtplib
import socket
import struct
from collections.abc import Mapping

from rrsd.cli.mail.places import Place
from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.core.wire.milter import LEAST_VERSION, VERSION

PATIENCE = 10.0
"""Seconds that it has for each answer."""
_NAME = "rrsctl.invalid"
_NEGOTIATION = struct.Struct("!IcIII")
_OPTIONS = 13
"""Octets of an option negotiation behind its length, at least: macros may follow (libmilter, SMFIC_OPTNEG)."""
_ALL = 0x1FF, 0x1FFFFF
"""Everything that a filter may change, and every step: what it wants is among them."""


def announced(place: Place, *, is_lmtp: bool) -> Mapping[str, str]:
    """The extensions, by keyword in capitals.

    Raises:
        Unavailable: nobody listens there, or it speaks something else.
    """
    kind = smtplib.LMTP if is_lmtp else smtplib.SMTP
    try:
        with _open(kind, place) as talk:
            code, _ = talk.ehlo()
            if code != 250:
                raise Unavailable(f"it answers {code} to {'LHLO' if is_lmtp else 'EHLO'}")
            return {keyword.upper(): words for keyword, words in talk.esmtp_features.items()}
    except (OSError, smtplib.SMTPException) as problem:
        raise Unavailable(str(problem) or type(problem).__name__) from None


def negotiated(place: Place) -> int:
    """The version of the milter protocol that the filter speaks.

    Raises:
        Unavailable: nobody listens there, or it speaks something else.
        Forbidden: we may not enter its socket.
    """
    try:
        with _connected(place) as talk:
            talk.sendall(_NEGOTIATION.pack(_OPTIONS, b"O", VERSION, *_ALL))
            head = talk.recv(_NEGOTIATION.size, socket.MSG_WAITALL)
            talk.sendall(b"\0\0\0\1Q")
    except PermissionError as problem:
        raise Forbidden(str(problem)) from None
    except OSError as problem:
        raise Unavailable(str(problem) or type(problem).__name__) from None
    length, letter, version, _, _ = _NEGOTIATION.unpack(head.ljust(_NEGOTIATION.size, b"\0"))
    if letter != b"O" or length < _OPTIONS or not LEAST_VERSION <= version <= VERSION:
        raise Unavailable("it speaks something else than a milter")
    return int(version)


def _connected(place: Place) -> socket.socket:
    if not place.path:
        return socket.create_connection((place.host, place.port), PATIENCE)
    talk = socket.socket(socket.AF_UNIX)
    talk.settimeout(PATIENCE)
    try:
        talk.connect(place.path)
    except BaseException:
        talk.close()
        raise
    return talk


def _open(kind: "type[smtplib.SMTP]", place: Place) -> smtplib.SMTP:
    if kind is smtplib.LMTP:
        return smtplib.LMTP(place.path or place.host, place.port, _NAME, timeout=PATIENCE)
    return smtplib.SMTP(place.host, place.port, _NAME, timeout=PATIENCE)
