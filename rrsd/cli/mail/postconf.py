"""What Postfix is told, compared with what it should be told."""

from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from rrsd.cli.check import Finding
from rrsd.cli.mail import programs
from rrsd.cli.mail.lines import DELIMITER, MAIN, MASTER, Line
from rrsd.config.settings import Settings

_NEEDED = frozenset(
    {
        "smtpd_forbid_bare_newline", "virtual_transport", "content_filter", "smtp_send_xforward_command",
        "lmtp_send_xforward_command", "smtpd_milters", "receive_override_options", "message_size_limit",
        "cleanup_service_name", "smtpd_proxy_filter", "smtpd_proxy_timeout",
    }
)  # fmt: skip
"""Without these mail is lost, doubled, unsigned or refused; the others matter on some hosts only."""
_COPYING = ("always_bcc", "sender_bcc_maps", "recipient_bcc_maps", "canonical_maps", "recipient_canonical_maps")
_CHECKING = ("header_checks", "mime_header_checks", "nested_header_checks", "body_checks")
_HOSTED = ("virtual_alias_domains", "virtual_mailbox_domains", "relay_domains")
_LISTS = frozenset({"smtpd_milters", "receive_override_options"})


@frozen
class Postconf:
    """The program, for the instance of Postfix with this folder of configuration, "" for the usual one."""

    program: str
    folder: str = ""

    @classmethod
    def find(cls, folder: str) -> "Postconf | None":
        """The program of this host, None when there is none."""
        program = programs.found("postconf")
        return None if program is None else cls(program, folder)

    @property
    def works(self) -> bool:
        """Whether it says anything."""
        return self._said("-h", "mail_version") is not None

    def value(self, line: Line) -> str | None:
        """What stands there instead of the line's value, None when nothing does."""
        if line.file == MAIN:
            return self._said("-h", line.name)
        if line.name.count("/") == 2:
            return self._said("-Ph", line.name)
        said = self._said("-M", line.name)
        return None if not said else said.splitlines()[0].strip()

    def has(self, service: str) -> bool:
        """Whether master.cf has this service, and not only behind a #."""
        return bool(self._said("-M", service))

    def words(self, name: str) -> tuple[str, ...]:
        """The words of a parameter of main.cf, with what they refer to put in."""
        return tuple(_words(self._said("-xh", name) or ""))

    def _said(self, *words: str) -> str | None:
        place = ["-c", self.folder] if self.folder else []
        done = programs.ended([self.program, *place, *words])
        # For what it does not know postconf says so, prints nothing, and ends with 0.
        return None if done is None or "warning:" in done.stderr else done.stdout.strip()


def borrowed(lines: Sequence[Line]) -> tuple[str, ...]:
    """The services of master.cf that get parameters and are not made here: postconf only warns when one is not there,
    and ends with 0."""
    names = [line.name for line in lines if line.file == MASTER]
    owners = dict.fromkeys(name.rpartition("/")[0] for name in names if name.count("/") == 2)
    return tuple(owner for owner in owners if owner not in names)


def mend_for(service: str) -> str:
    """What to do about a service that is not there; no line of postconf does it, since what it asks of users (TLS,
    SASL) is the operator's."""
    return (
        f"nothing that is handed to {service} passes rrsd. In master.cf take the # off its line, and off those of the "
        "-o lines below it that users need (TLS, SASL); or name the services that users do hand their mail to by "
        "--submission"
    )


def compared(postconf: Postconf, lines: Sequence[Line]) -> Iterator[Finding]:
    """One finding for each line that is not there, or one that says that all are."""
    if not postconf.works:
        yield Finding(
            "error", "Postfix", f"postconf cannot read {postconf.folder or 'its configuration'}: run it by hand"
        )
        return
    away = [service for service in borrowed(lines) if not postconf.has(service)]
    for service in away:
        yield Finding("error", f"master.cf {service}", f"it is not there: {mend_for(service)}")
    wrong = len(away)
    for line in lines:
        if line.file not in {MAIN, MASTER} or line.name.rpartition("/")[0] in away:
            continue
        found = postconf.value(line)
        if found is None and line.name.endswith("/smtpd_proxy_filter"):
            found = ""  # nobody has one in main.cf, where it would be for all services
        if found is None or not fits(line, " ".join(postconf.words(line.name)) if line.is_added else found):
            wrong += 1
            level = "error" if line.name.count("/") == 1 or line.name.rpartition("/")[2] in _NEEDED else "note"
            stands = "it is not there" if found is None else f"it is {found or 'empty'}"
            yield Finding(level, f"{line.file} {line.name}", f"{stands}: {_mend(line, found or '')}")
    if not wrong:
        yield Finding("ok", "Postfix", "it is told everything that rrsctl mail setup prints")


