"""`rrsctl keys`: the domain's signing keys and its client certificate, public parts only."""

from typing import Any

import click

from rrsd.cli.output import facts, table, when
from rrsd.cli.session import Session, pass_session


@click.group(short_help="Signing keys and the client certificate.")
def keys() -> None:
    """The domain's signing keys and its client certificate; private parts never leave the daemon's folder.

    \b
      rrsctl keys list
      rrsctl keys rotate     the next key signs from now on, the old one can be verified with for a while
    """


@keys.command("list")
@pass_session
def list_keys(session: Session) -> None:
    """Every key and what it is for now."""
    document = session.local().keys()
    session.console.result(document, keys_text(document))


@keys.command()
@pass_session
def rotate(session: Session) -> None:
    """Let the next signing key sign, and make a new next one."""
    document = session.local().rotate_keys()
    said = "rotated" if document.get("rotated", True) else "rotated a moment ago already: nothing changed"
    session.console.result(document, f"{said}\n\n{keys_text(document)}")


def keys_text(document: dict[str, Any]) -> str:
    """The keys as a person reads them."""
    rows = [(key.get("kid"), key.get("state"), when(key.get("since"))) for key in document.get("keys", [])]
    text = table(("KEY", "STATE", "SINCE (UTC)"), rows) if rows else "no signing keys: run `rrsctl keys rotate`"
    client = document.get("client") or {}
    names = (
        ("client certificate", client.get("name")),
        ("  SPKI SHA-256", client.get("spki")),
        ("  certificate SHA-256", client.get("x5t")),
        ("  ends", when(client.get("not_after"))),
    )
    return text + ("\n\n" + facts(names) if client else "")
