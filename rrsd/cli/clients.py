"""`rrsctl clients`: who may ask the token service."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rrsd.cli.output import clean, facts, when
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Malformed
from rrsd.core.values.clients import Method
from rrsd.core.wire.strictjson import parse_object
from rrsd.core.wire.subjects import NameKind

_COLUMNS = ("CLIENT", "PROOF", "FROM", "STATE", "MAY")


@click.group(short_help="Clients of the token service.")
def clients() -> None:
    """Clients of the token service: who may exchange tokens, ask about them, and revoke them.

    A client is named by the OU and CN of its certificate, as in _rra.partner.test, and proves itself in one way only.
    Those that the settings have ([sts.client.NAME]) are changed there. Whatever is done here counts at once.

    \b
      rrsctl clients add _rra.partner.test --certificate partner.pem --impersonate partner.test
      rrsctl clients add _api.foo.test --auth tls_client_auth --ca ca.pem --san-dns api.foo.test \\
          --audience https://api.foo.test --introspect
      rrsctl clients add _job.foo.test --auth private_key_jwt --jwks-uri https://job.foo.test/jwks
      rrsctl clients list
      rrsctl clients disable _rra.partner.test               nothing is lost; enable gives it back
    """


_NAME = click.argument("name")


@clients.command("list")
@pass_session
def list_clients(session: Session) -> None:
    """Every client, and what it may do."""
    document = session.local().clients()
    rows = [
        (client.get("name"), client.get("auth", "?"), client.get("from"), _state(client), _may(client))
        for client in document.get("clients", [])
    ]
    session.console.rows(document, _COLUMNS, rows, "nobody yet: add a client with `rrsctl clients add NAME`")


@clients.command()
@_NAME
@pass_session
def show(session: Session, name: str) -> None:
    """All about one client."""
    document = session.local().client(name)
    session.console.result(document, _text(document))


@clients.command()
@_NAME
@click.option("--auth", type=click.Choice([each.value for each in Method]), default=Method.SELF_SIGNED.value,
              show_default=True, help="How it proves itself.")  # fmt: skip
@click.option("--certificate", "certificates", multiple=True, metavar="FILE", help="Its own certificate, in PEM.")
@click.option("--ca", multiple=True, metavar="FILE", help="A CA that may issue its certificate, in PEM.")
@click.option("--subject-dn", metavar="NAME", help="The subject of its certificate, as in CN=bar.test,OU=_rra.")
@click.option("--san-dns", metavar="HOST", help="Or a host name in its certificate.")
@click.option("--san-uri", metavar="URI", help="Or a URI in its certificate.")
@click.option("--san-ip", metavar="ADDRESS", help="Or an IP address in its certificate.")
@click.option("--san-email", metavar="ADDRESS", help="Or a mail address in its certificate.")
@click.option("--jwks", metavar="FILE", help="Its public keys, a JWK set.")
@click.option("--jwks-uri", metavar="URL", help="Or where it publishes them.")
@click.option("--impersonate", multiple=True, metavar="DOMAIN", help="Name users of this domain without their token.")
@click.option("--audience", "audiences", multiple=True, metavar="URL", help="A resource that it serves itself.")
@click.option("--target", "targets", multiple=True, metavar="ORIGIN", help="A resource server to ask for [any].")
@click.option("--introspect", is_flag=True, help="Ask whether tokens for its audiences are active.")
@click.option("--no-mtls", is_flag=True, help="It cannot compare certificates: bound tokens are inactive to it.")
@pass_session
def add(session: Session, /, name: str, **given: Any) -> None:
    """Register a client; it may ask at once."""
    document = session.local().add_client(name, document_of(given))
    session.console.result(document, f"added {clean(name)}\n\n{_text(document)}")


@clients.command()
@_NAME
@pass_session
def disable(session: Session, name: str) -> None:
    """Refuse everything that a client asks, until it is enabled again."""
    session.console.result(session.local().change_client_of(name, "disable"), f"{clean(name)} is disabled")


@clients.command()
@_NAME
@pass_session
def enable(session: Session, name: str) -> None:
    """End that."""
    session.console.result(session.local().change_client_of(name, "enable"), f"{clean(name)} is enabled")


@clients.command()
@_NAME
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, name: str, yes: bool) -> None:
    """Forget a client."""
    if not yes:
        session.confirm(f"Forget {clean(name)}?")
    session.console.result(session.local().remove_client(name), f"removed {clean(name)}")


def document_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The registration that the options write.

    Raises:
        Malformed: a file cannot be read, or holds no JWK set.
    """
    document: dict[str, Any] = {
        "auth": given["auth"],
        "certificates": [_read(path) for path in given["certificates"]],
        "ca": [_read(path) for path in given["ca"]],
        "jwks": None if given["jwks"] is None else parse_object(_read(given["jwks"]).encode()),
        **{name: given[name] for name in ("jwks_uri", *NameKind)},
        **{name: list(given[name]) for name in ("impersonate", "audiences", "targets")},
        "introspect": given["introspect"],
    }
    kept = {name: value for name, value in document.items() if value}
    return kept | ({"mtls": False} if given["no_mtls"] else {})


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Malformed(f"{path} cannot be read ({why}): name a file in PEM, or a JWK set") from None


def _state(client: Mapping[str, Any]) -> str:
    return "disabled" if client.get("disabled") else "active" if "auth" in client else "unusable"


def _may(client: Mapping[str, Any]) -> str:
    named = ("impersonate", "audiences")
    said = [f"{name} {', '.join(map(clean, client[name]))}" for name in named if client.get(name)]
    return "; ".join([*said, *(["introspect"] if client.get("introspect") else [])]) or "nothing"


def _text(client: Mapping[str, Any]) -> str:
    pairs = [("client", client.get("name")), ("proof", client.get("auth", "?")), ("from", client.get("from")),
             ("state", _state(client))]  # fmt: skip
    pairs += [(name, _listed(client[name])) for name in ("impersonate", "audiences", "targets") if client.get(name)]
    pairs += [
        ("introspect", "yes" if client.get("introspect") else "no"),
        ("mtls", "yes" if client.get("mtls", True) else "no"),
    ]
    if "created" in client:
        pairs.append(("added (UTC)", when(client["created"])))
    return facts(pairs)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(clean(each) for each in values)
