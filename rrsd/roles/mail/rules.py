"""What the way out decides: whose message it is, what is taken out of it, and in which form each recipient gets it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.proof.dkim import may_be_proved
from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable, Unknown
from rrsd.core.values.addresses import Address, Domain, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Envelope, ForwardPath, Standing
from rrsd.core.values.instants import Instant
from rrsd.core.values.messages import Attachment
from rrsd.core.values.peers import Introduction, Origin
from rrsd.core.values.resources import Grant
from rrsd.core.wire.mime import parse_author
from rrsd.core.wire.mime_render import MOST_LINE, kept_headers, render_external, render_notice
from rrsd.core.wire.mime_shape import shape_of
from rrsd.core.wire.mime_split import MOST_HEADER
from rrsd.core.wire.mime_take import Begin
from rrsd.roles.mail.settings import Settings
from rrsd.roles.mail.settings import TooLarge as TooLargeFor

MOST_TAKEN = 1000
"""Parts that are taken out of one message."""
MOST_PART_HEADER = 1 << 14
"""Bytes of a part's header; they are kept in memory."""

_END_OF_HEADER = re.compile(rb"\A\r\n|\r\n\r\n")


@frozen
class Header:
    """What the header of a message of ours says. `end` is where the empty line begins that ends it; `message_id` has
    no brackets and is "" where there is none. Unless it `is_provable` no signature makes anybody fetch what a
    placeholder with it stands for."""

    author: Address
    message_id: str
    end: int
    is_provable: bool = True


def header_of(raw: bytes) -> bytes | None:
    """The header section that `raw` begins with, without the empty line after it.

    None while more is needed; b"" when there is none, or one that is too long to be looked at.
    """
    found = _END_OF_HEADER.search(raw, 0, MOST_HEADER)
    if found is not None:
        return raw[: found.end() - 2]
    return b"" if len(raw) >= MOST_HEADER else None


def read_header(raw: bytes, ours: Domain) -> Header | None:
    """What the header section says. None when it has no single author of ours, or when nobody's agent could read it:
    such a message passes unchanged."""
    try:
        author, message_id = parse_author(raw)
    except (Malformed, TooLarge):
        return None
    return Header(author, message_id, len(raw), may_be_proved(raw)) if author.domain == ours else None


# --- recipients and their domains


def address_of(recipient: ForwardPath) -> Address | None:
    """The recipient as a grant names it; None for an address that no delegation can be for."""
    try:
        return parse_address(recipient.path)
    except Malformed:
        return None


def domains_of(recipients: Iterable[ForwardPath]) -> tuple[Domain, ...]:
    """The domains that can be asked, each once."""
    addresses = map(address_of, recipients)
    return tuple(dict.fromkeys(address.domain for address in addresses if address is not None))


def threshold_of(author: Address, domains: Sequence[Domain], settings: Settings) -> int:
    """The author's own threshold, else the lowest of those of the recipients' domains."""
    named = {each.name: each.size for each in settings.thresholds}
    if author in named:
        return named[author]
    return min((named.get(domain, settings.threshold) for domain in domains), default=settings.threshold)


def standing_of(answer: Introduction | Refusal, collected: bool) -> Standing:
    """What discovery says of a domain that is known to have `collected`, or not.

    Only the domain itself can take that back, with an agent less or with nothing published, over TLS. Of others, one
    that contradicts itself collects nothing, nor does one that names no issuer in DNS where nobody listens.
    """
    if isinstance(answer, Introduction):
        return Standing.DOES_NOT if answer.agent is None else Standing.COLLECTS
    if collected and not isinstance(answer, Unknown):
        return Standing.COLLECTS
    if isinstance(answer, Unavailable) and not answer.is_nobody:
        return Standing.UNKNOWN
    return Standing.DOES_NOT


def nobody_collects(domains: Iterable[Domain]) -> dict[Domain, Standing]:
    """What is true of everybody where a message is concerned whose author cannot be proved."""
    return dict.fromkeys(domains, Standing.DOES_NOT)


class Form(StrEnum):
    """What a recipient gets."""

    PLACEHOLDER = "placeholder"
    LINK = "link"
    """A placeholder that says where the recipient gets the files by themselves."""
    WHOLE = "whole"
    LATER = "later"
    REFUSED = "refused"


def form_for(standing: Standing, size: int, waited: float, settings: Settings) -> Form:
    """The form of a message of `size` bytes with attachments that could be taken, `waited` seconds after it was first
    seen."""
    if standing is Standing.COLLECTS:
        return Form.PLACEHOLDER
    if standing is Standing.UNKNOWN and waited < settings.discovery_wait.total_seconds():
        return Form.LATER
    if size <= settings.most_mail or settings.too_large is TooLargeFor.FULL:
        return Form.WHOLE
    return Form.LINK if settings.too_large is TooLargeFor.LINK and settings.links else Form.REFUSED


