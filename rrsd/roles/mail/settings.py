"""What the mail role can be told."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.core.values.addresses import Domain
from rrsd.core.values.settings import NamedSize, Size, key


class TooLarge(StrEnum):
    """What becomes of attachments that no mail can carry, for recipients whose domain collects none."""

    LINK = "link"
    FULL = "full"
    REFUSE = "refuse"


class GiveUp(StrEnum):
    """What becomes of a message whose attachments will never arrive."""

    PLACEHOLDER = "placeholder"
    BOUNCE = "bounce"


@frozen
class Settings:
    """Section `[mail]`. Without a listener nothing of it is at work."""

    outbound: str | None = key(
        "The endpoint of the content filter that our users' mail goes through after it is queued.",
        None,
        example="tcp:10025:interface=127.0.0.1",
    )
    outbound_next: str = key(
        "Where it goes on: the re-injection smtpd of the mail server, as a client endpoint.",
        "tcp:127.0.0.1:10026",
    )
    prequeue: str | None = key(
        "The endpoint of the filter that our users' mail goes through before it is queued (smtpd_proxy_filter): what "
        "can be done at once is, and the rest goes into the queue and to outbound, which must be there too.",
        None,
        example="tcp:10024:interface=127.0.0.1",
    )
    prequeue_next: str = key(
        "Where it hands on what needs nothing: an smtpd of the mail server that signs and expands aliases.",
        "tcp:127.0.0.1:10027",
    )
    prequeue_later: str = key(
        "Where it hands on what has to wait: an smtpd of the mail server whose content filter is outbound.",
        "tcp:127.0.0.1:10028",
    )
    prequeue_wait: timedelta = key(
        "How long a message waits there until it is known what its recipients' domains support; then it is queued.",
        timedelta(seconds=2),
    )
    aliased: tuple[Domain, ...] = key(
        "Other domains whose addresses may stand for others at the mail server of this host; attachments for them are "
        "taken out behind the queue, where aliases have been expanded.",
        (),
        example="lists.foo.test",
    )
    inbound: str | None = key(
        "The endpoint of the LMTP proxy in front of the mailboxes, after alias expansion.",
        None,
        example="tcp:2425:interface=127.0.0.1",
    )
    inbound_next: str = key("The LMTP server of the mailboxes, as a client endpoint.", "unix:/run/dovecot/lmtp")
    milter: str | None = key(
        "The endpoint of the milter for mail from outside: placeholders that are malformed, or that no DKIM signature "
        "proves, are refused before they are accepted.",
        None,
        example="tcp:8895:interface=127.0.0.1",
    )
    most_message: Size = key("The largest message that is taken from the mail server.", Size(100 * 2**30))
    most_recipients: int = key("Recipients of one message.", 1000)
    threshold: Size = key(
        "Attachments of more bytes than this, encoded as they are in mail, are taken out.", Size(2**20)
    )
    thresholds: tuple[NamedSize, ...] = key(
        "Other thresholds: of a sender of ours, or of a recipient's domain where the sender has none.",
        (),
        example="alice@foo.test=100KiB bar.test=5MiB",
    )
    most_mail: Size = key("The largest message that mail servers elsewhere are believed to take.", Size(25 * 2**20))
    too_large: TooLarge = key(
        "What becomes of a larger one where nobody collects attachments: link (they stay here, and the message says "
        "where; with links = no, or with no place to say it, it is refused), full (it is sent all the same) or refuse.",
        TooLarge.LINK,
    )
    discovery_wait: timedelta = key(
        "How long a message waits when a recipient's domain cannot be asked what it supports; then it goes out whole.",
        timedelta(minutes=5),
    )
    remembered: timedelta = key(
        "How long we know what was handed on already; longer than the mail server tries again.", timedelta(days=7)
    )
    next_log: str | None = key(
        "The log of the Postfix behind outbound_next, which says whether it has a message that it never answered for; "
        "without it such a message is sent again.",
        None,
        example="/var/log/mail.log",
    )
    next_queue: str = key(
        "The command that lists the queue of that Postfix as JSON; no shell reads it.",
        "postqueue -j",
    )
    doubt_wait: timedelta = key(
        "How long a message waits while nobody can say whether the next mail server has it, then it is sent again.",
        timedelta(minutes=15),
    )
    most_placeholder: Size = key(
        "The largest placeholder; larger messages pass to the mailboxes without a look at their parts.", Size(2**22)
    )
    linger: timedelta = key(
        "How long a delivery waits for pulls that end soon, before the mail server is asked to come again.",
        timedelta(seconds=2),
    )
    max_hold: timedelta = key(
        "How long the mail server keeps a message whose attachments are on their way; then it is delivered as it is.",
        timedelta(minutes=15),
    )
    give_up: GiveUp = key(
        "What becomes of a message with an attachment that will never arrive: placeholder (delivered as it is) or "
        "bounce (the sender, whose domain has signed it, gets a report).",
        GiveUp.PLACEHOLDER,
    )
    flush: str | None = key(
        "The command that makes the mail server try message {id} at once; no shell reads it, and empty means none.",
        "postqueue -i {id}",
    )
    recipient_delimiter: str | None = key(
        "What begins an extension in our users' addresses, as in Postfix: bob+news@ is bob's. Each character does, and "
        "empty means none.",
        "+",
    )
    authserv_id: str | None = key(
        "Our name in Authentication-Results on completed messages, which nothing else may write under; by default the "
        "domain.",
        None,
    )
    arc: str | None = key(
        "The selector of the key that completed messages are sealed with (ARC), for those who get them from here; by "
        "default they are not.",
        None,
        example="arc1",
    )
    arc_key: str | None = key(
        "The file with that key, RSA in PEM, which nobody but the daemon may read.",
        None,
        example="/var/lib/rrsd/keys/arc.pem",
    )
    dkim_bits: int = key("The shortest RSA key that proves an author; some domains still have 1024.", 2048)
    dkim_parent: bool = key("Whether a domain may sign for authors in domains below it.", False)
    dkim_dnssec: bool = key("Whether keys count only when DNSSEC secures them.", False)
    most_notices: int = key(
        "Notices to one address within a day about attachments that one domain has sent; what is more is not sent, and "
        "the trail says so.",
        20,
    )
    most_notices_domain: int = key(
        "Notices to senders in one domain elsewhere within a day, whoever it says that they are.", 200
    )
    links: bool = key(
        "Whether recipients whose domain collects no attachments get a personal link, opened by a code sent by mail.",
        True,
    )
