"""`rrsctl check`: everything that would stop the daemon or its peers, said at once."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
from attrs import asdict, frozen
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from twisted.internet.endpoints import clientFromString, serverFromString

from rrsd.app.mail_in import command_of
from rrsd.app.sealing import sealing_key
from rrsd.app.token_service import registered_client
from rrsd.cli.names import look_at_names
from rrsd.cli.session import Session, pass_session
from rrsd.config.ini import Misconfigured
from rrsd.config.settings import Settings, parse_settings
from rrsd.core.refusals import Malformed, Refusal, Unavailable
from rrsd.core.values.instants import Instant, instant
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.policy.service import find_policies, read_schema

SOON = timedelta(days=14)


@frozen
class Finding:
    """One thing that was looked at: `level` is ok, note or error."""

    level: str
    about: str
    text: str


@click.command(short_help="Look for everything that is wrong.")
@pass_session
def check(session: Session) -> int:
    """Read the INI file and report every error in it at once; then look at keys, certificates, policies and listeners.

    Exit status 0: nothing is wrong. 78: the configuration is. 69: something around it is.

    \b
      rrsctl --config /etc/rrsd/rrsd.ini check
    """
    settings, findings = _read(session.config_path)
    if settings is not None:
        findings += look(settings, instant(session.now()), session.local().status)
    errors = [each for each in findings if each.level == "error"]
    rows = [(each.level, each.about, each.text) for each in findings]
    document = {"ok": not errors, "findings": [asdict(each) for each in findings]}
    session.console.rows(document, ("", "WHAT", "FOUND"), rows, "nothing to look at")
    if settings is None:
        return os.EX_CONFIG
    return os.EX_UNAVAILABLE if errors else os.EX_OK


def _read(path: Path) -> tuple[Settings | None, list[Finding]]:
    try:
        settings = parse_settings(path.read_text())
    except Misconfigured as wrong:
        return None, [Finding("error", str(path), str(mistake)) for mistake in wrong.errors]
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{path} cannot be read ({error}): name the daemon's INI file with --config") from None
    return settings, [Finding("ok", str(path), "every key is right")]


def look(settings: Settings, now: Instant, status: Callable[[str], tuple[bool, object]]) -> list[Finding]:
    """Everything around a configuration that is right in itself."""
    level, text = look_at_names(settings)
    names = Finding(level, "names", text)
    findings = [*_keys(settings, now), *_certificate(settings, now), *_clients(settings), names, *_policies(settings)]
    findings += _mail(settings)
    running = _daemon(status)
    findings.append(running)
    if running.level == "note":
        findings += _listeners(settings)
    return findings


def _policies(settings: Settings) -> Iterator[Finding]:
    try:
        policies, flaws = find_policies(settings.policy, read_schema())
    except Refusal as refusal:
        yield Finding("error", "policies", refusal.detail)
        return
    for flaw in flaws:
        yield Finding("error", "policies", f"{settings.policy.path} {flaw}")
    if not policies and not flaws:
        yield Finding(
            "error", "policies", "there are none, so that nothing is permitted: write some, or defaults = yes"
        )
    elif not flaws:
        yield Finding("ok", "policies", f"{len(policies)} that fit the schema")


def _keys(settings: Settings, now: Instant) -> Iterator[Finding]:
    keyring = Keyring(settings.keys, lambda: now)
    try:
        keyring.reload()
        ready = keyring.signer.is_ready
        certificate = keyring.agent.certificate
    except Refusal as refusal:
        yield Finding("error", "keys", refusal.detail or "no keys: run rrsctl init")
        return
    yield Finding("ok" if ready else "error", "keys", "signing key" if ready else "none is active: rrsctl keys rotate")
    wanted = f"_rra.{settings.domain.name}" if settings.rra.client is None else str(settings.rra.client)
    if str(certificate.client) != wanted:
        yield Finding("error", "client certificate", f"it names {certificate.client}, not {wanted}: run rrsctl init")
    else:
        yield _life("client certificate", f"{certificate.client}", certificate.not_after, now)
    for key in keyring.client_keys()[1:]:
        on_the_way = f"the {key.state} one is published since {key.since:%Y-%m-%d}: rrsctl keys list says what to do"
        yield Finding("note", "client key", on_the_way)


def _certificate(settings: Settings, now: Instant) -> Iterator[Finding]:
    about = "server certificate"
    try:
        parsed = x509.load_pem_x509_certificate(Path(settings.front.certificate).read_bytes())
        key = serialization.load_pem_private_key(Path(settings.front.key).read_bytes(), None)
        mode = os.stat(settings.front.key).st_mode
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not PEM"
        yield Finding("error", about, f"{settings.front.certificate} or its key: {reason}: put them there")
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        yield Finding("error", about, f"everyone may read {settings.front.key}: run chmod 600 {settings.front.key}")
    if key.public_key() != parsed.public_key():
        yield Finding("error", about, "certificate and key do not belong together: renew both")
    missing = [name for name in _served(settings) if name not in _names(parsed)]
    if missing:
        yield Finding("error", about, f"it does not name {', '.join(missing)}: get one that does")
    yield _life(about, ", ".join(_names(parsed)), parsed.not_valid_after_utc, now)


def _clients(settings: Settings) -> Iterator[Finding]:
    """Whether each client of the settings can be registered: its files are read here as the daemon reads them."""
    for section in settings.sts.clients:
        about = f"client {section.client}"
        try:
            client = registered_client(section)
        except (Refusal, OSError) as problem:
            detail = problem.detail if isinstance(problem, Refusal) else str(problem)
            yield Finding("error", about, f"{detail}: put it right in the settings")
        else:
            yield Finding("ok", about, client.method.value)


def _mail(settings: Settings) -> Iterator[Finding]:
    """What `[mail]` and `[imap]` name, read as the daemon reads it when it starts."""
    mail, unused = settings.mail, object()
    listeners = {"outbound": mail.outbound, "inbound": mail.inbound, "milter": mail.milter}
    servers = {"[mail] outbound_next": mail.outbound_next, "[mail] inbound_next": mail.inbound_next}
    commands = {"[mail] flush": mail.flush or "", "[mail] next_queue": mail.next_queue}
    for name, description in listeners.items():
        if description is not None and not description.startswith("/"):
            yield from _unread(f"[mail] {name}", partial(serverFromString, unused, description))
    for name, server in {**servers, "[imap] endpoint": settings.imap.endpoint}.items():
        if server is not None:
            yield from _unread(name, partial(clientFromString, unused, server))
    for name, command in commands.items():
        yield from _unread(name, partial(command_of, name, command))
    yield from _unread("[mail] arc_key", partial(sealing_key, settings))


def _unread(about: str, read: Callable[[], object]) -> Iterator[Finding]:
    try:
        read()
    except LookupError:
        return  # a socket of the service manager, which gives it to the daemon alone
    except Malformed as problem:
        yield Finding("error", about, f"{problem.detail.removeprefix(f'{about}: ')}: the daemon does not start with it")
    except (ValueError, TypeError) as problem:
        yield Finding("error", about, f"no such endpoint ({problem}): the daemon does not start with it")


def _served(settings: Settings) -> list[str]:
    rooms = [getattr(settings, room, None) for room in ("rs", "rra")]
    origins = [getattr(room, "origin", None) for room in rooms]
    hosts = [settings.domain.name, settings.domain.issuer.origin.host, *(origin.host for origin in origins if origin)]
    return sorted({str(host) for host in hosts})


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _life(about: str, text: str, end: Instant, now: Instant) -> Finding:
    if end <= now:
        return Finding("error", about, f"it ended on {end:%Y-%m-%d}: renew it")
    if end - now < SOON:
        return Finding("note", about, f"it ends on {end:%Y-%m-%d}: renew it soon ({text})")
    return Finding("ok", about, f"{text}, until {end:%Y-%m-%d}")


def _daemon(status: Callable[[str], tuple[bool, object]]) -> Finding:
    try:
        ready, document = status("ready")
    except Unavailable:
        return Finding("note", "daemon", "it is not running")
    except Refusal as refusal:
        return Finding("error", "daemon", refusal.detail)
    checks = document.get("checks", {}) if isinstance(document, dict) else {}
    wrong = "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok")
    return Finding("ok" if ready else "error", "daemon", "it is running and ready" if ready else wrong or "not ready")


def _listeners(settings: Settings) -> Iterator[Finding]:
    for description in settings.front.listen:
        kind, _, rest = description.partition(":")
        port = rest.partition(":")[0]
        if kind not in {"tcp", "tcp6"} or not port.isdigit():
            continue
        with socket.socket(socket.AF_INET6 if kind == "tcp6" else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("::" if kind == "tcp6" else "", int(port)))
            except OSError as error:
                yield Finding("error", f"listener {description}", f"{error.strerror}: free the port or choose another")
            else:
                yield Finding("ok", f"listener {description}", "the port is free")
