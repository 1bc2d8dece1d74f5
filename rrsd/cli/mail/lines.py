"""The lines of Postfix, Dovecot and OpenDKIM that put rrsd between them, each with its reason."""

from collections.abc import Iterator

from attrs import frozen

from rrsd.app.sealing import sealing_key
from rrsd.cli.mail.places import Place, listener, server
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.roles.mail.offering import FIELD

MAIN, MASTER, DOVECOT, DKIM = "main.cf", "master.cf", "dovecot.conf", "opendkim.conf"
SIEVE, INI, DNS = "rrsd.sieve", "rrsd.ini", "DNS"
OUT, IN, LARGE = "rrsdout/unix", "rrsdin/unix", "rrsdlarge/unix"
OVERSIGNED = (
    "From", "Sender", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "X-Origin-Mailbox-Service-URL", "Reply-To",
)  # fmt: skip
"""Everything that `rrsd.core.proof.dkim` wants signed where it is there, and more."""
SIGNED = (*OVERSIGNED, "In-Reply-To", "References")
_MARGIN = 60
_FILTERED = "What our users send goes through rrsd once it is queued; what comes from outside does not."
_QUEUED = "What cannot be done at once: from here it is queued and goes through the filter, which can wait."
LOG = "/var/log/mail.log"
DELIMITER = "recipient_delimiter"
ADDED = frozenset({"smtpd_milters"})
"""Lists of main.cf that others have a share in: what is there stays, and ours is added behind it."""
_ADD = """\
for each in {words}; do case " $(postconf -xh {name}) " in *[\\ ,{{]"$each"[\\ ,}}]*) ;; \
*) there=$(postconf -h {name}); postconf -e "{name}=${{there:+$there, }}$each" ;; esac; done"""
SCRIPT = f"""\
require ["duplicate", "envelope", "index", "variables"];
if header :index 1 :matches "{FIELD}" "?*" {{
  set "delivery" "${{0}}";
  if envelope :matches "to" "*" {{
    set "recipient" "${{0}}";
  }}
  if duplicate :handle "rrsd" :uniqueid "${{delivery}} ${{recipient}}" :seconds 172800 {{
    discard;
    stop;
  }}
}}
"""
"""Two days are the most that Dovecot takes unless sieve_duplicate_max_period says more."""


@frozen
class Line:
    """One setting of one file. In master.cf `name` is what postconf calls it: `rrsdin/unix` is a service and
    `rrsdin/unix/lmtp_send_xforward_command` a parameter of it."""

    file: str
    name: str
    value: str
    why: str

    @property
    def is_added(self) -> bool:
        """Whether others may have a share in it."""
        return self.file == MAIN and self.name in ADDED

    @property
    def words(self) -> list[str]:
        """Those of a list."""
        return self.value.replace(",", " ").split()

    @property
    def command(self) -> str:
        """What makes it so and may be said twice, "" for what is not Postfix's."""
        if self.is_added:
            return _ADD.format(name=self.name, words=" ".join(map(_quoted, self.words)))
        return self.assignment

    @property
    def assignment(self) -> str:
        """How postconf writes it in the place of what is there, "" for what is not Postfix's."""
        if self.file not in {MAIN, MASTER}:
            return ""
        option = {0: "-e", 1: "-M", 2: "-P"}[0 if self.file == MAIN else self.name.count("/")]
        return f"postconf {option} {_quoted(f'{self.name}={self.value}')}"


@frozen
class Around:
    """What the INI file does not say of this host."""

    submissions: tuple[str, ...] = ("submission/inet",)
    """Services of master.cf that our users hand their mail to."""
    signer: str = "inet:127.0.0.1:8891"
    verifier: str = "inet:127.0.0.1:8891"
    sieve: str = "/etc/dovecot/rrsd.sieve"
    """Where the mailboxes' script is."""
    masters: str = "/etc/dovecot/rrsd-master"
    """Where Dovecot looks for the master user."""