def _mend(line: Line, found: str) -> str:
    """What to do, without harm to what others have there."""
    if line.is_added and found:
        missing = [each for each in line.words if each not in _words(found)]
        return evolve(line, value=", ".join([found, *missing])).assignment
    if (line.file, line.name) == (MAIN, DELIMITER) and found:
        return f"write {DELIMITER} = {found} into [mail]; or, if {line.value} is what is meant: {line.assignment}"
    return line.assignment


def routed(postconf: Postconf, domain: str, lines: Sequence[Line]) -> Iterator[Finding]:
    """Whether mail for the domain takes the transport that leads through rrsd: `virtual_transport` is that of
    virtual_mailbox_domains alone, and a domain in mydestination has another one."""
    ways = {line.value for line in lines if (line.file, line.name) == (MAIN, "virtual_transport")}
    if not ways or not postconf.works or postconf.words("transport_maps"):
        return
    way, virtual, local = ways.pop(), postconf.words("virtual_mailbox_domains"), postconf.words("mydestination")
    others = (*virtual, *local, *postconf.words("relay_domains"))
    if domain in local:
        if (way,) not in (postconf.words("mailbox_transport"), postconf.words("local_transport")):
            yield Finding(
                "error", "main.cf mydestination",
                f"{domain} is in it, so that its mail does not take virtual_transport, and goes past rrsd: take it out "
                f"and put it into virtual_mailbox_domains, or for local users: postconf -e 'mailbox_transport={way}'",
            )  # fmt: skip
    elif domain not in others and not any("/" in each or ":" in each for each in others):
        yield Finding(
            "error", "main.cf virtual_mailbox_domains",
            f"{domain} is not in it, and not in mydestination: its mail does not take virtual_transport, and goes past "
            f"rrsd: postconf -e 'virtual_mailbox_domains={' '.join([*virtual, domain])}'",
        )  # fmt: skip


def passed_by(postconf: Postconf, settings: Settings) -> Iterator[Finding]:
    """What Postfix does with addresses and header fields while it queues a message, and cannot do any more where its
    attachments were taken out before: who gets copies would get none."""
    if settings.mail.prequeue is None or not postconf.works:
        return
    for name in (*_COPYING, *_CHECKING):
        if value := " ".join(postconf.words(name)):
            yield Finding(
                "error", f"main.cf {name}",
                f"it is {value}: messages whose attachments are taken out before the queue go past it: take prequeue "
                "out of [mail], then rrsctl mail setup says how they are filtered behind it",
            )  # fmt: skip
    known = {str(settings.domain.name), *map(str, settings.mail.aliased)}
    hosted = [each for name in _HOSTED for each in postconf.words(name) if "/" not in each and ":" not in each]
    if missing := [each for each in dict.fromkeys(hosted) if each not in known]:
        yield Finding(
            "error", "[mail] aliased",
            f"mail for {', '.join(missing)} stays on this host, where addresses may stand for others: "
            f"write aliased = {' '.join([*map(str, settings.mail.aliased), *missing])}",
        )  # fmt: skip


def fits(line: Line, found: str) -> bool:
    """Whether what stands there does what the line does."""
    name = line.name.rpartition("/")[2]
    if line.file == MASTER and line.name.count("/") == 1:
        # The operator may choose how many there are.
        wanted, there = line.value.split(), found.split()
        return there[:2] == wanted[:2] and there[7:8] == wanted[7:8] and set(wanted[8:]) <= set(there[8:])
    if name in _LISTS and line.value:
        return set(_words(line.value)) <= set(_words(found))
    return _words(found) == _words(line.value)


def _words(value: str) -> list[str]:
    return value.replace(",", " ").split()
