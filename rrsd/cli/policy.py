"""`rrsctl policy`: what policy would say and why, and whether a file of policies is right."""

import os
from pathlib import Path
from typing import Any

import click

from rrsd.cli.output import clean, facts
from rrsd.cli.session import Session, pass_session
from rrsd.drivers.policy.service import find_policies, read_schema
from rrsd.drivers.policy.settings import Settings

METHODS = ("dane", "webfinger", "dns-txt", "issuer")
STRENGTHS = ("dnssec", "tls", "issuer", "weak")
ACTIONS = ("retrieve", "query", "acknowledge", "renew")
EVIDENCES = ("impersonation", "access token", "delegation")


@click.group(short_help="What policy permits, and why.")
def policy() -> None:
    """Policies in Cedar decide who may retrieve what, and who may exchange which token.

    Those that come with rrsd hold unless `[policy] defaults = no`; your own stand in the file `[policy] path`. A policy
    that forbids wins over all that permit, and what none permits is refused. The daemon reads the file again on SIGHUP.

    \b
      rrsctl policy schema                     everything that a policy may speak about
      rrsctl policy check /etc/rrsd/policy.cedar
      rrsctl policy explain --user bob@bar.test --resource "ni:///sha-256;…"
      rrsctl policy explain --client _rra.bar.test --target https://rs.foo.test --user bob@bar.test
    """


@policy.command()
@pass_session
def schema(session: Session) -> None:
    """Print the schema that policies are checked against, for editors and for the `cedar` command line."""
    text = read_schema().text
    session.console.result({"schema": text}, text)


@policy.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_session
def check(session: Session, file: Path) -> int:
    """Read FILE as `[policy] path`, beside the policies that come with rrsd, and report every error in it.

    Exit status 0: nothing is wrong. 78: something is.

    \b
      rrsctl policy check /etc/rrsd/policy.cedar && systemctl reload rrsd
    """
    policies, flaws = find_policies(Settings(path=str(file)), read_schema())
    own = [each.name for each in policies if each.file == str(file)]
    errors = [{"line": each.line, "wrong": each.wrong, "right": each.right} for each in flaws]
    text = "\n".join(f"{file} {clean(each)}" for each in flaws) or f"{file}: {len(own)} policies, nothing is wrong"
    session.console.result({"ok": not flaws, "policies": own, "errors": errors}, text)
    return os.EX_CONFIG if flaws else os.EX_OK


@policy.command()
@click.option("--user", metavar="ADDRESS", required=True, help="In whose name.")
@click.option("--resource", metavar="DIGEST", default=None, help="At the resource server: what is asked for.")
@click.option("--action", type=click.Choice(ACTIONS), default=None, help="And what is to be done [retrieve].")
@click.option("--client", metavar="OU.CN", default=None, help="Who asks [_rra and the user's domain].")
@click.option("--method", type=click.Choice(METHODS), default=None, help="How the client was proved [webfinger].")
@click.option("--strength", type=click.Choice(STRENGTHS), default=None, help="On what that rests [the method's best].")
@click.option("--issuer", metavar="URL", default=None, help="Whose word the delegation is [https://, user's domain].")
@click.option("--target", metavar="ORIGIN", default=None, help="At the token service: the resource server asked for.")
@click.option("--evidence", type=click.Choice(EVIDENCES), default=None, help="For whose will [impersonation].")
@click.option("--chain", type=click.IntRange(1), default=None, help="Actors that the token will name [1].")
@click.option("--at", metavar="TIME", default=None, help="When, as in 2026-12-24T18:00:00Z [now].")
@pass_session
def explain(session: Session, /, **asked: Any) -> int:
    """Ask the running daemon what policy would say, and which policies decide.

    With --resource about a request at the resource server, with --target about an exchange at the token service.
    Nothing is decided by it, and nobody else is asked. Exit status 0: it would be permitted. 77: it would not.

    \b
      rrsctl policy explain --user bob@bar.test --resource "ni:///sha-256;…" --method dns-txt --strength weak
      rrsctl policy explain --client _rra.bar.test --target https://rs.foo.test --user bob@bar.test
      rrsctl --json policy explain --user bob@bar.test --resource "ni:///sha-256;…" --at 2026-12-24T18:00:00Z
    """
    if (asked["resource"] is None) == (asked["target"] is None):
        raise click.UsageError("say what is asked for: --resource DIGEST, or --target ORIGIN with --client OU.CN")
    document = session.local().explain_policy({name: value for name, value in asked.items() if value is not None})
    session.console.result(document, explained(document))
    return os.EX_OK if document.get("permitted") else os.EX_NOPERM


def explained(document: dict[str, Any]) -> str:
    """The explanation as a person reads it."""
    said = "permitted" if document.get("permitted") else "refused"
    head = [
        ("asked", clean(document.get("asked"))),
        ("decision", f"{said}: {clean(document.get('because') or document.get('note'))}"),
        ("answer", clean(document.get("answer"))),
        ("note", clean(document.get("note") or "")),
    ]
    parts = [facts([each for each in head if each[1]])]
    return "\n\n".join([*parts, *(_looked(each) for each in document.get("looked_at", []))])


def _looked(each: dict[str, Any]) -> str:
    state = f" ({clean(each['state'])})" if each.get("state") else ""
    said = "permitted" if each.get("permitted") else "refused"
    lines = [f"{clean(each.get('about'))}{state}: {said}: {clean(each.get('because'))}"]
    for one in each.get("policies", []):
        lines.append(f"  {clean(one.get('file'))}, line {one.get('line')}:")
        lines += [f"    {clean(line)}" for line in str(one.get("text")).splitlines()]
    lines += [f"  error: {clean(error)}" for error in each.get("errors", [])]
    asked = each.get("question", {})
    for party in ("principal", "resource"):
        entity = asked.get(party, {})
        lines.append(f'  {party} {clean(entity.get("type"))}::"{clean(entity.get("id"))}"')
        lines += _attributes(entity.get("attributes", {}))
    return "\n".join(
        [*lines, f"  action {clean(asked.get('action'))}, context", *_attributes(asked.get("context", {}))]
    )


def _attributes(given: dict[str, Any]) -> list[str]:
    rows = [(name, value) for name, value in given.items() if not isinstance(value, dict)]
    nested = [(f"{name}.{each}", value) for name, found in given.items() if isinstance(found, dict)
              for each, value in found.items()]  # fmt: skip
    return [f"    {name} = {_shown(value)}" for name, value in sorted((*rows, *nested))]


def _shown(value: object) -> str:
    return clean(", ".join(map(str, value)) if isinstance(value, list) else value)
