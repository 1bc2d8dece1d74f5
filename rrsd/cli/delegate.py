"""`rrsctl delegate`: a delegation for an API that other people run (`rrsd.protect`), for a try by hand."""

import os
from pathlib import Path
from typing import Any

import click

from rrsd.cli.output import clean, when
from rrsd.cli.session import Session, pass_session
from rrsd.cli.users import read_address
from rrsd.config.ini import parse_ini
from rrsd.core.refusals import Conflict, Malformed, NoSpace
from rrsd.core.values.peers import parse_origin
from rrsd.core.wire.delegation import parse_delegation
from rrsd.core.wire.jose import parse_jws

_NO_KEY = "(certificate and key of the agent: clients.json in [keys] path has them)"


@click.command(short_help="Let the agent ask an API in a user's name, by hand.")
@click.option("--user", metavar="ADDRESS", required=True, help="In whose name: a user of this domain.")
@click.option("--resource", metavar="ORIGIN", required=True, help="Where: the API's https origin, its audience.")
@click.option("--header", metavar="FILE", default="", help="Write the Authorization field there, for curl -H @FILE.")
@click.option("--print", "is_shown", is_flag=True, help="Print the token itself instead; whoever sees it can read it.")
@pass_session
def delegate(session: Session, user: str, resource: str, header: str, is_shown: bool) -> None:
    """Get a delegation for USER at RESOURCE, as the domain's agent does for itself.

    \b
      rrsctl delegate --user bob@bar.test --resource https://api.baz.test --header bob.header

    It is good for five minutes at most, at that origin, over a connection with the agent's client certificate: alone it
    opens nothing. That it was made stands in the audit trail. FILE must not be there yet; it is for you alone.
    """
    if bool(header) == is_shown:
        raise click.UsageError("say where the delegation goes: --header FILE, or --print")
    address, origin = read_address(user), _origin(resource)
    document = session.local().delegate(str(address), origin)
    token = str(document.get("delegation", ""))
    expires = parse_delegation(parse_jws(token)).expires.isoformat()
    shown: dict[str, Any] = {"user": str(address), "resource": origin, "expires": expires}
    if is_shown:
        session.console.result({**shown, "delegation": token}, token)
        return
    _write(Path(header), token)
    line = f"curl {_credential(session)} -H @{header} {origin}/"
    text = f"a delegation for {address} at {origin} until {when(expires)} UTC is in {header}\n\n{line}"
    session.console.result({**shown, "header": header, "curl": line}, text)


def _origin(text: str) -> str:
    try:
        return str(parse_origin(text))
    except Malformed as refusal:
        wrong = f"{text!r} is no https origin ({refusal.detail}): write https://HOST, without a path"
        raise Malformed(wrong) from None


def _write(path: Path, token: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} is there already: remove it or name another file") from None
    except OSError as error:
        raise NoSpace(f"{path} cannot be written ({error.strerror}): name another file") from None
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"Authorization: Bearer {token}\n")


def _credential(session: Session) -> str:
    """How curl presents the agent's certificate, as far as the INI file tells."""
    try:
        sections, _ = parse_ini(session.config_path.read_text())
    except (OSError, UnicodeDecodeError):
        return _NO_KEY
    keys = next((section for section in sections if section.name == "keys"), None)
    entry = keys.entries.get("path") if keys else None
    folder = Path(clean(entry.text)) if entry else Path("/var/lib/rrsd/keys")
    certificate, key = folder / "client.pem", folder / "client.key"
    return f"--cert {certificate} --key {key}" if certificate.exists() else _NO_KEY