def lines_of(settings: Settings, around: Around) -> tuple[Line, ...]:
    """Everything that the mail servers of this host must be told.

    Raises:
        Malformed: no listener in `[mail]`, or one that a mail server cannot reach; the text says what to write.
    """
    mail = settings.mail
    if mail.outbound is None and mail.inbound is None:
        raise Malformed(
            "[mail] has no listener: write prequeue = tcp:10024:interface=127.0.0.1, "
            "outbound = tcp:10025:interface=127.0.0.1 and inbound = tcp:2425:interface=127.0.0.1 into the INI file"
        )
    lines = [*_general()]
    if mail.outbound is not None:
        lines += _outbound(settings, around, listener(mail.outbound))
    if mail.inbound is not None:
        lines += _inbound(settings, around, listener(mail.inbound))
    if settings.imap.endpoint is not None:
        lines += _mailboxes(settings, around)
    return (*lines, *_dkim(settings, around), *_arc(settings))


def _general() -> Iterator[Line]:
    yield Line(
        MAIN, "smtpd_forbid_bare_newline", "yes",
        "Lines end with CR and LF: a bare LF lets a stranger smuggle a second message in (CVE-2023-51764).",
    )  # fmt: skip


def _outbound(settings: Settings, around: Around, here: Place) -> Iterator[Line]:
    if here.path:
        raise Malformed("[mail] outbound: Postfix reaches a content filter by TCP: tcp:10025:interface=127.0.0.1")
    first = settings.mail.prequeue
    for service in around.submissions if first is None else ():
        yield Line(MASTER, f"{service}/content_filter", f"rrsdout:{here.nexthop}", _FILTERED)
        yield Line(MASTER, f"{service}/smtpd_proxy_filter", "", "Nothing stands before the queue.")
    yield Line(MASTER, "pickup/unix/content_filter", f"rrsdout:{here.nexthop}", _FILTERED)
    if first is not None:
        yield from _prequeue(settings, around, listener(first))
    for service in around.submissions:
        yield Line(
            MASTER, f"{service}/smtpd_milters", "",
            "No signature yet: rrsd changes the message, and it is signed when it comes back.",
        )  # fmt: skip
        yield from _unlimited(service)
    yield Line(MASTER, LARGE, "rrsdlarge unix n - n - 0 cleanup", "Queues messages of any size, for these services.")
    yield Line(MASTER, f"{LARGE}/message_size_limit", "0", "The same limit.")
    yield Line(MASTER, OUT, "rrsdout unix - - n - 10 smtp", "The way to the filter; at most ten messages at a time.")
    yield Line(
        MASTER, f"{OUT}/smtp_send_xforward_command", "yes",
        "rrsd learns the queue identifier: a message that comes again is known.",
    )  # fmt: skip
    yield Line(MASTER, f"{OUT}/smtp_data_done_timeout", _patience(settings), "A large attachment is stored first.")
    yield Line(MASTER, f"{OUT}/smtp_tls_security_level", "none", "It stays on this host.")
    yield Line(MASTER, f"{OUT}/smtp_bind_address", "", "An outgoing address of main.cf is not for this way.")
    yield from _reinjection(server(settings.mail.outbound_next), around.signer, "", is_mapped=False)
    if first is not None:
        yield from _reinjection(server(settings.mail.prequeue_next), around.signer, "", is_mapped=True)
        filtered = f"rrsdout:{here.nexthop}"
        yield from _reinjection(server(settings.mail.prequeue_later), "", filtered, is_mapped=True)
    yield Line(
        INI, "next_log", settings.mail.next_log or LOG,
        "In [mail]. When a connection is lost before Postfix has answered, its log says whether it has the message; "
        "without it such a message is sent again. The user of rrsd must be able to read it (adduser rrsd adm). A host "
        "without syslog writes one with maillog_file in main.cf.",
    )  # fmt: skip


