"""`rrsctl identity`: what this domain has to publish so that others believe it, and what others publish."""

from typing import Any

import click

from rrsd.cli.exits import EXITS
from rrsd.cli.output import clean, table
from rrsd.cli.session import Session, pass_session
from rrsd.config.ini import Misconfigured
from rrsd.config.settings import Settings, parse_settings
from rrsd.core.refusals import ALL, Malformed
from rrsd.core.values.addresses import ClientIdentifier, join_client_identifier
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import instant
from rrsd.core.wire.texts import ISSUER_LABEL, render_client_keys, render_issuer_text, zone_line
from rrsd.core.wire.tlsa import of_key, render_tlsa
from rrsd.core.wire.webfinger import PUBLIC_KEY_REL, client_acct, render_public_key
from rrsd.drivers.keys.service import Keyring
from rrsd.roles.identity.rules import webfinger_target

_MARKS = {"published": "+", "absent": "-", "refused": "!", "unavailable": "?"}
_STATUS = {each.reason: EXITS[each] for each in ALL}


@click.group(short_help="Records to publish, and what others have published.")
def identity() -> None:
    """How this domain proves who it is, and how others do.

    \b
      rrsctl identity records                  what to put into the zone of this domain
      rrsctl identity verify foo.test          who speaks for a domain, and who says so
      rrsctl identity verify _rra.foo.test     which keys a client has, and how far that may be believed
    """


@identity.command()
@pass_session
def records(session: Session) -> None:
    """Print the records that prove this domain's client certificate and name its issuer, as lines of a zone file.

    Any one way is enough. WebFinger is answered by the daemon itself. TLSA and the _rrs record count only in a zone
    that is signed with DNSSEC. While one key replaces another, the records name both: print them again after each step
    of `rrsctl keys client`.

    \b
      rrsctl identity records >> /etc/knot/zones/foo.test.zone
      rrsctl --json identity records
    """
    settings = _settings(session)
    keyring = Keyring(settings.keys, lambda: instant(session.now()))
    keyring.reload()
    _ = keyring.agent.certificate  # refuses, and says what to do, where there is none
    document = records_of(settings, keyring.agent.published())
    session.console.result(document, records_text(document))


def _settings(session: Session) -> Settings:
    try:
        return parse_settings(session.config_path.read_text())
    except Misconfigured:
        raise Malformed(f"{session.config_path} has errors: rrsctl check lists them") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{session.config_path} cannot be read ({error}): name the INI file with --config") from None


def records_of(settings: Settings, hashes: tuple[Digest, ...]) -> dict[str, Any]:
    """Everything that the domain may publish, for its client keys with these hashes."""
    domain = settings.domain.name
    client: ClientIdentifier = settings.rra.client or join_client_identifier("_rra", domain.name)
    life = int(settings.keys.record_ttl.total_seconds())
    tlsa = [{"name": f"{client}", "type": "TLSA", "data": render_tlsa(of_key(each))} for each in hashes]
    text = {"name": f"{client}", "type": "TXT", "data": render_client_keys(hashes)}
    issuer = {
        "name": f"{ISSUER_LABEL}.{domain}", "type": "TXT", "data": render_issuer_text(settings.domain.issuer),
    }  # fmt: skip
    asked = client_acct(client)
    webfinger = {
        "url": f"https://{domain}{webfinger_target(asked, PUBLIC_KEY_REL)}",
        "document": render_public_key(asked, hashes),
    }
    return {"client": f"{client}", "ttl": life, "records": [*tlsa, text, issuer], "webfinger": webfinger}


def records_text(document: dict[str, Any]) -> str:
    """The records as a zone file has them, WebFinger as a comment."""
    lines = [f"; the key of {document['client']}: TLSA (DNSSEC only), or TXT; the issuer: {ISSUER_LABEL} (DNSSEC only)"]
    lines += [zone_line(each["name"], document["ttl"], each["type"], each["data"]) for each in document["records"]]
    webfinger = document["webfinger"]
    lines.append("; WebFinger, which the daemon answers by itself where it serves the domain's host:")
    lines.append(f";   {webfinger['url']}")
    hashes = [link["properties"]["public-key/hash"] for link in webfinger["document"]["links"]]
    lines += [f";   public-key/hash {each}" for each in hashes]
    return "\n".join(lines)


@identity.command()
@click.argument("name")
@pass_session
def verify(session: Session, name: str) -> int:
    """Ask the world about NAME, as the running daemon sees it, and say why it would or would not be believed.

    NAME is a domain, a user's address, or a client identifier, which begins with an underscore. Every method is asked
    afresh; the first one that is published decides, marked with *. States: + published, - absent, ! refused,
    ? unavailable.

    Exit status 0: it is believed. 77: it is not. 75: nobody can tell now. 67: the domain publishes nothing.

    \b
      rrsctl identity verify bob@foo.test
      rrsctl --json identity verify _rra.foo.test
    """
    document = session.local().verify(name)
    session.console.result(document, verify_text(document))
    return 0 if document.get("believed") else _STATUS.get(str(document.get("refusal")), 1)


def verify_text(document: dict[str, Any]) -> str:
    """The report as a person reads it."""
    rows, notes = [], []
    for look in document.get("methods", []):
        mark = ("*" if look.get("decides") else " ") + _MARKS.get(str(look.get("state")), " ")
        rows.append((mark, look.get("method"), look.get("state"), look.get("strength") or "-", look.get("why") or "-"))
        seen = ", ".join(map(str, look.get("seen", []))) or "nothing"
        notes.append(f"{look.get('method')}: {look.get('place')}\n    {seen}")
    text = table(("", "METHOD", "STATE", "RESTS ON", "WHY"), rows)
    places = "\n".join("\n".join(clean(line) for line in note.split("\n")) for note in notes)
    return f"{text}\n\n{places}\n\n{clean(document.get('sentence'))}"
