"""Renewals: a recipient's agent asks for more time for resources, and what the resource server gives (protocol 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.digests import parse_ni
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.resources import Grant, Named, Renewal
from rrsd.core.wire.claims import LAST, integer, text

MOST_NAMED = 100
"""Resources of one request."""
MOST_MESSAGE_ID = 998


def render_renewal(renewal: Renewal) -> dict[str, Any]:
    """What is asked for."""
    named = [{"message_id": each.message_id, "resource": each.digest.ni} for each in renewal.named]
    return {"until": _seconds(renewal.until), "grants": named}


def parse_renewal(document: Mapping[str, Any]) -> Renewal:
    """What is asked for.

    Raises:
        Malformed: a member is missing or not what it should be, or a resource is named twice.
        TooLarge: more than `MOST_NAMED` resources.
    """
    return Renewal(
        instant(integer(document, "until", LAST)), tuple(_named(each) for each in _items(document, "grants"))
    )


def render_renewed(grants: Sequence[Grant]) -> dict[str, Any]:
    """The grants as they are from now on."""
    renewed = [
        {"message_id": each.message_id, "resource": each.digest.ni, "not_after": _seconds(each.not_after)}
        for each in grants
    ]
    return {"renewed": renewed}


def parse_renewed(document: Mapping[str, Any], asked: Sequence[Named]) -> Mapping[Named, Instant]:
    """Until when each of the resources that were asked for may be fetched; those that are left out get no more time.

    Raises:
        Malformed: a member is missing or not what it should be, or it is about what nobody asked for.
        TooLarge: more than `MOST_NAMED` resources.
    """
    items = _items(document, "renewed")
    found = {_named(each): instant(integer(each, "not_after", LAST)) for each in items}
    if not found.keys() <= set(asked):
        raise Malformed("a renewal that nobody asked for")
    return found


def _items(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = document.get(name)
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise Malformed(name)
    if len(items) > MOST_NAMED:
        raise TooLarge(name)
    if len({_named(each) for each in items}) != len(items):
        raise Malformed(f"{name}: one of them twice")
    return items


def _named(item: Mapping[str, Any]) -> Named:
    message_id = text(item, "message_id")
    if len(message_id) > MOST_MESSAGE_ID:
        raise Malformed("claim message_id")
    return Named(message_id, parse_ni(text(item, "resource")))


def _seconds(moment: Instant) -> int:
    return int(moment.timestamp())
