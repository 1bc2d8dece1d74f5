"""What a mail server or a filter announces: one greeting, from outside, without sending anything."""

import smtplib
from collections.abc import Mapping

from rrsd.cli.mail.places import Place
from rrsd.core.refusals import Unavailable

PATIENCE = 10.0
"""Seconds that it has for each answer."""
_NAME = "rrsctl.invalid"


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


def _open(kind: "type[smtplib.SMTP]", place: Place) -> smtplib.SMTP:
    if kind is smtplib.LMTP:
        return smtplib.LMTP(place.path or place.host, place.port, _NAME, timeout=PATIENCE)
    return smtplib.SMTP(place.host, place.port, _NAME, timeout=PATIENCE)
