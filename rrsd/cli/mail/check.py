"""`rrsctl mail check`: the running set-up from outside, and the line that mends what is missing."""

import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rrsd.app.sealing import sealing_key
from rrsd.cli.check import Finding
from rrsd.cli.mail.filters import spoken_with
from rrsd.cli.mail.lines import Around, lines_of
from rrsd.cli.mail.places import Place, is_exposed, listener, server
from rrsd.cli.mail.postconf import Postconf, compared, passed_by, routed
from rrsd.cli.mail.talk import announced
from rrsd.config.settings import Settings
from rrsd.core.proof.dkim import ALGORITHMS, MOST_BITS, Policy
from rrsd.core.refusals import Malformed, Refusal, Unavailable
from rrsd.core.values.records import Text
from rrsd.core.wire.dkim import parse_key
from rrsd.drivers.dns.messages import PAYLOAD, read_answer, write_query
from rrsd.drivers.dns.places import parse_server

PATIENCE = 5.0
"""Seconds that the resolver has."""
_REINJECTION = {
    "XFORWARD": "rrsd is not among its smtpd_authorized_xforward_hosts",
    "DSN": "reports that senders ask for are lost here: take dsn out of smtpd_discard_ehlo_keywords",
    "8BITMIME": "take 8bitmime out of smtpd_discard_ehlo_keywords",
    "SMTPUTF8": "addresses in UTF-8 are refused: postconf -e smtputf8_enable=yes",
}

_EXPOSED = {
    "prequeue": "whoever reaches it sends mail through this host, to anywhere",
    "outbound": "whoever reaches it sends mail through this host, to anywhere",
    "inbound": "whoever reaches it writes into the mailboxes, past the mail server",
    "milter": "whoever reaches it has us ask DNS",
}

Verify = Callable[[str], Mapping[str, Any]]


def look(
    settings: Settings, around: Around, verify: Verify, postconf: Postconf | None, selector: str = ""
) -> list[Finding]:
    """Everything that was looked at.

    Raises:
        Malformed: `[mail]` has no listener, or one that no mail server can reach.
    """
    lines = lines_of(settings, around)
    mail = settings.mail
    findings: list[Finding] = []
    if mail.outbound is not None:
        findings.append(_spoken("[mail] outbound", listener(mail.outbound), {"XFORWARD": "", "DSN": ""}))
        findings.append(_spoken("[mail] outbound_next", server(mail.outbound_next), _REINJECTION))
    if mail.prequeue is not None:
        findings.append(_spoken("[mail] prequeue", listener(mail.prequeue), {"XFORWARD": "", "DSN": ""}))
        findings.append(_spoken("[mail] prequeue_next", server(mail.prequeue_next), _REINJECTION))
        findings.append(_spoken("[mail] prequeue_later", server(mail.prequeue_later), _REINJECTION))
    if mail.inbound is not None:
        findings.append(_spoken("[mail] inbound", listener(mail.inbound), {"XFORWARD": ""}, is_lmtp=True))
        findings.append(_spoken("[mail] inbound_next", server(mail.inbound_next), {}, is_lmtp=True))
    findings += spoken_with(settings, around, postconf)
    findings += _exposed(
        {"prequeue": mail.prequeue, "outbound": mail.outbound, "inbound": mail.inbound, "milter": mail.milter}
    )
    if postconf is None:
        findings.append(Finding("note", "Postfix", "no postconf here: compare with rrsctl mail setup by hand"))
    else:
        findings += [*compared(postconf, lines), *routed(postconf, str(settings.domain.name), lines)]
        findings += passed_by(postconf, settings)
    findings.append(_introduced(str(settings.domain.name), verify))
    return [*findings, *_signed(settings, selector), *_sealed(settings)]


def _spoken(about: str, place: Place, wanted: Mapping[str, str], *, is_lmtp: bool = False) -> Finding:
    where = place.path or place.nexthop
    try:
        offers = announced(place, is_lmtp=is_lmtp)
    except Unavailable as problem:
        whose = (
            "the daemon is not running"
            if about.endswith(("bound", "prequeue"))
            else "the mail server does not listen there"
        )
        return Finding("error", about, f"{where}: {problem.detail}: {whose}, or the INI file names another place")
    missing = [f"no {keyword}{': ' * bool(mend)}{mend}" for keyword, mend in wanted.items() if keyword not in offers]
    if missing:
        return Finding("error", about, f"{where}: {'; '.join(missing)}")
    return Finding("ok", about, f"{where} answers: {', '.join(sorted(offers))}")