@frozen
class Forms:
    """The forms of one message: what is known of its recipients' domains, and how long it has been waiting."""

    standings: Mapping[Domain, Standing]
    settings: Settings

    def of(self, recipient: ForwardPath, size: int, waited: float) -> Form:
        """The recipient's form. Without an address there is nobody to grant anything to."""
        address = address_of(recipient)
        if address is None:
            plain = form_for(Standing.DOES_NOT, size, waited, self.settings)
            return Form.WHOLE if plain is Form.LINK else plain
        return form_for(self.standings[address.domain], size, waited, self.settings)

    def may_be_refused(self, size: int, *, has_place: bool) -> bool:
        """Whether who cannot be asked now may turn out to be somebody for whom a message of `size` bytes is refused,
        which is also so where a link is wanted and it `has_place` for none."""
        form = form_for(Standing.DOES_NOT, size, 0.0, self.settings)
        return form is Form.REFUSED or (form is Form.LINK and not has_place)

    def grouped(self, recipients: Sequence[ForwardPath], size: int, waited: float) -> dict[Form, list[ForwardPath]]:
        """The recipients by form, in the order in which the forms are dealt with."""
        groups: dict[Form, list[ForwardPath]] = {form: [] for form in Form}
        for recipient in recipients:
            groups[self.of(recipient, size, waited)].append(recipient)
        return {form: group for form, group in groups.items() if group}


# --- the message in pieces


@frozen
class Kept:
    """The bytes [start, end) of what stays."""

    start: int
    end: int


@frozen
class Taken:
    """A part that was taken: `headers` without the transfer encoding, `header` as it came; `line` and `tail` are how
    it was written."""

    header: bytes
    headers: bytes
    media_type: str
    filename: str
    digest: Digest
    size: int
    line: int
    tail: bytes


@frozen
class Closing:
    """Where one more part may stand."""

    boundary: bytes


Piece: TypeAlias = Kept | Taken | Closing


def headers_to_keep(begin: Begin, taken: int) -> bytes | None:
    """What a placeholder says of a part, `taken` others having been taken before; None when it must stay."""
    if taken >= MOST_TAKEN or len(begin.header) > MOST_PART_HEADER:
        return None
    try:
        return kept_headers(begin.header)
    except (Malformed, TooLarge):
        return None


def attachments_of(pieces: Iterable[Piece], origin: Origin, expires: Instant) -> list[Attachment]:
    """What the placeholder promises."""
    return [
        Attachment(
            each.digest, each.size, origin, expires, each.media_type, each.filename, each.headers,
            shape_of(each.header, each.line, each.tail),
        )
        for each in pieces
        if isinstance(each, Taken)
    ]  # fmt: skip


def placeholder_of(
    pieces: Sequence[Piece], attachments: Sequence[Attachment], header: Header, message_id: str, link: str = ""
) -> list[Kept | bytes]:
    """The placeholder: what is kept, and what is written between, with the recipient's own link if there is one. A
    message without a Message-ID gets one, at the end of its header (RFC 5322 3.6.4, RFC 6409 8.3).

    Raises:
        Malformed: what is written would divide the message where nothing ended.
    """
    first, left = pieces[0], iter(attachments)
    assert isinstance(first, Kept)
    written: list[Kept | bytes] = [Kept(0, header.end)]
    written += [] if header.message_id else [f"Message-ID: <{message_id}>\r\n".encode("ascii")]
    written.append(Kept(header.end, first.end))
    for piece in pieces[1:]:
        if isinstance(piece, Kept):
            written.append(piece)
        elif isinstance(piece, Taken):
            written.append(_undivided(render_external(next(left))) + b"\r\n")
        else:
            written.append(b"--" + piece.boundary + b"\r\n" + _undivided(render_notice(attachments, link)) + b"\r\n")
    return written


def _undivided(part: bytes) -> bytes:
    if part.startswith(b"--") or b"\r\n--" in part:
        raise Malformed("a line that could be a delimiter")
    return part


@define
class Lines:
    """Whether what stays can be read by the agent that shall complete it: no NUL, no line over 998 bytes."""

    are_good: bool = field(default=True, init=False)
    _open: int = field(default=0, init=False)

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        lines = data.split(b"\n")
        lengths = [len(line) for line in lines]
        lengths[0] += self._open
        self._open = lengths[-1]
        # A line's CR is counted, its LF is not.
        self.are_good = self.are_good and b"\x00" not in data and max(lengths) <= MOST_LINE + 1


# --- what is remembered


def message_key(envelope: Envelope, fingerprint: bytes) -> Digest:
    """The name that a message has in the ledger: who sent it, where it stood in the queue, and its bytes."""
    said = (envelope.forwarded.get("IDENT", ""), envelope.sender.path)
    return digest_of(b"".join(digest_of(text.encode("utf-8", "replace")).raw for text in said) + fingerprint)


def new_message_id(key: Digest, ours: Domain) -> str:
    """The Message-ID of a message that came without; the same when it comes again."""
    return f"{key.b64}@{ours}"


def grants_for(
    recipients: Iterable[ForwardPath],
    attachments: Iterable[Attachment],
    author: Address,
    message_id: str,
    not_after: Instant,
) -> list[Grant]:
    """One grant for each resource and envelope recipient, whether or not the header names them."""
    promised = {each.digest: each for each in attachments}.values()
    addresses = dict.fromkeys(address for address in map(address_of, recipients) if address is not None)
    return [
        Grant(message_id, each.digest, each.size, author, address, not_after, each.media_type, each.filename)
        for address in addresses
        for each in promised
    ]
