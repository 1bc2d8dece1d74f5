"""The daemons' audit trails, and the nine steps that are told from them (pure)."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from rrsd.cli.output import duration, size

Line = Mapping[str, Any]

_FETCHED = re.compile(r"(\d+) of them in this attempt")


def read_trail(text: str) -> list[dict[str, Any]]:
    """The lines of an audit trail; a last one that a crash cut off is passed over."""
    lines = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            lines.append(document)
    return lines


def claims_in(token: str) -> dict[str, Any]:
    """The claims of a compact JWS, for showing; nothing is verified and nothing is decided by them."""
    parts = token.split(".")
    try:
        document = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError):
        return {}
    return document if isinstance(document, dict) else {}


@frozen
class Step:
    """One of the nine: who calls whom, what is said, what it carries, how long, how much."""

    number: str
    who: str
    text: str
    claims: Mapping[str, Any] = field(factory=dict)
    measured: str = ""


@frozen
class Told:
    """What the steps are told from: the recipient's trail, the sender's, and what the recipient's client saw."""

    sender: str
    recipient: str
    user: str
    resource: str
    recipients_trail: Sequence[Line]
    senders_trail: Sequence[Line]
    access_claims: Mapping[str, Any]
    size: int
    took: float


def nine_steps(told: Told) -> list[Step]:
    """The steps of the pull of one resource, as they happened."""
    agent, server, sts = f"{told.recipient} RRA", f"{told.sender} RS", f"{told.recipient} STS"
    # What the agent made by itself, and the first answer to that: later exchanges may be with the user's own token.
    made, after = _first(told.recipients_trail, "impersonate")
    given, asked = _first(after, "delegate")[0], _first(after, "exchange")[0]
    sent = [line for line in told.senders_trail if _is_about(line, "retrieve", told.resource)]
    pulled = [line for line in told.recipients_trail if _is_about(line, "pull", told.resource)]
    access = "asks for a part of the message with the access token of the local login"
    return [
        Step("1", f"{told.user} -> {agent}", access, told.access_claims),
        Step("2", agent, "impersonates the user: a short assertion, signed with the client certificate's key",
             _claims(made)),
        Step("3", f"{agent} -> {sts}", _exchange(told.recipients_trail), {}, _took([asked])),
        Step("4", f"{sts} -> {agent}", "delegates: bound to the certificate, for one resource server",
             _claims(given), _took([given])),
        Step("5", f"{agent} -> {server}", "asks for the resource with it over mutual TLS", {}, _times(sent, "request")),
        Step("6", server, _proved(sent), {}, _took(sent)),
        Step("7", f"{server} -> {agent}", "the bytes; verified, durable, kept", {}, _pulled(pulled)),
        Step("8", f"{agent} -> {told.user}", "streams the part while it is still arriving"),
        Step("9", told.user, "has the file", {}, f"{size(told.size)} in {duration(told.took)}"),
    ]  # fmt: skip


def resumed_at(told: Told) -> int | None:
    """Where the pull went on after the crash; None where the trail does not say that it went on."""
    pulled = [line for line in told.recipients_trail if _is_about(line, "pull", told.resource)]
    found = _FETCHED.search(str(pulled[-1].get("evidence", ""))) if pulled else None
    fetched = int(found.group(1)) if found else told.size
    return told.size - fetched if fetched < told.size else None


def _is_about(line: Line, what: str, resource: str) -> bool:
    return line.get("what") == what and line.get("resource") == resource and line.get("outcome") == "granted"


def _first(lines: Sequence[Line], what: str) -> tuple[Line, Sequence[Line]]:
    """The first such line, and those after it."""
    for number, line in enumerate(lines):
        if line.get("what") == what and line.get("outcome") == "granted":
            return line, lines[number + 1 :]
    return {}, ()


def _claims(line: Line) -> dict[str, Any]:
    claims = line.get("claims")
    return dict(claims) if isinstance(claims, Mapping) else {}


def _exchange(trail: Sequence[Line]) -> str:
    is_with_users = any(line.get("evidence") == "3-legged" for line in trail if line.get("what") == "exchange")
    more = "; while the user waits, the user's own access token too (3-legged)" if is_with_users else ""
    return f"exchanges it over mutual TLS (RFC 8693){more}"


def _times(lines: Sequence[Line], what: str) -> str:
    return f"{len(lines)} {what}{'' if len(lines) == 1 else 's'}" if lines else ""


def _proved(lines: Sequence[Line]) -> str:
    evidence = str(lines[-1].get("evidence", "")) if lines else ""
    return "believes certificate, delegation and grant" + (f" ({evidence})" if evidence else "")


def _took(lines: Sequence[Line]) -> str:
    return f"{float(lines[-1].get('took') or 0) * 1000:.0f} ms" if lines and lines[-1] else ""


def _pulled(pulled: Sequence[Line]) -> str:
    if not pulled:
        return ""
    last = pulled[-1]
    return f"{last.get('evidence') or size(int(last.get('size') or 0))}; {duration(float(last.get('took') or 0))}"