def _exposed(listeners: Mapping[str, str | None]) -> Iterator[Finding]:
    """Mail servers are believed: a listener for one of them is for nobody else."""
    for name, description in listeners.items():
        if description is not None and is_exposed(description):
            mend = "write interface=127.0.0.1 behind its port, or keep others away with a packet filter"
            level = "note" if "interface=" in description else "error"
            yield Finding(level, f"[mail] {name}", f"{description} is open to other hosts: {_EXPOSED[name]}: {mend}")


def _introduced(domain: str, verify: Verify) -> Finding:
    about = f"discovery of {domain}"
    try:
        document = verify(domain)
    except Refusal as refusal:
        return Finding("error", about, f"{refusal.detail}: start the daemon, then look again")
    if document.get("believed"):
        return Finding("ok", about, str(document.get("sentence")))
    return Finding("error", about, f"{document.get('sentence')}: rrsctl identity records says what to publish")


def _signed(settings: Settings, selector: str) -> Iterator[Finding]:
    name = f"{selector}._domainkey.{settings.domain.name}"
    if not selector or settings.dns.resolver is None:
        why = "name the selector of OpenDKIM with --selector" if not selector else "no [dns] resolver to ask"
        yield Finding("note", "DKIM key", f"not looked at: {why}")
        return
    try:
        texts = _texts(settings.dns.resolver, name)
    except (OSError, Malformed) as problem:
        yield Finding("note", "DKIM key", f"{name}: the resolver does not answer ({problem})")
        return
    if len(texts) != 1:
        yield Finding(
            "error", "DKIM key", f"{name} has {len(texts)} records: publish the one that opendkim-genkey wrote"
        )
        return
    flaws = key_flaws(texts[0])
    for flaw in flaws:
        yield Finding("error", "DKIM key", f"{name}: who pulls attachments refuses it: {flaw}")
    if not flaws:
        yield Finding("ok", "DKIM key", f"{name} is published, and of the kind that is asked for")


def key_flaws(record: str) -> list[str]:
    """What the other side, as it is by default, does not take of a key (`rrsd.core.proof.dkim`)."""
    publish = "publish what opendkim-genkey -b 2048 wrote"
    try:
        key = parse_key(record.encode())
    except Malformed as problem:
        return [f"{problem.detail}: {publish}"]
    least = Policy().least_bits
    demands = (
        (key.kind in ALGORITHMS.values(), f"it is of the kind {key.kind}: {publish}"),
        (key.hashes is None or "sha256" in key.hashes, "h= lacks sha256: take h= out"),
        (bool(key.services & {"*", "email"}), "s= says that it is not for mail: take s= out"),
        ("y" not in key.flags, "t=y says that it is only being tested: take y out"),
        (key.kind != "rsa" or key.bits >= least, f"it has {key.bits} bits, and {least} are asked for: {publish}"),
        (
            key.kind != "rsa" or key.bits <= MOST_BITS,
            f"it has {key.bits} bits, more than anybody calculates: {publish}",
        ),
    )
    return [flaw for is_met, flaw in demands if not is_met]


def _sealed(settings: Settings) -> Iterator[Finding]:
    """Of ARC: whether the key is the one that is published."""
    key, resolver = sealing_key(settings), settings.dns.resolver
    if key is None:
        return
    if resolver is None:
        yield Finding("note", "ARC key", "not looked at: no [dns] resolver to ask")
        return
    try:
        texts = _texts(resolver, key.name)
    except (OSError, Malformed) as problem:
        yield Finding("note", "ARC key", f"{key.name}: the resolver does not answer ({problem})")
        return
    if [_public(text) for text in texts] == [_public(key.record)]:
        yield Finding("ok", "ARC key", f"{key.name} is published")
    else:
        yield Finding("error", "ARC key", f"{key.name} is not that of [mail] arc_key: rrsctl mail setup says what is")


def _public(text: str) -> str:
    return text.replace(" ", "").partition("p=")[2].partition(";")[0]


def _texts(resolver: str, name: str) -> list[str]:
    place = parse_server(resolver)
    query = write_query(name, "TXT", secrets.randbits(16))
    with socket.socket(socket.AF_INET6 if ":" in place.address else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE)
        asking.connect((place.address, place.port))
        asking.send(query.wire)
        answer = read_answer(query, asking.recv(PAYLOAD))
    return [each.data.decode("utf-8", "replace") for each in answer.records if isinstance(each, Text)]
