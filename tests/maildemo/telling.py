"""What the servers wrote down, in words (pure): lines of the audit trails, and of Postfix's log."""

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from rrsd.cli.output import clean, duration, size

_MOVED = re.compile(
    r"postfix\S*/(?P<how>smtp|lmtp)\[\d+\]: (?P<queue>[0-9A-Za-z]+): to=<(?P<to>[^>]*)>,.*? relay=(?P<relay>\S+?),.*? "
    r"status=(?P<status>\w+) \((?P<said>.*)\)$"
)
_QUEUED = re.compile(r"queued as (\w+)")


@frozen
class Told:
    """One line of the story."""

    word: str
    text: str
    claims: Mapping[str, Any] = field(factory=dict)


def of_trail(domain: str, line: Mapping[str, Any]) -> Told | None:
    """A decision of the domain's daemon; None for what the story leaves out."""
    what, outcome = str(line.get("what", "")), str(line.get("outcome", ""))
    told = _TOLD.get((what, outcome)) or _TOLD.get((what, ""))
    if told is None:
        return None
    word, text = told
    facts = {
        "domain": domain, "who": line.get("who", ""), "subject": line.get("subject", ""),
        "evidence": line.get("evidence", ""), "size": size(float(line.get("size") or 0)),
        "peer": line.get("peer", ""), "took": duration(float(line.get("took") or 0)),
    }  # fmt: skip
    claims = line.get("claims")
    text = text.format(**{name: clean(value) for name, value in facts.items()})
    return Told(word, text, claims if isinstance(claims, Mapping) else {})


_TOLD = {
    ("send", "granted"): ("way out", "{domain}'s filter, for {subject}: {evidence}; {size} go on to be signed"),
    ("accept", "granted"): ("accepted", "{who}'s signature holds; {domain} asks foo.test's issuer where its files are"),
    ("impersonate", "granted"): ("exchange", "{who} says to {peer} that it acts for {subject}"),
    ("delegate", "granted"): ("exchange", "{domain}'s token service delegates ({took}), bound to the certificate"),
    ("retrieve", "granted"): ("pull", "{domain} believes {who} for {subject}: {evidence}"),
    ("pull", "granted"): ("pulled", "{evidence}; {took}"),
    ("acknowledge", "granted"): ("receipt", "{domain} has {who}'s signed receipt and may forget its copy"),
    ("deliver", "held"): ("way in", "{domain}'s filter: {evidence}; the mail server keeps the message meanwhile"),
    ("deliver", "granted"): ("way in", "{domain}'s filter, for {subject}: complete; {evidence}"),
    ("link_code", "granted"): ("code", "{domain} sends a code to {subject}, and to nobody else"),
    ("link_open", "granted"): ("code", "it is the right one: the files are open in this browser"),
    ("download", "granted"): ("download", "{domain} hands the file to {subject}'s browser ({took})"),
}
"""What is told of which decision."""


def of_log(domain: str, line: str) -> Told | None:
    """A message that Postfix moved or could not move."""
    found = _MOVED.search(line)
    if found is None:
        return None
    queued = _QUEUED.search(found["said"])
    then = f"taken, {queued[1]} there" if queued else clean(found["said"])
    if found["status"] == "sent":
        return Told("postfix", f"{domain}: {found['queue']} for {found['to']} by {found['how'].upper()}: {then}")
    # SMTP has one reply for all recipients.
    return Told("postfix", f"{domain} keeps {found['queue']}: {then.partition('said: ')[2] or then}"[:_MOST])


_MOST = 160
