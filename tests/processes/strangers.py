"""The paths that are for everybody, in the words of OpenAPI: what the protocol pages say, for `test_openapi`."""

from typing import Any

from rrsd.core.wire.exchange import GRANT_TYPE

_DIGEST = {"type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"}
_REFUSED = {
    "description": "Refused",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error", "reason"],
                "additionalProperties": False,
                "properties": {"error": {"type": "string"}, "reason": {"type": "string"}},
            }
        }
    },
}


def _answer(*members: str, media_type: str = "application/json") -> dict[str, Any]:
    schema = {"type": "object", "required": list(members)}
    return {"description": "Answered", "content": {media_type: {"schema": schema}}}


def _operation(statuses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"responses": {**statuses, "default": _REFUSED}, **more}


def _given(name: str, where: str, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "schema": schema}


_TEXT = {"type": "string"}
_RANGE = _given("Range", "header", {"type": "string", "pattern": "^bytes=[0-9]{1,3}-[0-9]{1,3}$"}, required=False)
_EXCHANGE = {
    "type": "object",
    "required": ["grant_type", "client_id", "subject_token", "subject_token_type", "resource"],
    "properties": {
        "grant_type": {"const": GRANT_TYPE},
        "client_id": _TEXT,
        "subject_token": _TEXT,
        "subject_token_type": {"const": "urn:ietf:params:oauth:token-type:jwt"},
        "resource": {"const": "https://foo.test"},
    },
}

_ABOUT = {
    "type": "object",
    "required": ["token", "client_id"],
    "properties": {"token": _TEXT, "client_id": _TEXT, "token_type_hint": _TEXT},
}


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


STRANGERS: dict[str, Any] = {
    "openapi": "3.1.1",
    "info": {"title": "What strangers may ask", "version": "1"},
    "paths": {
        "/.well-known/ni/sha-256/{digest}": {
            "get": _operation({}, parameters=[_given("digest", "path", _DIGEST), _RANGE]),
            "head": _operation({}, parameters=[_given("digest", "path", _DIGEST), _RANGE]),
        },
        "/rrs/chunks/sha-256/{digest}": {"get": _operation({}, parameters=[_given("digest", "path", _DIGEST)])},
        "/rrs/receipts": {
            "post": _operation({}, requestBody={"required": True, "content": {"application/jose": {"schema": _TEXT}}}),
        },
        "/rrs/renewals": {
            "post": _operation(
                {}, requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
            ),
        },
        "/token": {
            "post": _operation({}, requestBody=_form(_EXCHANGE)),
        },
        "/introspect": {"post": _operation({}, requestBody=_form(_ABOUT))},
        "/revoke": {"post": _operation({"200": {"description": "Done"}}, requestBody=_form(_ABOUT))},
        "/.well-known/webfinger": {
            "get": _operation(
                {"200": _answer("subject", "links", media_type="application/jrd+json")},
                parameters=[_given("resource", "query", {"type": "string", "pattern": "^acct:[a-z]{1,9}@foo[.]test$"})],
            ),
        },
        "/jwks": {"get": _operation({"200": _answer("keys", media_type="application/jwk-set+json")})},
        **{
            path: {"get": _operation({"200": _answer(*members)})}
            for path, members in {
                "/.well-known/oauth-authorization-server": ("issuer", "jwks_uri", "token_endpoint"),
                "/.well-known/openid-configuration": ("issuer", "jwks_uri", "token_endpoint"),
                "/.well-known/oauth-protected-resource": ("resource",),
            }.items()
        },
    },
}
