"""`rrsctl keys`: the domain's signing keys and its client certificates, public parts only."""

from typing import Any

import click

from rrsd.cli.output import clean, facts, table, when
from rrsd.cli.session import Session, pass_session


@click.group(short_help="Signing keys and the client certificate.")
def keys() -> None:
    """The domain's signing keys and its client certificates; private parts never leave the daemon's folder.

    \b
      rrsctl keys list       every key, its state, and what to do next
      rrsctl keys rotate     the next key signs from now on, the old one can be verified with for a while
      rrsctl keys client     change the client certificate, step by step: publish, use, withdraw
    """


@keys.command("list")
@pass_session
def list_keys(session: Session) -> None:
    """Every key, what it is for now, and what comes next."""
    document = session.local().keys()
    session.console.result(document, keys_text(document))


@keys.command()
@pass_session
def rotate(session: Session) -> None:
    """Let the next signing key sign, and make a new next one."""
    document = session.local().rotate_keys()
    said = "rotated" if document.get("rotated", True) else "rotated a moment ago already: nothing changed"
    session.console.result(document, f"{said}\n\n{keys_text(document)}")


@keys.group(short_help="Change the client certificate: publish, use, withdraw.")
def client() -> None:
    """Change the key of the agent's client certificate without a pause.

    Other domains believe a client certificate by what is published about its key: WebFinger, which the daemon answers
    by itself, and TXT and TLSA records, which you write into the zone. They remember what they have seen for a while.

    \b
      rrsctl keys client publish    a next key is made and published beside the present one
                                    … put the records that are printed into the zone, and wait
      rrsctl keys client use        the next key is presented from now on, the old one is still accepted
                                    … wait until nothing of the old one is in use any more
      rrsctl keys client withdraw   the old key goes
                                    … put the records that are printed into the zone

    A command that is given too early says until when to wait. Given twice, it changes nothing.
    """


_force = click.option(
    "--force", "is_forced", is_flag=True, help="Do not wait: others may refuse us until they have looked again."
)


@client.command()
@pass_session
def publish(session: Session) -> None:
    """Make the next client key and publish it; nothing else changes yet."""
    _take(session, "publish", "the next client key is published", is_forced=False)


@client.command()
@_force
@pass_session
def use(session: Session, is_forced: bool) -> None:
    """Present the next client key from now on; the old one stays published."""
    _take(session, "use", "the next client key is in use", is_forced=is_forced)


@client.command()
@_force
@pass_session
def withdraw(session: Session, is_forced: bool) -> None:
    """Forget the old client key."""
    _take(session, "withdraw", "the old client key is gone", is_forced=is_forced)


def _take(session: Session, step: str, done: str, *, is_forced: bool) -> None:
    document = session.local().change_client(step, is_forced=is_forced)
    said = done if document.get("changed", True) else f"{done} already: nothing changed"
    parts = (said, clients_text(document), following_text(document))
    session.console.result(document, "\n\n".join(part for part in parts if part))


def keys_text(document: dict[str, Any]) -> str:
    """The keys as a person reads them."""
    rows = [(key.get("kid"), key.get("state"), when(key.get("since"))) for key in document.get("keys", [])]
    signing = table(("SIGNING KEY", "STATE", "SINCE (UTC)"), rows) if rows else _NO_KEYS
    return "\n\n".join(part for part in (signing, clients_text(document), following_text(document)) if part)


_NO_KEYS = "no signing keys: run `rrsctl keys rotate`"


def clients_text(document: dict[str, Any]) -> str:
    """The client certificates as a person reads them; empty where there are none."""
    return "\n\n".join(
        facts(
            (
                ("client certificate", each.get("name")),
                ("  state", f"{each.get('state')} since {when(each.get('since'))}"),
                ("  SPKI SHA-256", each.get("spki")),
                ("  certificate SHA-256", each.get("x5t")),
                ("  ends", when(each.get("not_after"))),
            )
        )
        for each in document.get("clients", [])
    )


_MEANING = {
    "publish": "nothing; to change the client key begin with: rrsctl keys client publish",
    "use": "rrsctl keys client use",
    "withdraw": "rrsctl keys client withdraw",
}


def following_text(document: dict[str, Any]) -> str:
    """What the zone must say, and which command comes next."""
    following = document.get("following") or {}
    if not following:
        return ""
    due = f" after {when(following['due'])} UTC" if following.get("due") else ""
    zone = "\n".join(f"  {clean(line)}" for line in document.get("records", []))
    said = f"in the zone, where you publish the client key in DNS:\n{zone}\n\n"
    return said + f"to do: {_MEANING.get(str(following.get('step')), '')}{due}"