def _prequeue(settings: Settings, around: Around, here: Place) -> Iterator[Line]:
    if here.path:
        raise Malformed("[mail] prequeue: write it as tcp:10024:interface=127.0.0.1")
    for service in around.submissions:
        yield Line(
            MASTER, f"{service}/smtpd_proxy_filter", here.service,
            "What our users send goes through rrsd before it is queued: it is queued once, and without attachments.",
        )  # fmt: skip
        yield Line(
            MASTER, f"{service}/smtpd_proxy_timeout", _patience(settings),
            "Who gave up while rrsd hands a message on would send it again.",
        )  # fmt: skip
        yield Line(MASTER, f"{service}/content_filter", "", "What rrsd has had is queued behind it.")


def _reinjection(back: Place, signer: str, content_filter: str, *, is_mapped: bool) -> Iterator[Line]:
    """A listener for what comes back from rrsd: to be signed, or to be filtered first; with aliases to be expanded, or
    expanded before."""
    if back.path:
        raise Malformed("[mail] outbound_next and prequeue: Postfix's smtpd listens on TCP: tcp:127.0.0.1:10026")
    name = f"{back.service}/inet"
    what = "Where the filter hands messages back." if not is_mapped else "What rrsd hands on as it is, signed at once."
    yield Line(MASTER, name, f"{back.service} inet n - n - - smtpd", _QUEUED if content_filter else what)
    checks = "no_unknown_recipient_checks"
    if not is_mapped:
        checks += ",no_header_body_checks,no_address_mappings"
    for key, value, why in (
        ("content_filter", content_filter, _FILTERED if content_filter else "Not through the filter again."),
        (
            "smtpd_milters", signer,
            "DKIM signs here, after the filter: the signature covers the placeholder." if signer
            else "No signature yet.",
        ),
        ("mynetworks", "127.0.0.0/8,[::1]/128", "This host, and nobody else,"),
        ("smtpd_client_restrictions", "permit_mynetworks,reject", "may use this listener:"),
        ("smtpd_relay_restrictions", "permit_mynetworks,reject", "it takes what the submission service has let in"),
        ("smtpd_recipient_restrictions", "permit_mynetworks,reject", "and looks at nothing again."),
        ("smtpd_helo_restrictions", "", "The same,"),
        ("smtpd_sender_restrictions", "", "and the same."),
        ("smtpd_tls_security_level", "none", "It stays on this host."),
        ("smtpd_authorized_xforward_hosts", "127.0.0.0/8,[::1]/128", "The log names the client that sent it first."),
        (
            "receive_override_options", checks,
            "Who is known was asked before; aliases are expanded here." if is_mapped
            else "Aliases were expanded before the filter; twice would double messages.",
        ),
    ):  # fmt: skip
        yield Line(MASTER, f"{name}/{key}", value, why)
    yield from _unlimited(name)


def _unlimited(service: str) -> Iterator[Line]:
    yield Line(
        MASTER, f"{service}/message_size_limit", "0",
        "[mail] most_message is the limit here, that of main.cf stays for strangers. A number would do harm: Postfix "
        "takes no mail unless one and a half times as much is free on its disk.",
    )  # fmt: skip
    yield Line(MASTER, f"{service}/cleanup_service_name", "rrsdlarge", "Whoever writes the queue file has a limit too.")


