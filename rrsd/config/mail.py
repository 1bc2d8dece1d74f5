"""What `[mail]` says that cannot be meant."""

import re
from collections.abc import Iterator

from rrsd.config.ini import Mistake
from rrsd.roles.mail.settings import Settings

_SERVICE = re.compile(r"[!#-'*+.0-9A-Z^-~-]+")  # a value of RFC 8601 2.2 that needs no quotation: RFC 2045 5.1


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
    if mail.prequeue is not None and mail.outbound is None:
        right = "write outbound = tcp:10025:interface=127.0.0.1 beside it"
        yield Mistake("mail", "prequeue", 0, "what it cannot do at once would pass unchanged for ever", right)
