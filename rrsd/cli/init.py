"""`rrsctl init`: a domain from nothing: folder, keys, certificates, a first INI file. Never overwrites anything."""

import os
from collections.abc import Mapping
from pathlib import Path

import click
from attrs import frozen

from rrsd.cli.output import facts
from rrsd.cli.session import Session, pass_session
from rrsd.config.reference import render_reference
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed, NoSpace
from rrsd.core.values.addresses import ClientIdentifier, Domain, join_client_identifier, parse_domain
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.peers import Certificate
from rrsd.drivers.keys import files
from rrsd.drivers.keys.certificates import DevelopmentAuthority, create_development_authority
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.keys.settings import Settings as KeySettings

Given = Mapping[tuple[str, str], str]


@frozen
class Plan:
    """What `init` makes: `folder` holds everything, `authority` the development CA of one or more domains."""

    domain: Domain
    folder: Path
    unit: str = "_rra"
    port: int = 443
    authority: Path | None = None

    @property
    def client(self) -> ClientIdentifier:
        """Who the agent is on the network."""
        return join_client_identifier(self.unit, str(self.domain))

    @property
    def config(self) -> Path:
        """The INI file."""
        return self.folder / "rrsd.ini"

    @property
    def certificate(self) -> Path:
        """The server's certificate chain."""
        return self.folder / "tls" / "fullchain.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.folder / "tls" / "privkey.pem"


@click.command(short_help="Make a domain: keys, certificates, a first INI file.")
@click.argument("domain", required=False)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where everything goes.")
@click.option("--client-unit", "unit", default="_rra", show_default=True, help="OU of the client certificate.")
@click.option("--port", type=click.IntRange(1, 65535), default=443, show_default=True, help="The public listener.")
@click.option("--development", is_flag=True, help="Make a server certificate too, of an authority of your own.")
@pass_session
def init(session: Session, domain: str | None, folder: Path | None, unit: str, port: int, development: bool) -> None:
    """Make everything that a domain needs in one folder. What is there already stays as it is.

    \b
      rrsctl init foo.test --folder /etc/rrsd
      rrsctl init foo.test --folder ./foo --port 8443 --development
    """
    name = parse_domain(domain or click.prompt("Mail domain", err=True))
    where = folder or Path(click.prompt("Folder", default="/etc/rrsd", err=True))
    plan = Plan(name, where.absolute(), unit, port, where.absolute() / "authority" if development else None)
    made = make(plan, instant(session.now()), first_values(plan))
    document = {"domain": str(name), "config": str(plan.config), "made": [str(path) for path in made]}
    session.console.result(document, _next_steps(plan, made))


def make(plan: Plan, now: Instant, given: Given) -> list[Path]:
    """Make what is missing; the files that were made.

    Raises:
        NoSpace: a file cannot be written.
        Forbidden, Damaged: a key is there that others may read, or that cannot be read.
    """
    before = _files(plan.folder)
    try:
        for folder in (plan.folder, plan.folder / "tls", plan.folder / "data"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NoSpace(f"{plan.folder} cannot be made ({error.strerror}): choose another with --folder") from None
    _keyring(plan, now).create(plan.client)
    if plan.authority is not None and not plan.key.exists():
        _issue(plan, plan.authority, now)
    if not plan.config.exists():
        files.write_new(plan.config, render_reference(Settings, given).encode(), 0o640)
    return sorted(_files(plan.folder) - before)


def first_values(plan: Plan) -> dict[tuple[str, str], str]:
    """What the first INI file says; every other key shows its default."""
    data = plan.folder / "data"
    origin = f"https://{plan.domain}"
    values = {
        ("domain", "name"): str(plan.domain),
        ("domain", "issuer"): origin,
        ("front", "listen"): f"tcp:{plan.port}",
        ("front", "certificate"): str(plan.certificate),
        ("front", "key"): str(plan.key),
        ("audit", "path"): str(data / "audit.jsonl"),
        ("keys", "path"): str(plan.folder / "keys"),
        ("store", "path"): str(data),
        ("rs", "origin"): origin,
        ("rra", "client"): str(plan.client),
        ("admin", "socket"): str(data / "admin.sock"),
    }
    if plan.authority is not None:
        values |= {("tls", "roots"): str(plan.authority / "ca.pem"), ("identity", "allow_reserved"): "yes"}
    return values


def client_certificate(plan: Plan, now: Instant) -> Certificate:
    """The certificate that `make` made for the agent."""
    keyring = _keyring(plan, now)
    keyring.reload()
    return keyring.agent.certificate


def _keyring(plan: Plan, now: Instant) -> Keyring:
    return Keyring(KeySettings(path=str(plan.folder / "keys")), lambda: now)


def _issue(plan: Plan, folder: Path, now: Instant) -> None:
    authority = _authority(folder, now)
    names = [str(plan.domain), *(f"{label}.{plan.domain}" for label in ("rs", "id", "mail"))]
    certificate, key = authority.issue(names, now)
    files.write_new(plan.certificate, certificate, files.PUBLIC)
    files.write_new(plan.key, key)


def _authority(folder: Path, now: Instant) -> DevelopmentAuthority:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = files.read_private(folder / "ca.key")
    if key is not None:
        return DevelopmentAuthority(files.read_public(folder / "ca.pem"), key)
    made = create_development_authority(now)
    files.replace(folder / "ca.pem", made.certificate_pem, files.PUBLIC)
    files.write_new(folder / "ca.key", made.key_pem)
    return made


def _files(folder: Path) -> set[Path]:
    found = {Path(where, name) for where, _, names in os.walk(folder) for name in names}
    if folder.exists() and not folder.is_dir():
        raise Malformed(f"{folder} is a file: choose another with --folder")
    return found


def _next_steps(plan: Plan, made: list[Path]) -> str:
    listed = "\n".join(f"  {path}" for path in made) or "  nothing: it was all there"
    certificate = (
        "" if plan.authority else f"Put the server's certificate and key at\n  {plan.certificate}\n  {plan.key}\n"
    )
    steps = facts(
        (
            (f"rrsctl --config {plan.config} check", "says what is still missing"),
            (f"twistd -n rrsd --config {plan.config}", "starts the daemon"),
            (f"rrsctl --config {plan.config} users add alice@{plan.domain}", "the first user"),
        )
    )
    return f"made\n{listed}\n\n{certificate}next\n" + "\n".join(f"  {line}" for line in steps.split("\n"))