def _inbound(settings: Settings, around: Around, here: Place) -> Iterator[Line]:
    milters = [around.verifier] + ([listener(settings.mail.milter).lmtp] if settings.mail.milter is not None else [])
    yield Line(
        MAIN, "smtpd_milters", ", ".join(milters),
        "OpenDKIM verifies what comes in; rrsd pulls for nobody whose signature does not hold. Its own milter, where "
        "there is one, refuses such placeholders at once. Milters that are there already stay, before these.",
    )  # fmt: skip
    yield Line(MAIN, "milter_default_action", "tempfail", "Without the verifier mail waits; it is not let in unseen.")
    yield Line(
        MAIN, "virtual_transport", f"rrsdin:{here.lmtp}",
        "The way into the mailboxes goes through rrsd, after alias expansion (mailbox_transport for local users).",
    )  # fmt: skip
    yield Line(
        MASTER, IN, "rrsdin unix - - n - 10 lmtp flags=O",
        "The way to the LMTP proxy; O: Postfix says on top whom a message was sent to; an alias is granted files.",
    )  # fmt: skip
    yield Line(MAIN, "rrsdin_destination_recipient_limit", "1", "One recipient at a time, or it could not say that.")
    yield Line(
        MASTER, f"{IN}/lmtp_send_xforward_command", "yes",
        "rrsd learns the queue identifier: when a pull is complete, it has just this message delivered.",
    )  # fmt: skip
    yield Line(MASTER, f"{IN}/lmtp_data_done_timeout", _patience(settings), "A large attachment is put back first.")
    yield Line(MASTER, f"{IN}/lmtp_tls_security_level", "none", "It stays on this host.")
    if settings.mail.recipient_delimiter:
        why = "Addresses with an extension are their users': as [mail] recipient_delimiter says."
        yield Line(MAIN, DELIMITER, settings.mail.recipient_delimiter, why)
        yield Line(DOVECOT, DELIMITER, settings.mail.recipient_delimiter, why)
    yield Line(DOVECOT, "protocols", "imap lmtp", "LMTP takes the mail that rrsd hands on.")
    yield Line(DOVECOT, "service lmtp", _dovecot(server(settings.mail.inbound_next)), "Where [mail] inbound_next says.")
    yield Line(
        DOVECOT, "protocol lmtp", "{\n  mail_plugins = $mail_plugins sieve\n}",
        "A message that comes again after a crash is dropped if its recipient has it.",
    )  # fmt: skip
    yield Line(
        DOVECOT, "plugin", f"{{\n  sieve_before = {around.sieve}\n}}",
        "The script that does so comes before all others, which become sieve_before2 and so on.",
    )  # fmt: skip
    yield Line(SIEVE, around.sieve, SCRIPT, f"Write it to {around.sieve}, then run: sievec {around.sieve}")


def _mailboxes(settings: Settings, around: Around) -> Iterator[Line]:
    master = settings.imap.master
    yield Line(
        DOVECOT, "passdb", f"{{\n  driver = passwd-file\n  master = yes\n  args = {around.masters}\n}}",
        f"rrsd enters mailboxes as a master user. {around.masters} has one line, {master}: and what doveadm pw prints "
        f"for the password in {settings.imap.password}; Dovecot's own user may read it, and nobody else.",
    )  # fmt: skip


def _dovecot(place: Place) -> str:
    if place.path:
        return f"{{\n  unix_listener {place.path} {{\n    mode = 0600\n    user = rrsd\n  }}\n}}"
    return f"{{\n  inet_listener lmtp {{\n    address = {place.host}\n    port = {place.port}\n  }}\n}}"


def _dkim(settings: Settings, around: Around) -> Iterator[Line]:
    domain = str(settings.domain.name)
    yield Line(DKIM, "Domain", domain, "Whose mail is signed.")
    yield Line(DKIM, "SignHeaders", ",".join(SIGNED), "What the signature covers;")
    yield Line(
        DKIM, "OversignHeaders", ",".join(OVERSIGNED),
        "and what cannot be added later. Each must be in SignHeaders too, or no signature verifies.",
    )  # fmt: skip
    yield Line(DKIM, "AuthservID", f"mx.{domain}", "Who says so in Authentication-Results.")
    yield Line(DKIM, "RemoveARFrom", f"{domain},mx.{domain}", "Strangers do not speak in our name.")
    yield Line(DKIM, "AlwaysAddARHeader", "yes", "That nothing was signed is said too.")
    yield Line(DKIM, "MinimumKeyBits", "1024", "Weaker keys prove nothing (RFC 8301).")


def _arc(settings: Settings) -> Iterator[Line]:
    key = sealing_key(settings)
    if key is not None:
        texts = " ".join(f'"{key.record[at : at + 200]}"' for at in range(0, len(key.record), 200))
        yield Line(DNS, f"{key.name}. TXT", texts, "The key that completed messages are sealed with (ARC).")


def _quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _patience(settings: Settings) -> str:
    return f"{int(settings.smtp.done.total_seconds()) + _MARGIN}s"
