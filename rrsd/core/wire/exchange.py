"""Token exchange requests and answers as they are spoken here (RFC 8693 2, RFC 8707 2, RFC 9396 3)."""

import re
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from rrsd.core.refusals import Malformed, UnknownClient, UnsupportedGrant, WrongScope, WrongTarget
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.core.wire.delegation import parse_message_ids
from rrsd.core.wire.oauth import Form
from rrsd.core.wire.strictjson import parse_array

_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*", re.ASCII)  # RFC 6749 3.3

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"


class SubjectType(StrEnum):
    """The token types that a subject token may declare (RFC 8693 3)."""

    JWT = "urn:ietf:params:oauth:token-type:jwt"
    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@frozen
class ExchangeRequest:
    """What a client asks for: to act at `resource` for the user whom the subject token names.

    `wanted` is the type of the answer: a delegation (jwt), or an access token with no more than `scope`, None for that
    of the subject token. `message_ids` narrow a delegation, None does not. `has_actor` is whether an actor token came;
    it is not looked at.
    """

    subject_token: str = field(repr=False)
    subject_token_type: SubjectType
    resource: Origin
    client_id: str
    message_ids: frozenset[str] | None = None
    has_actor: bool = False
    wanted: SubjectType = SubjectType.JWT
    scope: frozenset[str] | None = None


def parse_exchange(form: Form) -> ExchangeRequest:
    """The request in a form.

    Raises:
        UnsupportedGrant: it is another grant type.
        UnknownClient: it names no client (RFC 8705 2).
        WrongTarget: it does not ask for exactly one resource server.
        WrongScope: it asks for a scope of a delegation, or for one that is no scope.
        Malformed: a parameter is missing, of another type, or not of its form.
    """
    if form.required("grant_type") != GRANT_TYPE:
        raise UnsupportedGrant("not a token exchange")
    subject_token = form.required("subject_token")
    subject_token_type = _subject_type(form.required("subject_token_type"))
    wanted = _wanted(form.one("requested_token_type"), subject_token_type)
    client_id = form.one("client_id")
    if client_id is None:
        raise UnknownClient("no client_id")
    return ExchangeRequest(
        subject_token,
        subject_token_type,
        _resource(form),
        client_id,
        _message_ids(form),
        _has_actor(form),
        wanted,
        _scope(form.one("scope"), wanted),
    )


def _subject_type(text: str) -> SubjectType:
    if text not in SubjectType.__members__.values():
        raise Malformed("subject_token_type")
    return SubjectType(text)


def _wanted(text: str | None, subject: SubjectType) -> SubjectType:
    # Only an access token becomes an access token: nothing else has a scope that could be narrowed.
    if text not in (None, SubjectType.JWT, subject):
        raise Malformed("requested_token_type")
    return SubjectType.JWT if text is None else SubjectType(text)


def _scope(text: str | None, wanted: SubjectType) -> frozenset[str] | None:
    if text is None:
        return None
    if wanted is SubjectType.JWT or not _SCOPE.fullmatch(text):
        raise WrongScope("a delegation has no scope")
    return frozenset(text.split(" "))


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


def render_access(token: str, expires_in: int, scope: frozenset[str]) -> dict[str, Any]:
    """The answer that hands out an access token, which is bound all the same (RFC 8693 2.2.1, RFC 8705 3)."""
    return {
        "access_token": token,
        "issued_token_type": str(SubjectType.ACCESS_TOKEN),
        "token_type": "Bearer",
        "expires_in": expires_in,
        "scope": " ".join(sorted(scope)),
    }


def render_exchange(token: str, expires_in: int) -> dict[str, Any]:
    """The answer that hands out a delegation, which is no access token (RFC 8693 2.2.1)."""
    return {
        "access_token": token,
        "issued_token_type": str(SubjectType.JWT),
        "token_type": "N_A",
        "expires_in": expires_in,
    }
