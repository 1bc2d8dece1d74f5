"""Token exchange requests and answers as they are spoken here (RFC 8693 2, RFC 8707 2, RFC 9396 3)."""

from enum import StrEnum
from typing import Any

from attrs import field, frozen

from rrsd.core.refusals import Malformed, UnknownClient, UnsupportedGrant, WrongScope, WrongTarget
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.core.wire.delegation import parse_message_ids
from rrsd.core.wire.oauth import Form
from rrsd.core.wire.strictjson import parse_array

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"


class SubjectType(StrEnum):
    """The token types that a subject token may declare (RFC 8693 3)."""

    JWT = "urn:ietf:params:oauth:token-type:jwt"
    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@frozen
class ExchangeRequest:
    """What a client asks for: to act at `resource` for the user whom the subject token names.

    `message_ids` narrow it, None does not. `has_actor` is whether an actor token came; it is not looked at.
    """

    subject_token: str = field(repr=False)
    subject_token_type: SubjectType
    resource: Origin
    client_id: str
    message_ids: frozenset[str] | None = None
    has_actor: bool = False


def parse_exchange(form: Form) -> ExchangeRequest:
    """The request in a form.

    Raises:
        UnsupportedGrant: it is another grant type.
        UnknownClient: it names no client (RFC 8705 2).
        WrongTarget: it does not ask for exactly one resource server.
        WrongScope: it asks for a scope.
        Malformed: a parameter is missing, of another type, or not of its form.
    """
    if form.required("grant_type") != GRANT_TYPE:
        raise UnsupportedGrant("not a token exchange")
    subject_token = form.required("subject_token")
    subject_token_type = _subject_type(form.required("subject_token_type"))
    if form.one("requested_token_type") not in (None, SubjectType.JWT):
        raise Malformed("requested_token_type")
    client_id = form.one("client_id")
    if client_id is None:
        raise UnknownClient("no client_id")
    if form.one("scope") is not None:
        raise WrongScope("a delegation has no scope")
    return ExchangeRequest(
        subject_token, subject_token_type, _resource(form), client_id, _message_ids(form), _has_actor(form)
    )


def _subject_type(text: str) -> SubjectType:
    if text not in SubjectType.__members__.values():
        raise Malformed("subject_token_type")
    return SubjectType(text)


def _resource(form: Form) -> Origin:
    # RFC 8693 2.1: all values together are the target, so one that cannot be met refuses the others too.
    targets = {*form.many("resource"), *form.many("audience")}
    if len(targets) != 1 or len(form.many("resource")) != 1:
        raise WrongTarget("not exactly one resource")
    try:
        return parse_origin(targets.pop())
    except Malformed:
        raise WrongTarget("resource is not an https origin") from None


def _message_ids(form: Form) -> frozenset[str] | None:
    details = form.one("authorization_details")
    return None if details is None else parse_message_ids(parse_array(details.encode("utf-8")))


def _has_actor(form: Form) -> bool:
    actor, actor_type = form.one("actor_token"), form.one("actor_token_type")
    if (actor is None) != (actor_type is None):
        raise Malformed("actor_token and actor_token_type come together")
    return actor is not None


def render_exchange(token: str, expires_in: int) -> dict[str, Any]:
    """The answer that hands out a delegation, which is no access token (RFC 8693 2.2.1)."""
    return {
        "access_token": token,
        "issued_token_type": str(SubjectType.JWT),
        "token_type": "N_A",
        "expires_in": expires_in,
    }
