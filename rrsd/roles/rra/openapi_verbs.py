"""The OpenAPI 3.1 document of what an operator can do with the queue, made of the table of verbs (`verbs.VERBS`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from rrsd.core.values.jobs import Priority, State
from rrsd.roles.rra.acting import LONGEST
from rrsd.roles.rra.openapi import JSON, NUMBER, TEXT, Schema, content, query, record
from rrsd.roles.rra.questions import CONDITIONS, FILTERS, LONGEST_AGE, MOST_PAGE
from rrsd.roles.rra.verbs import VERBS, Verb

PATH = "/openapi.json"
_ORIGIN: Schema = {"type": "string", "format": "uri", "examples": ["https://rs.foo.test"]}
_FILTERS: Mapping[str, Schema] = {
    "state": {"type": "string", "enum": [*State]},
    "origin": _ORIGIN,
    "recipient": {"type": "string", "format": "email"},
    "sender": {"type": "string", "description": "The domain that has sent it."},
    "condition": {"type": "string", "enum": [*CONDITIONS]},
    "age": {"type": "integer", "minimum": 0, "maximum": LONGEST_AGE, "description": "Seconds, at least."},
    "at_risk": {"enum": [0, 1, False, True], "description": "Those whose time will hardly do."},
}
_NEEDED: Mapping[str, Mapping[str, Schema]] = {
    "extend": {"for": {"type": "integer", "minimum": 1, "maximum": int(LONGEST.total_seconds()),
                       "description": "Seconds from now, at least."}},
    "set-priority": {"priority": {"type": "string", "enum": [*Priority]}},
}  # fmt: skip
"""What a verb needs beside the pulls."""
_BODIES: Mapping[str, Mapping[str, Schema]] = {
    "retry-destination": {"name": _ORIGIN},
    "pause": {"name": _ORIGIN, "reason": TEXT},
    "resume": {"name": _ORIGIN},
    "limit": {"name": _ORIGIN, "most": NUMBER, "reason": TEXT},
    "verify-store": {"rate": {**NUMBER, "description": "Bytes a second, at most."}},
    "export": {"after": {**NUMBER, "description": "`next` of the page before."}},
    "drain": {"reason": TEXT},
}
_LINE: Schema = {
    "type": "object",
    "required": ["recipient", "raw", "pulls"],
    "properties": {
        "recipient": TEXT,
        "granted": {"type": ["string", "null"]},
        "raw": {"type": "string", "contentEncoding": "base64"},
        "pulls": {"type": "array", "items": record(index=NUMBER, state=TEXT, priority=TEXT)},
    },
}
_PAGE = {"after": NUMBER, "most": {"type": "integer", "minimum": 1, "maximum": MOST_PAGE}}
_QUERIES: Mapping[str, Mapping[str, Schema]] = {
    "list": {**_FILTERS, **_PAGE},
    "shape": {"most": _PAGE["most"]},
    "gc": {"most": _PAGE["most"]},
    "destinations": {"name": _ORIGIN},
}
_ABOUT = "What an operator asks of the queue of pulls, and does with it, by the socket that [admin] socket names."


def verbs_document() -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for verb in VERBS:
        for path, operation in _operations(verb):
            paths.setdefault(path, {})[verb.method.lower()] = operation
    schemas = {"Refusal": record(error=TEXT, reason=TEXT), "Line": _LINE}
    return {
        "openapi": "3.1.1",
        "info": {"title": "The queue of pulls", "version": "1", "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operations(verb: Verb) -> Iterator[tuple[str, dict[str, Any]]]:
    needed = _NEEDED.get(verb.name, {})
    if verb.event:
        yield verb.path.replace("<n>", "{job}"), _operation(verb, _object(needed, *needed), is_needed=bool(needed))
    else:
        body = {"$ref": "#/components/schemas/Line"} if verb.name == "import" else None
        if verb.name in _BODIES:
            body = _object(_BODIES[verb.name], *(name for name in _BODIES[verb.name] if name == "name"))
        yield verb.path.replace("<n>", "{job}"), _operation(verb, body, is_needed=body is not None)
    if verb.is_bulk:
        yield f"/pulls/{verb.name}", _operation(verb, _order(needed), is_needed=True)


def _order(needed: Mapping[str, Schema]) -> dict[str, Any]:
    """The body of a verb about many: without a token it is told how many it would change, and the token that confirms
    it."""
    said: dict[str, Schema] = {
        "all": {"const": True},
        "token": {"type": "string", "description": "Of the answer without one; it holds for five minutes."},
        "after": {**NUMBER, "description": "`next` of the step before."},
    }
    return _object({**said, **{name: _FILTERS[name] for name in FILTERS}, **needed}, "all", *needed)


def _object(members: Mapping[str, Schema], *required: str) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": {**members}, "additionalProperties": False}


def _operation(verb: Verb, body: Schema | None, *, is_needed: bool) -> dict[str, Any]:
    job = {"name": "job", "in": "path", "required": True, "schema": NUMBER}
    asked = [
        query(name, str(schema.get("description", "")), schema) for name, schema in _QUERIES.get(verb.name, {}).items()
    ]
    shown: dict[str, Any] = {
        "summary": verb.does,
        "parameters": [*([job] if "<n>" in verb.path and "all" not in _members(body) else []), *asked],
        "responses": {
            "202" if verb.name == "verify-store" else "200": content("The result", JSON, {"type": "object"}),
            "default": content("Refused; the reason names the field.", JSON, {"$ref": "#/components/schemas/Refusal"}),
        },
    }
    if body is not None:
        shown["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": body}}}
    return shown


def _members(body: Schema | None) -> Mapping[str, Schema]:
    members: Mapping[str, Schema] = (body or {}).get("properties", {})
    return members
