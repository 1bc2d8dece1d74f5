"""Whether a message is in a folder already: by the field that it had on its way in, and by whom it was delivered to."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.instants import Instant
from rrsd.core.wire.mime_fields import first_text, parse_fields
from rrsd.drivers.imap.answers import seen_in, uids_in
from rrsd.drivers.imap.client import Talk
from rrsd.drivers.imap.responses import quoted

MOST_TOP = 16384
"""Bytes on top of a message in which delivery has put its fields."""
MOST_FOUND = 100
"""Messages with one name in one folder: one for each address of a user."""
_SOME_DAYS = timedelta(days=2)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@frozen
class Delivered:
    """What is looked for: the field `name` with this `value`, on top, delivered to the address as the mail server wrote
    it; not older than some days."""

    name: str
    value: str
    path: str

    def search(self, now: Instant) -> bytes:
        """The command; its date keeps the server from looking into every message that there is."""
        day = now - _SOME_DAYS
        since = f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"
        return b"UID SEARCH SINCE %s HEADER %s %s" % (since.encode(), self.name.encode(), quoted(self.value))

    def is_on(self, top: bytes) -> bool:
        """Whether a message begins so. Who delivers puts their fields first: of each name the first one counts."""
        name = self.name.lower()
        at = (b"\r\n" + top.lower()).find(b"\r\n" + name.encode() + b":")
        end = top.find(b"\r\n", at) + 2
        try:
            fields, _ = parse_fields(top, 0, end if at >= 0 else 0)
        except (Malformed, TooLarge):
            return False
        to = first_text(fields, "delivered-to").removeprefix("<").removesuffix(">")
        return first_text(fields, name) == self.value and to.lower() == self.path.lower()


async def is_in(talk: Talk, folder: bytes, wanted: Delivered, now: Instant) -> bool:
    """Whether the folder, its name as it may be sent, has the message; refuses as `Talk.command`."""
    await talk.command(b"EXAMINE " + folder)
    found = uids_in(await talk.command(wanted.search(now)))[-MOST_FOUND:]
    for uid in found:
        what = b"UID FETCH %d (BODY.PEEK[]<0.%d>)" % (uid, MOST_TOP)
        seen = seen_in(await talk.command(what)).get(uid)
        if seen is not None and wanted.is_on(seen.body or b""):
            return True
    return False
