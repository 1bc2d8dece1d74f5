"""What `[mail]` says that cannot be meant."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from rrsd.config.convert import write_duration, write_size
from rrsd.config.ini import Mistake
from rrsd.config.loops import mistaken_ways
from rrsd.roles.mail.settings import Settings

_SERVICE = re.compile(r"[!#-'*+.0-9A-Z^-~-]+")  # a value of RFC 8601 2.2 that needs no quotation: RFC 2045 5.1

_SIZES = {
    "most_message": (1 << 16, None, "there is no word for no limit"),
    "most_mail": (1 << 16, None, "there is no word for no limit"),
    "most_placeholder": (1 << 16, 32 << 20, "placeholders are smaller, and no signature of a larger one is verified"),
}
"""The least and the most that makes sense, and why."""
_TIMES = {
    "remembered": (timedelta(days=1), timedelta(days=365), "mail servers try for days what they are not sure of"),
    "linger": (timedelta(0), timedelta(minutes=10), "no mail server waits for longer (RFC 5321 4.5.3.2.6)"),
}
_BITS = range(1024, 8193)
"""RFC 8301 3.2: shorter keys prove nothing; nobody calculates with longer ones here (`rrsd.core.proof.dkim`)."""


def mistaken_mail(mail: Settings) -> Iterator[Mistake]:
    """Values that would be taken without a word, and do nothing or harm."""
    if mail.flush and "{id}" not in mail.flush:
        right = "write {id} where the message's name in the queue belongs, as in postqueue -i {id}, or nothing at all"
        yield Mistake("mail", "flush", 0, "it names no message", right)
    if any(each == "@" or each.isalnum() or each.isspace() for each in mail.recipient_delimiter or ""):
        right = "write characters as in Postfix, + or +- for example, or nothing at all"
        yield Mistake("mail", "recipient_delimiter", 0, "it begins no extension of an address", right)
    if mail.authserv_id is not None and not _SERVICE.fullmatch(mail.authserv_id):
        right = "write one name without blanks and semicolons, as in mx.foo.test"
        yield Mistake("mail", "authserv_id", 0, "no field could be read that has it", right)
    if mail.next_log is not None and not mail.next_log.startswith("/"):
        right = "write the whole path, as in /var/log/mail.log"
        yield Mistake("mail", "next_log", 0, "it depends on where the daemon was started", right)
    yield from _mistaken_figures(mail)
    yield from mistaken_ways(mail)
    if mail.prequeue is not None and mail.outbound is None:
        right = "write outbound = tcp:10025:interface=127.0.0.1 beside it"
        yield Mistake("mail", "prequeue", 0, "what it cannot do at once would pass unchanged for ever", right)


def _mistaken_figures(mail: Settings) -> Iterator[Mistake]:
    for name, (least, most, why) in _SIZES.items():
        if getattr(mail, name) < least:
            yield Mistake("mail", name, 0, "no message is so small", f"write {write_size(least)} or more; {why}")
        elif most is not None and getattr(mail, name) > most:
            yield Mistake("mail", name, 0, "it is too much", f"write {write_size(most)} or less; {why}")
    for name, (shortest, longest, why) in _TIMES.items():
        if not shortest <= getattr(mail, name) <= longest:
            right = f"write from {write_duration(shortest)} to {write_duration(longest)}; {why}"
            yield Mistake("mail", name, 0, "it is too short, or too long", right)
    if mail.dkim_bits not in _BITS:
        right = f"write from {_BITS[0]} to {_BITS[-1]}; {_BITS[0]} is the least that may prove anything (RFC 8301 3.2)"
        yield Mistake("mail", "dkim_bits", 0, "no key of that length counts", right)
    names = Counter(str(each.name).lower() for each in mail.thresholds)
    for name in (name for name, count in names.items() if count > 1):
        yield Mistake("mail", "thresholds", 0, f"{name} is there twice", "write each name once")
